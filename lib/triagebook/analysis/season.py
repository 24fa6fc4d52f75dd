"""Whether a movement is the season's: on the reference's own trend, or there a week before as well."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_DAY = 86_400_000_000_000


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


def _theil_sen(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Median of pairwise slopes, and the intercept through the medians (Sen 1968)."""
    i, j = np.triu_indices(len(x), 1)
    slope = float(np.median((y[j] - y[i]) / (x[j] - x[i])))
    return slope, float(np.median(y - slope * x))
