"""What was changed just before, and whether it lies upstream of what broke."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pandas as pd

from triagebook.core.words import clock, several_of, share, span
from triagebook.diagnosis.answer import Answer, Signal, check
from triagebook.diagnosis.context import moment
from triagebook.diagnosis.first_failure import failure

if TYPE_CHECKING:
    from collections.abc import Iterable

    from triagebook.core.models import Change
    from triagebook.diagnosis.context import Context

WITHIN_S = 2 * 3_600.0
"""A change this long before the onset may have caused it."""
AFTER_S = 300.0
"""Clocks and batches differ a little: a change recorded this long after the onset still counts."""


def onset_of(ctx: Context) -> pd.Timestamp | None:
    """Return when the strongest moved input began to move; else the first failure, else the symptom."""
    starts = [c.since for c in ctx.roots if c.movement.beyond_natural and c.since is not None]
    if starts:
        return starts[0]
    first = failure(ctx)
    if first is not None and first.since is not None:
        return first.since
    return moment(ctx.scene.since) if ctx.scene.since is not None else None


def _hurt(ctx: Context) -> set[str]:
    """Name what broke, where no column did: the task that failed first, else the service that is slow."""
    first = failure(ctx)
    if first is not None:
        return {first.run.task}
    worse = {r.component for r in ctx.scene.symptoms if r.component}
    return worse | ({ctx.scene.entry, ctx.scene.name} if ctx.scene.symptoms else set())


def node_of(change: Change, nodes: set[str]) -> str | None:
    """Find the node of the graph that a change is about, by the names in its text."""
    words = set(re.findall(r"[a-z0-9]+(?:[_-][a-z0-9]+)*", f"{change.what}".lower()))
    parts = {part for word in words for part in re.split(r"[_-]", word)} | words
    named = [n for n in sorted(nodes, key=len, reverse=True) if n.lower() in words]
    if named:
        return named[0]
    tails = {n: re.split(r"[.:/]", n.lower())[-1] for n in nodes}
    loose = [n for n, tail in sorted(tails.items()) if tail in parts]
    return loose[0] if loose else None


@check(
    "changes.before_onset",
    "What was changed just before, and does it lie upstream?",
    finds=(),
    opposes=(
        "data.category_recode",
        "data.column_swap",
        "data.corrupted_values",
        "data.default_fill",
        "data.missing_values",
        "data.timezone_shift",
        "data.unit_change",
        "drift.seasonal",
        "drift.feature_shift",
    ),
)
def before_onset(ctx: Context) -> Iterable[Answer]:
    """Hold each change against the onset and the graph."""
    service = f"service:{ctx.bundle.service.name}"
    if ctx.bundle.changes is None:
        yield Answer(
            locus=service,
            verdict="unknown",
            statement=f"Changes were not seen: {ctx.why_missing('changes') or 'not readable'}",
            evidence=ctx.cite("changes"),
        )
        return
    onset = onset_of(ctx)
    window = ctx.bundle.windows.current
    recent = [c for c in ctx.changes if window[0] <= c.ts <= window[1]]
    if onset is None:
        yield Answer(
            locus=service,
            verdict="ok",
            statement=f"{several_of(len(recent), 'change')} in the window; no start in the data or in "
            "a task to hold them against",
            evidence=ctx.cite("changes"),
        )
        return
    broken = [c for c in ctx.roots if c.movement.beyond_natural]
    nodes = {n for e in ctx.bundle.topology or [] for n in (e.from_, e.to)}
    nodes |= {t.task for t in ctx.bundle.pipeline or []} | set(ctx.tables)
    suspects = ctx.results.setdefault("suspects", [])
    coincident = ctx.results.setdefault("coincident", [])
    for change in recent:
        early = (onset - pd.Timestamp(change.ts)).total_seconds()
        what = change.what + (f" {change.from_} → {change.to}" if change.to else "")
        node = node_of(change, nodes)
        hit = [c for c in broken if node is not None and node in ctx.upstream_of({c.table})]
        close = -AFTER_S <= early <= WITHIN_S
        if close and not broken and node is not None and node in ctx.upstream_of(_hurt(ctx)):
            suspects.append((change, node))
            yield Answer(
                locus=service,
                verdict="bad",
                since=change.ts,
                statement=f"{what} went live {clock(change.ts)}, {span(early)} before the onset; "
                f"{node} lies upstream of what broke",
                value=round(early),
                unit="s before the onset",
                threshold=WITHIN_S,
                evidence=ctx.cite("changes"),
            )
            continue
        if close and hit:
            suspects.append((change, node))
            yield Answer(
                locus=hit[0].locus,
                verdict="bad",
                since=change.ts,
                statement=(
                    f"{what} went live {clock(change.ts)}, {span(early)} before the onset; "
                    f"{node} lies upstream of {hit[0].table}"
                ),
                value=round(early),
                unit="s before the onset",
                threshold=WITHIN_S,
                evidence=ctx.cite("changes"),
                signals=tuple(
                    signal
                    for column in hit[:4]
                    for signal in (
                        *(Signal(cause, column.locus, 1.0) for cause in _COLUMN_FAULTS),
                        Signal("drift.seasonal", f"feature:{column.name}", -0.7),
                        Signal("drift.feature_shift", f"feature:{column.name}", -0.7),
                    )
                ),
            )
            continue
        coincident.append((change, node, early))
        reason = f"{span(early)} {'after' if early < 0 else 'before'} the onset"
        side = (
            "not upstream of what moved"
            if node is not None
            else "nothing in the graph carries its name"
        )
        yield Answer(
            locus=service,
            verdict="ok",
            since=change.ts,
            statement=f"{what} ({clock(change.ts)}): {reason}, {side if not hit else 'too far off'}",
            value=round(early),
            unit="s before the onset",
            threshold=WITHIN_S,
            evidence=ctx.cite("changes"),
        )


_COLUMN_FAULTS = (
    "data.unit_change",
    "data.missing_values",
    "data.default_fill",
    "data.category_recode",
    "data.corrupted_values",
    "data.column_swap",
    "data.timezone_shift",
)


@check(
    "changes.abrupt",
    "Did it start at one moment, as a fault does, or drift?",
    opposes=(
        "data.category_recode",
        "data.column_swap",
        "data.corrupted_values",
        "data.default_fill",
        "data.missing_values",
        "data.timezone_shift",
        "data.unit_change",
        "drift.seasonal",
        "drift.feature_shift",
    ),
)
def abrupt(ctx: Context) -> Iterable[Answer]:
    """Hold the onset's interval against the window: a step speaks for a fault, a ramp against."""
    for column in [c for c in ctx.roots if c.movement.beyond_natural][:4]:
        split = column.movement.split
        feature = f"feature:{column.name}"
        if split is None or split.time_low is None or split.time_high is None:
            yield Answer(
                locus=column.locus,
                verdict="ok",
                statement=f"No one moment stands out at which {column.name} changed",
                evidence=ctx.cite("tables", column.table),
                signals=(
                    Signal("drift.seasonal", feature, 0.5),
                    Signal("drift.feature_shift", feature, 0.3),
                ),
            )
            continue
        width_s = (split.time_high - split.time_low) / 1e9
        length_s = (ctx.bundle.windows.current[1] - ctx.bundle.windows.current[0]).total_seconds()
        sharp = width_s <= 0.05 * length_s
        low, high = (
            pd.Timestamp(t, unit="ns", tz="UTC") for t in (split.time_low, split.time_high)
        )
        yield Answer(
            locus=column.locus,
            verdict="bad" if sharp else "ok",
            since=column.since,
            statement=(
                f"{column.name} changed between {low:%H:%M} and {high:%H:%M} UTC, "
                f"{share(width_s / length_s)} of the window: "
                + ("a step" if sharp else "no sharp step")
            ),
            value=round(width_s),
            unit="s",
            threshold=round(0.05 * length_s),
            evidence=ctx.cite("tables", column.table),
            signals=(
                *(Signal(cause, column.locus, 0.5 if sharp else -0.3) for cause in _COLUMN_FAULTS),
                Signal("drift.seasonal", feature, -1.0 if sharp else 0.3),
                Signal("drift.feature_shift", feature, -0.3 if sharp else 0.3),
            ),
        )
