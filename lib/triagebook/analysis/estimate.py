"""How well a classifier does while its labels are still due, estimated from rows that have theirs.

Two steps. A boosted tree learns on the reference how likely each row is positive, given its inputs
and the model's score: sharper than the score alone, and right about a slice where the score is not.
Then its probabilities are calibrated on reference rows it has not seen, weighted so that they stand
for the rows in question. What follows from probabilities, the expected AUC for one, needs no label.

It cannot see that labels have come to follow the inputs by another rule (concept drift): no method
without labels can.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from triagebook.analysis.classifier_measures import (
    LOWER_IS_BETTER,
    MEASURES,
    Measure,
    expected,
    measures,
)
from triagebook.analysis.density_ratio import density_ratio
from triagebook.analysis.encode import Encoder

if TYPE_CHECKING:
    from sklearn.isotonic import IsotonicRegression

# Fewer rows, or fewer of either class, calibrate nothing.
LEAST_ROWS = 500
_LEAST_OF_A_CLASS = 50
# A current window below this says more about its luck than about the model.
LEAST_CURRENT = 100
# A spread of fewer chunks is no spread.
LEAST_CHUNKS = 5
_SDS = 3.0
_FOLDS = 5
_DRAWS = 200
_MOST_CELLS = 4_000_000


@dataclass(frozen=True)
class Estimate:
    """One measure of one window of rows, estimated without labels.

    Attributes
    ----------
    measure : str
    value, low, high : float
        With the interval that should hold the measure, once labels are there, 19 times in 20. It
        covers the luck of the draw, and what was missed on the reference's own chunks.
    reference : float
        The measure on the whole reference, with labels.
    threshold : float or None
        Reference minus (log loss: plus) three standard deviations of its chunks; None with fewer
        than five chunks.
    alarm : bool or None
        Whether the value lies beyond the threshold; None where there is none.
    rows : int
    """

    measure: Measure
    value: float
    low: float
    high: float
    reference: float
    threshold: float | None
    alarm: bool | None
    rows: int


@dataclass(frozen=True)
class PerformanceEstimator:
    """A classifier's reference, turned into an estimator of its measures elsewhere.

    Attributes
    ----------
    reference : dict of measure to float
        With labels, on the whole reference.
    chunks : dict of measure to float array, shape (n_chunks,)
        With labels, on consecutive chunks of the reference.
    missed : dict of measure to float
        Root mean square of estimate less truth over those chunks, each row judged by a model that
        has not seen it; empty with fewer than five chunks.
    """

    reference: dict[Measure, float]
    chunks: dict[Measure, np.ndarray]
    missed: dict[Measure, float]
    _encoder: Encoder = field(repr=False)
    _models: list[Any] = field(repr=False)
    _rows: np.ndarray = field(repr=False)
    _unseen: np.ndarray = field(repr=False)
    _labels: np.ndarray = field(repr=False)
    _positive: Any = field(repr=False)
    _seed: int = field(repr=False)

    @classmethod
    def fit(
        cls,
        features: pd.DataFrame,
        score: pd.Series,
        prediction: pd.Series | None,
        target: pd.Series,
        chunk_rows: int,
        seed: int = 0,
    ) -> PerformanceEstimator | None:
        """Learn from rows whose labels are known.

        Parameters
        ----------
        features : DataFrame, shape (n, k)
            In time order, as all of these; without the target and without keys.
        score : Series of float, shape (n,)
            Higher for the positive class; in [0, 1] where it is a probability.
        prediction : Series or None
            Decisions, in the values of `target`; None leaves out the measures of decisions.
        target : Series, shape (n,)
            Two values, the larger one positive. Rows without a target or score are left out.
        chunk_rows : int
            Rows of a chunk, to be chosen as the windows that will be judged.
        seed : int

        Returns
        -------
        PerformanceEstimator or None
            None with fewer than 500 such rows, with fewer than 50 of either class, or where the
            target has not two values.
        """
        scores = pd.to_numeric(score, errors="coerce").to_numpy("float64", na_value=np.nan)
        known = np.isfinite(scores) & target.notna().to_numpy()
        classes = np.sort(pd.unique(target[known]))
        if len(classes) != 2:
            return None
        positive = classes[1]
        labels, scores = (target[known] == positive).to_numpy(), scores[known]
        if len(labels) < LEAST_ROWS or min(labels.sum(), (~labels).sum()) < _LEAST_OF_A_CLASS:
            return None
        decision = None if prediction is None else (prediction[known] == positive).to_numpy()
        encoder = Encoder.of(features)
        rows = _with_score(encoder.encode(features[known]), scores)
        models, unseen = _cross_fit(rows, labels, [*encoder.categorical, False], seed)
        calibrated = _isotonic(unseen, labels, None).predict(unseen)
        cuts = [
            slice(i, i + chunk_rows) for i in range(0, len(labels) + 1 - chunk_rows, chunk_rows)
        ]
        truths: dict[Measure, list[float]] = {}
        misses: dict[Measure, list[float]] = {}
        for cut in cuts:
            part = None if decision is None else decision[cut]
            guess = expected(calibrated[cut], scores[cut], part)
            for name, value in measures(labels[None, cut], scores[cut], part).items():
                truths.setdefault(name, []).append(float(value[0]))
                misses.setdefault(name, []).append(guess[name] - float(value[0]))
        whole = measures(labels[None], scores, decision)
        return cls(
            reference={name: float(value[0]) for name, value in whole.items()},
            chunks={name: np.array(values) for name, values in truths.items()},
            missed={
                name: float(np.sqrt(np.nanmean(np.square(values))))
                for name, values in misses.items()
                if np.isfinite(values).sum() >= LEAST_CHUNKS
            },
            _encoder=encoder,
            _models=models,
            _rows=rows,
            _unseen=unseen,
            _labels=labels,
            _positive=positive,
            _seed=seed,
        )

    def threshold(self, measure: Measure) -> float | None:
        """Return the value beyond which a measure raises an alarm; None with fewer than five chunks."""
        values = self.chunks.get(measure, np.empty(0))
        values = values[np.isfinite(values)]
        if len(values) < LEAST_CHUNKS:
            return None
        worse = 1 if measure in LOWER_IS_BETTER else -1
        return self.reference[measure] + worse * _SDS * float(values.std())

    def probabilities(self, features: pd.DataFrame, score: np.ndarray) -> np.ndarray:
        """Return how likely each row is positive, shape (n,), calibrated for these rows.

        Parameters
        ----------
        features : DataFrame, shape (n, k)
            With the reference's columns.
        score : float array, shape (n,), finite
        """
        from threadpoolctl import threadpool_limits  # noqa: PLC0415 - after sklearn

        rows = _with_score(self._encoder.encode(features), score)
        with threadpool_limits(1):
            raw = np.mean([model.predict_proba(rows)[:, 1] for model in self._models], axis=0)
        weight = density_ratio(
            self._rows, rows, [*self._encoder.categorical, False], seed=self._seed
        )
        return np.asarray(_isotonic(self._unseen, self._labels, weight).predict(raw))

    def estimate(
        self, features: pd.DataFrame, score: pd.Series, prediction: pd.Series | None = None
    ) -> list[Estimate]:
        """Estimate each measure of one window of rows without labels.

        Parameters
        ----------
        features, score, prediction
            As for `fit`. Rows without a score are left out.

        Returns
        -------
        list of Estimate
            In the order of `MEASURES`; without those that have no meaning here, such as the
            precision of a model that never decides for the positive class. Empty with fewer than
            100 rows: that is unknown, not well.
        """
        scores = pd.to_numeric(score, errors="coerce").to_numpy("float64", na_value=np.nan)
        known = np.isfinite(scores)
        scores = scores[known]
        if len(scores) < LEAST_CURRENT:
            return []
        decision = None if prediction is None else (prediction[known] == self._positive).to_numpy()
        chance = self.probabilities(features[known], scores)
        values = expected(chance, scores, decision)
        draws = max(20, min(_DRAWS, _MOST_CELLS // len(scores)))
        rng = np.random.default_rng(self._seed)
        drawn = measures(rng.random((draws, len(scores))) < chance, scores, decision)
        out = []
        for name in MEASURES:
            value = values.get(name, float("nan"))
            if name not in self.reference or not np.isfinite(value):
                continue
            sd = max(float(np.nanstd(drawn[name])), self.missed.get(name, 0.0))
            edge = self.threshold(name)
            top = np.inf if name in LOWER_IS_BETTER else 1.0
            out.append(
                Estimate(
                    measure=name,
                    value=value,
                    low=max(0.0, value - 1.96 * sd),
                    high=min(top, value + 1.96 * sd),
                    reference=self.reference[name],
                    threshold=edge,
                    alarm=None if edge is None else is_drop(name, value, edge),
                    rows=len(scores),
                )
            )
        return out


def is_drop(measure: Measure, value: float, threshold: float) -> bool:
    """Say whether a value is worse than the threshold; at the threshold it is not."""
    return value > threshold if measure in LOWER_IS_BETTER else value < threshold


def _with_score(rows: np.ndarray, score: np.ndarray) -> np.ndarray:
    return np.column_stack((rows, score))


def _isotonic(raw: np.ndarray, labels: np.ndarray, weight: np.ndarray | None) -> IsotonicRegression:
    from sklearn.isotonic import IsotonicRegression  # noqa: PLC0415 - slow to import

    # Nothing is certain: the outermost steps hold few rows.
    calibration = IsotonicRegression(y_min=1e-4, y_max=1 - 1e-4, out_of_bounds="clip")
    return calibration.fit(raw, labels.astype(float), sample_weight=weight)


def _cross_fit(
    rows: np.ndarray, labels: np.ndarray, categorical: list[bool], seed: int
) -> tuple[list[Any], np.ndarray]:
    """Fit one model a fold; return them and what each says of the rows it has not seen."""
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415 - 1 s to import
    from sklearn.model_selection import StratifiedKFold  # noqa: PLC0415
    from threadpoolctl import threadpool_limits  # noqa: PLC0415 - after sklearn, which loads OpenMP

    models, unseen = [], np.zeros(len(labels))
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    with threadpool_limits(1):
        for fit, judge in folds.split(rows, labels):
            model = HistGradientBoostingClassifier(
                max_iter=60,
                learning_rate=0.15,
                early_stopping=False,
                categorical_features=categorical,
                random_state=seed,
            ).fit(rows[fit], labels[fit])
            unseen[judge] = model.predict_proba(rows[judge])[:, 1]
            models.append(model)
    return models, unseen
