"""Whether two columns were swapped, told by how they hang together with others: their ranges may overlap."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

_CHANCE = 4.0
"""Standard errors of a correlation that relations have to move to count."""
_MOST = 30


def swapped_relations(
    reference: pd.DataFrame, current: pd.DataFrame
) -> list[tuple[str, str, float]]:
    """Find pairs of columns that carry each other's relations to all other columns.

    Parameters
    ----------
    reference, current : DataFrame of numbers, at least three columns, alike in both

    Returns
    -------
    list of (left, right, distance)
        Distance is what is left of the change of relations once crossed, a mean absolute difference of
        rank correlations [0, 2]; at most a third of that as they stand, which is at least four standard
        errors. Best first; what crossing the first ones back explains is not listed again.
    """
    names = list(reference.columns)[:_MOST]
    if len(names) < 3 or min(len(reference), len(current)) < 100:
        return []
    old = _relations(reference[names])
    new = _relations(current[names])
    error = float(np.sqrt(1 / len(reference) + 1 / len(current)))
    out: list[tuple[str, str, float]] = []
    # Crossing one pair back may explain what looks like another: one at a time.
    while (best := _best(old, new, _CHANCE * error)) is not None and len(out) < len(names) // 2:
        gap, i, j = best
        out.append((names[i], names[j], gap))
        back = np.arange(len(names))
        back[[i, j]] = j, i
        new = new[np.ix_(back, back)]
    return out


def _best(old: np.ndarray, new: np.ndarray, chance: float) -> tuple[float, int, int] | None:
    """Return (distance once crossed, column, column) of the pair that crossing explains best."""
    width = len(old)
    found = []
    for i in range(width):
        for j in range(i + 1, width):
            rest = [k for k in range(width) if k not in (i, j)]
            straight = np.abs(np.r_[new[i, rest] - old[i, rest], new[j, rest] - old[j, rest]])
            crossed = np.abs(np.r_[new[i, rest] - old[j, rest], new[j, rest] - old[i, rest]])
            # The relation that moved most has to be beyond chance, both columns' alike.
            clear = min(straight[: len(rest)].max(), straight[len(rest) :].max()) > chance
            if clear and crossed.mean() <= straight.mean() / 3:
                found.append((float(crossed.mean()), i, j))
    return min(found, default=None)


def _relations(frame: pd.DataFrame) -> np.ndarray:
    """Rank correlations of all pairs, shape (k, k); 0 where one cannot be told."""
    ranks = frame.rank().corr().to_numpy()
    known: np.ndarray = np.nan_to_num(np.asarray(ranks, dtype="float64"))
    return known
