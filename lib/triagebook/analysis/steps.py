"""When the mean of rows stepped: the moment with an interval, by time of the rows or of their labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Step:
    """A moment from which rows lie about another mean.

    Attributes
    ----------
    at, low, high : int
        Nanoseconds since 1970: the first row of the new mean, the last that is surely old, the last
        that may be the first new one.
    nats : float
        Log-likelihood that the step explains over no step.
    """

    at: int
    low: int
    high: int
    nats: float


def step(
    values: np.ndarray,
    times: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    spread: np.ndarray,
    drop_nats: float = 4.0,
) -> Step | None:
    """Find the moment at which rows passed from one known mean to another.

    Parameters
    ----------
    values : float array, shape (n, k)
        Statistics of each row, in the order of `times`.
    times : int64 array, shape (n,), nanoseconds, ascending
    before, after, spread : float array, shape (k,)
        Means of the two regimes, and the standard deviation of a row.
    drop_nats : float
        Moments within this of the best are in the interval.

    Returns
    -------
    Step or None
        None without rows, or where no moment explains anything.
    """
    if len(times) < 5:
        return None
    gap = (after - before) / spread**2
    gain = ((values - (before + after) / 2) * gap).sum(axis=1)
    # Rows that share a time came together: a step cannot lie between them.
    moments, first = np.unique(times, return_index=True)
    total = np.cumsum(gain[::-1])[::-1]
    profile = total[first]
    best = int(np.argmax(profile))
    if profile[best] <= 0:
        return None
    near = np.flatnonzero(profile >= profile[best] - drop_nats)
    low, high = int(near.min()), int(near.max())
    return Step(
        at=int(moments[best]),
        low=int(moments[max(low - 1, 0)]),
        high=int(moments[high]),
        nats=float(profile[best]),
    )
