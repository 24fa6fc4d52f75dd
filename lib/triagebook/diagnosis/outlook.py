"""How good the model is likely to be on the current rows, from inputs and scores alone: labels are not asked."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd

from triagebook.analysis.classifier_measures import measures
from triagebook.analysis.estimate import LEAST_CURRENT, LEAST_ROWS, Estimate, PerformanceEstimator
from triagebook.analysis.estimate_error import ErrorEstimator

if TYPE_CHECKING:
    from triagebook.diagnosis.served import Labels, Served

_REFERENCE_ROWS = 3_000
_CURRENT_ROWS = 1_500
_CHUNKS = 8
"""Chunks of the reference whose spread says what is natural; fewer than five say nothing."""
_LEAST_LABELS = 50


@dataclass(frozen=True)
class Point:
    """One stretch of rows in a chart: when, what labels say, and what is estimated without them.

    Attributes
    ----------
    at : int
        Middle of the rows' times, nanoseconds.
    measured : float or None
        None where fewer than 50 labels are in, or of one class only.
    estimate : Estimate or None
        Of current rows only.
    """

    at: int
    measured: float | None
    estimate: Estimate | None


@dataclass(frozen=True)
class Outlook:
    """An estimator taught by the reference's labels, and what it says of the current rows.

    Attributes
    ----------
    what : str
        `AUC` or `mean absolute error`.
    better : int
        1 where more is better, -1 where less is.
    estimate : Estimate
        Of all current rows that were looked at.
    new_version : float
        Share of these rows that a version served of which the reference knows nothing.
    """

    what: str
    better: int
    estimate: Estimate
    new_version: float
    _estimator: PerformanceEstimator | ErrorEstimator
    _served: Served
    _labels: Labels
    _known: np.ndarray
    _rows: np.ndarray

    @property
    def worse(self) -> bool:
        """Whether all of the interval is worse than the reference, beyond its own chunks' spread."""
        e = self.estimate
        beyond = e.high < e.reference if self.better > 0 else e.low > e.reference
        return beyond and e.alarm is not False

    @property
    def contradicted(self) -> float | None:
        """What labels of the same stretch say, where that lies farther off than both can be; else None.

        Nothing is said with fewer than 100 labels. The estimate's interval is for as many labels as
        there are rows; of fewer labels the luck is larger by the root of their ratio.
        """
        usable = self._labels.maturity.use & np.isfinite(self._labels.y)
        start = self._served.times[self._rows[0]]
        here = np.flatnonzero((self._served.times >= start) & usable & self._served.late)
        said = self._measured(here) if len(here) >= LEAST_CURRENT else None
        e = self.estimate
        if said is None:
            return None
        reach = (e.high - e.low) / 2 * float(np.sqrt(1 + e.rows / len(here)))
        return said if abs(said - e.value) > reach else None

    def points(self, parts: int = 3) -> list[Point]:
        """Return the reference's chunks as measured, then the current rows in at most `parts` stretches."""
        times, labels = self._served.times, self._labels
        name = self.estimate.measure
        known = cast("dict[str, np.ndarray]", self._estimator.chunks).get(name, np.empty(0))
        out = [
            Point(int(np.median(times[rows])), float(value), None)
            for rows, value in zip(
                np.array_split(self._known, max(len(known), 1)), known, strict=False
            )
            if np.isfinite(value)
        ]
        parts = max(1, min(parts, len(self._rows) // (2 * LEAST_CURRENT)))
        cuts = np.linspace(0, len(self._rows), parts + 1).astype(int)
        usable = labels.maturity.use & np.isfinite(labels.y)
        for low, high in pairwise(cuts):
            rows = self._rows[low:high]
            start, end = times[rows[0]], times[rows[-1]]
            # What is measured is measured on every row of the stretch, not on those drawn.
            here = np.flatnonzero((times >= start) & (times <= end) & usable & self._served.late)
            estimate = _first(_estimate(self._estimator, self._served, rows), name)
            out.append(Point(int(np.median(times[rows])), self._measured(here), estimate))
        return out

    def _measured(self, rows: np.ndarray) -> float | None:
        score, y = self._served.score, self._labels.y[rows]
        if score is None or len(rows) < _LEAST_LABELS:
            return None
        ok = np.isfinite(score[rows])
        if self.better < 0:
            return float(np.abs(score[rows] - y)[ok].mean()) if ok.any() else None
        value = float(measures((y[ok] > 0.5)[None], score[rows][ok])["auc"][0])
        return value if np.isfinite(value) else None


def outlook(out: Served, labels: Labels, since: int | None) -> Outlook | str:
    """Estimate the model's performance on the current rows.

    Parameters
    ----------
    out : Served
    labels : Labels
        Those of the reference teach; those of current rows are not looked at.
    since : int or None
        Only rows from this moment on, nanoseconds, where there are 100 of them and more.

    Returns
    -------
    Outlook or str
        The reason where there is nothing to say.
    """
    if out.score is None:
        return "the model's scores are not logged"
    if labels.right:
        return "labels are of many classes"
    if not [n for n in out.features if n in out.frame]:
        return "the model's inputs are not logged beside its scores"
    rng = np.random.default_rng(0)
    able = np.isfinite(out.score)
    known = np.flatnonzero(~out.late & labels.maturity.use & np.isfinite(labels.y) & able)
    known = _drawn(rng, known, _REFERENCE_ROWS)
    rows = np.flatnonzero(out.late & able)
    recent = rows if since is None else rows[out.times[rows] >= since]
    rows = _drawn(rng, recent if len(recent) >= LEAST_CURRENT else rows, _CURRENT_ROWS)
    if len(known) < LEAST_ROWS:
        return (
            f"it takes {LEAST_ROWS} labelled decisions of the reference, and {len(known)} are there"
        )
    if len(rows) < LEAST_CURRENT:
        return f"it takes {LEAST_CURRENT} decisions, and {len(rows)} are there"
    chunk = max(LEAST_CURRENT, min(len(rows), len(known) // _CHUNKS))
    features, score = _inputs(out, known), pd.Series(out.score[known])
    estimator: PerformanceEstimator | ErrorEstimator | None
    if labels.task == "number":
        estimator = ErrorEstimator.fit(features, score, pd.Series(labels.y[known]), chunk)
    else:
        truth = pd.Series(labels.y[known] > 0.5)
        estimator = PerformanceEstimator.fit(features, score, None, truth, chunk)
    name, what, better = (
        ("mae", "mean absolute error", -1) if labels.task == "number" else ("auc", "AUC", 1)
    )
    if estimator is None:
        return "the reference's labels are too few of one kind to learn from"
    estimate = _first(_estimate(estimator, out, rows), name)
    if estimate is None:
        return f"{what} has no meaning on these rows"
    strange = 0.0
    if out.version is not None:
        seen = set(pd.Series(out.version[known]).dropna())
        strange = float(np.mean([v is not None and v not in seen for v in out.version[rows]]))
    return Outlook(what, better, estimate, strange, estimator, out, labels, known, rows)


def _inputs(out: Served, rows: np.ndarray) -> pd.DataFrame:
    present = [name for name in out.features if name in out.frame]
    return out.frame[present].iloc[rows].reset_index(drop=True)


def _estimate(
    estimator: PerformanceEstimator | ErrorEstimator, out: Served, rows: np.ndarray
) -> list[Estimate]:
    score = pd.Series(np.full(len(rows), np.nan) if out.score is None else out.score[rows])
    return estimator.estimate(_inputs(out, rows), score)


def _first(found: list[Estimate], name: str) -> Estimate | None:
    return next((one for one in found if one.measure == name), None)


def _drawn(rng: np.random.Generator, rows: np.ndarray, most: int) -> np.ndarray:
    return np.sort(rng.choice(rows, most, replace=False)) if len(rows) > most else rows
