"""Whether scores still follow the inputs: what the model says of each row, against what it used to say.

Two stand-ins learn score from inputs, each on half of the reference's rows, and judge the other half
and the rows of now. So every residual is of a row that its stand-in has not seen, and the residuals
of the reference are what they would be if nothing had changed.
"""

from __future__ import annotations

from dataclasses import dataclass

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
    """

    expected: np.ndarray
    residual: np.ndarray
    fidelity: float
    spread: float
    score_spread: float
    known: np.ndarray


def behaviour(
    features: pd.DataFrame, score: np.ndarray, reference: np.ndarray, seed: int = 0
) -> Behaviour | None:
    """Learn what the model says of its inputs, and hold every row against it.

    Parameters
    ----------
    features : DataFrame, shape (n, p)
    score : float array, shape (n,)
    reference : bool array, shape (n,)
        Rows to learn from: those of the model as it was.
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
    fold = rng.random(len(score)) < 0.5
    expected = np.full(len(score), np.nan)
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
    residual = score - expected
    old = residual[reference & np.isfinite(residual)]
    if len(old) < 50:
        return None
    spread = float(np.std(old))
    whole = float(np.std(score[usable]))
    return Behaviour(
        expected, residual, 1 - float(np.mean(old**2)) / whole**2, spread, whole, known
    )


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
