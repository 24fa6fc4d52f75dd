"""What a failed or late pipeline and missing or doubled rows cost so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from triagebook.core.models import Impact

if TYPE_CHECKING:
    from triagebook.core.models import Hypothesis, Onset
    from triagebook.diagnosis.context import Context

_FAILED = frozenset(
    {"failed", "failure", "error", "errored", "crashed", "killed", "timed_out", "timeout"}
)
_UNRUN = frozenset(
    {"upstream_failed", "skipped", "blocked", "queued", "scheduled", "waiting", "none"}
)


def batches(ctx: Context, first: Hypothesis, onset: Onset) -> list[Impact]:
    """Count failed runs, runs that did not happen, and the age of what was to be made."""
    if not first.cause.startswith("pipeline."):
        return []
    end = pd.Timestamp(ctx.bundle.windows.current[1])
    runs = [
        r
        for r in ctx.bundle.pipeline or []
        if (r.end or r.start) is None or (r.end or r.start or end) >= pd.Timestamp(onset.low)
    ]
    failed = sum((r.state or "").lower() in _FAILED for r in runs)
    unrun = sum((r.state or "").lower() in _UNRUN for r in runs)
    out = []
    for what, number, how in (
        ("runs failed", failed, "task runs in a failed state since the onset"),
        (
            "runs that did not happen",
            unrun,
            "task runs blocked, skipped or still waiting since the onset",
        ),
    ):
        if number:
            out.append(Impact(what=what, value=number, unit="runs", how=how))
    return out


def rows(ctx: Context, first: Hypothesis, onset: Onset) -> list[Impact]:
    """Count rows lost or doubled since the onset, where a table is at fault."""
    kind, _, name = first.locus.partition(":")
    if kind != "table" or first.cause not in (
        "data.missing_rows",
        "data.duplicate_rows",
        "data.stale",
    ):
        return []
    view = ctx.view(name) if name in ctx.tables else None
    if view is None or not view.timed:
        return []
    begin, end = pd.Timestamp(onset.at).value, pd.Timestamp(ctx.bundle.windows.current[1]).value
    got = int(((view.current_times >= begin) & (view.current_times <= end)).sum())
    if first.cause == "data.duplicate_rows":
        keys = [k for k in view.spec.key_columns if k in view.current]
        part = view.current[view.current_times >= begin]
        extra = int(part.duplicated(keys or None).sum())
        return [
            Impact(
                what="rows doubled",
                value=extra,
                unit="rows",
                how=f"rows of {name} since the onset whose key was there before",
            )
        ]
    day = 86_400_000_000_000
    back = day * max(1, int(np.ceil((end - begin) / day)))
    usual = []
    for n in range(1, 29):
        low, high = begin - n * back, end - n * back
        if low < view.reference_times[0]:
            break
        usual.append(int(((view.reference_times >= low) & (view.reference_times <= high)).sum()))
    if len(usual) < 3:
        return []
    low, mid, high = np.quantile(usual, [0.05, 0.5, 0.95])
    return [
        Impact(
            what="rows lost",
            value=round(max(mid - got, 0.0)),
            unit="rows",
            low=round(max(low - got, 0.0)),
            high=round(max(high - got, 0.0)),
            how=f"rows of {name} in the same hours of {len(usual)} earlier days, less those that came",
        )
    ]
