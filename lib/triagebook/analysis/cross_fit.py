"""Boosted trees fitted fold by fold, so that every reference row is judged by trees that never saw it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

_FOLDS = 5


def cross_fit(
    rows: np.ndarray, target: np.ndarray, categorical: Sequence[bool], seed: int = 0
) -> tuple[list[Any], np.ndarray]:
    """Fit one model a fold.

    Parameters
    ----------
    rows : float array, shape (n, k)
        NaN is a value of its own.
    target : bool or float array, shape (n,)
        Booleans are classified, with at least 5 of each; numbers are regressed.
    categorical : sequence of bool, length k
    seed : int

    Returns
    -------
    models, unseen
        The five models, and what those that have not seen a row say of it, shape (n,): the
        probability of true, or the expected number.
    """
    from sklearn.ensemble import (  # noqa: PLC0415 - 1 s to import
        HistGradientBoostingClassifier,
        HistGradientBoostingRegressor,
    )
    from sklearn.model_selection import KFold, StratifiedKFold  # noqa: PLC0415
    from threadpoolctl import threadpool_limits  # noqa: PLC0415 - after sklearn, which loads OpenMP

    classify = target.dtype == np.bool_
    kind = HistGradientBoostingClassifier if classify else HistGradientBoostingRegressor
    parts = (StratifiedKFold if classify else KFold)(_FOLDS, shuffle=True, random_state=seed)
    models, unseen = [], np.zeros(len(target))
    with threadpool_limits(1):
        for fit, judge in parts.split(rows, target):
            # As many trees as help rows held out: fitted noise would spread what they say.
            model = kind(
                max_iter=200,
                early_stopping=True,
                validation_fraction=0.15,
                n_iter_no_change=5,
                categorical_features=list(categorical),
                random_state=seed,
            ).fit(rows[fit], target[fit])
            unseen[judge] = _say(model, rows[judge])
            models.append(model)
    return models, unseen


def mean_of(models: list[Any], rows: np.ndarray) -> np.ndarray:
    """Return the mean of what all models say of rows that none has seen, shape (n,)."""
    from threadpoolctl import threadpool_limits  # noqa: PLC0415 - after sklearn, which loads OpenMP

    with threadpool_limits(1):
        return np.asarray(np.mean([_say(model, rows) for model in models], axis=0))


def believed(miss: float, error: float) -> float:
    """Shrink a difference towards 0 by its standard error.

    Of a difference the size of its standard error nothing is believed, of one three times as large
    eight ninths.

    Parameters
    ----------
    miss, error : float
        Difference and its standard error, in the same unit; error >= 0.

    References
    ----------
    Efron and Morris (1973), Stein's estimation rule and its competitors: the positive part.
    """
    if not np.isfinite(miss) or miss == 0:
        return 0.0
    return miss * max(0.0, 1 - error**2 / miss**2)


def effective_rows(weight: np.ndarray) -> float:
    """Return how many rows of equal weight carry as much as these, in (0, n].

    References
    ----------
    Kish (1965), Survey sampling, section 8.2.
    """
    return float(weight.sum() ** 2 / (weight**2).sum())


def _say(model: Any, rows: np.ndarray) -> np.ndarray:
    if hasattr(model, "predict_proba"):
        return np.asarray(model.predict_proba(rows)[:, 1])
    return np.asarray(model.predict(rows))
