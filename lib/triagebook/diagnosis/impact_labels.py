"""How many decisions are wrong beyond the usual, counted on those whose labels are in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from triagebook.core.models import Impact
from triagebook.core.words import count, share
from triagebook.diagnosis.departures import label_departure, score_departure
from triagebook.diagnosis.measured import usable
from triagebook.diagnosis.served import served

if TYPE_CHECKING:
    from triagebook.core.models import Hypothesis, Onset
    from triagebook.diagnosis.context import Context
    from triagebook.diagnosis.departures import Departure

_LEAST = 20
"""Labelled decisions needed on either side."""
_BY_LABELS = frozenset({"model.concept_drift", "drift.label_shift"})
_BY_SCORES = frozenset({"model.segment_regression"})
_ALL_ROWS = frozenset(
    {"model.bad_version", "model.stale", "model.serving_skew", "model.threshold_change"}
)


def wrong_decisions(ctx: Context, first: Hypothesis, onset: Onset) -> tuple[Impact, float] | None:
    """Count decisions made wrongly since the onset, beyond as many as were wrong before.

    Parameters
    ----------
    first : Hypothesis
        A cause that lies in the model or in the world; where labels are at fault they count nothing.
    onset : Onset

    Returns
    -------
    (impact, share) or None
        Share of all decisions since the onset, [0, 1]; at least a thousandth where as many may be. None
        where decisions or labels are not known of 20 decisions since the onset and 20 of the reference, or
        for another cause.
    """
    out = served(ctx)
    if out is None or out.labels is None or not out.timed:
        return None
    if first.cause in _BY_LABELS:
        inside = _slice(label_departure(ctx), len(out.times))
    elif first.cause in _BY_SCORES:
        inside = _slice(score_departure(ctx), len(out.times))
    elif first.cause in _ALL_ROWS:
        inside = np.ones(len(out.times), dtype=bool)
    else:
        return None
    since = out.times >= pd.Timestamp(onset.at).value
    labels, rows = out.labels, usable(out.labels)
    right = labels.y if labels.right else None
    if right is None:
        if out.decision is None or labels.task != "binary":
            return None
        right = (out.decision == labels.y).astype(float)
        rows = rows[np.isfinite(out.decision[rows])]
    hit = rows[since[rows] & inside[rows]]
    old = rows[~out.late[rows] & inside[rows] & ~since[rows]]
    if min(len(hit), len(old)) < _LEAST:
        return None
    now, before = 1 - float(right[hit].mean()), 1 - float(right[old].mean())
    more = now - before
    # Agresti and Caffo's interval of a difference: one right and one wrong added to each side.
    p, q = (now * len(hit) + 1) / (len(hit) + 2), (before * len(old) + 1) / (len(old) + 2)
    error = 1.96 * np.sqrt(p * (1 - p) / (len(hit) + 2) + q * (1 - q) / (len(old) + 2))
    labelled = rows[since[rows]]
    made = int(since.sum())
    of_all = len(hit) / max(len(labelled), 1)
    low, value, high = (
        float(np.clip(x, 0.0, 1.0)) * of_all for x in (p - q - error, more, p - q + error)
    )
    where = "" if of_all >= 1 else " of that slice"
    return (
        Impact(
            what="predictions likely wrong",
            value=round(value * made),
            unit="predictions",
            low=round(min(low, value) * made),
            high=round(max(high, value) * made),
            how=f"{share(now)} of {count(len(hit))} labelled decisions{where} since the onset are wrong, "
            f"{share(before)} before; the difference, of all {count(made)}",
        ),
        # "None is wrong" is said only where chance does not allow for more.
        max(value, min(high, 0.001)),
    )


def _slice(left: Departure | None, rows: int) -> np.ndarray:
    """Return which served rows are of the slice that left, shape (n,); all of them where none is named."""
    everything = np.ones(rows, dtype=bool)
    if left is None or left.found is None or left.found.everything:
        return everything
    inside = np.zeros(rows, dtype=bool)
    inside[left.rows[left.found.inside]] = True
    return inside
