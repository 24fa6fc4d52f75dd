"""Which of two scores of the same rows the outcomes follow: the test of forecast encompassing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_RIDGE = np.array([1e-6, 0.01, 0.01])
"""Keeps the fit finite where the outcomes are parted by a score; too weak to matter elsewhere."""


@dataclass(frozen=True)
class Encompassing:
    """How much of each score the outcomes take, each score's log-odds beside the other's.

    Attributes
    ----------
    old, new : float
        Weight of each score's log-odds; a score that is right and tells all has 1 and leaves 0.
    z : float
        Standard errors by which the old one's weight exceeds the new one's: above 0 the outcomes follow
        the old score.
    rows : int
    """

    old: float
    new: float
    z: float
    rows: int


def encompassing(outcomes: np.ndarray, old: np.ndarray, new: np.ndarray) -> Encompassing | None:
    """Ask whether outcomes follow the old score or the new one.

    Both enter one logistic regression with an intercept of its own. A day on which fewer outcomes are
    positive than either expects, which squared errors hold against the higher score, changes nothing.

    Parameters
    ----------
    outcomes : float array, shape (n,), 0 or 1
    old, new : float array, shape (n,)
        Probabilities that each score gives, calibrated alike.

    Returns
    -------
    Encompassing or None
        None with fewer than 20 outcomes of either kind, or where the scores are one.

    References
    ----------
    Harvey, Leybourne and Newbold (1998), Tests for forecast encompassing; with log-odds as in Clements and
    Harvey (2010), Forecast encompassing tests and probability forecasts.
    """
    y = np.asarray(outcomes, dtype="float64")
    if min(y.sum(), len(y) - y.sum()) < 20:
        return None
    x = np.column_stack([np.ones(len(y)), _odds(old), _odds(new)])
    if float(np.std(x[:, 1] - x[:, 2])) < 1e-3:
        return None
    w = np.zeros(3)
    for _ in range(30):
        p = 1 / (1 + np.exp(-np.clip(x @ w, -30, 30)))
        curvature = x.T @ (x * (p * (1 - p))[:, None]) + np.diag(_RIDGE)
        step = np.linalg.solve(curvature, x.T @ (y - p) - _RIDGE * w)
        w = w + np.clip(step, -2, 2)
        if float(np.abs(step).max()) < 1e-8:
            break
    covariance = np.linalg.inv(curvature)
    error = float(np.sqrt(covariance[1, 1] + covariance[2, 2] - 2 * covariance[1, 2]))
    return Encompassing(float(w[1]), float(w[2]), float(w[1] - w[2]) / max(error, 1e-9), len(y))


def _odds(probability: np.ndarray) -> np.ndarray:
    p = np.clip(np.asarray(probability, dtype="float64"), 1e-3, 1 - 1e-3)
    return np.asarray(np.log(p / (1 - p)))
