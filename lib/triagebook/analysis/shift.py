"""Whether a series left its usual course, when, how far and in what shape.

The usual course is the reference's level by time of day (and by weekend where the reference holds
some); what is left is measured in the reference's own spread, so that a series that wanders every day
has to wander farther than it ever did.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

HOUR, DAY = 3_600_000_000_000, 86_400_000_000_000
_CLIP = 8.0
_SLACK = 0.75
"""Spreads below which a deviation counts against a segment: half of the smallest shift looked for."""
_FLOOR = 0.04
"""Least spread, as share of the level: below it nobody would call a metric moved."""
_MAX_POINTS = 4_000


@dataclass(frozen=True)
class Shift:
    """How a series left its usual course in the current window.

    Attributes
    ----------
    direction : int
        1 up, -1 down.
    before, after : float
        What was expected in the segment, and what was seen; medians, the series' own unit.
    effect : float
        Mean deviation on the logarithmic scale (0.69 is twice as high), in (-inf, inf).
    z : float
        The same in the reference's point spreads.
    unusual : float
        The segment's weight over the heaviest of any reference window of the same length; above 1
        was never seen before.
    start, low, high, end : int
        Nanoseconds: the first bad sample, the interval it may lie in, the last bad sample.
    step_s : float
        Sampling interval, seconds.
    shape : "step", "ramp" or "burst"
        Burst: it came back before the window's end.
    going_on : bool
    """

    direction: int
    before: float
    after: float
    effect: float
    z: float
    unusual: float
    start: int
    low: int
    high: int
    end: int
    step_s: float
    shape: Literal["step", "ramp", "burst"]
    going_on: bool

    @property
    def factor(self) -> float:
        """`after` over `before`; infinite where there was nothing before."""
        if self.before == 0:
            return float("inf") if self.after > 0 else 1.0
        return self.after / self.before

    @property
    def clear(self) -> bool:
        """Whether it is beyond what the reference ever did, and large enough to matter."""
        return self.unusual >= 1.25 and abs(self.effect) >= 0.1 and abs(self.z) >= 1.5


def scaled(values: np.ndarray, scale: float) -> np.ndarray:
    """Logarithm that is straight near zero: asinh(x / scale). Ratios become differences."""
    return np.arcsinh(values / scale)


def scale_of(values: np.ndarray) -> float:
    """Return where the scale bends: a tenth of the usual size, so that usual values are logarithmic."""
    size = np.abs(values[values != 0])
    if not len(size):
        return 1.0
    # What is zero most of the time is judged by its usual peaks, not by its smallest sign of life.
    often = len(size) >= 0.5 * len(values)
    return 0.1 * float(np.median(size)) if often else float(np.quantile(size, 0.9))


def shift(
    times: np.ndarray, values: np.ndarray, reference_start: int, start: int, end: int
) -> Shift | None:
    """Look for the one segment of the current window that lies farthest off the usual course.

    Parameters
    ----------
    times : int64 array, nanoseconds, ascending, shape (n,)
    values : float array, shape (n,); not finite ones are dropped
    reference_start, start, end : int
        Nanoseconds: the reference begins, the current window begins and ends.

    Returns
    -------
    Shift or None
        None with fewer than 20 samples of reference or 5 of now, or when nothing deviates.
    """
    keep = np.isfinite(values)
    times, values = times[keep], values[keep]
    a, b, c = np.searchsorted(times, [reference_start, start, end + 1])
    old_t, old, new_t, new = times[a:b], values[a:b], times[b:c], values[b:c]
    if len(old) < 20 or len(new) < 5:
        return None
    new_t, new = _thin(new_t, new)
    old_t, old = _thin(old_t, old, 4 * _MAX_POINTS)
    # The past is often kept at a coarser step: noise is compared at the coarser of the two.
    step = max(float(np.median(np.diff(old_t))), float(np.median(np.diff(new_t))))
    old_t, old = _coarse(old_t, old, step)
    wide_t, wide = _coarse(new_t, new, step)
    if len(old) < 20 or len(wide) < 3:
        return None
    scale = scale_of(old) if (old != 0).any() else scale_of(new)
    usual = _Usual(old_t, scaled(old, scale))
    r_old = scaled(old, scale) - usual(old_t)
    centre = float(np.median(r_old))
    r_old = r_old - centre
    r_new = scaled(new, scale) - usual(new_t) - centre
    r_wide = scaled(wide, scale) - usual(wide_t) - centre
    spread = max(1.4826 * float(np.median(np.abs(r_old))), 0.5 * float(np.std(r_old)), _FLOOR)
    z = np.clip(r_wide / spread, -_CLIP, _CLIP)
    found = max(((_heaviest(sign * z), sign) for sign in (1, -1)), key=lambda item: item[0][2])
    (low_i, high_i, weight), sign = found
    if weight <= 0:
        return None
    z_old = np.clip(r_old / spread, -_CLIP, _CLIP)
    began = int(wide_t[min(low_i, len(wide_t) - 1)])
    past = _past_weights(old_t, z_old, end - start, sign, began)
    going_on = high_i >= len(z) - max(2, len(z) // 20)
    last = len(wide_t) - 1
    segment_end = len(new_t)
    if not going_on:
        segment_end = int(np.searchsorted(new_t, wide_t[min(high_i, last)]))
        segment_end = max(segment_end, 2)
    guess = int(np.searchsorted(new_t, wide_t[min(low_i, last)]))
    first, early, late, shape = _onset(r_new[:segment_end] * sign, guess, spread)
    first = min(first, segment_end - 1)
    seen = slice(first, segment_end)
    effect = _midmean(r_new[seen])  # a few spikes are no level
    expected = usual(new_t[seen]) + centre
    step = float(np.median(np.diff(new_t)))
    return Shift(
        direction=sign,
        before=float(np.median(np.sinh(expected)) * scale),
        after=float(np.median(new[seen])),
        effect=effect,
        z=effect / spread,
        unusual=weight / max(past, 4.0),
        start=int(new_t[first]),
        low=int(new_t[max(early - 1, 0)]),
        high=int(new_t[min(late, len(new_t) - 1)]),
        end=int(new_t[segment_end - 1]),
        step_s=step / 1e9,
        shape=shape if going_on else "burst",
        going_on=going_on,
    )


def _coarse(times: np.ndarray, values: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Average samples over steps; as they are where they are no finer than two thirds of one."""
    if len(times) < 2 or float(np.median(np.diff(times))) > 0.67 * step:
        return times, values
    place = ((times - times[0]) // step).astype(np.int64)
    bins, index, seen = np.unique(place, return_inverse=True, return_counts=True)
    mean = np.bincount(index, values) / seen
    return (times[0] + ((bins + 0.5) * step)).astype(np.int64), mean


def _thin(
    times: np.ndarray, values: np.ndarray, most: int = _MAX_POINTS
) -> tuple[np.ndarray, np.ndarray]:
    if len(times) <= most:
        return times, values
    every = int(np.ceil(len(times) / most))
    n = len(times) // every * every
    return times[:n:every], values[:n].reshape(-1, every).mean(axis=1)


class _Usual:
    """The expected level by time of day; flat where the reference's days do not agree on a shape."""

    def __init__(self, times: np.ndarray, y: np.ndarray) -> None:
        self.level = float(np.median(y))
        self.profile: np.ndarray | None = None
        self.weekend = 0.0
        span = times[-1] - times[0]
        if span < 0.9 * DAY:
            return
        hour = (times // HOUR % 24).astype(int)
        weekend = _is_weekend(times)
        flat = y
        if weekend.any() and (~weekend).any() and len(np.unique(times[weekend] // DAY)) >= 2:
            self.weekend = float(np.median(y[weekend]) - np.median(y[~weekend]))
            flat = y - self.weekend * weekend
        if np.ptp(y) == 0:
            return
        profile = _medians(flat, hour, 24, least=3)
        profile = np.where(np.isfinite(profile), profile, np.median(flat))
        # A shape that one half of the days does not share with the other is noise.
        half = ((times // DAY) % 2).astype(int)
        two = _medians(flat, half * 24 + hour, 48).reshape(2, 24)
        both = np.isfinite(two[0]) & np.isfinite(two[1])
        if span < 1.9 * DAY:
            # One day cannot be held against another: a shape far above its hours' noise is believed.
            within = float(np.mean(np.abs(flat - profile[hour])))
            if np.std(profile) > 1.5 * within:
                self.profile = profile
        elif both.sum() >= 12 and np.std(two[0][both]) > 1e-9 and np.std(two[1][both]) > 1e-9:
            agree = float(np.corrcoef(two[0][both], two[1][both])[0, 1])
            if agree >= 0.5:
                self.profile = profile
        if self.profile is None:
            self.level = float(np.median(flat))

    def __call__(self, times: np.ndarray) -> np.ndarray:
        weekend = self.weekend * _is_weekend(times)
        if self.profile is None:
            return np.full(len(times), self.level) + weekend
        place = times / HOUR % 24 - 0.5
        low = np.floor(place).astype(int) % 24
        part = place - np.floor(place)
        level = self.profile[low] * (1 - part) + self.profile[(low + 1) % 24] * part
        return np.asarray(level + weekend)


def _medians(values: np.ndarray, groups: np.ndarray, n: int, least: int = 1) -> np.ndarray:
    """Median of each group, shape (n,); NaN for groups of fewer than `least`."""
    order = np.lexsort((values, groups))
    sizes = np.bincount(groups, minlength=n)
    starts = np.cumsum(sizes) - sizes
    lower = np.minimum(starts + np.maximum(sizes - 1, 0) // 2, len(values) - 1)
    upper = np.minimum(starts + sizes // 2, len(values) - 1)
    middle = (values[order[lower]] + values[order[upper]]) / 2
    return np.where(sizes >= least, middle, np.nan)


def _midmean(values: np.ndarray) -> float:
    """Mean of the middle half."""
    cut = len(values) // 4
    return float(np.sort(values)[cut : len(values) - cut].mean())


def _is_weekend(times: np.ndarray) -> np.ndarray:
    day = np.asarray((times // DAY + 3) % 7)
    return np.asarray(day >= 5)  # day 0 of 1970 was a Thursday


def _heaviest(z: np.ndarray) -> tuple[int, int, float]:
    """Find the segment [low, high) with the largest sum of z - slack (Kadane)."""
    gain = np.concatenate(([0.0], np.cumsum(z - _SLACK)))
    lowest = np.minimum.accumulate(gain)
    rise = gain - lowest
    high = int(np.argmax(rise))
    low = int(np.argmin(gain[: high + 1]))
    return low, high, float(rise[high])


def _past_weights(times: np.ndarray, z: np.ndarray, length: int, sign: int, began: int) -> float:
    """Return the heaviest segment of any reference window of the same length, either sign counted less."""
    weights: list[float] = []
    again = 0.0
    end = int(times[-1]) + 1
    stops: list[int] = []
    while end - length >= times[0] and len(stops) < 60:
        stops.append(end)
        end -= max(length // 2, 1)
    stops.append(int(times[0]) + length)  # the oldest window, which the steps may miss
    for end in stops:
        a, b = np.searchsorted(times, [end - length, end])
        if b - a >= 5:
            low, _, up = _heaviest(sign * z[a:b])
            weights.append(max(up, 0.5 * _heaviest(-sign * z[a:b])[2]))
            at = int(times[min(a + low, b - 1)])
            off = abs((at - began + DAY // 2) % DAY - DAY // 2)
            if off <= 1.5 * HOUR:
                again = max(again, up)
    if not weights:
        return _heaviest(sign * z)[2]
    # The reference may hold an old incident: one window far above all others is not its nature.
    order = sorted(weights)
    # What came at the same time of day before is its nature all the same, were it only once a week.
    usual = order[-2] if len(order) >= 6 and order[-1] > 3 * order[-2] else order[-1]
    return max(usual, again)


def _onset(
    r: np.ndarray, guess: int, spread: float
) -> tuple[int, int, int, Literal["step", "ramp"]]:
    """Fit a step and a ramp (zero before, level or line after) and take the better one's first sample."""
    n = len(r)
    r = np.clip(r, -_CLIP * spread, max(_CLIP * spread, float(np.quantile(r, 0.9))))
    total = float(np.sum(r * r))
    suffix = np.cumsum(r[::-1])[::-1]
    left = n - np.arange(n)
    step_sse = total - np.maximum(suffix, 0.0) ** 2 / left
    index = np.arange(n, dtype=float)
    weighted = np.cumsum((r * index)[::-1])[::-1]
    moment = weighted - (index - 1) * suffix  # sum of r_t (t - t0 + 1)
    square = left * (left + 1) * (2 * left + 1) / 6
    ramp_sse = total - np.maximum(moment, 0.0) ** 2 / square
    margin = max(3, n // 200)
    step_sse[n - margin + 1 :] = np.inf
    ramp_sse[n - 2 * margin :] = np.inf
    best_step = int(np.argmin(step_sse))
    best_ramp = int(np.argmin(ramp_sse))
    shape: Literal["step", "ramp"] = "step"
    best, curve = best_step, step_sse
    long_enough = n - best_ramp >= 8
    if long_enough and ramp_sse[best_ramp] < 0.88 * step_sse[best_step]:
        shape, best, curve = "ramp", best_ramp, ramp_sse
    if not np.isfinite(curve[best]):
        best = guess
        return best, best, best, shape
    noise = max(float(curve[best]) / max(n - 2, 1), (0.3 * spread) ** 2)
    near = np.flatnonzero(curve <= curve[best] + 6.0 * noise)
    return best, int(near.min()), int(near.max()), shape
