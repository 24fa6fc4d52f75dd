"""Performance without labels: the estimated AUC of a real classifier against the AUC that came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from triagebook.analysis.classifier_measures import is_drop, measures
from triagebook.analysis.estimate import PerformanceEstimator

if TYPE_CHECKING:
    from pathlib import Path

CHUNK = 5_000
NO_FEATURES = ("id", "year", "prediction", "predicted_probability")


def run(folder: Path) -> dict[str, Any]:
    """Estimate the AUC of each chunk of each file from its reference.

    Parameters
    ----------
    folder : Path
        NAME_reference.pq with the target; NAME_….pq without it; NAME_…_target.pq (id and target)
        may be missing.

    Returns
    -------
    dict
        {"benchmark", "score", "cases"}; score holds auc_mae, false_alarms, drops_found and drops, or
        is None without targets.

    Raises
    ------
    FileNotFoundError
        Where a file has no reference of its name.
    """
    cases: list[dict[str, Any]] = []
    errors: list[float] = []
    alarms, drops = [], []
    estimators: dict[Path, tuple[PerformanceEstimator, list[str]]] = {}
    for path in sorted(folder.glob("*.pq")):
        if path.stem.endswith(("_reference", "_target")):
            continue
        current = pd.read_parquet(path)
        source = reference_of(path)
        if source not in estimators:
            estimators[source] = fitted(pd.read_parquet(source), current)
        estimator, features = estimators[source]
        edge = estimator.threshold("auc")
        truth = path.with_name(f"{path.stem}_target.pq")
        labels = labels_of(current, pd.read_parquet(truth)) if truth.is_file() else None
        for chunk in range(len(current) // CHUNK):
            rows = slice(chunk * CHUNK, (chunk + 1) * CHUNK)
            part = current.iloc[rows]
            found = estimator.estimate(
                part[features], part["predicted_probability"], part["prediction"]
            )
            auc = next(one for one in found if one.measure == "auc")
            cases.append(
                {"case": path.name, "chunk": chunk, "auc": auc.value, "alarm": bool(auc.alarm)}
            )
            if labels is None or edge is None:
                continue
            scores = part["predicted_probability"].to_numpy(dtype=float)
            real = float(measures(labels[None, rows], scores)["auc"][0])
            errors.append(abs(auc.value - real))
            alarms.append(bool(auc.alarm))
            drops.append(is_drop("auc", real, edge))
    score = None
    if errors:
        alarm, drop = np.array(alarms), np.array(drops)
        score = {
            "auc_mae": float(np.mean(errors)),
            "false_alarms": int((alarm & ~drop).sum()),
            "drops_found": int((alarm & drop).sum()),
            "drops": int(drop.sum()),
        }
    return {"benchmark": "perf", "score": score, "cases": cases}


def reference_of(path: Path) -> Path:
    """Find the reference whose name begins the file's, the longest such name, or the only one."""
    named = sorted(path.parent.glob("*_reference.pq"))
    if len(named) == 1:
        return named[0]
    fitting = [one for one in named if path.stem.startswith(one.stem.removesuffix("_reference"))]
    if not fitting:
        raise FileNotFoundError(f"{path.name}: no NAME_reference.pq beside it begins its name")
    return max(fitting, key=lambda one: len(one.stem))


def fitted(
    reference: pd.DataFrame, current: pd.DataFrame
) -> tuple[PerformanceEstimator, list[str]]:
    # The target is the column that only the reference has: targets may be absent from the folder.
    (target,) = [name for name in reference if name not in current]
    features = [name for name in reference if name not in {*NO_FEATURES, target}]
    estimator = PerformanceEstimator.fit(
        reference[features],
        reference["predicted_probability"],
        reference["prediction"],
        reference[target],
        chunk_rows=CHUNK,
    )
    if estimator is None:
        raise ValueError(f"{len(reference)} reference rows are too few, or of one class")
    return estimator, features


def labels_of(current: pd.DataFrame, truth: pd.DataFrame) -> np.ndarray:
    (target,) = [name for name in truth if name != "id"]
    joined = current[["id"]].merge(truth, on="id", how="left", validate="one_to_one")[target]
    return (joined == joined.max()).to_numpy()
