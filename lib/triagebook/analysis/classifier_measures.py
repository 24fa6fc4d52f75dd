"""Measures of a model: from labels, expected from probabilities of the labels, and when one is bad."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy.stats import rankdata

Measure = Literal["auc", "accuracy", "precision", "recall", "f1", "log_loss"]
MEASURES: tuple[Measure, ...] = ("auc", "accuracy", "precision", "recall", "f1", "log_loss")
ErrorMeasure = Literal["mae", "rmse"]
# Of these a larger value is worse.
LOWER_IS_BETTER: frozenset[str] = frozenset({"log_loss", "mae", "rmse"})
# A spread of fewer chunks is no spread.
LEAST_CHUNKS = 5
_SDS = 3.0


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
    probability: np.ndarray,
    score: np.ndarray,
    decision: np.ndarray | None = None,
    weight: np.ndarray | None = None,
) -> dict[Measure, float]:
    """Expect the measures from each row's probability to be positive.

    Ratios are ratios of expectations, which for hundreds of rows differ from the expectation of the
    ratio by less than a thousandth. With labels (0, 1) as probabilities they are the measures.

    Parameters
    ----------
    probability : float array, shape (n,), in [0, 1]
    score, decision
        As for `measures`.
    weight : float array, shape (n,), or None
        What each row counts, >= 0; None counts each as one.

    Returns
    -------
    dict of measure to float
        NaN as for `measures`.
    """
    p = np.asarray(probability, dtype=float)
    w = np.ones(len(p)) if weight is None else weight
    whole, positive = float(w.sum()), float(w @ p)
    out: dict[Measure, float] = {"auc": _expected_auc(p, score, w)}
    if decision is not None:
        decided = decision.astype(float)
        with np.errstate(invalid="ignore", divide="ignore"):
            found = _decisions(
                np.array((w * p) @ decided), np.array(positive), float(w @ decided), whole
            )
        out |= {name: float(value) for name, value in found.items()}
    if _probabilities(score):
        yes, no = _log_scores(score)
        out["log_loss"] = float(-((w * p) @ yes + (w * (1 - p)) @ no) / whole)
    return out


def limit(measure: str, reference: float, chunks: np.ndarray) -> float | None:
    """Return the value beyond which a measure is bad: three standard deviations of the chunks away.

    Parameters
    ----------
    measure : str
    reference : float
        The measure on the whole reference.
    chunks : float array
        The measure on consecutive chunks of the reference; NaN is left out.

    Returns
    -------
    float or None
        None with fewer than five chunks.
    """
    values = chunks[np.isfinite(chunks)]
    if len(values) < LEAST_CHUNKS:
        return None
    worse = 1 if measure in LOWER_IS_BETTER else -1
    return reference + worse * _SDS * float(values.std())


def is_drop(measure: str, value: float, threshold: float) -> bool:
    """Say whether a value is worse than the threshold; at the threshold it is not."""
    return value > threshold if measure in LOWER_IS_BETTER else value < threshold


def _expected_auc(p: np.ndarray, score: np.ndarray, weight: np.ndarray) -> float:
    """Divide the expected pairs in order by the expected pairs; a row is no pair with itself."""
    _, group = np.unique(score, return_inverse=True)
    yes, no = np.bincount(group, weight * p), np.bincount(group, weight * (1 - p))
    itself = float((weight * p) @ (weight * (1 - p)))
    ordered = float(yes @ (np.cumsum(no) - no + no / 2)) - itself / 2
    pairs = float(yes.sum() * no.sum()) - itself
    return ordered / pairs if pairs > 1e-9 else float("nan")


def _decisions(
    hits: np.ndarray, positive: np.ndarray, decided: float, n: float
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
