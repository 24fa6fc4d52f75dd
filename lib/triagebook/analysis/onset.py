"""When it started: one change point with an interval, from rows in time order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Split:
    """A change point.

    Attributes
    ----------
    index, low, high : int
        First row of the new regime, with the earliest and latest row it may be.
    time : int
        Nanoseconds since 1970 of row `index`.
    strength : float
        Nats that the split explains.
    time_low, time_high : int
        The interval in nanoseconds: from the last row that is surely old to the last that may be
        the first new one.
    """

    index: int
    low: int
    high: int
    time: int
    strength: float
    time_low: int
    time_high: int


def split_by_mean(
    values: np.ndarray, spread: float | None = None, margin: int = 10
) -> tuple[int, float] | None:
    """Find the row where the mean changes most.

    Parameters
    ----------
    values : float array, shape (n,), in time order
    spread : float or None
        Standard deviation to measure by, such as the reference's; None takes the values' own.
    margin : int
        Rows at either end that cannot be a split.

    Returns
    -------
    (index, strength) or None
        Strength is the two-sample z of the means before and after; None for too few rows or no
        spread.

    References
    ----------
    Page, E. S. (1954), Continuous inspection schemes; the maximum of the cumulative sum.
    """
    n = len(values)
    if n < 2 * margin + 2:
        return None
    spread = float(values.std()) if spread is None else spread
    if spread < 1e-12:
        return None
    sums = np.cumsum(values - values.mean())[:-1]
    k = np.arange(1, n)
    z = np.abs(sums) / (spread * np.sqrt(k * (n - k) / n))
    z[: margin - 1] = 0
    z[n - margin :] = 0
    index = int(np.argmax(z)) + 1
    return index, float(z[index - 1])


def split_by_likelihood(
    reference: np.ndarray,
    codes: np.ndarray,
    times: np.ndarray,
    start: int,
    bins: int,
    drop_nats: float = 4.0,
) -> Split:
    """Sharpen a first guess: the row from which the new distribution explains the rows better.

    Parameters
    ----------
    reference, codes : int arrays, shape (n_ref,), (n,)
        Bin numbers; -1 is null and counts as a bin.
    times : int64 array, shape (n,), nanoseconds, ascending
    start : int
        The first guess.
    bins : int
        Number of bins.
    drop_nats : float
        Rows whose log-likelihood lies within this of the best are in the interval.

    Returns
    -------
    Split
    """
    group = _groups(reference, bins)
    ref_counts = np.bincount(group[reference], minlength=group.max() + 1)
    old = (ref_counts + 0.5) / (ref_counts.sum() + 0.5 * len(ref_counts))
    index = start
    profile = np.zeros(len(codes) + 1)
    for _ in range(4):
        after = np.bincount(group[codes[index:]], minlength=len(ref_counts))
        # Half a row of the old mix in each bin keeps a bin with no new rows from ruling out anything.
        new = (after + 5 * old) / (after.sum() + 5)
        gain = np.log(new / old)[group[codes]]
        profile = np.concatenate((np.cumsum(gain[::-1])[::-1], [0.0]))
        best = int(np.argmax(profile[:-1]))
        if best == index:
            break
        index = best
    near = np.flatnonzero(profile[:-1] >= profile[index] - drop_nats)
    low, high = int(near.min()), int(near.max())
    # Rows that share a time arrived together: the change cannot lie between them.
    first = int(np.searchsorted(times, times[index], side="left"))
    return Split(
        index=first,
        low=low,
        high=high,
        time=int(times[first]),
        strength=float(profile[index]),
        time_low=int(times[max(low - 1, 0)]),
        time_high=int(times[high]),
    )


def _groups(reference: np.ndarray, bins: int, groups: int = 16) -> np.ndarray:
    """Map bins to about `groups` groups of equal share; unseen and null bins keep groups of their own.

    The result has shape (bins + 1,); its last entry serves bin -1 (null).
    """
    counts = np.bincount(reference[reference >= 0], minlength=bins)
    share = counts / max(counts.sum(), 1)
    group = np.minimum((np.cumsum(share) - share / 2) * groups, groups - 1).astype(int)
    if counts[0] == 0:
        group[0] = groups
    if counts[-1] == 0:
        group[-1] = groups + 1
    return np.append(group, groups + 2)
