"""Whether a local clock moved against UTC: read off the rows, not off a profile of the day."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from triagebook.analysis.blocks import HOUR

_USUAL = 0.01
_AGREE = 0.8
_LEAST_ROWS = 20
_DAY_H = 24
_TOLD = 0.95


@dataclass(frozen=True)
class ClockShift:
    """From row `index` on, local times are `hours` off.

    Attributes
    ----------
    hours : int
        What was added, from -12 to 12.
    index : int
        First row of the current window that is off.
    share : float
        Share of the rows from there on that are off by just so much, [0, 1].
    """

    hours: int
    index: int
    share: float


def clock_shift(reference: np.ndarray, current: np.ndarray) -> ClockShift | None:
    """Find from which row on local time stands at another distance from UTC than it ever did.

    Parameters
    ----------
    reference, current : float arrays, shape (n,), (m,)
        Local time minus UTC in hours, in the order of rows; NaN where one is missing.

    Returns
    -------
    ClockShift or None
        None with fewer than 20 rows off; where the reference knows all distances; where no one number
        of hours explains four fifths of them; or where it is one hour, which summer time may be.
    """
    old = np.round(reference[np.isfinite(reference)])
    there = np.flatnonzero(np.isfinite(current))
    new = np.round(current[there])
    if len(old) < 40 or len(new) < _LEAST_ROWS:
        return None
    values, counts = np.unique(old, return_counts=True)
    usual = values[counts >= _USUAL * len(old)]
    odd = ~np.isin(new, usual)
    if odd.sum() < _LEAST_ROWS:
        return None
    # The cut after which rows are off and before which they are not, that misplaces fewest rows.
    wrong = np.cumsum(np.append(0, odd)) + np.append(np.cumsum(~odd[::-1])[::-1], 0)
    first = int(np.argmin(wrong))
    late = new[first:]
    if not len(late) or odd[first:].mean() < _AGREE:
        return None
    shares = [(float(np.isin(late - hours, usual).mean()), -abs(hours), hours) for hours in _HOURS]
    share, _, hours = max(shares)
    if share < _AGREE or abs(hours) <= 1:
        return None
    return ClockShift(hours, int(there[first]), share)


_HOURS = [hours for hours in range(-12, 13) if hours]


def told_by_time(
    reference: np.ndarray,
    reference_times: np.ndarray,
    current: np.ndarray,
    current_times: np.ndarray,
) -> bool:
    """Whether a column is the hour of its rows' own times, then and now: it moves as rows come and go.

    Parameters
    ----------
    reference, current : float arrays, shape (n,), (m,)
        The column; NaN left out.
    reference_times, current_times : int64 arrays, nanoseconds

    Returns
    -------
    bool
        True where values are whole hours of the day that differ from the hour of the time by the same
        number, or one more or less (summer time, rows that were written an hour later), in 95 % of
        the rows of either side. A clock that is off by more is told by no time.
    """
    modes = []
    for column, at in ((reference, reference_times), (current, current_times)):
        here = np.isfinite(column)
        values, times = column[here], at[here]
        whole = (values == np.floor(values)) & (values >= 0) & (values < _DAY_H)
        if len(values) < _LEAST_ROWS or not whole.all() or np.ptp(values) < _DAY_H / 3:
            return False
        gap = (values.astype(np.int64) - times // HOUR) % _DAY_H
        count = np.bincount(gap, minlength=_DAY_H)
        around = count + np.roll(count, 1) + np.roll(count, -1)
        modes.append(int(np.argmax(count)))
        if around[modes[-1]] < _TOLD * len(values):
            return False
    apart = (modes[1] - modes[0]) % _DAY_H
    return apart in (0, 1, _DAY_H - 1)
