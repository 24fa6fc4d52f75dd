"""Which rows of the past to hold a stretch of now against: the same hours of earlier days."""

from __future__ import annotations

import numpy as np

HOUR, DAY = 3_600_000_000_000, 86_400_000_000_000
"""Nanoseconds."""
MIN_BLOCKS = 4
"""With fewer blocks than this nothing is known of how they differ."""
_MAX_BLOCKS = 28


def same_hours(times: np.ndarray, start: int, end: int) -> list[np.ndarray]:
    """Find the reference rows at the same hours of earlier days.

    Parameters
    ----------
    times : int64 array, shape (n,), nanoseconds, ascending
    start, end : int
        The stretch of the current window to match, nanoseconds, both inclusive.

    Returns
    -------
    list of int arrays
        Row numbers of each block, newest first; blocks of fewer than 20 rows, and one that begins
        before the first row, are left out.
        Blocks do not overlap: a stretch of more than a day steps by whole days of its length.
    """
    step = DAY * max(1, int(np.ceil((end - start) / DAY)))
    blocks: list[np.ndarray] = []
    back = step
    if not len(times):
        return blocks
    while len(blocks) < _MAX_BLOCKS and start - back >= times[0] - HOUR:
        low = int(np.searchsorted(times, start - back, side="left"))
        high = int(np.searchsorted(times, end - back, side="right"))
        if high - low >= 20:
            blocks.append(np.arange(low, high))
        back += step
    return blocks


def row_blocks(rows: int, size: int) -> list[np.ndarray]:
    """Cut rows that have no times into consecutive blocks of `size` rows, at least four if they allow.

    Returns row numbers, at most 28 blocks; none where blocks would hold fewer than 20 rows.
    """
    size = max(min(size, rows // MIN_BLOCKS), 1)
    starts = range(0, rows - size + 1, size)
    return [np.arange(start, start + size) for start in starts][:_MAX_BLOCKS] if size >= 20 else []


def past_windows(times: np.ndarray, start: int, end: int) -> list[np.ndarray]:
    """Find the rows of earlier windows of the same length and hours, newest first, at most 14.

    Parameters
    ----------
    times : int64 array, shape (n,), nanoseconds, ascending
    start, end : int
        The current window, nanoseconds.
    """
    step = DAY * max(1, round((end - start) / DAY))
    out: list[np.ndarray] = []
    back = step
    while len(out) < 14 and len(times) and start - back >= times[0]:
        low, high = np.searchsorted(times, [start - back, end - back])
        if high - low > 20:
            out.append(np.arange(low, high))
        back += step
    return out


def hour_of(times: np.ndarray) -> np.ndarray:
    """Return the hour of day (0 to 23, UTC) of nanoseconds since 1970, shape (n,)."""
    return (times // HOUR % 24).astype(int)


def by_hour(values: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Mean by hour of day, shape (24,), drawn towards the overall mean where rows are few."""
    return mean_by_hour(values, hour_of(times))


def mean_by_hour(values: np.ndarray, hour: np.ndarray) -> np.ndarray:
    """Do as `by_hour`, where the hours of the rows, 0 to 23, are known already."""
    total = np.bincount(hour, values, 24)
    count = np.bincount(hour, minlength=24)
    overall = values.mean() if len(values) else 0.0
    return (total + 20 * overall) / (count + 20)
