"""What a metric's last rows and the same hours of earlier days lead one to expect of its next row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

DAY_NS = 86_400 * 10**9

# A row is not judged before so many others were seen; the step between rows is learnt from them too.
WARM_UP = 20
# "A moment ago" is the median of so many rows: a spike of up to five rows does not move it.
RECENT_ROWS = 12
# The memory: a week holds each weekday once. Hourly series need more rows for a tail to be seen at
# all, and finer steps than a minute add cost without adding days.
MEMORY_DAYS = 7
MEMORY_ROWS = (400, 10_080)
# What comes every day may come a little earlier or later.
SLACK_S = 600
# Usual level of an hour: the last week. Repeated excess: two weeks, so that each weekday is there twice.
LEVEL_DAYS = 7
REPEAT_DAYS = 14


@dataclass(frozen=True)
class Rhythm:
    """How a series is sampled, learnt from its first rows.

    Attributes
    ----------
    step_s : float
        Usual seconds between rows, > 0.
    memory : int
        Rows that judge a new one.
    slack : int
        Rows by which a daily event may be early or late.
    daily : bool
        Whether a day holds enough rows (4) for its hours to be told apart.
    """

    step_s: float
    memory: int
    slack: int
    daily: bool

    @classmethod
    def of(cls, times: np.ndarray) -> Rhythm:
        """Learn it from the first rows alone, so that later rows never change an earlier verdict.

        Parameters
        ----------
        times : int64 array, shape (n,), nanoseconds, ascending
        """
        steps = np.diff(times[: WARM_UP + 1]) / 1e9
        steps = steps[steps > 0]
        step = float(np.median(steps)) if len(steps) else 60.0
        day = DAY_NS / 1e9 / step
        return cls(
            step_s=step,
            memory=int(np.clip(MEMORY_DAYS * day, *MEMORY_ROWS)),
            slack=max(1, round(SLACK_S / step)),
            daily=day >= 4,
        )


@dataclass(frozen=True)
class Expectation:
    """The range in which each row was expected, from rows before it alone.

    Attributes
    ----------
    low, high : float arrays, shape (n,)
        Between the level of a moment ago and that of the same hour on earlier days: a step back to
        the usual level, or the daily rise, leaves neither. NaN for the first rows.
    usual : float array, shape (n,)
        Median of the memory.
    span : float array, shape (n,)
        From the 1st to the 99th percentile of the memory.
    """

    low: np.ndarray
    high: np.ndarray
    usual: np.ndarray
    span: np.ndarray


def expectation(times: np.ndarray, values: np.ndarray, rhythm: Rhythm, lag: int = 1) -> Expectation:
    """Say of each row what its past leads one to expect.

    Parameters
    ----------
    times : int64 array, shape (n,), nanoseconds, ascending
    values : float array, shape (n,), finite
    rhythm : Rhythm
    lag : int
        Rows that a value stands for, where values are means of the last so many rows: the newest
        that is compared with shares none of them.
    """
    past = pd.Series(values).shift(lag)
    memory = past.rolling(rhythm.memory, min_periods=2)
    usual = memory.median().to_numpy()
    recent = past.rolling(RECENT_ROWS * lag, min_periods=2).median().to_numpy()
    hourly = usual
    if rhythm.daily and len(values):
        around = _around(values, rhythm.slack).median().to_numpy()
        lagged = _earlier_days(times, around, rhythm, LEVEL_DAYS)
        seen = ~np.isnan(lagged).all(axis=0)
        hourly = usual.copy()
        hourly[seen] = np.nanmedian(lagged[:, seen], axis=0)
    return Expectation(
        low=np.fmin(recent, hourly),
        high=np.fmax(recent, hourly),
        usual=usual,
        span=(memory.quantile(0.99) - memory.quantile(0.01)).to_numpy(),
    )


def repeated(times: np.ndarray, excess: np.ndarray, rhythm: Rhythm) -> np.ndarray:
    """Find what excess came at this time of the day on at least two of the last days.

    A nightly job is no surprise the third time, whatever the weekday.

    Parameters
    ----------
    times : int64 array, shape (n,), nanoseconds, ascending
    excess : float array, shape (n,), >= 0

    Returns
    -------
    float array, shape (n,)
        The second highest of the daily maxima; 0 with fewer than two days.
    """
    if not rhythm.daily or not len(excess):
        return np.zeros(len(excess))
    peaks = _around(excess, rhythm.slack).max().to_numpy()
    lagged = _earlier_days(times, peaks, rhythm, REPEAT_DAYS)
    second = np.sort(np.nan_to_num(lagged, nan=0.0), axis=0)[-2]
    return np.asarray(second)


def _around(values: np.ndarray, slack: int) -> pd.api.typing.Rolling[pd.Series]:
    return pd.Series(values).rolling(2 * slack + 1, center=True, min_periods=1)


def _earlier_days(times: np.ndarray, around: np.ndarray, rhythm: Rhythm, days: int) -> np.ndarray:
    """Look up each row's time of day on earlier days, shape (days, n), NaN where there was no row.

    By time, not by counting rows: gaps and doubled rows do not shift what follows them.
    """
    n = len(times)
    out = np.full((days, n), np.nan)
    rows = np.arange(n)
    near = (rhythm.slack + 0.5) * rhythm.step_s * 1e9
    for day in range(1, days + 1):
        target = times - day * DAY_NS
        right = np.minimum(np.searchsorted(times, target), n - 1)
        left = np.maximum(right - 1, 0)
        row = np.where(np.abs(times[left] - target) < np.abs(times[right] - target), left, right)
        # The window around the row found must end before the row that is judged.
        known = (np.abs(times[row] - target) <= near) & (row + rhythm.slack < rows)
        if not known.any():
            break
        out[day - 1, known] = around[row[known]]
    return out
