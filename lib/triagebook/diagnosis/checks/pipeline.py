"""Whether tasks failed, ran late or never ran, what they say about it, and where the fault enters."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from triagebook.analysis.failures import headline_of, our_line
from triagebook.analysis.logs import trouble_of
from triagebook.analysis.workload import rows_between, usual_seconds
from triagebook.core.words import clock, count, several, span
from triagebook.diagnosis.answer import Answer, Signal, check
from triagebook.diagnosis.catalogue import NOT_OF_TIME
from triagebook.diagnosis.context import alerted_at, every_row, nanoseconds
from triagebook.diagnosis.failure_locus import locus_of, table_of
from triagebook.diagnosis.first_failure import (
    FAILED,
    FOLLOWED,
    NEVER,
    OK,
    Failure,
    failed_by_alert,
    failure,
    final_tries,
    state_of,
    text_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from triagebook.core.models import Change, TaskRun
    from triagebook.diagnosis.context import Context

TASK_CAUSES = (
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
CHANGE_S = 48 * 3_600.0
"""A deploy this long before a task's first failure may have caused it: tasks run once a day."""


@check(
    "pipeline.tasks",
    "Did a task fail?",
    finds=TASK_CAUSES,
    opposes=("resources.disk_filling", "none", *TASK_CAUSES, "data.stale", "data.missing_rows"),
)
def tasks(ctx: Context) -> Iterable[Answer]:
    """Find the first failure in the order of the graph; what failed after it is its consequence."""
    service = f"service:{ctx.bundle.service.name}"
    if ctx.bundle.pipeline is None:
        yield Answer(
            locus=service,
            verdict="unknown",
            evidence=ctx.cite("pipeline"),
            statement=f"Task runs were not seen: {ctx.why_missing('pipeline') or 'not readable'}",
        )
        run = failed_by_alert(ctx)
        if run is not None:
            yield _by_alert(ctx, run)
        return
    start, end = ctx.bundle.windows.current
    recent = [r for r in ctx.bundle.pipeline if start <= (r.end or r.start or end) <= end]
    first = failure(ctx)
    if first is None:
        failed = sum(state_of(r) in FAILED for r in recent)
        yield Answer(
            locus=service,
            verdict="ok",
            evidence=ctx.cite("pipeline"),
            value=failed,
            unit="runs",
            statement=f"{count(len(recent) - failed)} of {count(len(recent))} task runs succeeded"
            + (
                f"; {count(failed)} failures are as usual or were retried with success"
                if failed
                else ""
            ),
            signals=(*(Signal(c, "*", -2.5) for c in TASK_CAUSES), Signal("none", "*", 0.5)),
        )
        return
    yield from _failed_answer(ctx, first)


def _by_alert(ctx: Context, run: TaskRun) -> Answer:
    """Guess, where no run was seen, from what was changed of the task that the alert says has failed."""
    when = pd.Timestamp(alerted_at(ctx))
    names = {run.task.lower(), run.pipeline.lower()}
    near = [
        c
        for c in _changes_before(ctx, when)
        if any(re.search(rf"(?<!\w){re.escape(n)}(?!\w)", c.what.lower()) for n in names)
    ]
    change = near[0] if near else None
    configured = change is not None and change.kind in ("config", "flag")
    cause = "pipeline.bad_config" if configured else "pipeline.code_error"
    locus = locus_of(ctx, cause, run, change.what if change is not None else "", near)
    said = (
        f"{change.what} ({clock(change.ts)})" if change is not None else "no change of it is known"
    )
    return Answer(
        locus=locus,
        verdict="bad",
        since=change.ts if change is not None else None,
        evidence=ctx.cite("changes"),
        statement=f"The alert says that {run.task} of {run.pipeline} failed; before it: {said}",
        signals=(
            Signal(
                cause,
                locus,
                # A guess from the order of time alone. Where there are logs, these say what it is.
                (1.6 if change is not None else 0.3)
                - (1.0 if ctx.bundle.logs is not None else 0.0),
                headline=f"Task {run.task} failed by the alert; {said} came before.",
                mechanism="A guess from the order of time: neither its runs nor its words were seen.",
            ),
            # That it failed is known, whatever the reason: what is old after it is its consequence.
            Signal("data.stale", "*", -3.5),
            Signal("none", "*", -1.5),
        ),
    )


def _failed_answer(ctx: Context, first: Failure) -> Iterable[Answer]:
    run = first.run
    changes = _changes_before(ctx, first.since)
    cause = trouble_of(first.text)
    # Exit 137 and an unreachable host say what they are; a mere exception may be any of several.
    plain = cause is not None and cause != "pipeline.code_error"
    cause = cause or "pipeline.code_error"
    locus = locus_of(ctx, cause, run, first.text, changes)
    waited = _undelivered(ctx, first)
    if waited is not None:
        cause, plain, locus = "pipeline.input_missing", True, f"table:{waited}"
    line = headline_of(first.text) or "no error text"
    where = our_line(first.text)
    signals = [
        Signal(
            cause,
            locus,
            4.0 if plain else 3.0 if first.text else 1.5,
            headline=f"Task {run.task} fails since {clock(first.since)}: {line[:100]}",
            mechanism=_mechanism(first, changes),
        ),
        Signal("none", "*", -3.5),
    ]
    signals += _rivals(ctx, cause, first, changes)
    # A table that is old because a task failed is no fault of its own.
    signals += [Signal("data.stale", "*", -3.5), Signal("data.missing_rows", "*", -2.0)]
    if cause != "pipeline.disk_full":
        signals.append(Signal("pipeline.disk_full", "*", -1.0))
    else:
        signals.append(Signal("resources.disk_filling", "*", -1.0))
    yield Answer(
        locus=locus,
        verdict="bad",
        since=first.since,
        value=first.failed,
        unit="failed runs",
        statement=f"Task {run.task} of {run.pipeline} failed first: {line}"
        + (f" ({where})" if where else "")
        + (f"; {several(list(first.followers))} did not run after it" if first.followers else ""),
        evidence=[*ctx.cite("pipeline"), *(ctx.cite("logs") if first.from_logs else [])],
        signals=tuple(signals),
    )


def _undelivered(ctx: Context, first: Failure) -> str | None:
    """Name the table that another team's failed task did not deliver; None where the task is ours.

    Of their failure only its consequence is ours to mend: one of our own tasks says what it waited for.
    """
    own = {n for named in ctx.bundle.service.tasks or [] for n in (named, named.rpartition(".")[2])}
    if not own or first.run.task in own:
        return None
    start, end = ctx.bundle.windows.current
    for run in final_tries(ctx.bundle.pipeline or []):
        mine = run.task in own and run.pipeline != first.run.pipeline
        when = run.end or run.start or end
        if not mine or state_of(run) not in FAILED or not start <= when <= end:
            continue
        text, _ = text_of(ctx, run)
        if trouble_of(text) == "pipeline.input_missing":
            return table_of(ctx, "pipeline.input_missing", text, run.task)
    return None


def _mechanism(first: Failure, changes: Sequence[Change]) -> str:
    after = (
        f"What it feeds is late or missing: {several(list(first.followers))}."
        if first.followers
        else "What it feeds is late or missing."
    )
    if changes:
        change = changes[0]
        return f"{change.what} ({clock(change.ts)}) came before the first failure. {after}"
    return after


def _changes_before(ctx: Context, since: pd.Timestamp | None) -> list[Change]:
    """List changes before a first failure, nearest first, those that name the task's own system first."""
    if since is None:
        return []
    near = []
    for change in ctx.changes:
        early = (since - pd.Timestamp(change.ts)).total_seconds()
        if -60.0 <= early <= CHANGE_S:
            near.append((early, change))
    return [change for _, change in sorted(near, key=lambda item: item[0])]


def _rivals(ctx: Context, cause: str, first: Failure, changes: Sequence[Change]) -> list[Signal]:
    """Let the second reading of an error text stand as a rival, and let a fitting change speak."""
    out: list[Signal] = []
    deployed = [c for c in changes if c.kind in ("deploy", "model", "infra")]
    configured = [c for c in changes if c.kind in ("config", "flag")]
    if cause == "pipeline.code_error":
        out.append(Signal(cause, "*", 0.7 if deployed else -0.3))
    if cause == "pipeline.bad_dependency_version":
        out.append(Signal(cause, "*", 0.3 if deployed else -0.3))
        locus = locus_of(ctx, "pipeline.code_error", first.run, first.text, changes)
        out.append(
            Signal(
                "pipeline.code_error",
                locus,
                1.0,
                headline=f"Task {first.run.task} fails in its code.",
                mechanism="An attribute or import is not there.",
            )
        )
    if cause == "pipeline.bad_config":
        out.append(Signal(cause, "*", 0.5 if configured else -0.3))
    return out


@check(
    "pipeline.late",
    "Did a task run longer than ever, or not at all?",
    finds=("pipeline.slow", "pipeline.input_missing"),
    opposes=(
        "none",
        "pipeline.code_error",
        "pipeline.contract_rejected",
        "pipeline.slow",
    ),
)
def late(ctx: Context) -> Iterable[Answer]:
    """Compare each task's latest durations with its own past, and its last success with its schedule."""
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
    waiting = list(_waiting(ctx))
    yield from waiting
    slow = _slowest(ctx, runs)
    if slow is None:
        if not waiting:
            yield Answer(
                locus=service,
                verdict="ok",
                evidence=ctx.cite("pipeline"),
                statement="No task ran longer than it does anyway",
                signals=(Signal("pipeline.slow", "*", -3.0),),
            )
        return
    factor, run, now, usual = slow
    locus = f"task:{run.pipeline}.{run.task}"
    broken = failure(ctx)
    # A task that failed at the end of a long run failed for what it says, not for its length.
    other = broken is not None and trouble_of(broken.text) not in (
        None,
        "pipeline.slow",
        "pipeline.code_error",
    )
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
                (3.0 if factor >= 2.5 else 2.4)
                - (2.0 if other else 0.0)
                # A slow task explains what is late, not what a column or a model says.
                - (1.5 if ctx.incident_type in NOT_OF_TIME else 0.0),
                headline=f"Task {run.task} takes {factor:.1f} times as long.",
                mechanism="What waits for it is late.",
            ),
            Signal("none", "*", -2.0),
        ),
    )


def _slowest(ctx: Context, runs: Sequence[TaskRun]) -> tuple[float, TaskRun, float, float] | None:
    """Find the task whose newest runs last longest beyond their past; the furthest upstream of several."""
    start, end = ctx.bundle.windows.current
    took: dict[tuple[str, str], list[tuple[TaskRun, float]]] = defaultdict(list)
    for run in runs:
        if run.start is None:
            continue
        if run.end is not None and state_of(run) in OK | FAILED:
            took[run.pipeline, run.task].append((run, (run.end - run.start).total_seconds()))
        elif run.end is None and state_of(run) in ("running", "started", "in_progress"):
            took[run.pipeline, run.task].append((run, (end - run.start).total_seconds()))
    found: list[tuple[float, TaskRun, float, float]] = []
    for items in took.values():
        old = [s for r, s in items if r.start and r.start < start and state_of(r) in OK]
        new = [
            (s, r)
            for r, s in items
            if (r.start and r.start >= start)
            or ((r.end or end) >= start and r.start and r.start < start and r.end is None)
        ]
        if len(old) < 5 or not new:
            continue
        median = float(np.median(old))
        limit = max(1.6 * float(np.quantile(old, 0.99)), 1.1 * max(old), median + 30)
        if not any(s > limit for s, _ in new):
            continue
        # Twice the rows take their time: that is no fault of the task.
        more = _by_rows(ctx, items, start)
        slow = [(s, r) for s, r in new if s > limit * max(more.get(id(r), 1.0), 1.0)]
        if slow and (len(slow) >= 2 or slow[-1][1] is new[-1][1]):
            found.append((slow[-1][0] / max(median, 1e-9), slow[-1][1], slow[-1][0], median))
    if not found:
        return None
    names = {item[1].task for item in found}
    heads = [
        item for item in found if not (ctx.upstream_of({item[1].task}) - {item[1].task}) & names
    ] or found
    return max(heads, key=lambda item: (item[0], item[1].task))


def _by_rows(
    ctx: Context, runs: Sequence[tuple[TaskRun, float]], start: datetime
) -> dict[int, float]:
    """Return how much longer than usual runs should take by the rows that came since the run before.

    By the identity of the run; runs whose rows are not known, or do not tell, are left out.
    """
    busiest = max(
        (v for n in ctx.tables if (v := ctx.view(n)) and v.timed and v.spec.role != "labels"),
        key=lambda view: (len(view.reference), view.name),
        default=None,
    )
    if busiest is None:
        return {}
    table = ctx.tables[busiest.name]
    times = np.concatenate([every_row(table, "reference")[1], every_row(table, "current")[1]])
    began = [(r, s, nanoseconds(r.start)) for r, s in runs if r.start is not None]
    began.sort(key=lambda item: item[2])
    rows = rows_between(np.sort(times), np.array([at for _, _, at in began], dtype=np.int64))
    seconds = np.array([s for _, s, _ in began])
    past = np.array([r.start < start and state_of(r) in OK for r, _, _ in began if r.start])
    usual = usual_seconds(rows[past], seconds[past], rows)
    if usual is None:
        return {}
    median = max(float(np.median(seconds[past])), 1e-9)
    return {
        id(r): float(due) / median
        for (r, _, _), due in zip(began, usual, strict=True)
        if np.isfinite(due)
    }


def _waiting(ctx: Context) -> Iterable[Answer]:
    """Tasks that wait or never started while what they need did not come."""
    if failure(ctx) is not None:
        return
    start, end = ctx.bundle.windows.current
    recent = [
        r
        for r in final_tries(ctx.bundle.pipeline or [])
        if start <= (r.end or r.start or end) <= end
    ]
    stuck = [
        r
        for r in recent
        if (r.start is None or state_of(r) in NEVER) and state_of(r) not in OK | FOLLOWED
    ]
    names = {r.task for r in stuck}
    heads = [r for r in stuck if not (ctx.upstream_of({r.task}) - {r.task}) & names]
    running = {
        r.task
        for r in recent
        if r.end is None and state_of(r) in ("running", "started", "in_progress")
    }
    heads = [r for r in heads if not ctx.upstream_of({r.task}) & running]
    for run in heads[:1]:
        text, from_logs = text_of(ctx, run)
        table = table_of(ctx, "pipeline.input_missing", text, run.task)
        yield Answer(
            locus=f"table:{table}",
            verdict="bad",
            since=pd.Timestamp(run.start) if run.start else None,
            evidence=[*ctx.cite("pipeline"), *(ctx.cite("logs") if from_logs else [])],
            statement=f"Task {run.task} of {run.pipeline} waits ({run.state or 'not started'})"
            + (f": {headline_of(text)}" if text.strip() else ""),
            signals=(
                Signal(
                    "pipeline.input_missing",
                    f"table:{table}",
                    2.5 if table != "unknown" else 1.0,
                    headline=f"{run.task} waits for {table}, which was not delivered.",
                    mechanism="What is upstream did not deliver; nothing after it can run.",
                ),
                Signal("none", "*", -2.5),
            ),
        )
