"""What is new in the logs, and which known trouble it speaks of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triagebook.analysis.failures import headline_of
from triagebook.analysis.logs import Template, changed_templates
from triagebook.core.models import TaskRun
from triagebook.core.words import clock, count
from triagebook.diagnosis.answer import Answer, Signal, check
from triagebook.diagnosis.catalogue import cause as cause_of
from triagebook.diagnosis.checks.pipeline import TASK_CAUSES
from triagebook.diagnosis.failure_locus import locus_of
from triagebook.diagnosis.first_failure import failure

if TYPE_CHECKING:
    from collections.abc import Iterable

    from triagebook.diagnosis.context import Context


def _expected(lines: float) -> str:
    """Say how many lines were to be expected."""
    return "none expected" if lines < 0.05 else f"{lines:.1f} expected"


@check(
    "logs.new_errors",
    "Which errors are new in the logs?",
    finds=TASK_CAUSES,
    opposes=("none",),
)
def new_errors(ctx: Context) -> Iterable[Answer]:
    """Fold lines to templates, list those that are new or multiplied, and read the first in time."""
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
    # Rare errors are each new when they come. They count when they are more than usual, or several alike.
    bad = ("ERROR", "FATAL", "CRITICAL")
    lines = [int(part["severity"].astype(str).str.upper().isin(bad).sum()) for part in (old, new)]
    more = lines[1] > 1.5 * lines[0] * ratio + 3
    errors = [t for t in errors if t.current >= 3 or more or t.severity != "ERROR"]
    if not errors:
        said = ""
        if found:
            said = (
                f"; {count(len(found))} warning{'s are' if len(found) > 1 else ' is'} more frequent"
            )
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
        statement=f"{count(len(errors))} error{'s are' if len(errors) > 1 else ' is'} new or more "
        f"frequent; most: {top.source}: "
        f"{top.template[:140]} ({count(top.current)} lines, {_expected(top.expected)})",
        value=len(errors),
        unit="templates",
        threshold=1,
        effect=round(top.factor, 2),
        signals=tuple(_signals(ctx, errors)),
    )


def _signals(ctx: Context, errors: list[Template]) -> Iterable[Signal]:
    yield Signal("none", "*", -1.0)
    if failure(ctx) is not None:
        return  # the task runs say it, with more right
    told = [t for t in errors if t.cause is not None and t.cause != "pipeline.code_error"]
    first = min(told or errors, key=lambda t: (t.first, t.template))
    cause = first.cause or "pipeline.code_error"
    run = _task_of(ctx, first.source)
    if cause_of(cause).locus == "task" and run is None:
        return
    locus = locus_of(ctx, cause, run, first.example, ctx.changes)
    known = locus.partition(":")[2] in ctx.names.all | set(ctx.tables) or run is not None
    if "unknown" in locus or (not known and cause_of(cause).locus == "dependency"):
        # A system that nobody here calls, or that has no name: a grumble, no cause.
        return
    blind = ctx.bundle.pipeline is None
    yield Signal(
        cause,
        locus,
        (3.2 if blind else 1.6) - (0.8 if cause == "pipeline.code_error" else 0.0),
        headline=f"{first.source} reports since {clock(first.first)}: {headline_of(first.example)[:100]}",
        mechanism="The first new error in time; what follows it may be its consequence.",
    )


def _task_of(ctx: Context, source: str) -> TaskRun | None:
    fits = [r for r in ctx.bundle.pipeline or [] if r.task and r.task in source]
    if not fits:
        # Without its runs a task is still known by the service's list, as PIPELINE.TASK.
        for named in ctx.bundle.service.tasks or []:
            pipeline, _, task = named.rpartition(".")
            if task and task in source:
                fits.append(TaskRun(pipeline=pipeline, task=task))
    return max(fits, key=lambda r: len(r.task), default=None)
