"""Predictions with the labels that came of them, compared at the same maturity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

Task = Literal["binary", "number", "class"]

SECOND = 1_000_000_000
"""Nanoseconds."""
_QUANTILES = (0.5, 0.8, 0.9, 0.95, 0.99, 1.0)


@dataclass(frozen=True)
class Truth:
    """How the values of a label column are read.

    Attributes
    ----------
    task : Task
        `binary`: two values; `number`: many numbers; `class`: more than two names.
    names : dict
        Text of each value to 0.0 or 1.0 (binary), to itself otherwise; empty for numbers.
    """

    task: Task
    names: dict[str, float]

    def numbers(self, column: pd.Series) -> np.ndarray:
        """Return float64 of shape (n,): NaN where missing, or where the value was never seen."""
        if self.task == "number":
            return np.asarray(
                pd.to_numeric(column, errors="coerce").to_numpy("float64", na_value=np.nan)
            )
        codes, uniques = pd.factorize(column, use_na_sentinel=True)
        table = np.array([self.names.get(text(u), np.nan) for u in uniques] + [np.nan])
        return np.asarray(table[codes], dtype="float64")


def text(value: object) -> str:
    """Write a label's value so that True, 1 and 1.0 are the same."""
    if isinstance(value, bool | np.bool_):
        return str(float(value))
    if isinstance(value, int | float | np.integer | np.floating):
        return str(float(value))
    plain = str(value).strip()
    return {"true": "1.0", "false": "0.0"}.get(plain.lower(), plain)


def read_truth(labels: pd.Series) -> Truth | None:
    """Decide what a label column holds, from the reference's labels; None where it says nothing.

    Parameters
    ----------
    labels : Series
        Two distinct values make a binary label (the larger is positive), more than twenty numbers a
        quantity, anything else classes.
    """
    known = labels.dropna()
    if known.empty:
        return None
    names = known.drop_duplicates()
    distinct = sorted({text(v) for v in names.iloc[:1_000]})
    numeric = pd.api.types.is_numeric_dtype(known) and not pd.api.types.is_bool_dtype(known)
    if len(distinct) == 2:
        try:
            distinct.sort(key=float)
        except ValueError:
            distinct.sort()
        return Truth("binary", {distinct[0]: 0.0, distinct[1]: 1.0})
    if numeric and len(distinct) > 20:
        return Truth("number", {})
    if 2 < len(distinct) <= 200:
        return Truth("class", {name: float(i) for i, name in enumerate(distinct)})
    return None


def matched(left: pd.DataFrame, right: pd.DataFrame, on: list[str], by: list[str]) -> np.ndarray:
    """Find for each row of `left` the last row of `right` with the same key.

    Parameters
    ----------
    left, right : DataFrame, shape (n, …), (m, …)
    on, by : list of str
        Key columns of `left` and of `right`, as many of each.

    Returns
    -------
    int array, shape (n,)
        Positions in `right`; -1 where there is none.
    """
    return locate(keys_of(left, on), keys_of(right, by))


def locate(wanted: pd.Series, there: pd.Series) -> np.ndarray:
    """Find the last position of each key of `wanted` among `there`; -1 where absent or null."""
    if pd.api.types.is_numeric_dtype(wanted) != pd.api.types.is_numeric_dtype(there):
        wanted, there = wanted.map(_plain), there.map(_plain)
    # The wanted are few, the table may be long: hash the few, and look the long one up once.
    codes, few = pd.factorize(wanted, use_na_sentinel=True)
    found = pd.Index(few).get_indexer(pd.Index(there))
    hit = np.flatnonzero(found >= 0)
    last = np.full(len(few) + 1, -1)
    last[found[hit]] = hit  # of a repeated key the last one stays
    return np.asarray(last[codes])


def keys_of(frame: pd.DataFrame, columns: list[str]) -> pd.Series:
    """Return one key a row: the column itself, or several joined as text."""
    if len(columns) == 1:
        return frame[columns[0]]
    joined = frame[columns[0]].astype(str)
    for name in columns[1:]:
        joined = joined + "\x1f" + frame[name].astype(str)
    return joined


def _plain(value: object) -> str | None:
    if value is None or value != value:  # noqa: PLR0124 - NaN is not itself
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


@dataclass(frozen=True)
class Maturity:
    """Which rows may be compared: as old as their labels need, and with labels that came in that time.

    Attributes
    ----------
    horizon_s : float
        Only rows at least this old count, and only labels that came within it.
    use : bool array, shape (n,)
        Rows whose label counts.
    ripe : bool array, shape (n,)
        Rows old enough, labelled or not.
    start : int
        Nanoseconds: rows from here on are the late ones. The start of the current window, or earlier
        where labels take so long that hardly any of that window is in.
    """

    horizon_s: float
    use: np.ndarray
    ripe: np.ndarray
    start: int


def mature(
    times: np.ndarray,
    arrived: np.ndarray | None,
    labelled: np.ndarray,
    start: int,
    end: int,
    least: int = 60,
) -> Maturity:
    """Choose a horizon, so that late and early rows have had the same time to get their label.

    A label that comes early is often of one kind (a refusal at once, a payment after a month). So
    among rows of the last days those labelled are a biased sample, unless the earlier rows are cut
    at the same age.

    Parameters
    ----------
    times : int64 array, shape (n,), nanoseconds
        When each prediction was made.
    arrived : int64 array, shape (n,), or None
        When its label came; any value where there is none. None: not known, so every label counts.
    labelled : bool array, shape (n,)
    start, end : int
        The current window, nanoseconds.
    least : int
        Fewer late labelled rows than this, and the late part begins earlier.
    """
    if arrived is None:
        late = times >= start
        first = start
        if int((late & labelled).sum()) < least and labelled.any():
            newest = int(times[labelled].max())
            first = min(start, newest - (end - start))
        return Maturity(0.0, labelled, np.ones(len(times), bool), first)
    age_s = (end - times) / SECOND
    delay_s = np.where(labelled, (arrived - times) / SECOND, np.inf)
    early = labelled & (times < start)
    if not early.any():
        return Maturity(0.0, labelled, np.ones(len(times), bool), start)
    usual = delay_s[early]
    horizons = sorted({float(max(np.quantile(usual, q), 0.0)) for q in _QUANTILES}, reverse=True)

    def count(horizon: float, first: int) -> int:
        return int(((times >= first) & (age_s >= horizon) & (delay_s <= horizon)).sum())

    best = max(horizons, key=lambda h: count(h, start))
    first = start
    if count(best, start) < least:
        # Labels take longer than the window: the newest stretch of that length that is ripe.
        best = horizons[len(horizons) // 2]
        first = min(start, end - int(best * SECOND) - (end - start))
    ripe = age_s >= best
    return Maturity(best, ripe & (delay_s <= best), ripe, first)
