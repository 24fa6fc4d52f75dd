"""Whether the model has grown old: its age against its schedule, its error against the days since."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from triagebook.analysis.blocks import DAY
from triagebook.analysis.schedules import Overdue, rhythm, trend
from triagebook.core.words import clock, span
from triagebook.diagnosis.answer import Answer, Signal, check
from triagebook.diagnosis.checks.performance import service_of
from triagebook.diagnosis.checks.versions import model_changes, model_name
from triagebook.diagnosis.context import moment, nanoseconds
from triagebook.diagnosis.measured import usable
from triagebook.diagnosis.served import served

if TYPE_CHECKING:
    from collections.abc import Iterable

    from triagebook.analysis.schedules import Trend
    from triagebook.core.models import TaskRun
    from triagebook.diagnosis.context import Context
    from triagebook.diagnosis.served import Served

_DONE = ("success", "succeeded", "ok", "completed", "done")
_TRAINS = re.compile(r"(^|[^a-z])(re)?(train|fit|learn)", re.IGNORECASE)


@dataclass(frozen=True)
class Training:
    """When models were trained or came to serve, how that is known, and whether one is overdue."""

    overdue: Overdue
    how: str
    promised: bool
    failing: str | None = None
    """The task that trains, as `DAG.TASK`, where it was tried and has not succeeded lately."""


def training(ctx: Context) -> Training | None:
    """Find the rhythm of retraining: a schedule with its runs, else changes of model, else versions."""
    end = nanoseconds(ctx.bundle.windows.current[1])
    model = ctx.bundle.service.model
    name = (model.name or "").lower() if model else ""
    out = served(ctx)
    swaps = [nanoseconds(c.ts) for c in model_changes(ctx)]
    if out is not None and out.version is not None and out.timed:
        kinds = pd.Series(out.times).groupby(pd.Series(out.version)).min()
        # The version that served first began before the bundle does.
        swaps += [int(t) for t in kinds.sort_values().iloc[1:]]
    swaps = _apart_from_each_other(swaps)
    tasks = ctx.bundle.pipeline or []
    tables = {*ctx.tables, *(ctx.bundle.service.tables or [])}
    for schedule in ctx.bundle.service.schedules:
        made = schedule.produces or []
        made = [made] if isinstance(made, str) else made
        # A table of the model's inputs may well carry its name; a model it is not.
        made = [m.lower() for m in made if m not in tables]
        about = any(re.match(r"models?($|[:/])", m) or (name and name in m) for m in made)
        if schedule.every is None or not (about or _TRAINS.search(schedule.task or "")):
            continue
        runs = _ended(r for r in tasks if r.task == schedule.task and r.state in _DONE)
        # A training that ended well but put no model live leaves the model as old.
        last = runs or swaps
        found = rhythm(last, end, float(schedule.every))
        if found is None:
            start = nanoseconds(ctx.bundle.windows.reference[0])
            found = rhythm([start], end, float(schedule.every))
            how = f"{schedule.task} is to run every {span(schedule.every)} and never did"
            if found is not None and ctx.bundle.pipeline is not None:
                return Training(found, how, promised=True)
            continue
        how = f"{schedule.task or 'training'} is to run every {span(float(schedule.every))}"
        return Training(found, how, promised=True)
    for task in sorted({r.task for r in tasks if _TRAINS.search(r.task)}):
        # Retries of one attempt are no rhythm.
        tried = _apart_from_each_other(_ended(r for r in tasks if r.task == task))
        usual = rhythm(tried, end)
        if usual is None:
            continue
        runs = _ended(r for r in tasks if r.task == task and r.state in _DONE)
        # No success in what was seen: at least as old as that.
        runs = runs or [nanoseconds(ctx.bundle.windows.reference[0])]
        found = rhythm(runs, end, usual.every_s)
        if found is not None:
            how = f"{task} runs every {span(found.every_s)}"
            failing = None
            if found.late and len(tried) > len(runs):
                how += ", lately without success"
                failing = next(f"{r.pipeline}.{task}" for r in reversed(tasks) if r.task == task)
            return Training(found, how, promised=True, failing=failing)
    found = rhythm(swaps, end)
    if found is not None:
        return Training(found, f"a new model came every {span(found.every_s)}", promised=False)
    return None


def _ended(runs: Iterable[TaskRun]) -> list[int]:
    """When runs ended (else began), nanoseconds; those that never ran left out."""
    moments = [run.end or run.start for run in runs]
    return [nanoseconds(when) for when in moments if when is not None]


def _apart_from_each_other(times: list[int]) -> list[int]:
    """Count a change and the first row that shows it once."""
    kept: list[int] = []
    for t in sorted(times):
        if not kept or t - kept[-1] > DAY // 2:
            kept.append(t)
    return kept


@check(
    "model.staleness",
    "Has the model grown old, and does it lose by it?",
    finds=("model.stale",),
    opposes=(
        "model.label_fault",
        "none",
        "model.stale",
        "model.concept_drift",
        "pipeline.code_error",
    ),
)
def staleness(ctx: Context) -> Iterable[Answer]:
    """Hold the age of the model against its schedule, and its error against the days since."""
    out = served(ctx)
    known = training(ctx)
    slope = decay(out) if out is not None else None
    serving = _serving(ctx, out)
    locus = f"model:{model_name(ctx)}/{serving}"
    cited = ctx.cite("pipeline") + ctx.cite("changes") + ctx.cite("tables")
    if known is None and slope is None:
        yield Answer(
            locus=service_of(ctx),
            verdict="unknown",
            statement=(
                "Whether the model has grown old is unknown: no rhythm of retraining is known, and labels "
                "are too few to see it decay"
            ),
            evidence=cited,
        )
        return
    weight, words = 0.0, []
    late = known is not None and known.overdue.late
    since: pd.Timestamp | None = None
    if known is not None:
        words.append(
            f"{known.how}; the last is {span(known.overdue.age_s)} old"
            + (f", due {clock(moment(known.overdue.due))}" if late else "")
        )
        # Once overdue may be a holiday; three times over, nobody trains it any more.
        often = known.overdue.age_s / known.overdue.every_s
        weight += (2.2 if known.promised else 1.5) + (0.8 if often >= 3 else 0.0) if late else -2.0
        if late:
            since = moment(known.overdue.due)
    decays = False
    if slope is not None:
        decays = slope.total > 0.1 and slope.z > 3.5 and slope.step_gain < 0.15
        steps = slope.step_gain >= 0.15 and slope.z > 3.5
        words.append(
            f"the error changes by {slope.total:+.2f} of its size over {slope.days} days (z {slope.z:.1f})"
            + (", in a step rather than slowly" if steps else "")
        )
        if decays:
            weight += 2.3 + min(max(slope.total - 0.2, 0.0) / 0.4, 1.0)
        elif steps or slope.highest < 0.05:
            weight -= 2.0
    bad = weight > 0 and (late or decays)
    signals = [
        Signal(
            "model.stale",
            locus,
            weight,
            headline=f"Model version {serving} has grown old.",
            mechanism="The world moved on since it was trained, and no retraining took it along.",
        )
    ]
    if decays:
        signals += [
            Signal("model.concept_drift", "*", -2.0 if late else -0.7),
            Signal("model.label_fault", "*", -1.0),
            Signal("none", "*", -1.0),
        ]
    if late and known is not None and known.failing is not None:
        # That its training fails is how it grew old.
        signals.append(Signal("pipeline.code_error", f"task:{known.failing}", -2.0))
    yield Answer(
        locus=locus,
        verdict="bad" if bad else "ok",
        statement="; ".join(words).capitalize() if not known else "; ".join(words),
        value=round(known.overdue.age_s) if known is not None else None,
        unit="s since the last training" if known is not None else None,
        threshold=round(1.5 * known.overdue.every_s) if known is not None else None,
        effect=round(slope.total, 4) if slope is not None else None,
        since=since if bad else None,
        evidence=cited,
        signals=tuple(signals),
    )


def _serving(ctx: Context, out: Served | None) -> str:
    if out is not None and out.version is not None:
        there = pd.Series(out.version[out.late]).dropna()
        if len(there):
            return str(there.value_counts().index[0])
    model = ctx.bundle.service.model
    return (model.version if model else None) or "unknown"


def decay(out: Served) -> Trend | None:
    """Follow the loss by day since the serving model began; in shares of its usual size."""
    labels = out.labels
    if labels is None:
        return None
    rows = usable(labels)
    rows = rows[np.isfinite(labels.expected[rows])]
    if out.version is not None:
        serving = pd.Series(out.version[out.late]).dropna()
        if len(serving):
            rows = rows[out.version[rows] == serving.value_counts().index[0]]
    if len(rows) < 300:
        return None
    # The score's own meaning is learned on the earliest third: by the whole it would fit its decay.
    times = out.times[rows]
    early = times < times[0] + (times[-1] - times[0]) // 3
    score = out.score[rows] if out.score is not None else np.zeros(len(rows))
    again = labels.relearned(score[early], labels.y[rows][early])
    if again is None:
        return None
    meant = again.expected(score) + (score if labels.task == "number" else 0.0)
    r = labels.y[rows] - meant
    if labels.task == "number":
        loss = np.abs(r)
    else:
        # Squared error over what it would be if labels came as they did at first: 1 at first.
        loss = r**2 + (meant * (1 - meant)).mean() - meant * (1 - meant)
    day = (times - times[0]) // DAY
    size = np.bincount(day)
    daily = np.bincount(day, loss) / np.maximum(size, 1)
    base = float(loss[early].mean())
    enough = np.where(size >= 20, size, 0)
    return trend(daily / max(base, 1e-12), enough)
