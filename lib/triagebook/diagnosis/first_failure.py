"""The first failure of a pipeline in the order of its graph, with all it says."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from triagebook.analysis.logs import trouble_of
from triagebook.core.models import IncidentType, TaskRun

if TYPE_CHECKING:
    from collections.abc import Sequence

    from triagebook.diagnosis.context import Context

FAILED = frozenset(
    {
        "failed",
        "failure",
        "error",
        "errored",
        "crashed",
        "killed",
        "timedout",
        "timed_out",
        "timeout",
        "oomkilled",
        "aborted",
        "up_for_retry",
    }
)
FOLLOWED = frozenset({"upstream_failed", "skipped", "blocked", "cancelled", "canceled", "removed"})
OK = frozenset({"success", "succeeded", "completed", "done", "ok", "finished"})
NEVER = frozenset(
    {
        "queued",
        "scheduled",
        "waiting",
        "pending",
        "none",
        "no_status",
        "deferred",
        "up_for_reschedule",
        "sensing",
    }
)


@dataclass(frozen=True)
class Failure:
    """The first failure in the order of the graph, with all it says."""

    run: TaskRun
    text: str
    failed: int
    followers: tuple[str, ...]
    since: pd.Timestamp | None
    from_logs: bool


def state_of(run: TaskRun) -> str:
    """Return a run's state in lower case; "" where it has none."""
    return (run.state or "").lower()


def _when(run: TaskRun) -> pd.Timestamp | None:
    when = run.end or run.start
    return pd.Timestamp(when) if when is not None else None


def final_tries(runs: Sequence[TaskRun]) -> list[TaskRun]:
    """Keep the last try of each task of each run: a retry that succeeded is no failure."""
    last: dict[tuple[str, str | None, str], TaskRun] = {}
    loose = []
    for run in runs:
        if run.run is None:
            loose.append(run)
            continue
        key = (run.pipeline, run.run, run.task)
        known = last.get(key)
        if known is None or (run.try_ or 0, str(run.start or "")) >= (
            known.try_ or 0,
            str(known.start or ""),
        ):
            last[key] = run
    return loose + list(last.values())


def failure(ctx: Context) -> Failure | None:
    """Find the first failure of the current window; None where tasks fail no more than before."""
    if "failure" in ctx.results:
        known: Failure | None = ctx.results["failure"]
        return known
    found = _find_failure(ctx)
    ctx.results["failure"] = found
    return found


def failed_by_alert(ctx: Context) -> TaskRun | None:
    """Return the task that the alert itself says has failed; None where it names none.

    Labels name it, or the title does; its pipeline is read from the labels or the service's list.
    """
    alert = ctx.bundle.alert
    if alert.incident_type is not IncidentType.PIPELINE_FAILURE:
        return None
    listed = [named.rpartition(".") for named in ctx.bundle.service.tasks or []]
    said = set(alert.labels.values())
    words = set(re.findall(r"[\w\-.]+", f"{alert.title or ''} {alert.description or ''}"))
    for near in (said, words):
        fits = [
            (pipeline, task)
            for pipeline, _, task in listed
            if task in near or f"{pipeline}.{task}" in near
        ]
        # One name may stand in several pipelines: the one that is named too.
        fits = [f for f in fits if f[0] in said | words] or fits
        if len(fits) == 1:
            listed_in, name = fits[0]
            # A list may name tasks alone: then their schedule, or the alert, knows the pipeline.
            of_schedule = [s.pipeline or "" for s in ctx.bundle.service.schedules if s.task == name]
            labelled = alert.labels.get("pipeline") or alert.labels.get("dag_id")
            home = listed_in or labelled or next((p for p in of_schedule if p), "")
            return TaskRun(pipeline=home, task=name, state="failed", start=None)
    task = alert.labels.get("task") or alert.labels.get("task_id") or alert.labels.get("job_name")
    pipeline = alert.labels.get("pipeline") or alert.labels.get("dag_id")
    if task and pipeline and not listed:
        return TaskRun(pipeline=pipeline, task=task, state="failed", start=None)
    return None


def _find_failure(ctx: Context) -> Failure | None:
    start, end = ctx.bundle.windows.current
    runs = final_tries(ctx.bundle.pipeline or [])
    recent = [r for r in runs if start <= (r.end or r.start or end) <= end]
    earlier = [r for r in runs if (r.end or r.start or end) < start]
    by_task: dict[tuple[str, str], list[TaskRun]] = defaultdict(list)
    for run in earlier:
        by_task[run.pipeline, run.task].append(run)
    failed = []
    for run in recent:
        if state_of(run) not in FAILED:
            continue
        past = by_task[run.pipeline, run.task]
        rate = sum(state_of(r) in FAILED for r in past) / max(len(past), 1)
        mine = [r for r in recent if (r.pipeline, r.task) == (run.pipeline, run.task)]
        now = sum(state_of(r) in FAILED for r in mine) / len(mine)
        # What failed now and then before, and runs again since, is its nature.
        newest = max(mine, key=lambda r: str(r.end or r.start or ""))
        often = len(mine) >= 4 or state_of(newest) in OK
        if rate > 0 and now <= 1.5 * rate and often:
            continue
        failed.append(run)
    failed += _now_and_then(ctx, recent, failed, by_task)
    if not failed:
        return None
    names = {r.task for r in failed}
    heads = [r for r in failed if not (ctx.upstream_of({r.task}) - {r.task}) & names] or failed
    # The newest state decides: what failed once and has succeeded since is over.
    broken = [r for r in heads if not _healed(r, recent)] or heads
    first = min(broken, key=lambda r: (r.end or r.start or end, r.task))
    text, from_logs = text_of(ctx, first)
    followers = sorted(
        {
            r.task
            for r in recent
            if state_of(r) in FOLLOWED | FAILED
            and r.task != first.task
            and first.task in ctx.upstream_of({r.task})
        }
    )
    return Failure(first, text, len(failed), tuple(followers), _when(first), from_logs)


def _now_and_then(
    ctx: Context,
    recent: Sequence[TaskRun],
    failed: Sequence[TaskRun],
    by_task: dict[tuple[str, str], list[TaskRun]],
) -> list[TaskRun]:
    """List tries that failed in half of a task's newest runs or more, though a retry saved them; rare before."""
    start, end = ctx.bundle.windows.current
    known = {(r.pipeline, r.task) for r in failed}
    tries: dict[tuple[str, str], list[TaskRun]] = defaultdict(list)
    before: dict[tuple[str, str], set[str | None]] = defaultdict(set)
    for run in ctx.bundle.pipeline or []:
        if state_of(run) not in FAILED:
            continue
        at = run.end or run.start or end
        key = (run.pipeline, run.task)
        if start <= at <= end:
            tries[key].append(run)
        elif at < start:
            before[key].add(run.run)
    out = []
    for key, bad in tries.items():
        runs = {r.run for r in bad}
        all_runs = {r.run for r in recent if (r.pipeline, r.task) == key}
        rate = len(before[key]) / max(len(by_task[key]), 1)
        if key not in known and len(runs) >= 2 and len(runs) >= 0.5 * len(all_runs) and rate < 0.1:
            out += bad
    return out


def _healed(run: TaskRun, recent: Sequence[TaskRun]) -> bool:
    later = [
        r for r in recent if (r.pipeline, r.task) == (run.pipeline, run.task) and state_of(r) in OK
    ]
    mine = run.end or run.start
    return any(mine is not None and r.end is not None and r.end > mine for r in later)


def text_of(ctx: Context, run: TaskRun) -> tuple[str, bool]:
    """Put together what a failed task said: its error, then its own error lines in the logs."""
    error = run.error or ""
    lines = _log_of(ctx, run)
    if error and trouble_of(error) not in (None, "pipeline.code_error"):
        return error + ("\n" + lines if lines else ""), bool(lines)
    return (lines + "\n" + error if lines else error), bool(lines)


def _log_of(ctx: Context, run: TaskRun) -> str:
    """Return what a failed task logged as errors, or its last lines, from the log window or by its name."""
    logs = ctx.bundle.logs
    if logs is None or logs.empty:
        return ""
    low, high = run.log or (run.start, run.end)
    near = logs
    if low is not None and high is not None:
        near = near[
            (near["ts"] >= low - pd.Timedelta("60s")) & (near["ts"] <= high + pd.Timedelta("120s"))
        ]
    elif low is not None:
        near = near[near["ts"] >= low]
    source = near["source"].astype(str)
    mine = near[
        source.str.contains(run.task, regex=False)
        | near["attributes"].astype(str).str.contains(run.task, regex=False)
    ]
    named = (
        mine
        if not mine.empty
        else near[near["message"].astype(str).str.contains(run.task, regex=False)]
    )
    bad = named[
        named["severity"]
        .astype(str)
        .str.upper()
        .isin(["ERROR", "FATAL", "CRITICAL", "WARN", "WARNING"])
    ]
    chosen = bad if not bad.empty else named.tail(8)
    return "\n".join(chosen["message"].astype(str).head(30))
