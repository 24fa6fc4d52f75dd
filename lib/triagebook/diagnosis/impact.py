"""What it cost so far, in the units people are asked for, with a range and how it was computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from triagebook.core.models import Impact
from triagebook.core.words import share
from triagebook.diagnosis.impact_batches import batches
from triagebook.diagnosis.impact_batches import rows as lost_rows
from triagebook.diagnosis.impact_labels import wrong_decisions
from triagebook.diagnosis.impact_requests import requests

if TYPE_CHECKING:
    from triagebook.analysis.harm import Harm
    from triagebook.core.models import Hypothesis, Onset
    from triagebook.diagnosis.context import Context

CLIMBS = frozenset(
    {
        "resources.memory_leak",
        "resources.disk_filling",
        "resources.handle_leak",
        "resources.demand_growth",
    }
)
"""What meets a limit sooner or later, whether or not anything fails by now."""


@dataclass(frozen=True)
class Toll:
    """Impact, with what severity needs of it."""

    impact: list[Impact]
    wrong_share: float | None
    going_on: bool


def toll(ctx: Context, first: Hypothesis | None, onset: Onset | None) -> Toll:
    """Count what was served since the onset, and how much of it is likely wrong."""
    if onset is None or first is None:
        return Toll([], None, going_on=True)
    end = pd.Timestamp(ctx.bundle.windows.current[1])
    out: list[Impact] = []
    view = ctx.role("predictions")
    wrong_share: float | None = None
    going_on = True
    minutes = max((end - pd.Timestamp(onset.at)).total_seconds() / 60, 0.0)
    shortest = max((end - pd.Timestamp(onset.high)).total_seconds() / 60, 0.0)
    longest = max((end - pd.Timestamp(onset.low)).total_seconds() / 60, 0.0)
    out.append(
        Impact(
            what="minutes since the onset",
            value=round(minutes, 1),
            unit="min",
            low=round(shortest, 1),
            high=round(longest, 1),
            how="from the onset's interval to the end of the window",
        )
    )
    if view is not None and view.timed:
        since = view.current_times >= pd.Timestamp(onset.at).value
        rows = int(since.sum())
        low, high = (
            int((view.current_times >= pd.Timestamp(t).value).sum())
            for t in (onset.high, onset.low)
        )
        out.append(
            Impact(
                what="predictions served since the onset",
                value=rows,
                unit="predictions",
                low=low,
                high=high,
                how=f"rows of {view.name} since the onset",
            )
        )
        harm = _harm_of(ctx, first)
        if harm is not None and rows:
            wrong_share = harm.changed
            out.append(
                Impact(
                    what="predictions likely wrong",
                    value=round(harm.changed * rows),
                    unit="predictions",
                    low=round(harm.low * rows),
                    high=round(harm.high * rows),
                    how="decisions that change once the feature is put back, by a stand-in fitted on "
                    "the logged scores",
                )
            )
            out.append(
                Impact(
                    what="positive share",
                    value=round(harm.positive_now, 4),
                    unit="share of decisions",
                    how=f"as served since the onset; {share(harm.positive_restored)} with the feature put back",
                )
            )
        counted = wrong_decisions(ctx, first, onset) if harm is None else None
        if counted is not None:
            impact, wrong_share = counted
            out.append(impact)
        going_on = _still_bad(ctx, first)
    found, slow_share = requests(ctx, onset)
    if not first.cause.startswith(("data.", "model.", "drift.")):
        out += found
        if found:
            wrong_share = slow_share if wrong_share is None else max(wrong_share, slow_share or 0.0)
            going_on = any(r.shift is not None and r.shift.going_on for r in ctx.scene.symptoms)
    # What climbs goes on climbing when the latency that it caused for a while has passed.
    going_on = going_on or first.cause in CLIMBS
    out += batches(ctx, first, onset)
    out += lost_rows(ctx, first, onset)
    out += _cost(ctx, out)
    return Toll(out, wrong_share, going_on)


_PRICED = {
    "predictions likely wrong": ("wrong_prediction", "prediction"),
    "requests over target": ("slow_request", "request"),
    "requests failed": ("failed_request", "request"),
    "rows lost": ("lost_row", "row"),
    "minutes since the onset": ("bad_minute", "minute"),
}


def _cost(ctx: Context, impacts: list[Impact]) -> list[Impact]:
    """Price what has a price: one number is the price of a wrong prediction, or of a request, or a table."""
    price = ctx.bundle.service.price
    out = []
    for impact in impacts:
        names = _PRICED.get(impact.what)
        if names is None:
            continue
        each = price if isinstance(price, int | float) else None
        if isinstance(price, dict):
            each = next((price[n] for n in names if isinstance(price.get(n), int | float)), None)
        elif impact.what != "predictions likely wrong":
            continue
        if each is None or each <= 0:
            continue
        low = impact.value if impact.low is None else impact.low
        high = impact.value if impact.high is None else impact.high
        out.append(
            Impact(
                what="cost",
                value=round(impact.value * each, 2),
                unit="price units",
                low=round(low * each, 2),
                high=round(high * each, 2),
                how=f"{impact.what} times the configured price of {each}",
            )
        )
    return out


def _harm_of(ctx: Context, first: Hypothesis) -> Harm | None:
    name = first.locus.partition(":")[2].rpartition(".")[2]
    names = {name}
    if first.cause == "data.column_swap":
        # It is named at one of its columns; the other may be the one the model reads.
        names |= {n for pair in ctx.results.get("swaps", []) if name in pair for n in pair}
    found: list[Harm] = [i.harm for i in ctx.results.get("harm", []) if i.feature in names]
    return max(found, key=lambda harm: harm.changed, default=None)


def _still_bad(ctx: Context, first: Hypothesis) -> bool:
    """Whether the last tenth of the rows since the onset still lies where the bad rows lie."""
    name = first.locus.partition(":")[2].rpartition(".")[2]
    column = next((c for c in ctx.roots if c.name == name), None)
    if column is None or column.kind != "number" or column.movement.mean_reference is None:
        return True
    values = pd.to_numeric(ctx.after(column)[name], errors="coerce").dropna().to_numpy("float64")
    if len(values) < 30 or column.movement.mean_current is None:
        return True
    last = float(np.mean(values[-max(len(values) // 10, 10) :]))
    return abs(last - column.movement.mean_current) <= abs(last - column.movement.mean_reference)
