"""Whether a movement is the season's: on the trend that was there, or there in the weeks before as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from triagebook.analysis.season import season
from triagebook.core.models import IncidentType
from triagebook.core.words import count, number, share
from triagebook.diagnosis.answer import Answer, Signal, check
from triagebook.diagnosis.checks.inputs import how_far
from triagebook.diagnosis.recurring import Recurring, named, recurring

if TYPE_CHECKING:
    from collections.abc import Iterable

    from triagebook.diagnosis.context import Context


@check(
    "drift.season",
    "Is it the season?",
    finds=("drift.seasonal",),
    opposes=("drift.feature_shift", "drift.seasonal", "none"),
)
def seasonal(ctx: Context) -> Iterable[Answer]:
    """Carry the reference's daily levels on to now, and look at the same hours of earlier weeks."""
    found = ctx.results.setdefault("seasons", {})
    again = recurring(ctx)
    for one in again[:3]:
        yield _as_before(ctx, one, again[0])
    told = {one.column.name for one in again}
    candidates = [c for c in ctx.roots if c.kind == "number" and c.name not in told]
    # What everyone sees on a dashboard: a large index, whether or not it is natural.
    loud = [c for c in candidates if c.movement.beyond_natural or c.movement.psi > 0.1][:8]
    other_fault = any(c.movement.beyond_natural for c in ctx.roots)
    for column in loud:
        view = ctx.rows(column)
        if not view.timed:
            continue
        start = column.movement.split.index if column.movement.split else 0
        result = season(
            pd.to_numeric(view.reference[column.name], errors="coerce").to_numpy("float64"),
            view.reference_times,
            pd.to_numeric(view.current[column.name], errors="coerce").to_numpy("float64")[start:],
            view.current_times[start:],
        )
        if result is None:
            continue
        found[column.locus] = result
        feature, natural = f"feature:{column.name}", not column.movement.beyond_natural
        expected = result.expected_now
        statement = (
            f"{column.table}.{column.name} is {number(result.actual)}; trend and season expect "
            f"{number(result.expected)} ({number(result.low)} to {number(result.high)}), "
            f"the flat mean of the reference is {number(result.reference_mean)}"
        )
        if result.week_before is not None:
            statement += f", a week before it was {number(result.week_before)}"
        by_trend = result.share_by_trend
        if expected and natural:
            # A season that fits still explains nothing of another column that left its range.
            weight = 1.2 + max(by_trend, 0.0) - (1.5 if other_fault else 0.0)
            # Of several, the one that a dashboard shows loudest is the one people ask about.
            weight += 0.1 * min(column.movement.psi, 3.0)
            if ctx.features and column.name not in ctx.features:
                weight -= 1.0  # what the model does not read, it does not feel
        else:
            weight = 0.3 if expected else -2.5
        yield Answer(
            locus=feature,
            verdict="ok" if expected else "bad",
            statement=statement,
            value=round(result.actual, 4),
            unit=view.spec.unit.get(column.name) or None,
            threshold=round(result.high if result.actual > result.expected else result.low, 4),
            effect=round(by_trend, 3),
            since=None if expected else column.since,
            evidence=ctx.cite("tables", column.table),
            signals=(
                Signal(
                    "drift.seasonal",
                    feature,
                    weight,
                    headline=f"{column.name} moved with the season ({how_far(column)}).",
                    mechanism=(
                        f"{column.name} follows a trend that was there before: it explains "
                        f"{share(max(by_trend, 0.0))} of the movement from the flat mean."
                    ),
                ),
                *((Signal("drift.feature_shift", feature, -1.0),) if expected and natural else ()),
            ),
        )
    if ctx.inputs and not loud and not again:
        yield Answer(
            locus=f"service:{ctx.bundle.service.name}",
            verdict="ok",
            statement="No input lies far enough from its reference to ask for the season",
            evidence=ctx.cite("tables"),
            signals=(Signal("drift.seasonal", "*", -2.0),),
        )


def _as_before(ctx: Context, one: Recurring, surest: Recurring) -> Answer:
    """Tell of a number that moved at these hours of the week as it did in the weeks before."""
    column, pattern = one.column, one.pattern
    feature = f"feature:{column.name}"
    weight = 2.0 + 0.6 * pattern.surety / surest.pattern.surety
    if ctx.features and column.name not in ctx.features:
        weight -= 1.0  # what the model does not read, it does not feel
    # Weeks have patterns everywhere: that one is there answers only an alert about a movement.
    by_name = named(ctx, column.name)
    asked = by_name or ctx.incident_type is IncidentType.DRIFT
    weight += (0.7 if by_name else 0.0) if asked else -1.5
    calm = -4.0 if asked and one is surest else 0.0
    return Answer(
        locus=feature,
        verdict="ok",
        statement=(
            f"{column.table}.{column.name} moves by {share(pattern.swing)} of its ranks at these hours of "
            f"the week, as {count(pattern.weeks)} earlier weeks show, and did so again "
            f"({pattern.again:.1f} times as far)"
        ),
        value=round(pattern.again, 4),
        unit="times the movement of earlier weeks",
        effect=round(pattern.surety, 3),
        evidence=ctx.cite("tables", column.table),
        signals=(
            Signal(
                "drift.seasonal",
                feature,
                weight,
                headline=f"{column.name} moved as it does each week ({how_far(column)}).",
                mechanism=(
                    f"At these hours of the week {column.name} always moves so: "
                    f"{count(pattern.weeks)} earlier weeks show it."
                ),
            ),
            Signal("drift.feature_shift", feature, -2.0),
            Signal("none", "*", calm),
        ),
    )
