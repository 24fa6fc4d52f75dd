"""Whether cells break what the reference's cells keep to, one column at a time and between columns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from triagebook.analysis.blocks import HOUR
from triagebook.analysis.breaches import at_odds, breaches, strays
from triagebook.analysis.cells import Breach, Cells
from triagebook.analysis.columns import as_numbers, is_tag
from triagebook.analysis.quality import in_spells
from triagebook.analysis.scatter import beyond_stretches
from triagebook.analysis.ties import tie_breaches
from triagebook.analysis.units import ks
from triagebook.core.words import share
from triagebook.diagnosis.answer import Answer, Signal, check
from triagebook.diagnosis.context import moment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from triagebook.diagnosis.context import Column, Context, View

_ALL, _SAMPLE = 6_000, 3_000
"""Up to how many rows all are read cell by cell, and how many of more: evenly spaced, as they come."""


@dataclass(frozen=True)
class BrokenColumn:
    """A column with cells that break rules of the reference.

    Attributes
    ----------
    breaches : list of Breach
        The clearest first.
    rest : float
        Distance of the other rows from the reference, [0, 1]; numbers only, else 0.
    """

    table: str
    name: str
    breaches: list[Breach]
    rest: float
    since: pd.Timestamp | None
    natural: float = 0.0
    """How far the column moves anyway, [0, 1]."""

    @property
    def locus(self) -> str:
        """`column:TABLE.NAME`."""
        return f"column:{self.table}.{self.name}"


def broken_columns(ctx: Context) -> list[BrokenColumn]:
    """Read all tables cell by cell, once; a column of one name is named furthest upstream."""
    kept: list[BrokenColumn] | None = ctx.results.get("cells")
    if kept is not None:
        return kept
    found: list[BrokenColumn] = []
    for name in ctx.tables:
        view = ctx.view(name)
        if view is None or view.spec.role == "labels":
            continue
        known = {column.name for column in found}
        for column in _of_table(ctx, view):
            left = [b for b in column.breaches if not _from_upstream(ctx, column, b)]
            if column.name not in known and left:
                found.append(replace(column, breaches=left))
    ctx.results["cells"] = found
    return found


def _from_upstream(ctx: Context, column: BrokenColumn, breach: Breach) -> bool:
    """Whether they only came down from a table where as many of them were nothing out of the ordinary."""
    mine = ctx.view(column.table)
    # Counted since the onset, they are held against the rows upstream since then.
    part = mine is not None and len(breach.rows) < len(_thinned(mine.current))
    since = column.since if part else None
    if breach.missing:
        return nulls_upstream(ctx, column.table, column.name, since) >= 0.7 * breach.share
    if not breach.what.startswith("outside") or " in its " in breach.what:
        return False
    low, high = (float(part) for part in breach.what.removeprefix("outside ").split(" to "))
    for other in ctx.tables:
        if other == column.table:
            break
        view = ctx.view(other)
        if view is not None and column.name in view.current:
            there = pd.to_numeric(_later(view, since)[column.name], errors="coerce")
            return float(((there < low) | (there > high)).mean()) >= 0.7 * breach.share
    return False


def nulls_upstream(ctx: Context, table: str, name: str, since: pd.Timestamp | None = None) -> float:
    """Return the share of nulls of the same column, now, in the table furthest upstream of this one, [0, 1]."""
    for other in ctx.tables:
        if other == table:
            break
        view = ctx.view(other)
        if view is not None and name in view.current:
            return float(_later(view, since)[name].isna().mean())
    return 0.0


def _later(view: View, since: pd.Timestamp | None) -> pd.DataFrame:
    """Return the current rows from a moment on; all where there is none, or no row as late."""
    if since is None or not view.timed:
        return view.current
    rows = view.current[view.current_times >= since.value]
    return rows if len(rows) else view.current


def _of_table(ctx: Context, view: View) -> list[BrokenColumn]:
    spec = view.spec
    skip = ctx.outputs(view) | {spec.time_column, spec.label_time_column, spec.local_time_column}
    names = [str(c) for c in view.reference if c not in skip and c in view.current]
    names = [n for n in names if not is_tag(view.reference[n], view.current[n])]
    moved = {c.name: c for c in ctx.columns if c.table == view.name}
    old = _thinned(view.reference)
    new = _thinned(view.current)
    columns = {name: Cells.of(old[name], new[name], timed=view.timed) for name in names}
    found: dict[str, list[Breach]] = {}
    for name, cells in columns.items():
        column = moved.get(name)
        split = column.movement.split if column is not None else None
        if split is not None:
            since = _thinned(view.current.iloc[split.index :])
            late = Cells.of(old[name], since[name], timed=True)
            found[name] = breaches(late, key=name in spec.key_columns)
        if split is None or not found[name]:
            found[name] = breaches(cells, key=name in spec.key_columns)
    for name, other, breach in strays(columns):
        what = f"{breach.what} ({other})"
        found[name].append(Breach(what, breach.share, breach.usual, breach.example, breach.rows))
    for name, breach in at_odds(columns):
        found[name].append(breach)
    if names:
        before = np.column_stack([columns[n].reference for n in names])
        now = np.column_stack([columns[n].current for n in names])
        accused = np.column_stack([_accused(found[n], len(new)) for n in names])
        worded = [at for at, n in enumerate(names) if not columns[n].numeric]
        for number, (rows, usual) in tie_breaches(before, now, worded, accused).items():
            cells = columns[names[number]]
            found[names[number]].append(
                Breach(
                    "at odds with other columns of its row",
                    float(rows.mean()),
                    usual,
                    cells.example(rows),
                    rows,
                )
            )
    out = []
    for name in names:
        kept = [
            b
            for b in found[name]
            if not _a_spell(view, name, b, columns[name]) and _beyond_stretches(view, b, len(new))
        ]
        if kept:
            out.append(
                BrokenColumn(
                    view.name,
                    name,
                    kept,
                    _rest(columns[name], kept),
                    _since(view, moved.get(name), kept[0], len(new)),
                    moved[name].movement.natural if name in moved else 0.0,
                )
            )
    return out


def _accused(found: list[Breach], rows: int) -> np.ndarray:
    """Rows that break any rule of a column; of rows since an onset, none."""
    out = np.zeros(rows, dtype=bool)
    for breach in found:
        if len(breach.rows) == rows:
            out |= breach.rows
    return out


def _thinned(frame: pd.DataFrame) -> pd.DataFrame:
    if len(frame) <= _ALL:
        return frame
    return frame.iloc[np.linspace(0, len(frame) - 1, _SAMPLE).astype(int)]


def _a_spell(view: View, name: str, breach: Breach, cells: Cells) -> bool:
    """Whether numbers out of range come in spells, as in a heat wave: no fault of the data."""
    if not view.timed or not cells.numeric or breach.missing:
        return False
    return in_spells(breach.rows) or _one_weather(view, name, breach, cells)


_READINGS, _TOGETHER = 6, 3.0
"""Fewer readings than this, each on so many rows or more, are one event."""


def _one_weather(view: View, name: str, breach: Breach, cells: Cells) -> bool:
    """Whether the rows share a few readings, as rows of one hour and place do, and as they always did."""
    before, now = (
        pd.to_numeric(frame[name], errors="coerce") for frame in (view.reference, view.current)
    )
    commonest = before.mode()
    if commonest.empty:
        return False
    codes = cells.current[-len(breach.rows) :][breach.rows[-len(cells.current) :]]
    odd = now.isin(cells.numbers[np.unique(codes[codes >= 0])])
    usual = _readings(view.reference_times, before, before.notna() & (before != commonest[0]))
    rows, readings = _readings(view.current_times, now, odd)
    return (
        usual[0] >= _TOGETHER * max(usual[1], 1)
        and rows >= _TOGETHER * readings
        and readings < _READINGS
    )


def _readings(times: np.ndarray, values: pd.Series, rows: pd.Series) -> tuple[int, int]:
    """Count rows, and the different hours and values they have."""
    mine = rows.to_numpy(dtype=bool)
    pairs = pd.DataFrame({"hour": times[mine] // HOUR, "value": values.to_numpy()[mine]})
    return int(mine.sum()), len(pairs.drop_duplicates())


def _beyond_stretches(view: View, breach: Breach, rows: int) -> bool:
    """Whether no stretch of the reference that lasted as long broke the rule as often."""
    if not view.timed or breach.before is None:
        return True
    # Both windows are thinned, each by its own: a stretch lasts as many rows as it has of all.
    lasted = len(view.current) * len(breach.rows) / max(rows, 1)
    size = round(len(breach.before) * lasted / len(view.reference))
    return beyond_stretches(breach.before, size, breach.share, len(breach.rows))


def _rest(cells: Cells, found: list[Breach]) -> float:
    if not cells.numeric:
        return 0.0
    numbers = np.append(cells.numbers, np.nan)
    rows = found[0].rows
    new = cells.current if len(rows) == len(cells.current) else cells.current[-len(rows) :]
    old = as_numbers(pd.Series(numbers[cells.reference]))
    left = as_numbers(pd.Series(numbers[new[~rows]]))
    return ks(old, left) if len(left) >= 20 else 1.0


def _since(view: View, column: Column | None, breach: Breach, rows: int) -> pd.Timestamp | None:
    if column is not None and column.since is not None:
        return column.since
    if not view.timed:
        return None
    at = int(np.flatnonzero(breach.rows)[0]) * len(view.current) // max(rows, 1)
    return moment(int(view.current_times[at]))


@check(
    "data.corrupted_values",
    "Are values out of range or of another form?",
    finds=("data.corrupted_values",),
    opposes=(
        "drift.harmless",
        "drift.seasonal",
        "none",
        "drift.feature_shift",
    ),
)
def broken(ctx: Context) -> Iterable[Answer]:
    """Look for cells that break what the reference's cells keep to."""
    hit = False
    for column in broken_columns(ctx):
        wrong = [b for b in column.breaches if not b.missing]
        if not wrong:
            continue
        hit = True
        first = wrong[0]
        also = sorted({b.what for b in wrong[1:]} - {first.what})[:2]
        weight = _weight(column, first)
        feature = f"feature:{column.name}"
        yield Answer(
            locus=column.locus,
            verdict="bad",
            statement=(
                f"{share(first.share)} of {column.table}.{column.name} is {first.what}, "
                f"such as {first.example!r}; {share(first.usual)} is usual"
                + (f"; also {' and '.join(also)}" if also else "")
            ),
            value=round(first.share, 4),
            unit="share of rows",
            threshold=round(first.usual + 0.004, 4),
            effect=round(first.share - first.usual, 4),
            since=column.since,
            evidence=ctx.cite("tables", column.table),
            signals=(
                Signal(
                    "data.corrupted_values",
                    column.locus,
                    weight,
                    headline=f"{share(first.share)} of {column.name} is {first.what}.",
                    mechanism="Values that cannot be true reach the model.",
                ),
                Signal("drift.feature_shift", feature, -weight * 0.7),
                Signal("drift.seasonal", feature, -weight * 0.5),
                Signal("drift.harmless", feature, -weight * 0.7),
                Signal("none", "*", -5.0),
            ),
        )
    if ctx.inputs and not hit:
        yield Answer(
            locus=f"service:{ctx.bundle.service.name}",
            verdict="ok",
            statement="All values are of the range and form known",
            evidence=ctx.cite("tables"),
            signals=(Signal("data.corrupted_values", "*", -2.5),),
        )


_FILLED_ROWS, _FILLED = 20, 0.95


def one_filler(column: BrokenColumn) -> Breach | None:
    """Return the breach whose rows all carry one number that is out of range, as a filler is."""
    for breach in column.breaches:
        rows = int(breach.rows.sum())
        if breach.what.startswith("outside") and rows >= _FILLED_ROWS and breach.alike >= _FILLED:
            return breach
    return None


def _weight(column: BrokenColumn, first: Breach) -> float:
    if one_filler(column) is not None:
        return 0.5  # one value on all of them was filled in, not garbled
    # Broken rows stand among whole ones; where the rest moved as well, the column moved.
    if column.rest > max(0.15, 1.25 * column.natural) or first.share >= 0.9:
        return 0.5
    return 2.5 + min(10 * first.share, 1.5)
