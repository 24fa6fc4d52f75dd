"""Whether something climbs: between resets, how fast, and when it meets its limit."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.stats import theilslopes

_POINTS = 400


@dataclass(frozen=True)
class Climb:
    """How a series climbs in its last stretch between resets.

    Attributes
    ----------
    per_hour, low, high : float
        Slope with its 95 % interval, the series' unit an hour.
    steady : float
        Share of the stretch's variation that follows time: rank correlation, [-1, 1].
    before : float
        The same in the reference's stretches of like length (median).
    since : int
        Nanoseconds: the stretch's first sample.
    resets : int
        Drops of a quarter or more in the current window.
    level, share_gained : float
        The last level, and what the stretch added over its first level.
    peak : float
        The stretch's highest level over the highest the reference saw (its 99.5 % quantile).
    """

    per_hour: float
    low: float
    high: float
    steady: float
    before: float
    since: int
    resets: int
    level: float
    share_gained: float
    peak: float = float("inf")

    @property
    def climbs(self) -> bool:
        """Whether it rises steadily, by a tenth at least, and did not do so before."""
        return (
            self.steady >= 0.8
            and self.share_gained >= 0.1
            and self.before < 0.7
            and self.low > 0
            and self.peak >= 1.03
        )

    @property
    def falls(self) -> bool:
        """Whether it falls steadily, by a tenth at least, and did not do so before."""
        return (
            self.steady <= -0.8
            and self.share_gained <= -0.1
            and self.before > -0.7
            and self.high < 0
        )

    def hours_to(self, limit: float) -> tuple[float, float, float] | None:
        """Return hours until a limit at this slope, with the earliest and the latest; None where it never is.

        The latest may be infinite.
        """
        gap = limit - self.level
        if self.per_hour == 0 or gap / self.per_hour < 0:
            return None
        ends = sorted(
            gap / slope if slope != 0 and gap / slope > 0 else float("inf")
            for slope in (self.low, self.high)
        )
        return gap / self.per_hour, ends[0], ends[1]


def climb(times: np.ndarray, values: np.ndarray, start: int) -> Climb | None:
    """Fit a line to the last stretch between resets.

    Parameters
    ----------
    times : int64 array, nanoseconds, ascending, shape (n,)
    values : float array, shape (n,)
    start : int
        Nanoseconds: the current window begins. The stretch begins here or at the last reset after.

    Returns
    -------
    Climb or None
        None with fewer than eight samples in the stretch.

    References
    ----------
    Theil (1950) and Sen (1968) for the slope and its interval.
    """
    keep = np.isfinite(values)
    times, values = times[keep], values[keep]
    first = int(np.searchsorted(times, start))
    if len(times) - first < 8:
        return None
    now = values[first:]
    drops = first + 1 + np.flatnonzero(_drops(now))
    begin = int(drops[-1]) if len(drops) and len(times) - drops[-1] >= 8 else first
    if len(drops) and begin == first and len(drops) >= 1:
        # The last reset is too near the end to see a line after it: the stretch before it tells.
        begin = int(drops[-2]) if len(drops) > 1 else first
        end = int(drops[-1])
    else:
        end = len(times)
    if end - begin < 8:
        return None
    t, y = _thin(times[begin:end], values[begin:end])
    slope, _, low, high = theilslopes(y, (t - t[0]) / 3.6e12)
    length = int(times[end - 1] - times[begin])
    base = float(np.median(y[: max(len(y) // 10, 2)]))
    last = float(np.median(y[-max(len(y) // 10, 2) :]))
    return Climb(
        per_hour=float(slope),
        low=float(low),
        high=float(high),
        steady=_rank_correlation(t, y),
        before=_before(times[:first], values[:first], length),
        since=int(times[begin]),
        resets=len(drops),
        level=float(values[end - 1]),
        share_gained=(last - base) / abs(base) if base else float(np.sign(last)),
        peak=_peak(values[:first], y),
    )


def _drops(values: np.ndarray) -> np.ndarray:
    level = np.maximum(np.abs(values[:-1]), 1e-12)
    dropped: np.ndarray = np.diff(values) / level < -0.25
    return dropped


def _thin(times: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    every = max(len(times) // _POINTS, 1)
    n = len(times) // every * every
    return times[:n:every], values[:n].reshape(-1, every).mean(axis=1)


def _rank_correlation(t: np.ndarray, y: np.ndarray) -> float:
    if np.ptp(y) == 0:
        return 0.0
    order = np.argsort(np.argsort(y, kind="stable"), kind="stable")
    return float(np.corrcoef(order, np.arange(len(t)))[0, 1])


def _peak(past: np.ndarray, now: np.ndarray) -> float:
    if len(past) < 16:
        return float("inf")
    top = float(np.quantile(past, 0.995))
    return float(np.max(now)) / top if top > 0 else float("inf")


def _before(times: np.ndarray, values: np.ndarray, length: int) -> float:
    """Median rank correlation with time over the reference's stretches of a length, resets cut out.

    A heap that climbs between collections climbs in every stretch between two of them.
    """
    if len(times) < 16 or length <= 0:
        return 0.0
    found: list[float] = []
    cuts = [0, *(1 + np.flatnonzero(_drops(values))), len(values)]
    if len(cuts) > 4:
        for a, b in pairwise(cuts):
            if b - a >= 8:
                t, y = _thin(times[a:b], values[a:b])
                found.append(_rank_correlation(t, y))
        if found:
            return float(np.median(found))
    end = int(times[-1])
    while end - length >= times[0] and len(found) < 20:
        a, b = np.searchsorted(times, [end - length, end])
        if b - a >= 8:
            t, y = _thin(times[a:b], values[a:b])
            found.append(_rank_correlation(t, y))
        end -= length
    return float(np.median(found)) if found else 0.0
