"""A column's cells as numbered texts, and what makes a rule of theirs worth telling: a breach."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from triagebook.analysis.novelty import FOLDS, SURE, Marks, Natural, folds_of, natural_of, unseen
from triagebook.analysis.scatter import confined, grouped, uneven

_READS_AS_NUMBER = 0.97
_LEAST_VALUES = 3
_CLOSED = 0.02
_FEW_VALUES = 50


@dataclass(frozen=True)
class Breach:
    """A rule of a column that the current rows break more often than the reference does.

    Attributes
    ----------
    what : str
        In words, such as `of another form`.
    share, usual : float
        Share of the rows that break it, now and in the reference, [0, 1].
    example : str
    rows : bool array, shape (n_cur,)
        Which rows break it.
    missing : bool
        Whether the rule is that there is a value.
    before : bool array, shape (n_ref,), or None
        Which rows of the reference break it, where that is kept.
    alike : float
        Share of the rows that break it which say the commonest thing among them, [0, 1]; 0 where unknown.
    """

    what: str
    share: float
    usual: float
    example: str
    rows: np.ndarray
    missing: bool = False
    before: np.ndarray | None = None
    alike: float = 0.0


@dataclass(frozen=True)
class Cells:
    """A column of both windows, its texts numbered.

    Attributes
    ----------
    said : list of str
        Distinct texts; null is none of them.
    reference, current : int arrays, shape (n_ref,), (n_cur,)
        Number of each row's text, -1 for null.
    numeric : bool
        Whether the column is stored as numbers: its texts then say nothing of form.
    numbers : float array, shape (len(said),)
        The texts read as numbers, NaN where they are none.
    timed : bool
        Whether rows have times: then a fault begins at a moment, and broken rows lie together.
    """

    said: list[str]
    reference: np.ndarray
    current: np.ndarray
    numeric: bool
    numbers: np.ndarray
    timed: bool = False

    @classmethod
    def of(cls, reference: pd.Series, current: pd.Series, *, timed: bool = False) -> Cells:
        """Make the cells of a column: equal texts get one number."""
        numeric = all(
            pd.api.types.is_numeric_dtype(part) and not pd.api.types.is_bool_dtype(part)
            for part in (reference, current)
        )
        both = pd.concat([reference.astype("object"), current.astype("object")], ignore_index=True)
        try:
            codes, distinct = pd.factorize(both)
        except TypeError:  # lists and the like are no keys
            codes, distinct = pd.factorize(both.map(str, na_action="ignore"))
        # Where one side is stored as numbers, "95.0" on the other is the number it says.
        mixed = pd.api.types.is_numeric_dtype(reference) != pd.api.types.is_numeric_dtype(current)
        values = [_text(value, read=mixed) for value in distinct]
        # 1 and 1.0, or a time and its text, may be one text.
        again: dict[str, int] = {}
        place = np.array([again.setdefault(v, len(again)) for v in values], dtype=np.int64)
        codes = np.where(codes < 0, -1, np.append(place, -1)[codes])
        numbers = pd.to_numeric(pd.Series(list(again), dtype="object"), errors="coerce")
        return cls(
            list(again),
            codes[: len(reference)],
            codes[len(reference) :],
            numeric,
            numbers.to_numpy("float64", na_value=np.nan),
            timed,
        )

    @cached_property
    def closed(self) -> bool:
        """Whether the values are a fixed set: stretches of the reference bring hardly any new one."""
        there = np.flatnonzero(self.reference >= 0)
        marks = Marks(there, self.reference[there], len(self.reference))
        return float(unseen(marks, marks)[0].mean()) <= _CLOSED

    @cached_property
    def reads_as_numbers(self) -> bool:
        """Whether nearly all texts of the reference are numbers."""
        codes = self.reference[self.reference >= 0]
        return len(codes) > 0 and float(np.isfinite(self.numbers[codes]).mean()) >= _READS_AS_NUMBER

    def example(self, rows: np.ndarray) -> str:
        """Return the text of the first of the rows of the current window."""
        code = int(self.current[np.flatnonzero(rows)[0]])
        return self.said[code] if code >= 0 else "null"


def _text(value: object, *, read: bool = False) -> str:
    if read and isinstance(value, str):
        try:
            return _text(float(value))
        except ValueError:
            return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def judge(
    cells: Cells,
    what: str,
    before: np.ndarray,
    now: np.ndarray,
    *,
    strict: bool = False,
    plain: bool = False,
    sturdy: bool = True,
    values: bool = True,
    times: float = 2.0,
    sure: float = SURE,
) -> list[Breach]:
    """Keep a rule that is broken more often than the reference would, by rows and by distinct values.

    `strict`: no clean row breaks it. `plain`: one value may break it on many rows and still be wrong.
    `values`: one new value on many rows is not enough, where the column brings new ones anyway.
    `sturdy`: a plain rule that no row of the reference breaks may be broken here more than there.
    """
    natural = natural_of(before)
    if plain and cells.closed and not before.any():
        sure = max(sure, 0.005)
    if not natural.exceeded(int(now.sum()), len(now), strict=strict, times=times, sure=sure):
        return []
    if not cells.timed:
        # Where the order of rows is all there is of time, new things come together.
        alone = len(np.unique(cells.current[now])) == 1
        plainly = strict or (plain and sturdy and not before.any())
        if confined(now) or grouped(now, cells.current) or ((alone or not plainly) and uneven(now)):
            return []
    if values and not strict and not _by_value(cells, before, now, plain=plain):
        return []
    said = cells.current[now]
    alike = float(np.bincount(said[said >= 0], minlength=1).max() / max(len(said), 1))
    share = float(now.mean())
    return [Breach(what, share, natural.share, cells.example(now), now, before=before, alike=alike)]


def _by_value(cells: Cells, before: np.ndarray, now: np.ndarray, *, plain: bool) -> bool:
    """Whether many values break the rule: one new thing alone may well be on many rows."""
    values = np.unique(cells.current[now])
    known = len(np.unique(cells.reference))
    if cells.closed or known <= _FEW_VALUES:
        return plain or len(values) >= 2
    if len(values) < _LEAST_VALUES:
        return False
    fold = folds_of(len(before))
    broken, whole = [], []
    for one in range(FOLDS):
        mine = fold == one
        broken.append(len(np.unique(cells.reference[mine & before])))
        whole.append(len(np.unique(cells.reference[mine])))
    natural = Natural(np.array(broken), np.array(whole))
    return natural.exceeded(len(values), len(np.unique(cells.current)), sure=0.002, times=1.0)


def rows_of(cells: Cells, marks: np.ndarray, keep: np.ndarray | None = None) -> tuple[Marks, Marks]:
    """Return the marks of the rows of both windows, from one mark a value."""
    sides = []
    for codes in (cells.reference, cells.current):
        there = codes >= 0
        if keep is not None:
            there &= keep[np.maximum(codes, 0)]
        row = np.flatnonzero(there)
        sides.append(Marks(row, marks[codes[row]], len(codes)))
    return sides[0], sides[1]


def rows_of_sets(cells: Cells, value: np.ndarray, mark: np.ndarray) -> tuple[Marks, Marks]:
    """Return the marks of the rows of both windows, from several marks a value."""
    starts = np.searchsorted(value, np.arange(len(cells.said) + 1))
    sides = []
    for codes in (cells.reference, cells.current):
        there = np.flatnonzero(codes >= 0)
        of = codes[there]
        many = starts[of + 1] - starts[of]
        row = np.repeat(there, many)
        offset = np.arange(len(row)) - np.repeat(np.cumsum(many) - many, many)
        sides.append(Marks(row, mark[np.repeat(starts[of], many) + offset], len(codes)))
    return sides[0], sides[1]
