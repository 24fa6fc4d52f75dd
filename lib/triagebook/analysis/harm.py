"""What a movement does to the model: a stand-in fitted on the model's own logged inputs and scores.

The served model is seldom at hand when an alert fires, its inputs and scores nearly always are. A
gradient-boosted regression learns score from inputs on the reference; put a feature back to what it
was, and the stand-in says which decisions would have been others. Its fidelity on rows it has not
seen bounds every figure that comes from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

_MAX_ROWS = 20_000


def _one_thread() -> AbstractContextManager[object]:
    """Keep OpenMP to one thread: with more, threads spin for one another on a busy machine.

    Fitting took 19 s of CPU on two busy cores with two threads, under 2 s with one.
    """
    from threadpoolctl import threadpool_limits  # noqa: PLC0415 - after sklearn, which loads OpenMP

    limits: AbstractContextManager[object] = threadpool_limits(1)
    return limits


@dataclass(frozen=True)
class Harm:
    """Decisions that would have been others with a feature put back.

    Attributes
    ----------
    rows : int
        Rows since the onset.
    changed, low, high : float
        Share of rows whose decision changes, with a range from the stand-in's disagreement with the
        model and the sampling of rows; [0, 1].
    positive_now, positive_restored : float
        Share of positive decisions as served, and with the feature put back.
    score_shift : float
        Mean change of the score, score units.
    """

    rows: int
    changed: float
    low: float
    high: float
    positive_now: float
    positive_restored: float
    score_shift: float


def decision_threshold(score: pd.Series, prediction: pd.Series) -> float | None:
    """Find the score from which the model decides for the positive class; None where none parts them.

    Parameters
    ----------
    score : Series of float
    prediction : Series
        Two values; the larger one is the positive class.
    """
    pair = pd.DataFrame({"score": pd.to_numeric(score, errors="coerce"), "is": prediction}).dropna()
    values = sorted(pair["is"].unique())
    if len(values) != 2 or pair.empty:
        return None
    high = pair.loc[pair["is"] == values[1], "score"]
    low = pair.loc[pair["is"] == values[0], "score"]
    # Scores are rounded now and then; a hundredth of the rows may lie on the wrong side.
    edge = float(high.quantile(0.005))
    return edge if edge >= float(low.quantile(0.995)) - 1e-6 or edge >= float(low.max()) else None


class StandIn:
    """A regression of the model's score on its inputs.

    Attributes
    ----------
    fidelity : float
        R squared on a quarter of the rows, held out.
    agreement : float
        Share of held-out rows on which the stand-in decides as the model did.
    features : list of str
    """

    def __init__(
        self, model: Any, encode: Callable[[pd.DataFrame], pd.DataFrame], threshold: float | None
    ) -> None:
        self._model = model
        self._encode = encode
        self.threshold = threshold
        self.fidelity = 0.0
        self.agreement = 0.0
        self.rows = 0
        self.features: list[str] = []

    @classmethod
    def fit(
        cls,
        features: pd.DataFrame,
        score: pd.Series,
        threshold: float | None,
        seed: int = 0,
    ) -> StandIn | None:
        """Fit on logged rows, those since the onset included: the model is the same, only inputs are not.

        Parameters
        ----------
        features : DataFrame, shape (n, k)
        score : Series of float, shape (n,)
            What the model said of each row.
        threshold : float or None
            The score from which it decides for the positive class.

        Returns
        -------
        StandIn or None
            None with fewer than 200 scored rows or no feature.
        """
        from sklearn.ensemble import HistGradientBoostingRegressor  # noqa: PLC0415 - 1 s to import

        scores = pd.to_numeric(score, errors="coerce")
        known = scores.notna()
        features, scores = features[known], scores[known]
        if len(features) < 200 or not len(features.columns) or scores.nunique() < 3:
            return None
        if len(features) > _MAX_ROWS:
            features = features.sample(_MAX_ROWS, random_state=seed)
            scores = scores.loc[features.index]
        levels = {
            name: pd.Index(features[name].dropna().astype(str).value_counts().index[:200])
            for name in features
            if not pd.api.types.is_numeric_dtype(features[name])
        }

        def encode(frame: pd.DataFrame) -> pd.DataFrame:
            out = {}
            for name in features.columns:
                column = frame[name]
                if name in levels:
                    codes = (
                        levels[name].get_indexer(column.astype("object").astype(str)).astype(float)
                    )
                    codes[codes < 0] = np.nan
                    out[name] = codes
                else:
                    out[name] = pd.to_numeric(column, errors="coerce").to_numpy(
                        "float64", na_value=np.nan
                    )
            return pd.DataFrame(out, index=frame.index)

        encoded, target = encode(features), scores.to_numpy(dtype=float)
        rng = np.random.default_rng(seed)
        held = rng.random(len(encoded)) < 0.25
        model = HistGradientBoostingRegressor(
            max_iter=200,
            learning_rate=0.2,
            max_leaf_nodes=63,
            random_state=seed,
            categorical_features=[name in levels for name in features.columns],
        )
        with _one_thread():
            model.fit(encoded[~held], target[~held])
            guess = model.predict(encoded[held])
        stand_in = cls(model, encode, threshold)
        left = float(np.sum((target[held] - guess) ** 2))
        stand_in.fidelity = 1 - left / max(
            float(np.sum((target[held] - target[held].mean()) ** 2)), 1e-12
        )
        if threshold is not None:
            stand_in.agreement = float(np.mean((guess >= threshold) == (target[held] >= threshold)))
        stand_in.features = list(features.columns)
        stand_in.rows = len(features)
        return stand_in

    def score(self, features: pd.DataFrame) -> np.ndarray:
        """Return the expected score of each row, shape (n,)."""
        with _one_thread():
            return np.asarray(self._model.predict(self._encode(features)))

    def harm(
        self, features: pd.DataFrame, restored: pd.DataFrame, served: np.ndarray
    ) -> Harm | None:
        """Compare decisions on rows as they were served and with a feature put back.

        The stand-in against itself counts too few changes, since it smooths; against what was
        served it counts too many, by its own mistakes. The figure is the larger of the first and of
        the second less the mistakes; the range spans both, and the sampling of rows.

        Parameters
        ----------
        features, restored : DataFrame, shape (n, k)
            The rows since the onset.
        served : bool array, shape (n,)
            The decisions that were given out.

        Returns
        -------
        Harm or None
            None without rows or without a known decision threshold.
        """
        if self.threshold is None or features.empty:
            return None
        now, then = self.score(features), self.score(restored)
        after = then >= self.threshold
        itself = float(np.mean((now >= self.threshold) != after))
        against = float(np.mean(served != after))
        n, share = len(features), max(itself, against - (1 - self.agreement))
        sampling = 1.96 * float(np.sqrt(max(share * (1 - share), 1 / n) / n))
        return Harm(
            rows=n,
            changed=share,
            low=max(0.0, share - sampling - (1 - self.fidelity) * share),
            high=min(1.0, max(share, against) + sampling),
            positive_now=float(np.mean(served)),
            positive_restored=float(np.mean(after)),
            score_shift=float(np.mean(now - then)),
        )

    def importance(self, features: pd.DataFrame, seed: int = 0) -> dict[str, float]:
        """Share of the score's movement that each feature carries, by permutation; sums to 1.

        References
        ----------
        Breiman, L. (2001), Random forests, section 10.
        """
        rng = np.random.default_rng(seed)
        sample = features.sample(min(len(features), 2_000), random_state=seed)
        base = self.score(sample)
        moved = {}
        for name in self.features:
            shuffled = sample.copy()
            shuffled[name] = shuffled[name].to_numpy()[rng.permutation(len(shuffled))]
            moved[name] = float(np.mean(np.abs(self.score(shuffled) - base)))
        total = sum(moved.values())
        return {name: value / total if total > 0 else 0.0 for name, value in moved.items()}


def back_to_reference(reference: pd.Series, current: pd.Series, seed: int = 0) -> pd.Series:
    """Put a column back to its reference distribution, keeping the order of its values.

    Numbers are mapped quantile to quantile, nulls are drawn anew; categories and columns that are
    now constant are drawn from the reference. Returns a Series with the index of `current`.
    """
    rng = np.random.default_rng(seed)
    known = reference.dropna()
    if known.empty:
        return current.copy()
    drawn = pd.Series(
        known.to_numpy()[rng.integers(0, len(known), len(current))], index=current.index
    )
    numeric = pd.api.types.is_numeric_dtype(reference) and pd.api.types.is_numeric_dtype(current)
    if not numeric or pd.api.types.is_bool_dtype(reference) or current.nunique() < 5:
        return drawn
    ranks = current.rank(pct=True)
    values = np.quantile(known.to_numpy(dtype=float), ranks.fillna(0.5).to_numpy())
    return pd.Series(
        np.where(ranks.isna(), drawn.to_numpy(dtype=float), values), index=current.index
    )
