"""How long a run should take by the rows it had to do."""

from __future__ import annotations

import numpy as np
from scipy.stats import theilslopes

_LEAST_RUNS = 20
_MOST_RUNS = 400
"""The newest runs; a line through more is no better, and its slopes are as many as pairs of runs."""


def rows_between(times: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Count the rows from each run's start back to the start of the run before.

    Parameters
    ----------
    times : int64 array, nanoseconds, ascending
        Of rows.
    starts : int64 array, shape (n,), nanoseconds, ascending
        Of one task's runs.

    Returns
    -------
    float array, shape (n,)
        NaN for the first run, which has none before it, and for runs that begin before the first row.
    """
    at = np.searchsorted(times, starts)
    rows = np.append(np.nan, np.diff(at).astype(np.float64))
    if len(times):
        rows[np.append(True, starts[:-1] < times[0])] = np.nan
    return rows


def usual_seconds(rows: np.ndarray, seconds: np.ndarray, now: np.ndarray) -> np.ndarray | None:
    """Tell how long runs of so many rows take by the line of those before; None where rows do not tell.

    Parameters
    ----------
    rows, seconds : float array, shape (n,)
        Of runs that went well; those with NaN are left out.
    now : float array, shape (m,)
        Rows of the runs to be judged; NaN gives NaN.

    Returns
    -------
    float array, shape (m,), or None
        None with fewer than 20 runs, or where the slope may as well be none (95 %).

    References
    ----------
    Sen (1968), Estimates of the regression coefficient based on Kendall's tau.
    """
    here = np.isfinite(rows) & np.isfinite(seconds)
    rows, seconds = rows[here][-_MOST_RUNS:], seconds[here][-_MOST_RUNS:]
    if len(rows) < _LEAST_RUNS or np.ptp(rows) == 0:
        return None
    line = theilslopes(seconds, rows, 0.95)
    if line.low_slope <= 0:
        return None
    out: np.ndarray = line.intercept + line.slope * now
    return out
