"""How good the model was on the rows whose labels are in: computed once, used by several checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from triagebook.analysis.performance import Measured, measured
from triagebook.diagnosis.served import Labels, Served, served

if TYPE_CHECKING:
    from triagebook.diagnosis.context import Context


def usable(labels: Labels) -> np.ndarray:
    """Positions of the rows whose label counts."""
    return np.flatnonzero(labels.maturity.use & np.isfinite(labels.y))


def decisions_of(out: Served, rows: np.ndarray) -> np.ndarray | None:
    """Return what was decided of some rows; None where decisions are not logged."""
    return None if out.decision is None else out.decision[rows]


def measured_of(ctx: Context) -> Measured | None:
    """Return the performance on labelled rows; None with fewer than 30 of now, or without labels."""
    if "performance" not in ctx.results:
        ctx.results["performance"] = _measure(served(ctx))
    found = ctx.results["performance"]
    return found if isinstance(found, Measured) else None


def _measure(out: Served | None) -> Measured | None:
    if out is None or out.labels is None:
        return None
    labels = out.labels
    rows = usable(labels)
    late = out.times[rows] >= labels.maturity.start
    if late.sum() < 30:
        return None
    return measured(
        labels.y[rows],
        None if labels.right or out.score is None else out.score[rows],
        np.ones(len(rows)) if labels.right else decisions_of(out, rows),
        labels.expected[rows],
        out.times[rows],
        late,
        number=labels.task == "number",
    )
