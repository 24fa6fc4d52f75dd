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
        errors. Best first, each column once.
    """
    names = list(reference.columns)[:_MOST]
    if len(names) < 3 or min(len(reference), len(current)) < 100:
        return []
    old = _relations(reference[names])
    new = _relations(current[names])
    error = float(np.sqrt(1 / len(reference) + 1 / len(current)))
    found = []
    for i in range(len(names)):
        for j in range(i + 1, len(names)):
            rest = [k for k in range(len(names)) if k not in (i, j)]
            straight = np.abs(np.r_[new[i, rest] - old[i, rest], new[j, rest] - old[j, rest]])
            crossed = np.abs(np.r_[new[i, rest] - old[j, rest], new[j, rest] - old[i, rest]])
            # The relation that moved most has to be beyond chance, both columns' alike.
            clear = min(straight[: len(rest)].max(), straight[len(rest) :].max()) > _CHANCE * error
            if clear and crossed.mean() <= straight.mean() / 3:
                found.append((float(crossed.mean()), names[i], names[j]))
    out: list[tuple[str, str, float]] = []
    taken: set[str] = set()
    for gap, left, right in sorted(found):
        if not {left, right} & taken:
            out.append((left, right, gap))
            taken |= {left, right}
    return out


def _relations(frame: pd.DataFrame) -> np.ndarray:
    """Rank correlations of all pairs, shape (k, k); 0 where one cannot be told."""
    ranks = frame.rank().corr().to_numpy()
    known: np.ndarray = np.nan_to_num(np.asarray(ranks, dtype="float64"))
    return known
