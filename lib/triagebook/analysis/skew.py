"""Whether a feature as it was served is the one that is computed offline for the same key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

Pattern = Literal["constant", "missing", "scaled", "shifted", "stale", "other"]
_LEAST = 30


@dataclass(frozen=True)
class Skew:
    """How far a served feature differs from the same feature computed offline.

    Attributes
    ----------
    share_before, share_now : float
        Share of rows that differ beyond tolerance, in [0, 1].
    natural : float
        Largest share of a day of the reference (95 % quantile).
    rows : int
        Rows of now that could be compared.
    since : int or None
        Nanoseconds of the row from which more differ.
    pattern : Pattern
    size : float
        Factor (`scaled`), difference (`shifted`), or the constant where it is a number.
    differs : bool array, shape (n,)
        By row, False where it could not be compared.
    """

    feature: str
    share_before: float
    share_now: float
    natural: float
    rows: int
    since: int | None
    pattern: Pattern
    size: float
    differs: np.ndarray

    @property
    def z(self) -> float:
        """How many standard errors the share rose by."""
        p = (self.share_now + self.share_before) / 2
        return (self.share_now - self.share_before) / float(
            np.sqrt(max(p * (1 - p), 1e-6) / max(self.rows, 1))
        )


def skew(
    feature: str,
    served: pd.Series,
    offline: pd.Series,
    here: np.ndarray,
    late: np.ndarray,
    times: np.ndarray,
) -> Skew | None:
    """Compare one feature row by row.

    Parameters
    ----------
    served, offline : Series, shape (n,)
        Values of the same keys; rows in the order of `times`.
    here : bool array, shape (n,)
        Rows whose key is in both tables.
    late : bool array, shape (n,)
        Rows of the current window.
    times : int64 array, shape (n,), nanoseconds

    Returns
    -------
    Skew or None
        None where fewer than 30 rows of either window can be compared.

    Notes
    -----
    Numbers may differ by a thousandth of their spread, or by as much as nine in ten reference rows
    differ anyway: an online store rounds, and reads a moment later.
    """
    old, new = here & ~late, here & late
    if old.sum() < _LEAST or new.sum() < _LEAST:
        return None
    numeric = all(
        pd.api.types.is_numeric_dtype(s) and not pd.api.types.is_bool_dtype(s)
        for s in (served, offline)
    )
    gone = served.isna().to_numpy() != offline.isna().to_numpy()
    if numeric:
        a, b = (s.to_numpy("float64", na_value=np.nan) for s in (served, offline))
        gap = np.abs(a - b)
        known = b[old & np.isfinite(b)]
        spread = float(np.std(known)) if len(known) else 0.0
        usual = gap[old & np.isfinite(gap)]
        usual_gap = float(np.quantile(usual, 0.9)) if len(usual) else 0.0
        # Where most rows differ anyway, what is usual is the yardstick: up to half a spread of it.
        loose = min(1.5 * usual_gap, 0.5 * spread)
        tolerance = np.maximum(max(1e-3 * spread, loose), 1e-6 * np.abs(np.nan_to_num(b)))
        differs = (np.nan_to_num(gap) > tolerance) | gone
    else:
        one = served.dtype == offline.dtype and served.dtype != object
        left, right = (s if one else _texts(s) for s in (served, offline))
        same = (left == right).fillna(value=False).to_numpy(dtype=bool)
        differs = (~same & served.notna().to_numpy()) | gone
    differs &= here
    before, now = float(differs[old].mean()), float(differs[new].mean())
    days = (times[old] - times[old][0]) // 86_400_000_000_000
    size = np.bincount(days)
    daily = np.bincount(days, differs[old])[size >= 10] / size[size >= 10]
    natural = float(np.quantile(daily, 0.95)) if len(daily) >= 4 else before
    hit = differs & new
    since = None
    if hit.any() and now > before:
        rows = np.flatnonzero(new)
        p0, p1 = min(max(before, 1e-3), 0.98), min(max(now, 2e-3), 0.99)
        gain = np.where(differs[rows], np.log(p1 / p0), np.log((1 - p1) / (1 - p0)))
        best = int(np.argmax(np.cumsum(gain[::-1])[::-1]))
        # The first differing row of the new stretch: rows before it tell nothing.
        after = rows[best:][differs[rows[best:]]]
        since = int(times[after[0]]) if len(after) else None
    pattern, amount = _pattern(served, offline, hit, late, numeric=numeric)
    return Skew(feature, before, now, natural, int(new.sum()), since, pattern, amount, differs)


def _texts(column: pd.Series) -> pd.Series:
    return column.astype("object").map(str)


def _pattern(
    served: pd.Series, offline: pd.Series, hit: np.ndarray, late: np.ndarray, *, numeric: bool
) -> tuple[Pattern, float]:
    """Say in which way they differ: what a person would look for first."""
    wrong, right = served[hit], offline[hit]
    if len(wrong) < 5:
        return "other", float("nan")
    if wrong.isna().mean() > 0.8:
        return "missing", float("nan")
    top = wrong.value_counts(normalize=True)
    if len(top) and top.iloc[0] > 0.8 and (right != right.iloc[0]).any():
        value = top.index[0]
        return "constant", float(value) if numeric else float("nan")
    if not numeric:
        return "other", float("nan")
    a, b = wrong.to_numpy("float64", na_value=np.nan), right.to_numpy("float64", na_value=np.nan)
    ok = np.isfinite(a) & np.isfinite(b)
    a, b = a[ok], b[ok]
    if len(a) < 5:
        return "other", float("nan")
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (a / b)[np.abs(b) > 1e-9]
    if len(ratio) and _tight(ratio) < 0.02 * max(abs(float(np.median(ratio))), 1e-9):
        return "scaled", float(np.median(ratio))
    gap = a - b
    if _tight(gap) < 0.02 * max(float(np.std(b)), 1e-12):
        return "shifted", float(np.median(gap))
    # Values that the feature had for earlier rows: an old copy is served.
    past = pd.Index(np.unique(offline[~late].dropna().to_numpy("float64")))
    if len(past) > 50 and float(pd.Index(a).isin(past).mean()) > 0.8:
        return "stale", float("nan")
    return "other", float("nan")


def _tight(values: np.ndarray) -> float:
    low, high = np.quantile(values, [0.1, 0.9])
    return float(high - low)
