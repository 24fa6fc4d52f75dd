"""What logs say of slowness, instance by instance, where no metric does."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from triagebook.diagnosis.context import Context

_SLOW = re.compile(
    r"\bslow\b|over budget|\btook\b[^\n]{0,20}\d|exceed\w* [^\n]{0,20}(latency|budget|slo|threshold)"
    r"|deadline|timed? ?out|high latency",
    re.IGNORECASE,
)
_GRAVE = frozenset({"WARN", "WARNING", "ERROR", "CRITICAL", "FATAL"})
LEAST = 8
"""Fewer lines about slowness than this are no pattern."""
OF_ONE = 0.8
"""Share of such lines that one instance writes, when it alone is slow."""


@dataclass(frozen=True)
class SlowOne:
    """One instance that says it is slow while its siblings do not.

    Attributes
    ----------
    lines, all_lines : int
        Its lines about slowness in the current window, and those of all instances of the component.
    siblings : int
        Instances of the component that log, itself among them.
    """

    instance: str
    component: str
    lines: int
    all_lines: int
    siblings: int
    first: pd.Timestamp
    example: str


def component_of(ctx: Context, source: str) -> str | None:
    """Return the component a log source belongs to; None where no known name is in it."""
    names = ctx.names
    if source in names.tasks or source.rpartition(".")[2] in names.tasks:
        return None
    return names.instances.get(source) or names.component_in(source)


def slow_one(ctx: Context) -> SlowOne | None:
    """Find the one instance whose warnings of slowness are new; None where several warn, or none does."""
    logs = ctx.bundle.logs
    if logs is None or logs.empty:
        return None
    windows = ctx.bundle.windows
    grave = logs[logs["severity"].astype(str).str.upper().isin(_GRAVE)]
    slow = grave[grave["message"].astype(str).map(lambda text: bool(_SLOW.search(text)))]
    now = slow[slow["ts"] >= windows.current[0]]
    before = slow[slow["ts"] < windows.current[0]]
    ratio = (windows.current[1] - windows.current[0]) / (
        windows.reference[1] - windows.reference[0]
    )
    sources = {s: component_of(ctx, s) for s in sorted({str(s) for s in logs["source"]})}
    best: SlowOne | None = None
    for component in sorted({c for c in sources.values() if c}):
        mine = [s for s, c in sources.items() if c == component]
        lines = now[now["source"].isin(mine)]
        if len(mine) < 2 or len(lines) < LEAST:
            continue
        counts = lines["source"].value_counts()
        top = min(counts.index[counts == counts.iloc[0]])
        old = int((before["source"] == top).sum()) * ratio
        if counts[top] < OF_ONE * len(lines) or counts[top] < 3 * old:
            continue
        first = lines[lines["source"] == top].sort_values("ts").iloc[0]
        one = SlowOne(
            str(top),
            component,
            int(counts[top]),
            len(lines),
            len(mine),
            first["ts"],
            str(first["message"]),
        )
        if best is None or one.lines > best.lines:
            best = one
    return best
