"""Numbers that others of their row foretell: cells that agree with none of them."""

from __future__ import annotations

import numpy as np

_RELATED = 0.8
"""Correlation (of ranks and of values) from which one column foretells another."""
_MOST = 6


def disagreements(
    reference: np.ndarray, current: np.ndarray
) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Measure how far each number lies from what its nearest related column foretells.

    Parameters
    ----------
    reference, current : float arrays, shape (n, columns), (m, columns); NaN where there is none

    Returns
    -------
    dict of column to (distances in the reference, distances now)
        In standard deviations of the residual, the smallest over at least two related columns: a cell
        that agrees with one of them is right, whichever of the others is wrong. NaN where no two
        related numbers are there. Columns with fewer than two related ones are left out.

    References
    ----------
    Rousseeuw and Van den Bossche (2018), Detecting Deviating Data Cells: each cell is foretold by the
    columns related to it, so that one wrong cell does not cast doubt on its row.
    """
    width = reference.shape[1]
    near: dict[int, list[tuple[float, int]]] = {}
    for left in range(width):
        for right in range(width):
            if left == right:
                continue
            strength = _correlation(reference[:, left], reference[:, right])
            if strength >= _RELATED:
                near.setdefault(left, []).append((-strength, right))
    out: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for column, others in near.items():
        best = [other for _, other in sorted(others)[:_MOST]]
        if len(best) < 2:
            continue
        before: list[np.ndarray] = []
        now: list[np.ndarray] = []
        for other in best:
            line = _line(reference[:, other], reference[:, column])
            for rows, kept in ((reference, before), (current, now)):
                off = rows[:, column] - (line[0] * rows[:, other] + line[1])
                # A line says nothing beyond the numbers it was drawn through.
                beyond = (rows[:, other] < line[3]) | (rows[:, other] > line[4])
                kept.append(np.where(beyond, np.nan, np.abs(off) / line[2]))
        out[column] = _least(before), _least(now)
    return out


def _least(distances: list[np.ndarray]) -> np.ndarray:
    """Return the smallest distance of each row; NaN where fewer than two are known."""
    stacked = np.array(distances)
    there = np.isfinite(stacked)
    least = np.where(there, stacked, np.inf).min(axis=0)
    return np.where(there.sum(axis=0) >= 2, least, np.nan)


def _correlation(left: np.ndarray, right: np.ndarray) -> float:
    both = np.isfinite(left) & np.isfinite(right)
    if both.sum() < 50:
        return 0.0
    x, y = left[both], right[both]
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    return abs(float(np.corrcoef(x, y)[0, 1]))


def _line(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float, float, float]:
    """Slope, intercept, spread of the residual, and the range of x."""
    both = np.isfinite(x) & np.isfinite(y)
    slope, level = np.polyfit(x[both], y[both], 1)
    left = y[both] - (slope * x[both] + level)
    spread = max(float(left.std()), 1e-9 * float(np.abs(y[both]).max()), 1e-300)
    return float(slope), float(level), spread, float(x[both].min()), float(x[both].max())
