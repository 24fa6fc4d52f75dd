"""All rules of a table's cells: which of them the current rows break, column by column."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from triagebook.analysis import texts
from triagebook.analysis.cells import Breach, Cells, judge, rows_of
from triagebook.analysis.novelty import natural_of, unseen
from triagebook.analysis.ranges import numeric, written_numbers
from triagebook.analysis.related import disagreements
from triagebook.analysis.scatter import confined, uneven
from triagebook.analysis.wording import forms, wording

if TYPE_CHECKING:
    from collections.abc import Iterable

_HIDDEN = 4
"""Repeats that chance may have kept from the reference (Poisson, one in fifty)."""


def breaches(cells: Cells, *, key: bool = False) -> list[Breach]:
    """List the rules that the current rows break, the clearest first.

    Parameters
    ----------
    cells : Cells
        At least 40 rows in the reference and 20 now.
    key : bool
        Whether the column is part of the table's key: that it repeats is then said of the table.

    Returns
    -------
    list of Breach
        Each rule is learnt on stretches of the reference and tried on the rest of it: only what the
        current rows break more often than the reference would is listed.
    """
    if (cells.reference >= 0).sum() < 40 or len(cells.current) < 20:
        return []
    found = [*_empty(cells)]
    if cells.numeric:
        found += numeric(cells)
    else:
        found += forms(cells)
        if cells.reads_as_numbers:
            found += numeric(cells)
        else:
            found += wording(cells)
            found += written_numbers(cells)
    if not key:
        found += _unique(cells)
    # Of rules broken alike the one named first above is the plainest.
    return sorted(found, key=lambda b: -round(b.share - b.usual, 3))


def _empty(cells: Cells) -> list[Breach]:
    void = np.array([texts.is_placeholder(v) for v in cells.said] + [True])
    if cells.numeric:
        void[:-1] = False
    # A text that is common in the reference means something here, whatever it means elsewhere.
    known = np.bincount(cells.reference[cells.reference >= 0], minlength=len(cells.said))
    void[:-1] &= known <= 0.01 * len(cells.reference)
    before, now = void[cells.reference], void[cells.current]
    natural = natural_of(before)
    if not natural.exceeded(int(now.sum()), len(now), times=0.25):
        return []
    if not cells.timed and (confined(now) or (before.any() and uneven(now))):
        return []
    share = float(now.mean())
    return [
        Breach(
            "missing", share, natural.share, cells.example(now), now, missing=True, before=before
        )
    ]


def _unique(cells: Cells) -> list[Breach]:
    """Values that repeat where none did."""
    if (cells.numeric or cells.reads_as_numbers) and not _whole(cells):
        return []
    old = cells.reference
    there = old[old >= 0]
    if len(there) < 40 or len(np.unique(there)) < 0.995 * len(there):
        return []
    counts = np.bincount(there, minlength=len(cells.said))
    now = np.bincount(cells.current[cells.current >= 0], minlength=len(cells.said))
    before = (old >= 0) & (counts[np.maximum(old, 0)] > 1)
    again = (cells.current >= 0) & ((counts + now)[np.maximum(cells.current, 0)] > 1)
    # Of numbers drawn by lot some repeat, and among more rows more do: with as many rows again there are
    # three times as many pairs. So many beyond what chance may have hidden in the reference are no luck.
    pairs = (
        (1 + 2 * len(old) / max(len(cells.current), 1)) * len(cells.current) ** 2 / len(old) ** 2
    )
    if int(again.sum()) <= max(pairs, 1.0) * (int(before.sum()) + _HIDDEN):
        return []
    return judge(cells, "a repeat where no value repeated", before, again)


def _whole(cells: Cells) -> bool:
    known = cells.numbers[cells.reference[cells.reference >= 0]]
    return bool(len(known)) and bool(np.all(known == np.floor(known)))


def strays(columns: dict[str, Cells]) -> Iterable[tuple[str, str, Breach]]:
    """Find values that belong to another column: known there, never seen here.

    Parameters
    ----------
    columns : dict of column name to Cells

    Yields
    ------
    (column, where its values belong, Breach)
    """
    known = {
        name: {c.said[code] for code in np.unique(c.reference[c.reference >= 0])}
        for name, c in columns.items()
    }
    digits = {name: c.numeric or c.reads_as_numbers for name, c in columns.items()}
    for name, cells in columns.items():
        if (cells.reference >= 0).sum() < 40 or len(cells.current) < 20:
            continue
        sides = rows_of(cells, np.arange(len(cells.said)))
        fresh_before, fresh_now = unseen(*sides)
        for other, theirs in known.items():
            if other == name or not theirs or (digits[name] and digits[other]):
                continue
            # A column that brings new values all the time may bring any: there a word has to tell.
            least = 1 if cells.closed else 3
            foreign = np.array(
                [v in theirs and sum(c.isalpha() for c in v) >= least for v in cells.said] + [False]
            )
            now = foreign[cells.current] & fresh_now
            if now.sum() < 3:
                continue
            before = foreign[cells.reference] & fresh_before
            if before.any() and not cells.closed:
                continue
            for breach in judge(cells, "a value of another column", before, now):
                yield name, other, breach


def at_odds(columns: dict[str, Cells]) -> Iterable[tuple[str, Breach]]:
    """Find numbers that agree with none of the columns that foretell them.

    Parameters
    ----------
    columns : dict of column name to Cells, all of one table

    Yields
    ------
    (column, Breach)
    """
    names = [n for n, c in columns.items() if c.numeric or c.reads_as_numbers]
    if len(names) < 3 or len(columns[names[0]].reference) < 100:
        return
    sides = []
    for side in ("reference", "current"):
        numbers = [np.append(columns[n].numbers, np.nan)[getattr(columns[n], side)] for n in names]
        sides.append(np.column_stack(numbers))
    for number, (before, now) in disagreements(*sides).items():
        cells = columns[names[number]]
        known = before[np.isfinite(before)]
        if len(known) < 50:
            continue
        level = 1.5 * float(known.max())
        for breach in judge(
            cells, "at odds with the numbers beside it", before > level, now > level
        ):
            yield names[number], breach
