"""Real chunks of a classifier's rows: is one called harmful only where performance really fell?

Takes the folder of `perf`. A chunk is called harmful when the first hypothesis is a fault; it is harmful when
the AUC of its labels fell as `perf` defines a drop. Labels are not shown to the diagnosis.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from tests.benchmarks.perf import CHUNK, NO_FEATURES, fitted, labels_of, reference_of
from tests.benchmarks.windows import ask
from triagebook.analysis.classifier_measures import is_drop, measures
from triagebook.core.models import TableSpec
from triagebook.diagnosis.catalogue import cause as cause_of

if TYPE_CHECKING:
    from pathlib import Path


def run(folder: Path) -> dict[str, Any]:
    """Diagnose each chunk of 5,000 rows against the reference of its file.

    Returns
    -------
    dict
        {"benchmark", "score", "cases"}; score holds chunks, called_harmful, harmful and found, or is None
        without targets.
    """
    cases: list[dict[str, Any]] = []
    harmful: list[bool] = []
    for path in sorted(folder.glob("*.pq")):
        if path.stem.endswith(("_reference", "_target")):
            continue
        current = pd.read_parquet(path)
        reference = pd.read_parquet(reference_of(path))
        estimator, features = fitted(reference, current)
        edge = estimator.threshold("auc")
        truth = path.with_name(f"{path.stem}_target.pq")
        labels = labels_of(current, pd.read_parquet(truth)) if truth.is_file() else None
        spec = TableSpec(
            role="predictions",
            score="predicted_probability",
            prediction="prediction",
            feature_columns=features,
        )
        shown = [name for name in reference if name in current and name not in NO_FEATURES[:2]]
        for chunk in range(len(current) // CHUNK):
            rows = slice(chunk * CHUNK, (chunk + 1) * CHUNK)
            part = current.iloc[rows]
            found = ask({"predictions": (spec, reference[shown], part[shown])}, "drift")
            first = found.hypotheses[0]
            cases.append(
                {
                    "case": path.name,
                    "chunk": chunk,
                    "verdict": found.verdict,
                    "first": f"{first.cause} {first.locus}",
                    "harmful": cause_of(first.cause).fault,
                }
            )
            if labels is not None and edge is not None:
                scores = part["predicted_probability"].to_numpy(dtype=float)
                real = float(measures(labels[None, rows], scores)["auc"][0])
                harmful.append(bool(is_drop("auc", real, edge)))
    score = None
    if harmful:
        called = [bool(case["harmful"]) for case in cases]
        score = {
            "chunks": len(called),
            "called_harmful": sum(called),
            "harmful": sum(harmful),
            "found": sum(c and h for c, h in zip(called, harmful, strict=True)),
        }
    return {"benchmark": "chunks", "score": score, "cases": cases}
