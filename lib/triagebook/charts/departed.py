"""What left what was expected of it, row by row: labels beyond their scores, scores beyond their inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from triagebook.diagnosis.departures import label_departure, score_departure
from triagebook.diagnosis.served import served

if TYPE_CHECKING:
    from triagebook.diagnosis.context import Context

_LEAST = 30
"""Rows of now that a line needs."""
_BY_LABELS = frozenset({"model.concept_drift", "drift.label_shift", "model.label_fault"})
_BY_SCORES = frozenset({"model.segment_regression", "model.bad_version"})


@dataclass(frozen=True)
class Departed:
    """One quantity by row, in time order.

    Attributes
    ----------
    times : int64 array, shape (n,), nanoseconds
    values : float array, shape (n,)
    late : bool array, shape (n,)
        Rows of the current window.
    words : str
        What the vertical axis says.
    title : str
        The rows meant, and what the values are.
    """

    times: np.ndarray
    values: np.ndarray
    late: np.ndarray
    words: str
    title: str


def departed(ctx: Context, cause: str) -> Departed | None:
    """Return what shows a fault of the model or of its labels; None for other causes, or too few rows.

    Parameters
    ----------
    cause : str
        The cause to show.
    """
    out = served(ctx)
    if out is None or not out.timed:
        return None
    if cause in _BY_LABELS and out.labels is not None:
        left = label_departure(ctx)
        values = out.labels.y - out.labels.expected
        words = (
            "share right, less expected"
            if out.labels.right
            else "positive labels,\nless expected"
            if out.labels.task == "binary"
            else "label less prediction"
        )
        title = "labels less what their scores let expect"
    elif cause in _BY_SCORES and out.follows is not None:
        left = score_departure(ctx)
        values = np.abs(out.follows.residual)
        words = "score off what\ninputs let expect"
        title = "how far scores lie from what the inputs let expect"
    else:
        return None
    if left is None or left.found is None:
        return None
    # A version scores every row, wherever it errs most.
    everything = left.found.everything or cause == "model.bad_version"
    rows = np.asarray(left.rows if everything else left.rows[left.found.inside])
    rows = rows[np.isfinite(values[rows])]
    if out.late[rows].sum() < _LEAST or (~out.late[rows]).sum() < _LEAST:
        return None
    where = "all rows" if everything else left.found.name.replace("=", " = ")
    return Departed(out.times[rows], values[rows], out.late[rows], words, f"{where}: {title}")
