"""Whether a movement is the season's: on the reference's own trend, or there the weeks before as well."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

_DAY = 86_400_000_000_000
_SLOTS = 8
"""Parts of a day that a week's pattern is told in: three hours each."""
_LEAST_SWING = 0.05
"""A pattern that moves ranks by less than a twentieth is none worth a word."""


@dataclass(frozen=True)
class Season:
    """A column's daily level over the reference, carried on to the current window.

    Attributes
    ----------
    days : int64 array, shape (k,), days since 1970
    level : float array, shape (k,)
        Mean of each day of the reference.
    trend_per_day : float
        Slope of the level, in the column's unit a day (Theil-Sen).
    expected, low, high : float
        What the trend expects now, with the 95 % range of a single day around it.
    actual : float
        The level now.
    reference_mean : float
        The flat mean of the reference, which a comparison without a trend expects.
    week_before : float or None
        The level of the same hours a week before, where there are any.
    """

    days: np.ndarray
    level: np.ndarray
    trend_per_day: float
    expected: float
    low: float
    high: float
    actual: float
    reference_mean: float
    week_before: float | None

    @property
    def expected_now(self) -> bool:
        """Whether the level now lies in what trend and day-to-day variation allow, or was there a week ago."""
        return self.low <= self.actual <= self.high or self.as_a_week_before

    @property
    def as_a_week_before(self) -> bool:
        """Whether the same weekday, a week before, lay within a third of the movement from here."""
        if self.week_before is None:
            return False
        gap = abs(self.actual - self.reference_mean)
        same_side = (self.actual - self.reference_mean) * (
            self.week_before - self.reference_mean
        ) > 0
        return same_side and abs(self.actual - self.week_before) <= gap / 3

    @property
    def share_by_trend(self) -> float:
        """How much of the movement from the flat mean the trend accounts for, at most 1."""
        gap = self.actual - self.reference_mean
        return float(np.clip((self.expected - self.reference_mean) / gap, -1, 1)) if gap else 0.0


def season(
    values: np.ndarray,
    times: np.ndarray,
    now_values: np.ndarray,
    now_times: np.ndarray,
) -> Season | None:
    """Carry the reference's daily levels on to the current window.

    Parameters
    ----------
    values, now_values : float arrays, shape (n,), (m,); NaN is dropped
    times, now_times : int64 arrays, nanoseconds since 1970

    Returns
    -------
    Season or None
        None with fewer than ten days of reference, or no value now. Only the hours of day that the
        current rows cover are used.
    """
    keep, keep_now = np.isfinite(values), np.isfinite(now_values)
    values, times = values[keep], times[keep]
    now_values, now_times = now_values[keep_now], now_times[keep_now]
    if len(now_values) < 10 or len(values) < 50:
        return None
    hours_now = np.unique(now_times // (_DAY // 24) % 24)
    same = np.isin(times // (_DAY // 24) % 24, hours_now)
    if same.sum() >= 50:
        values, times = values[same], times[same]
    day = times // _DAY
    days, place, count = np.unique(day, return_inverse=True, return_counts=True)
    level = np.bincount(place, values) / count
    full = count >= max(3, np.median(count) / 5)
    days, level = days[full], level[full]
    if len(days) < 10:
        return None
    slope, intercept = _theil_sen(days.astype(float), level)
    today = float(np.mean(now_times // _DAY))
    # Weather lasts for days: neighbouring days say the same thing, so the range is that of the
    # days themselves, not of their mean.
    left = level - (slope * days + intercept)
    spread = max(1.4826 * float(np.median(np.abs(left - np.median(left)))), float(np.std(left)))
    expected = slope * today + intercept
    week = (days >= today - 8) & (days <= today - 6)
    return Season(
        days=days,
        level=level,
        trend_per_day=slope,
        expected=expected,
        low=expected - 1.96 * spread,
        high=expected + 1.96 * spread,
        actual=float(np.mean(now_values)),
        reference_mean=float(np.mean(values)),
        week_before=float(level[week].mean()) if week.any() else None,
    )


@dataclass(frozen=True)
class Recurrence:
    """A movement that came at these weekdays and hours in earlier weeks, and came again.

    Attributes
    ----------
    swing : float
        How far earlier weeks' pattern moves the rows of the day it moves most, of those that hold a
        tenth of the current rows: root of the mean square, in ranks of the reference, [0, 1].
    again : float
        How much of it came now: 1 is as much as in the weeks before.
    surety : float
        How sure it came again, over what chance gives the surest of all columns looked at; at 1 and
        more it did.
    weeks : int
        Earlier weeks that the pattern was learnt from.
    """

    swing: float
    again: float
    surety: float
    weeks: int

    @property
    def holds(self) -> bool:
        """Whether a pattern worth a word came again about as large as it was."""
        return self.swing >= _LEAST_SWING and self.surety >= 1 and 0.5 <= self.again <= 1.6


def recurrence(
    values: np.ndarray,
    times: np.ndarray,
    now_values: np.ndarray,
    now_times: np.ndarray,
    tests: int = 1,
    alpha: float = 0.01,
) -> Recurrence | None:
    """Learn the week's pattern from the reference, and see whether the current rows follow it.

    Parameters
    ----------
    values, now_values : float arrays, shape (n,), (m,); NaN is dropped
    times, now_times : int64 arrays, nanoseconds since 1970
    tests : int
        How many columns share `alpha`, the chance that one without a pattern is said to follow one.

    Returns
    -------
    Recurrence or None
        None with fewer than two whole weeks of reference or 30 rows now.

    Notes
    -----
    The pattern is what each three hours of a weekday lie from the same three hours of all days, in
    ranks. Rows of now were not used for it, so that without a pattern their covariance with it is
    noise: of rows, and of days as a whole, whose variance is that of the reference's days around
    the pattern.
    """
    keep, keep_now = np.isfinite(values), np.isfinite(now_values)
    values, times = values[keep], times[keep]
    now_values, now_times = now_values[keep_now], now_times[keep_now]
    if len(values) < 200 or len(now_values) < 30 or times[-1] - times[0] < 13.5 * _DAY:
        return None
    known = np.sort(values)

    def ranks(part: np.ndarray) -> np.ndarray:
        # Looked up in order, neighbours are found where the last one was: several times quicker.
        order = np.argsort(part)
        low, high = (np.searchsorted(known, part[order], side) for side in ("left", "right"))
        out = np.empty(len(part))
        out[order] = (low + high) / (2 * len(known))
        return out

    rank, now = ranks(values), ranks(now_values)
    slot, now_slot = _slot(times), _slot(now_times)
    hour = slot % _SLOTS
    by_hour = _means(rank, hour, _SLOTS, np.full(_SLOTS, rank.mean()))
    # Few rows say little of their three hours: they are drawn towards the day's.
    by_slot = _means(rank, slot, 7 * _SLOTS, np.tile(by_hour, 7))
    pattern = by_slot - np.tile(by_hour, 7)
    left = rank - by_slot[slot]
    spread = float(left.std())
    day_of = times // _DAY
    _, place, count = np.unique(day_of, return_inverse=True, return_counts=True)
    days = np.bincount(place, left) / count
    between = max(
        0.0, float((days**2 * count).sum() / count.sum()) - spread**2 * len(days) / len(left)
    )
    share = pattern[now_slot]
    energy = float((share**2).sum())
    if energy <= 0 or spread <= 0:
        return None
    covariance = float(((now - by_hour[now_slot % _SLOTS]) * share).sum())
    _, now_place, rows = np.unique(now_times // _DAY, return_inverse=True, return_counts=True)
    by_day = np.bincount(now_place, share**2) / rows
    swing = float(np.sqrt(by_day[rows >= len(now) / 10].max(initial=0.0)))
    of_days = float((np.bincount(now_place, share) ** 2).sum())
    z = covariance / float(np.sqrt(spread**2 * energy + between * of_days))
    level = float(norm.isf(alpha / max(tests, 1)))
    weeks = int((times[-1] - times[0]) // (7 * _DAY))
    return Recurrence(swing, covariance / energy, z / level, max(weeks, 1))


def _slot(times: np.ndarray) -> np.ndarray:
    """Which three hours of the week, 0 to 55; the week begins where 1970 did, on a Thursday."""
    return np.asarray(times // (_DAY // _SLOTS) % (7 * _SLOTS), dtype=np.int64)


def _means(values: np.ndarray, place: np.ndarray, bins: int, toward: np.ndarray) -> np.ndarray:
    """Mean of each bin, as if ten more rows lay at `toward`, shape (bins,)."""
    total, count = np.bincount(place, values, bins), np.bincount(place, minlength=bins)
    return np.asarray((total + 10 * toward) / (count + 10))


def _theil_sen(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Median of pairwise slopes, and the intercept through the medians (Sen 1968)."""
    i, j = np.triu_indices(len(x), 1)
    slope = float(np.median((y[j] - y[i]) / (x[j] - x[i])))
    return slope, float(np.median(y - slope * x))
