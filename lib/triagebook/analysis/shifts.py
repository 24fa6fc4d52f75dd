"""How far a short window leaves its own past: a rise that lasts, against how often the past rose so."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MIN_REFERENCE = 20
"""Samples of the past below which nothing is said about what is usual."""

_RELATIVE_FLOOR = 0.05
_COUNTING_FLOOR = 0.002


@dataclass(frozen=True)
class Rise:
    """A rise in a window.

    Attributes
    ----------
    z : float
        Height in units of what windows of the past do, at least 0. Below about 2 is everyday.
    inside : bool array, shape (n,)
        The samples that are part of the rise.
    quiet : float
        The level that it rose from: the rest of the window, or the past where all of it is high.
    """

    z: float
    inside: np.ndarray
    quiet: float


def floor_of(reference: np.ndarray, *, share: bool = False, count: float | None = None) -> float:
    """Return the least spread to measure by, so that a constant past does not explode.

    Parameters
    ----------
    reference : float array
        The past; NaN ignored.
    share : bool
        The values are shares in [0, 1] that may rest at 0, such as failed requests.
    count : float or None
        Shares only: requests behind one sample. One failure more or less is chance.

    Returns
    -------
    float
        5 % of the median; for shares the binomial standard deviation at one failure a sample or at
        the median, 0.002 where the count is unknown.
    """
    level = float(np.nanmedian(reference)) if np.isfinite(reference).any() else 0.0
    if not share:
        return max(_RELATIVE_FLOOR * abs(level), 1e-12)
    if count is None or not count > 0:
        return _COUNTING_FLOOR
    odds = min(max(level, 1 / count), 0.5)
    return float(np.sqrt(odds * (1 - odds) / count))


def rise(
    reference: np.ndarray, window: np.ndarray, *, lasting: int = 2, floor: float = 0.0
) -> Rise | None:
    """Find the highest rise that lasts and judge it by the same measure on windows of the past.

    A single high sample is no rise: `lasting` samples in a row have to be high. Height is taken
    twice, over the past's median (all of the window may be high) and over the rest of the window (the
    past may have had another level); the larger z counts.

    Parameters
    ----------
    reference, window : float arrays, in time order
        Larger is worse. NaN dropped.
    lasting : int
        At least 1.
    floor : float
        Least spread, in the values' unit.

    Returns
    -------
    Rise or None
        None where the past has fewer than 20 samples or the window fewer than `lasting`. `inside`
        has the window's own length, False at NaN.
    """
    past = reference[np.isfinite(reference)]
    seen = np.isfinite(window)
    now = window[seen]
    if len(past) < max(MIN_REFERENCE, 2 * len(now)) or len(now) < max(lasting, 1):
        return None
    windows = np.lib.stride_tricks.sliding_window_view(past, len(now))
    usual = float(np.median(past))
    level, step = _heights(windows, lasting)
    level_now, step_now = _heights(now[None, :], lasting)
    z_level = _score(level, float(level_now[0]), floor)
    z_step = _score(step, float(step_now[0]), floor) if len(now) > lasting else -np.inf
    quiet = float(level_now[0] - step_now[0]) if z_step >= z_level else usual
    # Everything nearer to the peak than to the quiet level belongs to the rise.
    inside = np.zeros(len(window), dtype=bool)
    inside[seen] = now > (quiet + level_now[0]) / 2
    return Rise(max(z_level, z_step, 0.0), inside, quiet)


def contrast(
    reference: np.ndarray, window: np.ndarray, inside: np.ndarray, *, floor: float = 0.0
) -> tuple[float, float] | None:
    """Compare the samples inside a stretch with those outside, measured by the past.

    Parameters
    ----------
    reference, window : float arrays, in time order
    inside : bool array, as long as `window`
    floor : float
        Least spread, in the values' unit.

    Returns
    -------
    (amount, z) or None
        Amount in the values' unit: median inside less median outside, or less the past's median
        where nothing lies outside; z is that over the spread of the same difference in the past,
        or over the floor alone where the past has fewer than 20 samples. None without a sample
        inside, or without anything to compare it with.
    """
    seen = np.isfinite(window)
    past = reference[np.isfinite(reference)]
    within, without = window[inside & seen], window[~inside & seen]
    if not len(within) or not (len(without) or len(past)):
        return None
    base = float(np.median(without)) if len(without) else float(np.median(past))
    amount = float(np.median(within)) - base
    spread = floor
    if len(past) >= max(MIN_REFERENCE, 2 * len(window)):
        windows = np.lib.stride_tricks.sliding_window_view(past, len(window))
        high = np.median(windows[:, inside], axis=1)
        low = np.median(windows[:, ~inside], axis=1) if len(without) else np.full(len(high), base)
        spread = max(spread, _spread(high - low))
    return amount, amount / max(spread, 1e-12)


def _heights(windows: np.ndarray, lasting: int) -> tuple[np.ndarray, np.ndarray]:
    """Return for each row the level that `lasting` neighbours all reach, and it over the rest's median."""
    runs = np.lib.stride_tricks.sliding_window_view(windows, lasting, axis=1).min(axis=2)
    at = runs.argmax(axis=1)
    level = runs[np.arange(len(runs)), at]
    if windows.shape[1] == lasting:
        return level, np.zeros(len(level))
    column = np.arange(windows.shape[1])
    taken = (column >= at[:, None]) & (column < at[:, None] + lasting)
    rest = np.nanmedian(np.where(taken, np.nan, windows), axis=1)
    return level, level - rest


def _score(past: np.ndarray, now: float, floor: float) -> float:
    return (now - float(np.median(past))) / max(_spread(past), floor, 1e-12)


def _spread(values: np.ndarray) -> float:
    """Return a robust standard deviation, the larger of the middle's and the upper flank's.

    The upper flank (9th decile) knows of bursts that the middle half does not; both bear a past of
    which a tenth is not clean.
    """
    centre = np.median(values)
    middle = 1.4826 * float(np.median(np.abs(values - centre)))
    return max(middle, float(np.quantile(values, 0.9) - centre) / 1.2816)
