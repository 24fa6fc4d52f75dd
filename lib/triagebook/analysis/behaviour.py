"""Whether scores still follow the inputs: what the model says of each row, against what it used to say.

Two stand-ins learn score from inputs, each on half of the reference's days, and judge the other half
and the rows of now. So every residual is of a day that its stand-in has not seen: a storm of the past
is as new to it as one of now, and the residuals of the reference are what they would be if nothing had
changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

_LEARN = 5_000
_LEVELS = 200


@dataclass(frozen=True)
class Behaviour:
    """What the model was expected to say.

    Attributes
    ----------
    expected : float array, shape (n,)
        Score by the stand-in that has not seen the row; NaN where its inputs were never seen before.
    residual : float array, shape (n,)
        Score less that; NaN likewise.
    fidelity : float
        R squared on reference rows that the stand-in has not seen; at most 1.
    spread : float
        Standard deviation of the reference's residuals, score units.
    score_spread : float
        Standard deviation of the reference's scores.
    known : bool array, shape (n,)
        Rows whose every input lies where the reference has rows.
    usual : float array, shape (n,)
        The 95 % quantile of absolute residuals of reference rows as strange as each row, score units:
        among rows unlike most the stand-in errs more.
    """

    expected: np.ndarray
    residual: np.ndarray
    fidelity: float
    spread: float
    score_spread: float
    known: np.ndarray
    usual: np.ndarray


def behaviour(
    features: pd.DataFrame,
    score: np.ndarray,
    reference: np.ndarray,
    day: np.ndarray,
    seed: int = 0,
) -> Behaviour | None:
    """Learn what the model says of its inputs, and hold every row against it.

    Parameters
    ----------
    features : DataFrame, shape (n, p)
    score : float array, shape (n,)
    reference : bool array, shape (n,)
        Rows to learn from: those of the model as it was.
    day : int array, shape (n,)
        Number of the day, or another stretch of time, that each row lies in.
    seed : int

    Returns
    -------
    Behaviour or None
        None with fewer than 300 reference rows, no feature, or a constant score.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor  # noqa: PLC0415 - 1 s to import
    from threadpoolctl import threadpool_limits  # noqa: PLC0415 - after sklearn, which loads OpenMP

    scored = np.isfinite(score)
    usable = np.flatnonzero(reference & scored)
    if len(usable) < 300 or not len(features.columns) or float(np.std(score[usable])) < 1e-12:
        return None
    matrix, categorical, known = _encoded(features, reference)
    rng = np.random.default_rng(seed)
    fold = _halves(day, reference, rng)
    expected, strange = (np.full(len(score), np.nan) for _ in range(2))
    ranks = _ranks(matrix, categorical, score, reference & scored)
    # With threads of its own, OpenMP spins on a busy machine.
    with threadpool_limits(1):
        for half in (False, True):
            learn = usable[fold[usable] == half]
            if len(learn) > _LEARN:
                learn = rng.choice(learn, _LEARN, replace=False)
            model = HistGradientBoostingRegressor(
                max_iter=50,
                learning_rate=0.25,
                max_leaf_nodes=24,
                min_samples_leaf=15,
                max_bins=127,
                early_stopping=False,
                random_state=seed,
                categorical_features=categorical,
            )
            model.fit(matrix[learn], score[learn])
            judged = scored & known & (fold != half)
            if judged.any():
                expected[judged] = model.predict(matrix[judged])
                weight = _weights(model, matrix[learn[:_PROBED]], rng)
                near = ranks[learn[:_NEIGHBOURS_OF]] * weight
                strange[judged] = _strangeness(ranks[judged] * weight, near)
    residual = score - expected
    old = residual[reference & np.isfinite(residual)]
    if len(old) < 50:
        return None
    spread = float(np.std(old))
    whole = float(np.std(score[usable]))
    usual, familiar = _usual(residual, strange, reference & np.isfinite(residual))
    return Behaviour(
        expected,
        np.where(familiar, residual, np.nan),
        1 - float(np.mean(old**2)) / whole**2,
        spread,
        whole,
        known & familiar,
        usual,
    )


_PROBED, _NEIGHBOURS_OF, _NEIGHBOURS = 1_000, 2_000, 5


def _ranks(
    matrix: np.ndarray, categorical: list[bool], score: np.ndarray, reference: np.ndarray
) -> np.ndarray:
    """Bring every input to [0, 1] by its rank in the reference, categories by their mean score."""
    out = np.empty_like(matrix)
    for j, category in enumerate(categorical):
        values = matrix[:, j].copy()
        if category:
            codes = np.where(np.isfinite(values), values, -1).astype(int) + 1
            old = codes[reference]
            size = np.bincount(old, minlength=int(codes.max()) + 1)
            total = np.bincount(old, score[reference], len(size))
            mean = (total + 20 * score[reference].mean()) / (size + 20)
            values = mean[codes]
        known = np.sort(values[reference & np.isfinite(values)])
        left, right = (np.searchsorted(known, values, side=s) for s in ("left", "right"))
        # A null is a place of its own, beside the others.
        out[:, j] = np.where(np.isfinite(values), (left + right) / 2 / max(len(known), 1), -0.5)
    return out


def _weights(model: Any, matrix: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """How much each input moves the score, by permutation (Breiman 2001); the largest is 1."""
    base = model.predict(matrix)
    moved = np.zeros(matrix.shape[1])
    for j in range(matrix.shape[1]):
        shuffled = matrix.copy()
        shuffled[:, j] = shuffled[rng.permutation(len(shuffled)), j]
        moved[j] = float(np.mean(np.abs(model.predict(shuffled) - base)))
    return moved / max(float(moved.max()), 1e-12)


def _strangeness(rows: np.ndarray, learnt: np.ndarray) -> np.ndarray:
    """Mean distance to the nearest rows that the stand-in learnt from, shape (n,)."""
    k = min(_NEIGHBOURS, len(learnt))
    own = (learnt**2).sum(axis=1)
    out = np.empty(len(rows))
    for at in range(0, len(rows), 2_000):
        part = rows[at : at + 2_000]
        square = (part**2).sum(axis=1)[:, None] + own - 2 * part @ learnt.T
        nearest = np.partition(square, k - 1, axis=1)[:, :k]
        out[at : at + 2_000] = np.sqrt(np.maximum(nearest, 0.0)).mean(axis=1)
    return out


def _usual(
    residual: np.ndarray, strange: np.ndarray, old: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return how far residuals of like strangeness reach, and whether the reference has such rows."""
    edges = np.unique(np.quantile(strange[old], np.linspace(0, 1, 11)[1:-1]))
    place = np.searchsorted(edges, strange, side="right")
    reach = np.array(
        [
            np.quantile(np.abs(residual[old & (place == k)]), 0.95)
            if (old & (place == k)).sum() >= 20
            else 0.0
            for k in range(len(edges) + 1)
        ]
    )
    reach = np.maximum.accumulate(reach)
    most = float(np.quantile(strange[old], 0.995))
    return reach[place], strange <= most


def _halves(day: np.ndarray, reference: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw the half of each row, shape (n,): whole days of the reference, single rows of now."""
    fold = rng.random(len(day)) < 0.5
    days = np.unique(day[reference])
    if len(days) >= 6:
        # Every other day by lot of the first: both halves have each weekday and each week.
        odd = np.searchsorted(days, day) % 2 == int(rng.integers(2))
        fold = np.where(reference, odd, fold)
    return fold


def _encoded(
    features: pd.DataFrame, reference: np.ndarray
) -> tuple[np.ndarray, list[bool], np.ndarray]:
    """Turn inputs into numbers, and say which rows lie where the reference has rows."""
    out = np.empty((len(features), len(features.columns)))
    known = np.ones(len(features), dtype=bool)
    categorical: list[bool] = []
    for j, name in enumerate(features.columns):
        column = features[name]
        number = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
        if number:
            values = column.to_numpy("float64", na_value=np.nan)
            old = values[reference]
            finite = old[np.isfinite(old)]
            if len(finite):
                low, high = np.quantile(finite, [0.001, 0.999])
                pad = 0.02 * (high - low)
                known &= ~((values < low - pad) | (values > high + pad))
        else:
            codes, uniques = pd.factorize(column.astype("object").astype(str).where(column.notna()))
            size = np.bincount(codes[reference & (codes >= 0)], minlength=len(uniques))
            order = np.argsort(-size, kind="stable")[:_LEVELS]
            table = np.full(len(uniques) + 1, np.nan)
            table[order] = np.arange(len(order))
            values = table[codes]
            seen = np.append(size > 0, True)
            known &= seen[codes]
        missing = np.isnan(values)
        if missing.any() and missing[reference].mean() < 1e-3:
            known &= ~missing
        out[:, j] = values
        categorical.append(not number)
    return out, categorical, known
