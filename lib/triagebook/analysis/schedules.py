"""How regularly something happened, and whether it is overdue."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from triagebook.analysis.outcomes import SECOND

LATE = 1.5
"""Overdue after so many of its usual intervals."""


@dataclass(frozen=True)
class Overdue:
    """Something regular that has not happened.

    Attributes
    ----------
    last : int
        Nanoseconds: the last time it did.
    every_s, age_s : float
        The usual interval, and how long ago the last one was.
    """

    last: int
    every_s: float
    age_s: float

    @property
    def late(self) -> bool:
        """Whether more than half an interval has passed since it was due."""
        return self.age_s > LATE * self.every_s

    @property
    def due(self) -> int:
        """When the next one was due, nanoseconds."""
        return self.last + int(self.every_s * SECOND)


def rhythm(times: list[int], end: int, every_s: float | None = None) -> Overdue | None:
    """Tell how regular events were, and how old the last is.

    Parameters
    ----------
    times : list of int, nanoseconds
    end : int
        Now, nanoseconds.
    every_s : float or None
        The interval promised; None takes the median of at least two intervals that agree.

    Returns
    -------
    Overdue or None
        None without an event, or where the intervals agree in none.
    """
    moments = np.unique(np.array([t for t in times if t <= end], dtype=np.int64))
    if not len(moments):
        return None
    gaps = np.diff(moments) / SECOND
    if every_s is None:
        if len(gaps) < 2:
            return None
        every_s = float(np.median(gaps))
        # Half of the intervals within a quarter of the median: a habit, not chance.
        if every_s <= 0 or float(np.mean(np.abs(gaps - every_s) < 0.25 * every_s)) < 0.5:
            return None
    return Overdue(int(moments[-1]), every_s, float((end - moments[-1]) / SECOND))


@dataclass(frozen=True)
class Trend:
    """A slow change of a daily figure.

    Attributes
    ----------
    slope : float
        Change a day.
    z : float
        Slope over its standard error.
    total : float
        Change over all days.
    step_gain : float
        Share of the spread that one step explains beyond the line, in [-1, 1]; positive: a step.
    days : int
    """

    slope: float
    z: float
    total: float
    step_gain: float
    days: int

    @property
    def highest(self) -> float:
        """The largest change over all days that two standard errors allow."""
        return self.total + 2 * abs(self.total / self.z) if self.z else float("inf")


def trend(values: np.ndarray, weights: np.ndarray) -> Trend | None:
    """Fit a line to daily means, and the best single step to compare it with.

    Parameters
    ----------
    values, weights : float array, shape (d,)
        Mean of each day, and its rows. Fewer than six days with rows give None.
    """
    ok = (weights > 0) & np.isfinite(values)
    x, y, w = np.flatnonzero(ok).astype(float), values[ok], weights[ok].astype(float)
    if len(y) < 6:
        return None
    mean_x, mean_y = np.average(x, weights=w), np.average(y, weights=w)
    sxx = float((w * (x - mean_x) ** 2).sum())
    slope = float((w * (x - mean_x) * (y - mean_y)).sum() / sxx)
    line = float((w * (y - mean_y - slope * (x - mean_x)) ** 2).sum())
    whole = float((w * (y - mean_y) ** 2).sum())
    error = float(np.sqrt(line / max(len(y) - 2, 1) / sxx))
    steps = []
    for i in range(2, len(y) - 1):
        parts = (slice(None, i), slice(i, None))
        steps.append(
            sum(float((w[p] * (y[p] - np.average(y[p], weights=w[p])) ** 2).sum()) for p in parts)
        )
    step = min(steps, default=whole)
    gain = (line - step) / whole if whole > 0 else 0.0
    return Trend(slope, slope / max(error, 1e-12), slope * float(x[-1] - x[0]), gain, len(y))
