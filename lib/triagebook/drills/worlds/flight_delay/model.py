"""Train the late-arrival model on the months before the reference, and measure it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.inspection import permutation_importance
from sklearn.metrics import roc_auc_score

from triagebook.drills.worlds.flight_delay.source import WEATHER_INPUTS

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

INPUTS = ("distance", "sched_hour", "weekday", "carrier", "origin", *WEATHER_INPUTS)
"""What the model sees. The destination is left out, so that distance has to stand for it."""
CATEGORIES = ("carrier", "origin")
LATE_MIN = 15.0
"""A flight is late when it arrives more than this many minutes after schedule."""
_IMPORTANCE_ROWS = 8_000


@dataclass(frozen=True)
class DelayModel:
    """A trained model with its decision threshold.

    Parameters
    ----------
    classifier : HistGradientBoostingClassifier
        Fitted on `codes` of the inputs.
    categories : dict
        Known values of each categorical input, in the order of their codes.
    threshold : float
        A score above it is the decision "late". Chosen on the training data so that the share of
        "late" decisions equals the share of late flights there.
    importance : dict
        Share of each input in the drop of AUC when its values are shuffled, on a sample of the
        training rows; sums to 1.
    measured : dict
        `train_rows`, `train_late_share`, `train_auc`, `reference_late_share`, `reference_auc`.
    """

    classifier: Any
    categories: dict[str, list[str]]
    threshold: float
    importance: dict[str, float]
    measured: dict[str, float]

    def scores(self, inputs: pd.DataFrame) -> NDArray[np.float64]:
        """Return the predicted share of late arrivals, shape (n,), 0 to 1."""
        shares = self.classifier.predict_proba(_codes(inputs, self.categories))[:, 1]
        return np.asarray(shares, dtype="float64")


def train(training: pd.DataFrame, reference: pd.DataFrame, seed: int) -> DelayModel:
    """Fit on `training`, measure on `reference`.

    Parameters
    ----------
    training, reference : DataFrame
        The inputs and `arr_delay_min`; rows without a delay (cancelled, diverted) are left out.
    seed : int
        Of the fit and of the shuffles for the importance.
    """
    training = training[training["arr_delay_min"].notna()]
    reference = reference[reference["arr_delay_min"].notna()]
    categories = {name: sorted(training[name].unique()) for name in CATEGORIES}
    x, late = _codes(training, categories), _late(training)
    classifier = HistGradientBoostingClassifier(
        max_iter=200,
        l2_regularization=1.0,
        categorical_features=[INPUTS.index(name) for name in CATEGORIES],
        early_stopping=False,  # it would hold back rows at random; 200 rounds overfit little here
        random_state=seed,
    ).fit(x, late)
    scores = classifier.predict_proba(x)[:, 1]
    x_ref, late_ref = _codes(reference, categories), _late(reference)
    # On training rows: it says how much the model leans on an input, which is what decides the
    # harm of a wrong value. On later rows it would say how useful the input turned out to be.
    sample = np.random.default_rng(seed).permutation(len(x))[:_IMPORTANCE_ROWS]
    drops = permutation_importance(
        classifier, x[sample], late[sample], scoring="roc_auc", n_repeats=3, random_state=seed
    ).importances_mean
    # Shuffling an input that the model hardly uses may help by chance; that is no importance.
    drops = np.clip(drops, 0.0, None)
    shares = drops / drops.sum()
    measured = {
        "train_rows": float(len(training)),
        "train_late_share": float(late.mean()),
        "train_auc": float(roc_auc_score(late, scores)),
        "reference_late_share": float(late_ref.mean()),
        "reference_auc": float(roc_auc_score(late_ref, classifier.predict_proba(x_ref)[:, 1])),
    }
    return DelayModel(
        classifier=classifier,
        categories=categories,
        threshold=float(np.quantile(scores, 1.0 - late.mean())),
        importance={name: float(share) for name, share in zip(INPUTS, shares, strict=True)},
        measured=measured,
    )


def _late(rows: pd.DataFrame) -> NDArray[np.bool_]:
    return (rows["arr_delay_min"] > LATE_MIN).to_numpy()


def _codes(rows: pd.DataFrame, categories: dict[str, list[str]]) -> NDArray[np.float64]:
    """Return the inputs as numbers, shape (n, 11); a missing or unknown value is NaN."""
    columns = []
    for name in INPUTS:
        if name in categories:
            order = {value: float(code) for code, value in enumerate(categories[name])}
            columns.append(rows[name].map(order).to_numpy(dtype="float64"))
        else:
            columns.append(rows[name].to_numpy(dtype="float64"))
    return np.column_stack(columns)
