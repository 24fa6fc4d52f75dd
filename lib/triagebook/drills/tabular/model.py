"""A small real model: logistic regression with products, or boosted trees, on numbers and categories."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_IMPORTANCE_ROWS = 1_500


@dataclass
class Scorer:
    """A fitted model.

    Attributes
    ----------
    version : str
    threshold : float
        Above it, the decision is positive.
    inputs : list of str
    importance : dict
        Share of each input in the loss of AUC when it is shuffled; sums to 1.
    """

    version: str
    inputs: list[str]
    numbers: list[str]
    levels: dict[str, list[str]]
    centre: NDArray[np.float64]
    scale: NDArray[np.float64]
    trees: bool
    estimator: Any
    threshold: float = 0.5
    importance: dict[str, float] = field(default_factory=dict)

    def scores(self, features: pd.DataFrame) -> NDArray[np.float64]:
        """Return the probability of a positive outcome, shape (n,); missing columns count as null."""
        return self.of(self.encode(features))

    def of(self, encoded: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probabilities of encoded inputs, shape (n,)."""
        if not len(encoded):
            return np.empty(0)
        return np.asarray(self.estimator.predict_proba(self.widen(encoded))[:, 1])

    def encode(self, features: pd.DataFrame) -> NDArray[np.float64]:
        """Return numbers and codes of categories, shape (n, k); null and unknown values are NaN."""
        numbers = [_number(features, name) for name in self.numbers]
        codes = [_codes(features, name, levels) for name, levels in self.levels.items()]
        return np.column_stack([*numbers, *codes])

    def widen(self, encoded: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what the estimator reads: trees the codes themselves, a line products and dummies.

        To a line, null is the centre, and an unknown category none.
        """
        if self.trees:
            return encoded
        k = len(self.numbers)
        z = np.clip((encoded[:, :k] - self.centre) / self.scale, -4, 4)
        z = np.where(np.isnan(z), 0.0, z)
        rows, cols = np.triu_indices(k, 1)
        hot = [
            encoded[:, [k + at]] == np.arange(len(levels))
            for at, levels in enumerate(self.levels.values())
        ]
        return np.column_stack([z, 0.5 * z[:, rows] * z[:, cols], *hot]).astype("float64")


def fit(
    features: pd.DataFrame,
    outcome: NDArray[np.float64],
    categories: Sequence[str],
    version: str,
    *,
    trees: bool,
    rng: np.random.Generator,
    threshold: float | None = None,
    measure: bool = True,
) -> Scorer:
    """Fit, choose the threshold that flags as many as there are positives, measure importance.

    Parameters
    ----------
    features : DataFrame, shape (n, k)
    outcome : ndarray of 0 and 1, shape (n,)
    categories : sequence of str
        The columns that are categories.
    version : str
    trees : bool
        Boosted trees; otherwise logistic regression with products of the numbers.
    rng : Generator
    threshold : float or None
        To keep an earlier one.
    measure : bool
        Whether to measure importance, which takes longer than the fit.
    """
    numbers = [name for name in features.columns if name not in categories]
    levels = {name: sorted(features[name].dropna().unique()) for name in categories}
    columns = np.column_stack([_number(features, name) for name in numbers])
    low, centre, high = np.nanquantile(columns, [0.16, 0.5, 0.84], axis=0)
    scale = np.where(high > low, (high - low) / 2, 1.0)
    scorer = Scorer(version, list(features.columns), numbers, levels, centre, scale, trees, None)
    x = scorer.encode(features)
    if trees:
        kinds = [False] * len(numbers) + [True] * len(levels)
        scorer.estimator = HistGradientBoostingClassifier(
            max_iter=60, max_leaf_nodes=12, learning_rate=0.12, min_samples_leaf=25,
            l2_regularization=1.0, categorical_features=kinds, early_stopping=False,
            random_state=int(rng.integers(1 << 30)),
        )  # fmt: skip
    else:
        scorer.estimator = LogisticRegression(C=0.05, max_iter=300)
    scorer.estimator.fit(scorer.widen(x), outcome)
    found = scorer.of(x)
    scorer.threshold = float(
        np.round(np.quantile(found, 1 - outcome.mean()), 2) if threshold is None else threshold
    )
    if measure:
        scorer.importance = _importance(scorer, x, outcome, rng)
    return scorer


def _importance(
    scorer: Scorer, x: NDArray[np.float64], outcome: NDArray[np.float64], rng: np.random.Generator
) -> dict[str, float]:
    chosen = rng.permutation(len(x))[:_IMPORTANCE_ROWS]
    sample, known = x[chosen], outcome[chosen]
    whole = roc_auc_score(known, scorer.of(sample))
    order = rng.permutation(len(sample))
    drops = {}
    for at, name in enumerate([*scorer.numbers, *scorer.levels]):
        shuffled = sample.copy()
        shuffled[:, at] = shuffled[order, at]
        drops[name] = max(float(whole - roc_auc_score(known, scorer.of(shuffled))), 0.0)
    total = sum(drops.values()) or 1.0
    return {name: round(drops[name] / total, 4) for name in scorer.inputs}


def _number(features: pd.DataFrame, name: str) -> NDArray[np.float64]:
    if name not in features.columns:
        return np.full(len(features), np.nan)
    return pd.to_numeric(features[name], errors="coerce").to_numpy(dtype="float64", na_value=np.nan)


def _codes(features: pd.DataFrame, name: str, levels: Sequence[str]) -> NDArray[np.float64]:
    if name not in features.columns:
        return np.full(len(features), np.nan)
    codes = pd.Index(list(levels), dtype="object").get_indexer(
        pd.Index(features[name], dtype="object")
    )
    return np.where(codes < 0, np.nan, codes)
