"""Whether two columns carry each other's values."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from triagebook.analysis.columns import as_numbers
from triagebook.analysis.movement import step_ratio
from triagebook.analysis.quality import swapped
from triagebook.analysis.swaps import swapped_relations
from triagebook.diagnosis.answer import Signal, check
from triagebook.diagnosis.checks.data import fault, fine
from triagebook.diagnosis.checks.inputs import matched_reference

if TYPE_CHECKING:
    from collections.abc import Iterable

    from triagebook.analysis.onset import Split
    from triagebook.diagnosis.answer import Answer
    from triagebook.diagnosis.context import Column, Context, View

_RELATED_ROWS = 20_000
_STEP = 1.5
"""Both columns have to step by more than this over what they do at such hours, and by less once crossed."""


@check(
    "data.column_swap",
    "Do two columns carry each other's values?",
    finds=("data.column_swap",),
    opposes=(
        "data.corrupted_values",
        "data.unit_change",
        "drift.harmless",
        "drift.seasonal",
        "none",
        "drift.feature_shift",
    ),
)
def swap(ctx: Context) -> Iterable[Answer]:
    """Compare each moved column with the past of every other, and both with their last rows before."""
    hit = False
    pairs = ctx.results.setdefault("swaps", [])
    for table in ctx.tables:
        numbers = [c for c in ctx.roots if c.table == table and c.kind == "number"]
        moved = [c for c in numbers if c.movement.beyond_natural]
        old = {c.name: as_numbers(matched_reference(ctx, c)[c.name]) for c in moved}
        new = {c.name: as_numbers(ctx.after(c)[c.name]) for c in moved}
        by_name = {c.name: c for c in moved}
        natural = {c.name: c.movement.natural for c in moved}
        by_values = swapped(old, new, sorted(by_name), natural)
        for left, right, gap in by_values:
            hit = True
            pairs.append((left, right))
            yield _swap(ctx, by_name[left], right, gap, "values")
        if by_values:
            continue
        by_steps = _swapped_by_steps(ctx, moved, numbers)
        if by_steps is not None:
            hit = True
            one, other, left_over = by_steps
            pairs.append((one.name, other.name))
            yield _swap(ctx, one, other.name, left_over, "course")
            continue
        for one, other, gap in _swapped_by_relations(ctx, table):
            hit = True
            pairs.append((one.name, other.name))
            yield _swap(ctx, one, other.name, gap, "relations to the other columns")
    if ctx.inputs and not hit:
        yield fine(ctx, "No two columns are swapped", Signal("data.column_swap", "*", -3.0))


_MEASURES = {
    "values": ("distance once crossed (0 to 1)", 0.1),
    "course": ("step once crossed, over the usual", _STEP),
    "relations to the other columns": ("distance once crossed (0 to 1)", 0.1),
}


def _swap(ctx: Context, column: Column, other: str, gap: float, what: str) -> Answer:
    unit, threshold = _MEASURES[what]
    answer = fault(
        ctx,
        column,
        "data.column_swap",
        4.5,
        f"{column.table}.{column.name} carries the {what} of {other}, and {other} those of {column.name}"
        if what != "course"
        else f"{column.table}.{column.name} goes on where {other} was, and {other} where {column.name} was",
        f"{column.name} and {other} are swapped.",
        f"The model reads {other} where it expects {column.name}.",
        gap,
        unit,
        threshold,
    )
    # Another column's values are out of range here, and of another one's digits.
    against = [
        Signal(cause, f"column:{column.table}.{name}", -2.5)
        for cause in ("data.corrupted_values", "data.unit_change")
        for name in (column.name, other)
    ]
    shifts = [
        Signal(cause, f"feature:{other}", -2.5)
        for cause in ("drift.feature_shift", "drift.seasonal", "drift.harmless")
    ]
    return replace(answer, signals=(*answer.signals, *against, *shifts))


def _swapped_by_steps(
    ctx: Context, moved: list[Column], numbers: list[Column]
) -> tuple[Column, Column, float] | None:
    """Find two columns that step at one moment, each to where the other was.

    Where days differ much, as the weather's do, no column's past says what it should be now; its last
    hours before the step do.

    Returns
    -------
    (column, other, step) or None
        The larger step that is left once they are crossed, over what both do at such hours anyway: at
        most 1.5, and a third of what it is as they stand.
    """
    best: tuple[float, Column, Column] | None = None
    for one in moved:
        split, view = one.movement.split, ctx.rows(one)
        if split is None or not view.timed or one.movement.jump <= _STEP:
            continue
        step = partial(_step, view, split)
        own = step(one, one)
        for other in numbers:
            if other.name == one.name:
                continue
            straight = min(own, step(other, other))
            if straight <= _STEP:
                continue
            crossed = max(step(one, other), step(other, one))
            if crossed <= min(_STEP, straight / 3) and (best is None or crossed < best[0]):
                best = crossed, one, other
    return (best[1], best[2], best[0]) if best is not None else None


def _step(view: View, split: Split, column: Column, after: Column) -> float:
    """Return how far a column steps where another goes on in its place, over the usual (`step_ratio`)."""
    before, since = (
        pd.to_numeric(view.current[c.name], errors="coerce").astype("float64")
        for c in (column, after)
    )
    values = before.where(np.arange(len(before)) < split.index, since)
    return step_ratio(
        view.reference[column.name], view.reference_times, values, view.current_times, split
    )


def _swapped_by_relations(ctx: Context, table: str) -> Iterable[tuple[Column, Column, float]]:
    """Columns whose ranges overlap, told by the last rows' relations, where a swap is whole."""
    numbers = {c.name: c for c in ctx.inputs if c.table == table and c.kind == "number"}
    view = ctx.view(table)
    if view is None or len(numbers) < 3:
        return
    frames = [
        frame[list(numbers)].apply(pd.to_numeric, errors="coerce").iloc[-_RELATED_ROWS:]
        for frame in (view.reference, view.current)
    ]
    for part in (1.0, 0.25):
        late = frames[1].iloc[int(len(frames[1]) * (1 - part)) :]
        found = swapped_relations(frames[0], late)
        if found:
            for left, right, gap in found:
                yield numbers[left], numbers[right], gap
            return
