"""What was just started or changed inside: a heavier model, cold instances."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from triagebook.analysis.logs import SERVING_TROUBLES
from triagebook.core.models import IncidentType
from triagebook.core.words import several
from triagebook.diagnosis.answer import Answer, Signal, check
from triagebook.diagnosis.checks.latency import bad, calm, unseen
from triagebook.diagnosis.context import alerted_at, moment
from triagebook.diagnosis.scene import said

if TYPE_CHECKING:
    import re
    from collections.abc import Iterable

    from triagebook.analysis.telemetry import Reading
    from triagebook.core.models import Change
    from triagebook.diagnosis.context import Context
    from triagebook.diagnosis.scene import Scene


@check(
    "latency.model_time",
    "Does the model itself take longer?",
    finds=("latency.heavier_model",),
    opposes=(
        "latency.cpu_throttling",
        "latency.slow_dependency",
        "latency.heavier_model",
        "resources.cpu_runaway",
    ),
)
def model_time(ctx: Context) -> Iterable[Answer]:
    """Look for inference time that stepped up at a model change while requests came as usual."""
    scene = ctx.scene
    if not scene.readings and ctx.bundle.alert.incident_type is IncidentType.LATENCY:
        yield from _unseen_model(ctx)
        return
    slower = scene.rose("inference_time", factor=1.15)
    moved = slower[0].shift if slower else None
    changes = _model_changes(ctx, moved.start if moved is not None else scene.since)
    seen = scene.of("inference_time")
    model = ctx.bundle.service.model
    if not slower and not (changes and scene.slow):
        if not seen:
            yield unseen(ctx, "The model's own time")
        else:
            yield calm(
                ctx,
                "The model takes as long as usual",
                (Signal("latency.heavier_model", "*", -3.5),),
            )
        return
    reading = slower[0] if slower else scene.slow
    if reading is None:
        return
    if not changes:
        yield bad(
            ctx,
            reading,
            f"{said(reading)}; no model change is known",
            scene.service_locus(reading),
            (Signal("latency.heavier_model", "*", -1.0),),
        )
        return
    change = changes[0]
    name = _model_name(ctx, change.what)
    version = change.to or (model.version if model else None) or "unknown"
    locus = f"model:{name}/{version}"
    # Where the model's own time is not measured, a callee or the service that steps with the change tells.
    stepped = None if seen else _stepped_with(ctx, change)
    reading = stepped or reading
    weight = 3.2 if slower else 3.0 if stepped is not None else 1.2 if not seen else -1.0
    weight += scene.order(reading)
    yield bad(
        ctx,
        reading,
        f"{said(reading)}; {change.what}{f' {change.from_} → {change.to}' if change.to else ''} just before",
        locus,
        (
            Signal(
                "latency.heavier_model",
                locus,
                weight,
                headline=f"Model {name} {version} takes longer than the one before.",
                mechanism="Inference time stepped up at the model change.",
            ),
            # A heavier model asks for more CPU, and is called.
            *(
                (
                    Signal("latency.slow_dependency", "*", -1.0),
                    Signal("latency.cpu_throttling", "*", -1.5),
                    Signal("resources.cpu_runaway", "*", -1.0),
                )
                if slower or stepped is not None
                else ()
            ),
        ),
    )


WITH_S = 600.0
"""A step so close to a change came with it, where samples are no coarser."""


def _stepped_with(ctx: Context, change: Change) -> Reading | None:
    """Return the deepest latency that stepped with a model change, of whom the model may be served by."""
    scene = ctx.scene
    at = pd.Timestamp(change.ts).value
    found = []
    for reading in scene.of("latency", "dependency_latency"):
        moved = reading.shift
        who = reading.peer or reading.component
        if moved is None or not reading.rose or moved.factor < 1.3 or who not in scene.own:
            continue
        near_s = max(WITH_S, 2 * moved.step_s)
        # Its interval holds the moment, and what it calls in turn is as fast as ever.
        early, late = moved.low - near_s * 1e9, moved.high + near_s * 1e9
        if early <= at <= late and not scene.below(str(who)) & scene.slow_nodes:
            found.append(reading)
    return max(found, key=lambda r: (r.unusual, r.title), default=None)


def _unseen_model(ctx: Context) -> Iterable[Answer]:
    """Guess, where no metric was had, at a model that changed shortly before the alert."""
    changes = _model_changes(ctx, pd.Timestamp(alerted_at(ctx)).value)
    if not changes:
        yield unseen(ctx, "The model's own time")
        return
    change = changes[0]
    model = ctx.bundle.service.model
    version = change.to or (model.version if model else None) or "unknown"
    locus = f"model:{_model_name(ctx, change.what)}/{version}"
    yield Answer(
        locus=locus,
        verdict="bad",
        since=change.ts,
        evidence=ctx.cite("changes"),
        statement=f"{change.what} {change.from_ or ''} → {version} shortly before the alert; no metric was had",
        signals=(
            Signal(
                "latency.heavier_model",
                locus,
                1.0,
                headline=f"Model version {version} came shortly before; whether it is slower was not seen.",
                mechanism="A guess from the order of time alone.",
            ),
        ),
    )


def _model_changes(ctx: Context, when: int | None) -> list[Change]:
    """List changes of a model before a moment: of that kind, or that name the model or say so."""
    scene = ctx.scene
    found = scene.near(("model",), when)
    model = ctx.bundle.service.model
    words = {"model", (model.name if model and model.name else "model").lower()}
    return found or [
        c
        for c in scene.near(("deploy", "flag", "config"), when)
        if any(w in c.what.lower() for w in words)
    ]


def _model_name(ctx: Context, what: str) -> str:
    model = ctx.bundle.service.model
    if model and model.name:
        return model.name
    words = [w.strip(",.:") for w in what.split() if "model" not in w.lower()]
    return words[0] if words else "model"


COLD_S = 2_700.0
"""Cold caches and unloaded models are warm again after so long at most."""


@check(
    "latency.starts",
    "Did instances start just before?",
    finds=("latency.cold_start",),
    opposes=("latency.cold_start", "resources.cpu_runaway", "resources.handle_leak"),
)
def starts(ctx: Context) -> Iterable[Answer]:
    """Look for restarts, new instances and start messages at the symptom's beginning."""
    scene = ctx.scene
    when = scene.since
    seen = scene.of("restarts", "uptime", "cold_starts", "replicas")
    fresh = _fresh(ctx)
    said_so = _start_lines(ctx)
    if not seen and not fresh and not said_so:
        yield unseen(ctx, "Restarts and starts of instances")
        return
    slow = scene.slow_nodes
    fresh = [start for start in fresh if (start.reading.component or scene.name) in slow]
    if when is None or not (fresh or (said_so and slow & {scene.entry, scene.name})):
        yield calm(
            ctx, "Nothing that is slow has just started", (Signal("latency.cold_start", "*", -2.5),)
        )
        return
    moved = scene.slow.shift if scene.slow is not None else None
    # Started again and again, they are cold until after the last start.
    last = max([start.last for start in fresh], default=when)
    lasted_s = (moved.end - max(moved.start, last)) / 1e9 if moved is not None else 0.0
    short = lasted_s <= COLD_S
    reading = fresh[0].reading if fresh else scene.slow
    who = (fresh[0].reading.component if fresh else None) or scene.name
    locus = f"service:{who}"
    started = [start.reading for start in fresh]
    names = several(sorted({str(r.instance or r.component or scene.name) for r in started})[:4])
    weight = (2.6 if fresh else 0.4) + (0.5 if said_so else 0.0) + (0.6 if short else -1.8)
    if reading is None:
        return
    if scene.alerted in ("memory", "cpu", "disk", "handles", "gpu"):
        weight -= 1.0  # what starts is slow; it uses up nothing
    yield Answer(
        locus=locus,
        verdict="bad",
        since=moment(when),
        evidence=[*ctx.cite("metrics"), *(ctx.cite("logs") if said_so else [])],
        statement=(f"Started just before: {names}" if fresh else f"Start message: {said_so[:140]}")
        + ("; the latency came back" if short and moved and not moved.going_on else ""),
        value=len(fresh),
        unit="instances",
        signals=(
            Signal(
                "latency.cold_start",
                locus,
                weight,
                headline="Instances have just started; their first requests are slow.",
                mechanism="Caches are empty, models load, code compiles: the first requests wait.",
            ),
            # A start costs CPU, and opens everything anew.
            *(
                (
                    Signal("resources.cpu_runaway", locus, -1.5),
                    Signal("resources.handle_leak", locus, -1.5),
                )
                if fresh and short
                else ()
            ),
        ),
    )


@dataclass(frozen=True)
class Start:
    """A reading that shows starts: the first near the symptom's beginning, the last ever; nanoseconds."""

    reading: Reading
    first: int
    last: int


def _fresh(ctx: Context) -> list[Start]:
    """List readings that show a start from 30 minutes before the symptom to just after."""
    scene = ctx.scene
    when = scene.since
    if when is None:
        return []
    low, high = when - int(1_800e9), when + int(300e9)
    starts = []
    for reading in scene.of("restarts", "uptime", "cold_starts", "replicas"):
        moments = _starts_in(reading, low)
        if len(moments):
            starts.append(Start(reading, int(moments[0]), int(moments[-1])))
    # Replaced one after another, the last of a component's instances keeps it cold.
    last: dict[str | None, int] = {}
    for start in starts:
        who = start.reading.component
        last[who] = max(last.get(who, 0), start.last)
    found = [replace(s, last=last[s.reading.component]) for s in starts if s.first <= high]
    return found + _new_instances(scene, low, high)


def _starts_in(reading: Reading, low: int) -> np.ndarray:
    """Moments from `low` on at which a series shows a start, nanoseconds, ascending."""
    part = reading.series.within(low, 2**62)
    if len(part.values) < 2:
        return np.array([], dtype=np.int64)
    steps = np.diff(part.values)
    if reading.measure == "uptime":
        # A start time jumps up at a start, the time since then falls to nothing.
        is_age = "age" in reading.series.name or "uptime" in reading.series.name.lower()
        hit = steps < -0.5 * np.abs(part.values[:-1]) if is_age else steps > 1
    elif reading.measure in ("restarts", "cold_starts"):
        old = reading.series.within(0, low)
        usual = np.quantile(old.values, 0.99) if len(old.values) else 0.0
        counted = reading.series.unit.endswith("/s")
        # A rate says when, a count that stays up says it by its steps.
        hit = (part.values[1:] > usual) & (counted | (steps > 0))
    else:
        hit = steps > 0
    return np.asarray(part.times[1:][hit])


def _new_instances(scene: Scene, low: int, high: int) -> list[Start]:
    """Instances whose first sample lies just before the symptom."""
    first: dict[str, tuple[int, Reading]] = {}
    start = _window_start(scene)
    for reading in scene.readings:
        if reading.instance and len(reading.series.times):
            begin = int(reading.series.times[0])
            if reading.instance not in first or begin < first[reading.instance][0]:
                first[reading.instance] = (begin, reading)
    return [
        Start(r, begin, begin)
        for begin, r in first.values()
        if low <= begin <= high and begin > start
    ]


def _window_start(scene: Scene) -> int:
    return int(scene.ctx.bundle.windows.reference[0].timestamp() * 1e9)


def _start_lines(ctx: Context) -> str:
    logs, when = ctx.bundle.logs, ctx.scene.since
    if logs is None or logs.empty or when is None:
        return ""
    pattern = dict(SERVING_TROUBLES)["latency.cold_start"]
    low, high = moment(when - int(1_800e9)), moment(when + int(600e9))
    close = logs[(logs["ts"] >= low) & (logs["ts"] <= high)]
    hits = close[_matching(close, pattern)]
    before = logs[logs["ts"] < low]
    usual = _matching(before, pattern).mean() if len(before) else 0.0
    if len(hits) and len(hits) / max(len(close), 1) > 3 * usual:
        return str(hits["message"].iloc[0])
    return ""


def _matching(lines: pd.DataFrame, pattern: re.Pattern[str]) -> pd.Series:
    return lines["message"].astype(str).map(lambda text: bool(pattern.search(text)))
