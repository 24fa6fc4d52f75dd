"""Whether tasks failed or ran late, and what the logs say about it."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from triagebook.analysis.logs import Template, changed_templates, trouble_of
from triagebook.core.words import clock, count, several, span
from triagebook.diagnosis.answer import Answer, Signal, check
from triagebook.diagnosis.catalogue import cause as cause_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from triagebook.core.models import TaskRun
    from triagebook.diagnosis.context import Context

_FAILED = frozenset(
    {"failed", "error", "crashed", "upstream_failed", "killed", "timedout", "timed_out"}
)
_OK = frozenset({"success", "succeeded", "completed", "done", "ok"})


def _locus(ctx: Context, cause: str, run: TaskRun) -> str:
    kind = cause_of(cause).locus
    if kind == "task":
        return f"task:{run.pipeline}.{run.task}"
    if kind == "host":
        return f"host:{ctx.bundle.service.hosts.get(run.task, 'unknown')}"
    if kind == "dependency":
        text = f"{run.error or ''}".lower()
        named = [d for d in ctx.bundle.service.dependencies or [] if d.lower() in text]
        return f"dependency:{named[0] if named else 'unknown'}"
    if kind == "table":
        tables = [
            e.to for e in ctx.bundle.topology or [] if e.from_ == run.task and e.to in ctx.tables
        ]
        text = f"{run.error or ''}".lower()
        named = [t for t in ctx.tables if t.lower() in text]
        return f"table:{(named or tables or ['unknown'])[0]}"
    if kind == "model":
        model = ctx.bundle.service.model
        name = (model.name if model else None) or "model"
        return f"model:{name}/{(model.version if model else None) or 'unknown'}"
    return "config:unknown"


@check(
    "pipeline.tasks",
    "Did a task fail?",
    finds=(
        "pipeline.code_error",
        "pipeline.out_of_memory",
        "pipeline.disk_full",
        "pipeline.auth_expired",
        "pipeline.dependency_down",
        "pipeline.bad_config",
        "pipeline.bad_dependency_version",
        "pipeline.input_missing",
        "pipeline.contract_rejected",
        "pipeline.deploy_failed",
    ),
    opposes=("none",),
)
def tasks(ctx: Context) -> Iterable[Answer]:
    """Find the first failure in the order of the graph; what failed after it is its consequence."""
    service = f"service:{ctx.bundle.service.name}"
    runs = ctx.bundle.pipeline
    if runs is None:
        yield Answer(
            locus=service,
            verdict="unknown",
            evidence=ctx.cite("pipeline"),
            statement=f"Task runs were not seen: {ctx.why_missing('pipeline') or 'not readable'}",
        )
        return
    start, end = ctx.bundle.windows.current
    recent = [r for r in runs if start <= (r.end or r.start or end) <= end]
    earlier = [r for r in runs if (r.end or r.start or end) < start]
    failed = [r for r in recent if (r.state or "").lower() in _FAILED]
    rate_before = sum((r.state or "").lower() in _FAILED for r in earlier) / max(len(earlier), 1)
    if not failed or len(failed) <= 1.5 * rate_before * len(recent):
        yield Answer(
            locus=service,
            verdict="ok",
            evidence=ctx.cite("pipeline"),
            value=len(failed),
            unit="runs",
            statement=f"{count(len(recent) - len(failed))} of {count(len(recent))} task runs succeeded"
            + (f"; {count(len(failed))} failures are as usual" if failed else ""),
            signals=(*(Signal(c, "*", -2.5) for c in _TASK_CAUSES), Signal("none", "*", 0.5)),
        )
        return
    names = {r.task for r in failed}
    heads = [r for r in failed if not (ctx.upstream_of({r.task}) - {r.task}) & names] or failed
    first = min(heads, key=lambda r: (r.end or r.start or end, r.task))
    text = first.error or _log_of(ctx, first)
    cause = trouble_of(text) or "pipeline.code_error"
    locus = _locus(ctx, cause, first)
    followers = sorted(names - {first.task})
    line = text.strip().splitlines()[-1] if text.strip() else "no error text"
    yield Answer(
        locus=locus,
        verdict="bad",
        since=first.end or first.start,
        value=len(failed),
        unit="failed runs",
        statement=f"Task {first.task} of {first.pipeline} failed first: {line[:160]}"
        + (f"; {several(followers)} failed after it" if followers else ""),
        evidence=[*ctx.cite("pipeline"), *(ctx.cite("logs") if not first.error else [])],
        signals=(
            Signal(
                cause,
                locus,
                4.0 if text else 2.0,
                headline=f"Task {first.task} fails since {clock(first.end or first.start)}: {line[:100]}",
                mechanism="What the task feeds is late or missing"
                + (f": {several(followers)}." if followers else "."),
            ),
            Signal("none", "*", -3.5),
        ),
    )


_TASK_CAUSES = (
    "pipeline.code_error",
    "pipeline.out_of_memory",
    "pipeline.disk_full",
    "pipeline.auth_expired",
    "pipeline.dependency_down",
    "pipeline.bad_config",
    "pipeline.bad_dependency_version",
    "pipeline.input_missing",
    "pipeline.contract_rejected",
    "pipeline.deploy_failed",
)


def _log_of(ctx: Context, run: TaskRun) -> str:
    """Return the error lines a failed task wrote, from the log window or the task's name."""
    logs = ctx.bundle.logs
    if logs is None or logs.empty:
        return ""
    bad = logs[logs["severity"].astype(str).str.upper().isin(["ERROR", "FATAL", "CRITICAL"])]
    mine = bad[bad["source"].astype(str).str.contains(run.task, regex=False)]
    low, high = run.log or (run.start, run.end)
    if low is not None and high is not None:
        mine = mine[(mine["ts"] >= low) & (mine["ts"] <= high + pd.Timedelta("60s"))]
    return "\n".join(mine["message"].astype(str).head(20))


@check("pipeline.late", "Did a task run longer than ever, or not at all?", finds=("pipeline.slow",))
def late(ctx: Context) -> Iterable[Answer]:
    """Compare each task's latest durations with its own past."""
    runs = ctx.bundle.pipeline
    service = f"service:{ctx.bundle.service.name}"
    if runs is None:
        yield Answer(
            locus=service,
            verdict="unknown",
            evidence=ctx.cite("pipeline"),
            statement=f"Durations were not seen: {ctx.why_missing('pipeline') or 'not readable'}",
        )
        return
    start = ctx.bundle.windows.current[0]
    took: dict[tuple[str, str], list[tuple[TaskRun, float]]] = defaultdict(list)
    for run in runs:
        if run.start and run.end and (run.state or "").lower() in _OK:
            took[run.pipeline, run.task].append((run, (run.end - run.start).total_seconds()))
    worst: tuple[float, TaskRun, float, float] | None = None
    for items in took.values():
        old = [s for r, s in items if r.start and r.start < start]
        new = [(s, r) for r, s in items if r.start and r.start >= start]
        if len(old) < 10 or not new:
            continue
        limit = max(2 * float(np.quantile(old, 0.99)), float(np.median(old)) + 30)
        slow = [(s, r) for s, r in new if s > limit]
        if len(slow) >= 2 or (slow and slow[-1][1] is new[-1][1]):
            factor = slow[-1][0] / max(float(np.median(old)), 1e-9)
            if worst is None or factor > worst[0]:
                worst = factor, slow[0][1], slow[-1][0], float(np.median(old))
    if worst is None:
        yield Answer(
            locus=service,
            verdict="ok",
            evidence=ctx.cite("pipeline"),
            statement="No task ran longer than it does anyway",
            signals=(Signal("pipeline.slow", "*", -3.0),),
        )
        return
    factor, run, now, usual = worst
    locus = f"task:{run.pipeline}.{run.task}"
    yield Answer(
        locus=locus,
        verdict="bad",
        since=run.start,
        evidence=ctx.cite("pipeline"),
        statement=f"Task {run.task} takes {span(now)}, usually {span(usual)} ({factor:.1f} times)",
        value=round(now, 1),
        unit="s",
        threshold=round(2 * usual, 1),
        effect=round(factor, 2),
        signals=(
            Signal(
                "pipeline.slow",
                locus,
                2.5,
                headline=f"Task {run.task} takes {factor:.1f} times as long.",
                mechanism="What waits for it is late.",
            ),
            Signal("none", "*", -2.0),
        ),
    )


@check(
    "logs.new_errors",
    "Which errors are new in the logs?",
    finds=("pipeline.code_error", "pipeline.dependency_down", "pipeline.auth_expired"),
)
def new_errors(ctx: Context) -> Iterable[Answer]:
    """Fold lines to templates and list those that are new or multiplied."""
    service = f"service:{ctx.bundle.service.name}"
    logs = ctx.bundle.logs
    if logs is None:
        yield Answer(
            locus=service,
            verdict="unknown",
            evidence=ctx.cite("logs"),
            statement=f"Logs were not seen: {ctx.why_missing('logs') or 'not readable'}",
        )
        return
    (ref0, ref1), (cur0, cur1) = ctx.bundle.windows.reference, ctx.bundle.windows.current
    old = logs[(logs["ts"] >= ref0) & (logs["ts"] < ref1)]
    new = logs[(logs["ts"] >= cur0) & (logs["ts"] <= cur1)]
    ratio = (cur1 - cur0) / (ref1 - ref0)
    found = changed_templates(old, new, ratio)
    ctx.results["templates"] = found
    errors = [t for t in found if t.severity not in ("WARN", "WARNING")]
    if not errors:
        said = f"; {count(len(found))} warnings are more frequent" if found else ""
        yield Answer(
            locus=service,
            verdict="ok",
            evidence=ctx.cite("logs"),
            value=0,
            unit="templates",
            statement=f"No error is new or more frequent in {count(len(new))} log lines{said}",
            signals=(Signal("none", "*", 0.5),),
        )
        return
    top: Template = errors[0]
    yield Answer(
        locus=service,
        verdict="bad",
        since=top.first,
        evidence=ctx.cite("logs"),
        statement=f"{count(len(errors))} errors are new or more frequent; most: {top.source}: "
        f"{top.template[:140]} ({count(top.current)} lines, {top.expected:.1f} expected)",
        value=len(errors),
        unit="templates",
        threshold=1,
        effect=round(top.factor, 2),
        signals=(Signal("none", "*", -1.5),),
    )
