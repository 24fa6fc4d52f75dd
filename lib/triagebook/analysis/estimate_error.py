"""How far off a regression's predictions are while its labels are still due."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from triagebook.analysis.classifier_measures import LEAST_CHUNKS, ErrorMeasure, is_drop, limit
from triagebook.analysis.cross_fit import believed, cross_fit, effective_rows, mean_of
from triagebook.analysis.density_ratio import density_ratio
from triagebook.analysis.encode import Encoder
from triagebook.analysis.estimate import LEAST_CURRENT, LEAST_ROWS, Estimate

_POWER: dict[ErrorMeasure, int] = {"mae": 1, "rmse": 2}


@dataclass(frozen=True)
class ErrorEstimator:
    """A regression's reference, turned into an estimator of its errors elsewhere.

    Boosted trees learn how large the error is where: a row's expected loss, given its inputs and the
    prediction. Their mean over other rows is corrected by what they miss on reference rows they have
    not seen, weighted to stand for those, as far as that is more than luck.

    Attributes
    ----------
    reference : dict of measure to float
        "mae" and "rmse" with labels, in the target's unit.
    chunks : dict of measure to float array, shape (n_chunks,)
        The same on consecutive chunks of the reference.
    """

    reference: dict[ErrorMeasure, float]
    chunks: dict[ErrorMeasure, np.ndarray]
    _encoder: Encoder = field(repr=False)
    _rows: np.ndarray = field(repr=False)
    _loss: dict[ErrorMeasure, np.ndarray] = field(repr=False)
    _unseen: dict[ErrorMeasure, np.ndarray] = field(repr=False)
    _models: dict[ErrorMeasure, list[Any]] = field(repr=False)
    _chunk_rows: int = field(repr=False)
    _seed: int = field(repr=False)

    @classmethod
    def fit(
        cls,
        features: pd.DataFrame,
        prediction: pd.Series,
        target: pd.Series,
        chunk_rows: int,
        seed: int = 0,
    ) -> ErrorEstimator | None:
        """Learn from rows whose labels are known.

        Parameters
        ----------
        features : DataFrame, shape (n, k)
            In time order, as all of these; without the target and without keys.
        prediction, target : Series of float, shape (n,)
            Rows without either are left out.
        chunk_rows : int
            Rows of a chunk, to be chosen as the windows that will be judged.
        seed : int

        Returns
        -------
        ErrorEstimator or None
            None with fewer than 500 such rows.
        """
        guess, truth = _numbers(prediction), _numbers(target)
        known = np.isfinite(guess) & np.isfinite(truth)
        if known.sum() < LEAST_ROWS:
            return None
        guess, error = guess[known], (guess - truth)[known]
        encoder = Encoder.of(features)
        rows = np.column_stack((encoder.encode(features[known]), guess))
        loss: dict[ErrorMeasure, np.ndarray] = {
            name: np.abs(error) ** power for name, power in _POWER.items()
        }
        fits = {
            name: cross_fit(rows, values, [*encoder.categorical, False], seed)
            for name, values in loss.items()
        }
        starts = range(0, len(error) + 1 - chunk_rows, chunk_rows)
        return cls(
            reference={name: _root(name, float(values.mean())) for name, values in loss.items()},
            chunks={
                name: np.array(
                    [_root(name, float(values[i : i + chunk_rows].mean())) for i in starts]
                )
                for name, values in loss.items()
            },
            _encoder=encoder,
            _rows=rows,
            _loss=loss,
            _unseen={name: unseen for name, (_, unseen) in fits.items()},
            _models={name: models for name, (models, _) in fits.items()},
            _chunk_rows=chunk_rows,
            _seed=seed,
        )

    def threshold(self, measure: ErrorMeasure) -> float | None:
        """Return the value beyond which a measure raises an alarm; None with fewer than five chunks."""
        return limit(measure, self.reference[measure], self.chunks[measure])

    def estimate(self, features: pd.DataFrame, prediction: pd.Series) -> list[Estimate]:
        """Estimate the errors of one window of rows without labels.

        Parameters
        ----------
        features, prediction
            As for `fit`. Rows without a prediction are left out.

        Returns
        -------
        list of Estimate
            "mae" and "rmse", in the target's unit. Empty with fewer than 100 rows: that is unknown,
            not well.
        """
        guess = _numbers(prediction)
        known = np.isfinite(guess)
        if known.sum() < LEAST_CURRENT:
            return []
        rows = np.column_stack((self._encoder.encode(features[known]), guess[known]))
        weight = density_ratio(
            self._rows, rows, [*self._encoder.categorical, False], seed=self._seed
        )
        out = []
        for name in _POWER:
            missed = self._loss[name] - self._unseen[name]
            miss = float(np.average(missed, weights=weight))
            spread = float(np.sqrt(np.average((missed - miss) ** 2, weights=weight)))
            miss = believed(miss, spread / np.sqrt(effective_rows(weight)))
            mean = max(0.0, float(mean_of(self._models[name], rows).mean()) + miss)
            # The luck of this window's own errors, and what was missed on the reference's chunks.
            sd = max(spread / np.sqrt(len(rows)), self._missed(missed))
            value, edge = _root(name, mean), self.threshold(name)
            out.append(
                Estimate(
                    measure=name,
                    value=value,
                    low=_root(name, max(0.0, mean - 1.96 * sd)),
                    high=_root(name, mean + 1.96 * sd),
                    reference=self.reference[name],
                    threshold=edge,
                    alarm=None if edge is None else is_drop(name, value, edge),
                    rows=len(rows),
                )
            )
        return out

    def _missed(self, missed: np.ndarray) -> float:
        size = self._chunk_rows
        means = [missed[i : i + size].mean() for i in range(0, len(missed) + 1 - size, size)]
        return float(np.sqrt(np.mean(np.square(means)))) if len(means) >= LEAST_CHUNKS else 0.0


def _numbers(column: pd.Series) -> np.ndarray:
    return pd.to_numeric(column, errors="coerce").to_numpy("float64", na_value=np.nan)


def _root(measure: ErrorMeasure, mean: float) -> float:
    return float(mean ** (1 / _POWER[measure]))
