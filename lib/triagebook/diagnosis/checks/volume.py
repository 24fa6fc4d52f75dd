"""Whether rows arrive as ever: as many, up to the end, and none of those that were numbered left out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from triagebook.analysis.blocks import DAY, HOUR
from triagebook.analysis.serials import running_numbers
from triagebook.analysis.thinning import uneven, vanished
from triagebook.analysis.volume import shortfall
from triagebook.core.words import clock, count, share, span
from triagebook.diagnosis.answer import Answer, Signal, check
from triagebook.diagnosis.checks.data import fine
from triagebook.diagnosis.context import every_row, moment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from triagebook.analysis.serials import Numbers
    from triagebook.analysis.volume import Shortfall
    from triagebook.diagnosis.context import Context, View


@check(
    "data.volume",
    "Did as many rows arrive as at the same hours before, and lately?",
    finds=("data.missing_rows", "data.stale"),
    opposes=("none", "data.missing_rows", "data.stale", "drift.population_shift"),
)
def volume(ctx: Context) -> Iterable[Answer]:
    """Compare rows an hour with the same hour and weekday; look at the age of the newest row."""
    timed = False
    hit: set[str] = set()
    for name in ctx.tables:
        view = ctx.view(name)
        if view is None or view.spec.role == "labels":
            continue
        rows = ctx.tables[name].current
        silent = rows is not None and rows.empty
        if not view.timed and not (silent and len(view.reference_times)):
            continue
        timed = True
        # What is old further down is a consequence, and so is what is short there.
        stale = _stale(ctx, view)
        if stale is not None and not hit:
            yield stale
        found = _incomplete(ctx, view, by_count=stale is None and not hit)
        if found is not None and "short" not in hit:
            yield found
        hit |= ({"stale"} if stale else set()) | ({"short"} if found else set())
    if timed and not hit:
        yield fine(
            ctx,
            "As many rows arrived as at the same hours before, up to the end",
            # A quarter of the rows may be missing without it: a check of the mix sees more.
            Signal("data.missing_rows", "*", -1.0),
            Signal("data.stale", "*", -3.0),
        )


def _stale(ctx: Context, view: View) -> Answer | None:
    end = pd.Timestamp(ctx.bundle.windows.current[1])
    newest = moment(int((view.current_times if view.timed else view.reference_times)[-1]))
    age_s = (end - newest).total_seconds()
    pause_s = _usual_pause_s(view.reference_times)
    promised = view.spec.freshness_s
    if promised is None:
        if pause_s is None:
            return None
        # Waits of minutes vary more than waits of hours.
        promised = max(1.5 * pause_s, min(4 * pause_s, 4 * 3_600.0), 3_600.0)
    if age_s <= promised or age_s <= 1.5 * (pause_s or 0.0):
        return None
    # A little older than ever may be a batch that is about to come; what was promised was promised.
    least = 2.5 if view.spec.freshness_s else 1.5
    weight = least + (5.0 - least) * float(np.clip(age_s / promised - 1, 0, 1))
    return Answer(
        locus=f"table:{view.name}",
        verdict="bad",
        since=newest,
        since_low=newest,
        # Until then a pause was nothing out of the ordinary.
        since_high=newest + pd.Timedelta(seconds=min(pause_s or 0.0, age_s)),
        statement=(
            f"The newest row of {view.name} is {span(age_s)} old; at most {span(promised)} is "
            f"{'promised' if view.spec.freshness_s else 'usual'}"
        ),
        value=round(age_s),
        unit="s",
        threshold=round(promised),
        effect=round(age_s / promised, 2),
        evidence=ctx.cite("tables", view.name),
        signals=(
            Signal(
                "data.stale",
                f"table:{view.name}",
                weight,
                headline=f"{view.name} has had no new row since {clock(newest)}.",
                mechanism="The model goes on with values that no longer hold.",
            ),
            Signal("none", "*", -weight),
        ),
    )


def _usual_pause_s(times: np.ndarray) -> float | None:
    """Return how long a day's longest wait for a new row is, seconds; None with fewer than six moments.

    The 95 % quantile over days: rows that come in daily batches, or not at night, wait once a day, which
    no quantile over all rows shows.
    """
    moments = np.unique(times)
    if len(moments) < 6:
        return None
    waits = pd.Series(np.diff(moments) / 1e9)
    return float(waits.groupby(moments[1:] // DAY).max().quantile(0.95))


def _incomplete(ctx: Context, view: View, *, by_count: bool) -> Answer | None:
    """Tell of rows that are missing: by gaps in their running numbers, else, if asked, by their count."""
    if _sampled(ctx, view.name):
        return None
    rows = _Rows(
        *every_row(ctx.tables[view.name], "reference"), *every_row(ctx.tables[view.name], "current")
    )
    numbers = None
    if len(view.spec.key_columns) == 1 and {*view.spec.key_columns} <= {*rows.old, *rows.new}:
        (key,) = view.spec.key_columns
        numbers = running_numbers(rows.old[key], rows.old_times, rows.new[key], rows.new_times)
    if numbers is not None and numbers.missing:
        return _left_out(ctx, view, numbers)
    return _short(ctx, view, rows, numbers) if by_count else None


class _Rows(NamedTuple):
    """All rows of a table, of the reference and the current window, in time order."""

    old: pd.DataFrame
    old_times: np.ndarray
    new: pd.DataFrame
    new_times: np.ndarray


def _sampled(ctx: Context, name: str) -> bool:
    """Whether the rows at hand are not all that were there: how many came is then unknown."""
    cited = set(ctx.cite("tables", name))
    return any(e.status == "truncated" for e in ctx.bundle.ledger if e.id in cited)


def _left_out(ctx: Context, view: View, numbers: Numbers) -> Answer:
    since = moment(numbers.first)
    (key,) = view.spec.key_columns
    return Answer(
        locus=f"table:{view.name}",
        verdict="bad",
        since=since,
        since_low=moment(numbers.start),
        since_high=since,
        statement=(
            f"Since {clock(since)} {share(numbers.share)} of the running numbers of {view.name}.{key} "
            f"are missing, about {count(numbers.lost)}; usually {share(1 - numbers.usual)} are, and "
            f"{share(1 - numbers.least)} at most"
        ),
        value=round(numbers.share, 4),
        unit="share of rows",
        threshold=0.05,
        effect=round(numbers.lost),
        evidence=ctx.cite("tables", view.name),
        signals=(
            Signal(
                "data.missing_rows",
                f"table:{view.name}",
                5.0,
                headline=f"{view.name} lacks about {count(numbers.lost)} rows since {clock(since)}.",
                mechanism="Rows that were given a number and never arrived are missing from everything "
                "computed from them.",
            ),
            # Where rows of some values are left out, what remains has another mix.
            Signal("drift.population_shift", "*", -2.5),
            Signal("none", "*", -5.0),
        ),
    )


def _short(ctx: Context, view: View, rows: _Rows, numbers: Numbers | None) -> Answer | None:
    found = shortfall(rows.old_times, rows.new_times)
    if found is None:
        return None
    since = moment(found.start)
    hour = pd.Timedelta(hours=1)
    weight, words = 4.5, ""
    if found.nats < _SURE_NATS:
        weight, words = weight - 3.0, "; so few rows may be chance"
    doubt, why = _doubts(ctx, view, rows, found, numbers)
    weight, words = weight - doubt, words + why
    holiday = _holiday(ctx, since)
    if holiday:
        weight, words = weight - 2.5, f"{words}; the change log has {holiday!r}"
    # That fewer may have been made says nothing against rows that another check sees missing.
    weight = max(weight, -2.0)
    return Answer(
        locus=f"table:{view.name}",
        verdict="bad",
        since=since,
        since_low=since - hour,
        since_high=since + hour,
        statement=(
            f"{view.name} has {share(found.share)} fewer rows than the same hours of other days in the "
            f"last {count(found.hours)} h: {count(found.got)}, usually {count(found.expected)}{words}"
        ),
        value=round(found.share, 4),
        unit="share of rows",
        threshold=round(1 - 0.75 * found.low / found.expected, 4),
        effect=round(found.lost),
        evidence=ctx.cite("tables", view.name),
        signals=(
            Signal(
                "data.missing_rows",
                f"table:{view.name}",
                weight,
                headline=f"{view.name} lacks about {count(found.lost)} rows since {clock(since)}.",
                mechanism="Rows that never arrived are missing from everything computed from them.",
            ),
            Signal("none", "*", -5.0 if weight > 2 else 0.0),
        ),
    )


def _doubts(
    ctx: Context, view: View, rows: _Rows, found: Shortfall, numbers: Numbers | None
) -> tuple[float, str]:
    """Return nats that speak for fewer rows being made, rather than lost, and why."""
    categories = [c.name for c in ctx.inputs if c.table == view.name and c.kind == "category"]
    stretch = (found.start, found.start + found.hours * HOUR)
    parts = (rows.old[categories], rows.old_times, rows.new[categories], rows.new_times, stretch)
    gone = vanished(*parts)
    if gone is not None:
        return 0.0, f"; hardly any has {gone[0]} = {gone[1]}"
    doubt, words = 0.0, ""
    if found.seen_before:
        doubt, words = 4.0, f"; another day had {count(found.least)} at those hours"
    if numbers is not None:
        doubt += 3.5
        words += "; their running numbers have no gap: fewer were made, or they got lost before"
    elif (other := uneven(*parts)) is not None:
        doubt += 3.5
        words += (
            f"; {share(other.kept_least)} of those with {other.column} = {other.least} are left, "
            f"{share(other.kept_most)} of {other.most}: what gets lost is lost alike, fewer are made"
        )
    if found.from_night:
        doubt += 3.0
        words += "; they are fewer since a night, as on a free day"
    return doubt, words


_SURE_NATS = 6.0
"""Fewer rows than on the quiet days by less than this are chance: many stretches were looked at."""
_FREE = re.compile(
    r"(?<![\w-])(holidays?|vacation|day off|rest day|closed for|closure)(?![\w-])", re.IGNORECASE
)


def _holiday(ctx: Context, since: pd.Timestamp) -> str | None:
    """Return what the change log says of a holiday within three days before the rows became fewer."""
    for change in ctx.changes:
        text = " ".join(str(part) for part in (change.what, change.from_, change.to) if part)
        gap = (since - pd.Timestamp(change.ts)).total_seconds()
        if -43_200 <= gap <= 3 * 86_400 and _FREE.search(text):
            return str(change.what)
    return None
