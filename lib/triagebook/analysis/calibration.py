"""What a score used to mean: the label to expect of it, how well it ranks, and what a decision costs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Calibration:
    """Expected label given the score, learned on the reference.

    Attributes
    ----------
    knots, levels : float array, shape (k,)
        Mean score and mean label of bins of equal size; in between it is linear.
    """

    knots: np.ndarray
    levels: np.ndarray

    @classmethod
    def fit(cls, score: np.ndarray, label: np.ndarray, most: int = 20) -> Calibration | None:
        """Learn from reference rows.

        Parameters
        ----------
        score, label : float array, shape (n,)
            Finite; fewer than 50 rows give None.
        most : int
            Bins at most; each has 50 rows or more.
        """
        n = len(score)
        if n < 50:
            return None
        bins = max(min(most, n // 50), 1)
        order = np.argsort(score, kind="stable")
        group = np.empty(n, dtype=np.int64)
        group[order] = np.arange(n) * bins // n
        # Rows of one score belong together: the bin of the first of them.
        values, first = np.unique(score, return_inverse=True)
        lowest = np.full(len(values), bins)
        np.minimum.at(lowest, first, group)
        group = lowest[first]
        size = np.bincount(group, minlength=bins)
        there = size > 0
        knots = np.bincount(group, score, bins)[there] / size[there]
        levels = np.bincount(group, label, bins)[there] / size[there]
        return cls(knots, levels)

    def expected(self, score: np.ndarray) -> np.ndarray:
        """Return the expected label of each score, shape (n,); flat beyond the outermost bins."""
        return np.asarray(np.interp(score, self.knots, self.levels))


def auc(score: np.ndarray, label: np.ndarray) -> float:
    """Area under the ROC curve, in [0, 1]; NaN where only one class is there.

    References
    ----------
    Mann, H. B. and Whitney, D. R. (1947); ties count half.
    """
    positive = label > 0.5
    m, n = int(positive.sum()), int((~positive).sum())
    if m == 0 or n == 0:
        return float("nan")
    _, group, size = np.unique(score, return_inverse=True, return_counts=True)
    rank = np.cumsum(size) - (size - 1) / 2
    return float((rank[group][positive].sum() - m * (m + 1) / 2) / (m * n))


def auc_error(value: float, positives: int, negatives: int) -> float:
    """Return the standard error of an area under the ROC curve.

    References
    ----------
    Hanley, J. A. and McNeil, B. J. (1982), The meaning and use of the area under a ROC curve.
    """
    if positives < 1 or negatives < 1:
        return 1.0
    a = min(max(value, 0.5), 1 - 1e-6)
    q1, q2 = a / (2 - a), 2 * a * a / (1 + a)
    spread = a * (1 - a) + (positives - 1) * (q1 - a * a) + (negatives - 1) * (q2 - a * a)
    return float(np.sqrt(max(spread, 0.0) / (positives * negatives)))


def expected_auc(score: np.ndarray, expected: np.ndarray) -> float:
    """Area under the ROC curve that rows would have if each label came as `expected` says.

    Parameters
    ----------
    score, expected : float array, shape (n,)
        `expected` in [0, 1]. NaN where it is all one class.
    """
    order = np.argsort(score, kind="stable")
    p = np.clip(expected[order], 0.0, 1.0)
    negative = 1 - p
    below = np.cumsum(negative) - negative / 2
    total = p.sum() * negative.sum()
    return float((p * below).sum() / total) if total > 0 else float("nan")


def prior_from_scores(
    score: np.ndarray, reference: np.ndarray, label: np.ndarray, bins: int = 20
) -> tuple[float, float]:
    """Estimate the base rate from scores alone, as if only the base rate had changed.

    Parameters
    ----------
    score : float array, shape (n,)
        Scores of now.
    reference, label : float array, shape (m,)
        Scores and labels (0 or 1) of the reference.

    Returns
    -------
    (rate, error)
        The estimate in [0, 1] with its standard error.

    References
    ----------
    Saerens, M., Latinne, P. and Decaestecker, C. (2002), Adjusting the outputs of a classifier to new
    a priori probabilities: expectation maximisation, here on binned scores.
    """
    edges = np.unique(np.quantile(reference, np.linspace(0, 1, bins + 1)[1:-1]))
    k = len(edges) + 1
    now = np.bincount(np.searchsorted(edges, score), minlength=k).astype(float)
    code = np.searchsorted(edges, reference)
    one = np.bincount(code[label > 0.5], minlength=k) + 0.5
    nought = np.bincount(code[label <= 0.5], minlength=k) + 0.5
    f1, f0 = one / one.sum(), nought / nought.sum()
    rate = float(np.mean(label > 0.5))
    for _ in range(200):
        weight = rate * f1 / (rate * f1 + (1 - rate) * f0)
        new = float((now * weight).sum() / max(now.sum(), 1.0))
        if abs(new - rate) < 1e-6:
            break
        rate = new
    mix = rate * f1 + (1 - rate) * f0
    information = float((now * ((f1 - f0) / mix) ** 2).sum())
    return rate, float(1 / np.sqrt(max(information, 1e-9)))
