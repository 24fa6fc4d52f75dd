"""Measures of a classifier: from labels, and expected from probabilities of the labels."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy.stats import rankdata

Measure = Literal["auc", "accuracy", "precision", "recall", "f1", "log_loss"]
MEASURES: tuple[Measure, ...] = ("auc", "accuracy", "precision", "recall", "f1", "log_loss")
# Of these a larger value is worse.
LOWER_IS_BETTER: frozenset[Measure] = frozenset({"log_loss"})


def measures(
    labels: np.ndarray, score: np.ndarray, decision: np.ndarray | None = None
) -> dict[Measure, np.ndarray]:
    """Measure how well scores and decisions fit labels, for many sets of labels at once.

    Parameters
    ----------
    labels : bool array, shape (m, n)
    score : float array, shape (n,)
        Higher for the positive class. A log loss needs scores in [0, 1].
    decision : bool array, shape (n,), or None
        Without it the measures of decisions are left out.

    Returns
    -------
    dict of measure to float array, shape (m,)
        NaN where a measure has no meaning, such as an AUC with one class.
    """
    y = np.asarray(labels, dtype=float)
    n, positive = y.shape[1], y.sum(axis=1)
    out: dict[Measure, np.ndarray] = {}
    with np.errstate(invalid="ignore", divide="ignore"):
        above = y @ rankdata(score) - positive * (positive + 1) / 2
        out["auc"] = above / (positive * (n - positive))
        if decision is not None:
            out |= _decisions(y @ decision.astype(float), positive, float(decision.sum()), n)
    if _probabilities(score):
        yes, no = _log_scores(score)
        out["log_loss"] = -(y @ yes + (1 - y) @ no) / n
    return out


def expected(
    probability: np.ndarray, score: np.ndarray, decision: np.ndarray | None = None
) -> dict[Measure, float]:
    """Expect the measures from each row's probability to be positive.

    Ratios are ratios of expectations, which for hundreds of rows differ from the expectation of the
    ratio by less than a thousandth.

    Parameters
    ----------
    probability : float array, shape (n,), in [0, 1]
    score, decision
        As for `measures`.

    Returns
    -------
    dict of measure to float
        NaN as for `measures`.
    """
    p, n = np.asarray(probability, dtype=float), len(probability)
    out: dict[Measure, float] = {"auc": _expected_auc(p, score)}
    positive = p.sum()
    with np.errstate(invalid="ignore", divide="ignore"):
        if decision is not None:
            found = _decisions(
                np.array(p @ decision.astype(float)), positive, float(decision.sum()), n
            )
            out |= {name: float(value) for name, value in found.items()}
    if _probabilities(score):
        yes, no = _log_scores(score)
        out["log_loss"] = float(-(p @ yes + (1 - p) @ no) / n)
    return out


def _expected_auc(p: np.ndarray, score: np.ndarray) -> float:
    """Divide the expected pairs in order by the expected pairs; a row is no pair with itself."""
    _, group = np.unique(score, return_inverse=True)
    yes, no = np.bincount(group, p), np.bincount(group, 1 - p)
    itself = float(p @ (1 - p))
    ordered = float(yes @ (np.cumsum(no) - no + no / 2)) - itself / 2
    pairs = float(yes.sum() * no.sum()) - itself
    return ordered / pairs if pairs > 1e-9 else float("nan")


def _decisions(
    hits: np.ndarray, positive: np.ndarray, decided: float, n: int
) -> dict[Measure, np.ndarray]:
    return {
        "accuracy": (n - positive - decided + 2 * hits) / n,
        "precision": hits / np.float64(decided),
        "recall": hits / positive,
        "f1": 2 * hits / (positive + decided),
    }


def _probabilities(score: np.ndarray) -> bool:
    return bool(len(score) and score.min() >= 0 and score.max() <= 1)


def _log_scores(score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    # The smallest step of a double: a score of exactly 0 or 1 must not make the loss infinite.
    s = np.clip(score, np.finfo(float).eps, 1 - np.finfo(float).eps)
    return np.log(s), np.log1p(-s)
