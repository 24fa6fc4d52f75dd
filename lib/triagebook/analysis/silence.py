"""When nothing happens for too long: bursts that stay away, values that do not move any more."""

from __future__ import annotations

import numpy as np
import pandas as pd

from triagebook.analysis.expected import WARM_UP, Expectation, Rhythm

# A tenth of the usual span tells rest from work.
_AT_REST = 0.1
# A series works in bursts where it rests three quarters of the time; others have no silence.
_MOST_ACTIVE = 0.25
# So many rests must have ended before one can be called too long, and it must last a day, since a
# night's rest is ordinary, and be longer than the longest one by a margin.
_RESTS_SEEN = 8
_SHORTEST_S = 86_400
_SHORTEST_ROWS = 200
_LONGER = 1.3
# An unchanged value is said to be stuck at twice the longest run before and twenty rows.
_STUCK_LONGER = 2
_STUCK_ROWS = 20


def silent(values: np.ndarray, expected: Expectation, rhythm: Rhythm) -> np.ndarray:
    """Find rows at which a series that works in bursts has rested longer than ever before.

    Parameters
    ----------
    values : float array, shape (n,), finite
    expected : Expectation
    rhythm : Rhythm

    Returns
    -------
    int array
        One row a silence: the first at which it is too long.
    """
    active = np.nan_to_num(np.abs(values - expected.usual)) > _AT_REST * np.nan_to_num(
        expected.span, nan=np.inf
    )
    share = (
        pd.Series(active, dtype=float)
        .shift(1)
        .rolling(rhythm.memory, min_periods=WARM_UP)
        .mean()
        .to_numpy()
    )
    least = max(_SHORTEST_ROWS, round(_SHORTEST_S / rhythm.step_s))
    out, longest, before = [], 0, 0
    for start, end in _runs(~active):
        # Until the first burst nobody knows what rest is.
        if before >= _RESTS_SEEN:
            row = start + max(least, int(_LONGER * longest) + 1) - 1
            if row < end and share[row] < _MOST_ACTIVE:
                out.append(row)
        if start > 0:
            longest, before = max(longest, end - start), before + 1
    return np.array(out, dtype=int)


def stuck(values: np.ndarray) -> np.ndarray:
    """Find rows at which a value has not changed for far longer than ever before.

    Parameters
    ----------
    values : float array, shape (n,), finite

    Returns
    -------
    int array
        One row a run. A series that never moved has none: there it is no news.
    """
    same = np.r_[False, np.diff(values) == 0]
    changes = np.cumsum(~same)
    out, longest = [], 1
    for start, end in _runs(same):
        # `start` is the second row of the run of equal values.
        row = start - 1 + _STUCK_LONGER * longest + _STUCK_ROWS
        if row < end and changes[start] > WARM_UP:
            out.append(row)
        longest = max(longest, end - start + 1)
    return np.array(out, dtype=int)


def _runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """List the runs of true values as (first row, row after the last)."""
    edges = np.diff(np.r_[0, mask.astype(np.int8), 0])
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    return list(zip(starts.tolist(), ends.tolist(), strict=True))
