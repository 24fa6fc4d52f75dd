"""A column as numbers that can be averaged: its level, its spread, the shares of its values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from triagebook.analysis.blocks import hour_of, mean_by_hour
from triagebook.analysis.distance import Coder

if TYPE_CHECKING:
    import pandas as pd

    from triagebook.analysis.columns import Kind

_RARE_ROWS = 10
"""Labels with fewer rows in both windows together are taken as one."""
_CLOCK = 0.1
"""With less of its variance left within an hour of the day, a column is read off a clock."""


@dataclass(frozen=True)
class Coded:
    """A column's bins in both windows."""

    coder: Coder
    reference: np.ndarray
    current: np.ndarray

    @classmethod
    def of(cls, kind: Kind, reference: pd.Series, current: pd.Series) -> Coded:
        """Bin a column by its reference."""
        coder = Coder(kind, reference)
        return cls(coder, coder.codes(reference), coder.codes(current))


def exchangeable(coded: Coded) -> list[np.ndarray]:
    """Look-up tables from bin to number that treat both windows alike; nulls first.

    What the reference never held is no such table: it is nothing there by definition. Rare labels and
    those never seen are one, since which of them turn up is chance.
    """
    coder = coded.coder
    null = np.zeros(coder.bins + 1)
    null[-1] = 1.0
    both = coder.counts(np.concatenate((coded.reference, coded.current)))
    if coder.kind == "number":
        rank = (np.cumsum(both) - both / 2) / max(both.sum(), 1)
        level = np.append(rank, 0.5)
        return [null, level, np.append(np.abs(2 * rank - 1), 0.5)]
    rare = np.append(both < _RARE_ROWS, False).astype(float)
    rare[coder.bins - 1] = 1.0
    tables = [null, rare]
    for code in np.argsort(both[:-1], kind="stable")[::-1][:12]:
        if both[code] >= _RARE_ROWS:
            one = np.zeros(coder.bins + 1)
            one[code] = 1.0
            tables.append(one)
    return tables


def channels_of(coder: Coder, ref_codes: np.ndarray) -> list[np.ndarray]:
    """Look-up tables from bin to number: level, spread, never seen, null (index -1 is the null bin)."""
    counts = coder.counts(ref_codes)
    total = max(counts.sum(), 1)
    null = np.zeros(coder.bins + 1)
    null[-1] = 1.0
    unseen = np.zeros(coder.bins + 1)
    if coder.kind == "number":
        rank = (np.cumsum(counts) - counts / 2) / total
        level = np.append(rank, rank.mean())
        spread = np.append(np.abs(2 * rank - 1), np.abs(2 * rank - 1).mean())
        unseen[[0, coder.bins - 1]] = 1.0
        return [level, spread, unseen, null]
    unseen[coder.bins - 1] = 1.0
    tables = [unseen, null]
    for code in np.argsort(counts)[::-1][:8]:
        one = np.zeros(coder.bins + 1)
        one[code] = 1.0
        tables.append(one)
    return tables


def tells_the_hour(coder: Coder, codes: np.ndarray, times: np.ndarray) -> bool:
    """Whether a number follows from the hour of day at which a row came, whatever the row.

    Parameters
    ----------
    codes : int array of bins, shape (n,), -1 for null
    times : int64 array, shape (n,), nanoseconds since 1970
    """
    seen = codes >= 0
    if not seen.any():
        return False
    counts = coder.counts(codes)
    rank = (np.cumsum(counts) - counts / 2) / max(counts.sum(), 1)
    values, hours = rank[codes[seen]], hour_of(times[seen])
    left = values - mean_by_hour(values, hours)[hours]
    return float(left.var()) < _CLOCK * float(values.var())


def as_many_by_hour(codes: np.ndarray, hours: np.ndarray, now: np.ndarray, bins: int) -> np.ndarray:
    """Count bins as if rows came by the hours of others.

    Parameters
    ----------
    codes, hours : int arrays, shape (n,)
        Bins, -1 for null, and hours of day (0 to 23) of the rows to count.
    now : int array, shape (m,)
        Hours of day of the others.
    bins : int

    Returns
    -------
    float array, shape (bins,)
        About as many rows in all; hours at which `codes` has no row are left out.
    """
    share = np.bincount(now, minlength=24) / max(len(now), 1)
    had = np.bincount(hours, minlength=24) / max(len(hours), 1)
    weight = np.divide(share, had, out=np.zeros(24), where=had > 0)[hours]
    seen = codes >= 0
    return np.asarray(np.bincount(codes[seen], weight[seen], bins))
