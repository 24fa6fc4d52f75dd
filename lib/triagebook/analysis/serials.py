"""Whether running numbers are missing: rows that were given a number and never came."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

_ROWS = 30_000
"""The newest rows of the reference tell how numbers run; more teach nothing new."""
_LEAST_ROWS = 30
_ORDERED = 0.99
"""Rank correlation of number and time, from which numbers are given as rows arise."""
_DENSE = 0.2
"""Share of the numbers that the table has: where it has fewer, numbers are given by the clock, or to
many tables, and gaps follow the traffic of others."""
_LOST = 0.05
_SURE_NATS = 10.0
"""Far beyond what the best of many moments gains by chance."""


@dataclass(frozen=True)
class Numbers:
    """How the numbers of a table's current rows run, against those of the reference.

    Attributes
    ----------
    start : int
        Nanoseconds since 1970: the last row before numbers go missing; the newest row where none do.
    first : int
        The first row after it.
    rows : int
        Rows since `start`.
    lost : float
        Rows missing since `start`, against the usual share of numbers that are there.
    present, usual, least : float
        Share of numbers since `start` that are there, of all the reference's, and of its worst stretch
        of as many rows; (0, 1].
    nats : float
        How much better a share of its own explains the gaps since `start` than the usual share does.
    """

    start: int
    first: int
    rows: int
    lost: float
    present: float
    usual: float
    least: float
    nats: float

    @property
    def share(self) -> float:
        """Share of the rows since `start` that is missing, [0, 1]."""
        return max(1 - self.present / self.usual, 0.0)

    @property
    def missing(self) -> bool:
        """Whether a twentieth or more is missing, beyond chance and beyond any earlier stretch."""
        beyond = 1 - self.present > 1.25 * (1 - self.least)
        return self.share >= _LOST and self.nats >= _SURE_NATS and beyond


def running_numbers(
    reference: pd.Series,
    reference_times: np.ndarray,
    current: pd.Series,
    current_times: np.ndarray,
) -> Numbers | None:
    """Look for gaps in numbers that a system hands out one after another, such as keys of orders.

    A quiet day gives fewer numbers, without gaps; rows that get lost on the way leave theirs behind.
    The distances of neighbouring numbers are taken as geometric: each number is there with one chance,
    before and after some row.

    Parameters
    ----------
    reference, current : Series, shape (n,), (m,)
        Whole numbers, or texts that end in one after the same letters.
    reference_times, current_times : int64 arrays, nanoseconds, ascending

    Returns
    -------
    Numbers or None
        None where numbers do not rise with time (rank correlation under 0.99), where the table has
        fewer than a fifth of them, or where either side has fewer than 30 rows: then gaps say nothing.
    """
    old = _Serial.of(reference.iloc[-_ROWS:], reference_times[-_ROWS:])
    new = _Serial.of(current, current_times)
    if old is None or new is None or old.prefix != new.prefix:
        return None
    usual = len(old.steps) / float(old.steps.sum())
    if usual < _DENSE:
        return None
    # Where none was ever missing, the next may still be.
    chance = min(usual, 1 - 1 / (len(old.steps) + 2))
    after = np.arange(len(new.steps), 0, -1)
    spanned = np.cumsum(new.steps[::-1])[::-1].astype(np.float64)
    here = after / spanned
    nats = np.where(
        (here < usual) & (after >= _LEAST_ROWS),
        _likelihood(after, spanned, here) - _likelihood(after, spanned, chance),
        0.0,
    )
    if not nats.any():
        last = int(new.times[-1])
        return Numbers(last, last, 0, 0.0, usual, usual, usual, 0.0)
    at = int(np.argmax(nats))
    size = min(int(after[at]), len(old.steps) // 2)
    past = np.cumsum(np.append(0, old.steps))
    least = size / float((past[size:] - past[:-size]).max())
    present = float(here[at])
    return Numbers(
        int(new.times[at]),
        int(new.times[at + 1]),
        int(after[at]),
        float(spanned[at] * usual - after[at]),
        present,
        usual,
        least,
        float(nats[at]),
    )


def _likelihood(rows: np.ndarray, spanned: np.ndarray, present: np.ndarray | float) -> np.ndarray:
    """Log likelihood of so many rows in so many numbers, each there with a chance; nats."""
    gone = spanned - rows
    out: np.ndarray = rows * np.log(present) + np.where(
        gone > 0, gone * np.log1p(-np.minimum(present, 1 - 1e-12)), 0.0
    )
    return out


@dataclass(frozen=True)
class _Serial:
    """Numbers in ascending order, each once: what precedes them, the times of their rows, their steps."""

    prefix: str
    times: np.ndarray
    steps: np.ndarray

    @classmethod
    def of(cls, keys: pd.Series, times: np.ndarray) -> _Serial | None:
        """Read the numbers; None where there are few or none, or they do not rise with time."""
        here = keys.notna().to_numpy()
        keys, times = keys[here], times[here]
        if pd.api.types.is_integer_dtype(keys.dtype):
            prefix, numbers = "", keys.to_numpy(dtype="int64")
        else:
            parts = keys.astype(str).str.extract(r"^(.*?)(\d{1,18})$")
            common = parts[0].mode()
            if common.empty or float((parts[0] == common[0]).mean()) < _ORDERED:
                return None
            prefix, kept = str(common[0]), (parts[0] == common[0]).to_numpy()
            numbers, times = parts.loc[kept, 1].astype("int64").to_numpy(), times[kept]
        numbers, first = np.unique(numbers, return_index=True)
        times = times[first]
        if len(numbers) < _LEAST_ROWS or len(np.unique(times)) < 2:
            return None
        if float(spearmanr(numbers, times).statistic) < _ORDERED:
            return None
        return cls(prefix, times, np.diff(numbers))
