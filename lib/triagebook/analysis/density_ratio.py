"""How much more often a reference row would turn up among the current rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

# A row that counts for more than twenty carries an estimate alone.
_MOST = 20.0
_FOLDS = 3


def density_ratio(
    reference: np.ndarray, current: np.ndarray, categorical: Sequence[bool], seed: int = 0
) -> np.ndarray:
    """Weigh reference rows so that they stand for the current ones.

    A classifier that tells the two apart gives the ratio of their densities; each row is judged by a
    classifier that has not seen it, since one that has would call it by name.

    Parameters
    ----------
    reference, current : float arrays, shape (n, k), (m, k)
        Encoded; at least 3 rows each.
    categorical : sequence of bool, length k
    seed : int

    Returns
    -------
    float array, shape (n,)
        Mean 1, at most 20 times the mean before it is set to 1. All ones where nothing moved.

    References
    ----------
    Sugiyama, Suzuki and Kanamori (2012), Density ratio estimation in machine learning, chapter 4;
    Białek et al. (2024), Estimating model performance under covariate shift without labels
    (arXiv 2401.08348), section 4, weighs the calibration by it.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415 - 1 s to import
    from sklearn.model_selection import StratifiedKFold  # noqa: PLC0415
    from threadpoolctl import threadpool_limits  # noqa: PLC0415 - after sklearn, which loads OpenMP

    rows = np.vstack((reference, current))
    here = np.r_[np.zeros(len(reference), dtype=int), np.ones(len(current), dtype=int)]
    share = np.zeros(len(rows))
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    with threadpool_limits(1):
        for fit, judge in folds.split(rows, here):
            # Small trees: shifts of populations are broad, and noise learnt here is noise there.
            model = HistGradientBoostingClassifier(
                max_iter=40,
                max_leaf_nodes=8,
                min_samples_leaf=50,
                early_stopping=False,
                categorical_features=list(categorical),
                random_state=seed,
            ).fit(rows[fit], here[fit])
            share[judge] = model.predict_proba(rows[judge])[:, 1]
    share = share[: len(reference)]
    ratio = share / np.maximum(1 - share, 1e-12)
    ratio = np.minimum(ratio / ratio.mean(), _MOST)
    return np.asarray(ratio / ratio.mean())
