"""How well a classifier does while its labels are still due, estimated from rows that have theirs.

Two steps. Boosted trees learn on the reference how likely each row is positive, given its inputs and
the model's score: sharper than the score alone, and right about a slice where the score is not. What
follows from probabilities, the expected AUC for one, needs no label. Then it is corrected by what the
same trees miss on reference rows they have not seen, weighted so that they stand for the rows in
question, as far as that is more than the luck of the reference's labels.

It cannot see that labels have come to follow the inputs by another rule (concept drift): no method
without labels can.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from triagebook.analysis.classifier_measures import (
    LEAST_CHUNKS,
    LOWER_IS_BETTER,
    MEASURES,
    ErrorMeasure,
    Measure,
    expected,
    is_drop,
    limit,
    measures,
)
from triagebook.analysis.cross_fit import believed, cross_fit, effective_rows, mean_of
from triagebook.analysis.density_ratio import density_ratio
from triagebook.analysis.encode import Encoder

# Fewer rows, or fewer of either class, teach nothing.
LEAST_ROWS = 500
_LEAST_OF_A_CLASS = 50
# A current window below this says more about its luck than about the model.
LEAST_CURRENT = 100
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

    measure: Measure | ErrorMeasure
    value: float
    low: float
    high: float
    reference: float
    threshold: float | None
    alarm: bool | None
    rows: int


@dataclass(frozen=True)
class _Known:
    """The reference's rows, what the trees say of each without having seen it, and its label.

    `luck` is the standard deviation of each measure over labels drawn from what the trees say.
    """

    rows: np.ndarray
    unseen: np.ndarray
    labels: np.ndarray
    score: np.ndarray
    decision: np.ndarray | None
    luck: dict[Measure, float]

    def correction(self, weight: np.ndarray) -> dict[Measure, float]:
        """Return truth less estimate on these rows, weighted, as far as it is believed."""
        truth = expected(self.labels.astype(float), self.score, self.decision, weight)
        guess = expected(self.unseen, self.score, self.decision, weight)
        spread = float(np.sqrt(len(weight) / effective_rows(weight)))
        return {
            name: believed(value - guess[name], spread * self.luck[name])
            for name, value in truth.items()
        }


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
    _known: _Known = field(repr=False)
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
        rows = np.column_stack((encoder.encode(features[known]), scores))
        models, unseen = cross_fit(rows, labels, [*encoder.categorical, False], seed)
        rng = np.random.default_rng(seed)
        draws = rng.random((_draws(len(labels)), len(labels))) < unseen
        luck = {
            name: float(np.nanstd(values)) if np.isfinite(values).any() else np.inf
            for name, values in measures(draws, scores, decision).items()
        }
        known_rows = _Known(rows, unseen, labels, scores, decision, luck)
        truths, missed = _chunks(known_rows, chunk_rows)
        whole = measures(labels[None], scores, decision)
        return cls(
            reference={name: float(value[0]) for name, value in whole.items()},
            chunks=truths,
            missed=missed,
            _encoder=encoder,
            _models=models,
            _known=known_rows,
            _positive=positive,
            _seed=seed,
        )

    def threshold(self, measure: Measure) -> float | None:
        """Return the value beyond which a measure raises an alarm; None with fewer than five chunks."""
        return limit(measure, self.reference[measure], self.chunks.get(measure, np.empty(0)))

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
        rows = np.column_stack((self._encoder.encode(features[known]), scores))
        chance = mean_of(self._models, rows)
        categorical = [*self._encoder.categorical, False]
        weight = density_ratio(self._known.rows, rows, categorical, seed=self._seed)
        correction = self._known.correction(weight)
        values = expected(chance, scores, decision)
        rng = np.random.default_rng(self._seed)
        drawn = measures(rng.random((_draws(len(scores)), len(scores))) < chance, scores, decision)
        out = []
        for name in MEASURES:
            if name not in self.reference or not np.isfinite(values.get(name, np.nan)):
                continue
            top = np.inf if name in LOWER_IS_BETTER else 1.0
            value = float(np.clip(values[name] + correction[name], 0.0, top))
            sd = max(float(np.nanstd(drawn[name])), self.missed.get(name, 0.0))
            edge = self.threshold(name)
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


def _draws(rows: int) -> int:
    """Say how many sets of labels to draw: enough for a standard deviation, within the memory."""
    return max(20, min(_DRAWS, _MOST_CELLS // rows))


def _chunks(
    known: _Known, chunk_rows: int
) -> tuple[dict[Measure, np.ndarray], dict[Measure, float]]:
    """Measure consecutive chunks of the reference, and what an estimate of each would have missed."""
    correction = known.correction(np.ones(len(known.labels)))
    truths: dict[Measure, list[float]] = {}
    misses: dict[Measure, list[float]] = {}
    for start in range(0, len(known.labels) + 1 - chunk_rows, chunk_rows):
        cut = slice(start, start + chunk_rows)
        decision = None if known.decision is None else known.decision[cut]
        guess = expected(known.unseen[cut], known.score[cut], decision)
        for name, value in measures(known.labels[None, cut], known.score[cut], decision).items():
            truths.setdefault(name, []).append(float(value[0]))
            misses.setdefault(name, []).append(guess[name] + correction[name] - float(value[0]))
    return (
        {name: np.array(values) for name, values in truths.items()},
        {
            name: float(np.sqrt(np.nanmean(np.square(values))))
            for name, values in misses.items()
            if np.isfinite(values).sum() >= LEAST_CHUNKS
        },
    )
