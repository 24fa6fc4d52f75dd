"""Whether rows lie scattered, as broken cells do, or together, as new things do in rows that have an order."""

from __future__ import annotations

import numpy as np
from scipy.stats import chi2

_STRETCHES = 8
_CHANCE = 1e-3


def confined(rows: np.ndarray) -> bool:
    """Tell whether rows lie in one part of the window: within six tenths of it, or in one dense block.

    Parameters
    ----------
    rows : bool array, shape (n,), with at least one True

    Notes
    -----
    Twelve rows scattered by chance lie within six tenths of the window once in a hundred times. All rows
    but a few of the window are no part of it.
    """
    place = np.flatnonzero(rows)
    span = int(place[-1] - place[0]) + 1
    if len(place) >= 12 and span <= 0.6 * len(rows):
        return True
    return len(place) >= 12 and len(place) >= 0.95 * span and span <= 0.98 * len(rows)


def uneven(rows: np.ndarray) -> bool:
    """Tell whether stretches of the window differ in their share of the rows by more than chance.

    Parameters
    ----------
    rows : bool array, shape (n,), with at least one True

    Notes
    -----
    Pearson's chi-squared over eight stretches (four below 40 rows), at one in a thousand.
    """
    stretches = _STRETCHES if int(rows.sum()) >= 40 else _STRETCHES // 2
    stretch = np.arange(len(rows)) * stretches // len(rows)
    there = np.bincount(stretch, minlength=stretches)
    got = np.bincount(stretch, rows.astype(float), stretches)
    share = float(rows.mean())
    if share >= 1:
        return False
    statistic = float(((got - there * share) ** 2 / (there * share * (1 - share))).sum())
    return bool(chi2.sf(statistic, stretches - 1) < _CHANCE)


def grouped(rows: np.ndarray, codes: np.ndarray) -> bool:
    """Tell whether each of few values among the rows comes in a block of its own, as new groups do.

    Parameters
    ----------
    rows : bool array, shape (n,)
    codes : int array, shape (n,)
        The rows' values.
    """
    place = np.flatnonzero(rows)
    values = codes[place]
    distinct = len(np.unique(values))
    blocks = 1 + int(((np.diff(place) > 1) | (np.diff(values) != 0)).sum())
    some = len(place) <= 0.98 * len(rows)
    return some and len(place) >= 4 * distinct and blocks <= 1.5 * distinct


def worst_stretch(rows: np.ndarray, size: int) -> float:
    """Return the largest share of the rows in any stretch of `size` neighbours, [0, 1].

    Parameters
    ----------
    rows : bool array, shape (n,), in time order
    size : int
        Clipped to between 20 rows and a third of all.
    """
    size = max(min(size, len(rows) // 3), 20)
    if len(rows) < size:
        return 0.0
    total = np.concatenate(([0], np.cumsum(rows)))
    return float((total[size:] - total[:-size]).max()) / size


def stretch_limit(before: np.ndarray, size: int, rows: int) -> float:
    """Return the share that no stretch of the past explains: the worst, a quarter more, or chance above.

    Parameters
    ----------
    before : bool array, shape (n_ref,), in time order
        Which rows of the past were so.
    size : int
        Rows of the past that last as long as the rows of now.
    rows : int
        So many rows of now there are.
    """
    worst = worst_stretch(before, size)
    chance = 2 * float(np.sqrt(worst * (1 - worst) / max(rows, 1)))
    return worst + max(0.25 * worst, chance)


def beyond_stretches(before: np.ndarray, size: int, share: float, rows: int) -> bool:
    """Tell whether a share of the rows of now, [0, 1], is more than any stretch of the past explains."""
    return share > stretch_limit(before, size, rows)
