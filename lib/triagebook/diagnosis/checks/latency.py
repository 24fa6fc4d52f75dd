"""Why answers are slow: which node of the call graph, and what happened to it."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from triagebook.analysis.statistic import statistic_of
from triagebook.core.words import count, share
from triagebook.diagnosis.answer import Answer, Signal, check
from triagebook.diagnosis.catalogue import NOT_OF_TIME
from triagebook.diagnosis.context import moment
from triagebook.diagnosis.logged import slow_one
from triagebook.diagnosis.scene import said

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from triagebook.analysis.telemetry import Reading
    from triagebook.diagnosis.context import Context
    from triagebook.diagnosis.logged import SlowOne
    from triagebook.diagnosis.scene import Scene

_CAUSES = (
    "latency.traffic_surge",
    "latency.slow_dependency",
    "latency.heavier_model",
    "latency.cpu_throttling",
    "latency.memory_pressure",
    "latency.larger_requests",
    "latency.bad_instance",
    "latency.cold_start",
    "latency.cache_misses",
)
_UNFELT = ("resources.cpu_runaway", "resources.noisy_neighbour", "resources.memory_step")
"""What explains no alert about latency that nobody feels."""
SOON_S = 3_600.0
"""A surge that began longer before the symptom was served well for all that time."""
FELT = 0.25
"""How far ahead of its siblings an instance has to be, on the logarithmic scale, for users to mind."""
SURGE = 1.25
"""Traffic this many times the usual is a surge."""


def since_of(reading: Reading | None) -> pd.Timestamp | None:
    """Return the moment a reading began to move; None where it did not."""
    return moment(reading.shift.start) if reading is not None and reading.shift else None


def bad(
    ctx: Context,
    reading: Reading,
    statement: str,
    locus: str,
    signals: Iterable[Signal],
    threshold: float | None = None,
) -> Answer:
    """Return a bad answer that carries a reading's figures."""
    moved = reading.shift
    return Answer(
        locus=locus,
        verdict="bad",
        since=since_of(reading),
        since_low=moment(moved.low) if moved else None,
        since_high=moment(moved.high) if moved else None,
        evidence=ctx.cite_readings(),
        statement=statement,
        value=round(moved.after, 6) if moved else None,
        unit=reading.series.unit or None,
        effect=round(moved.factor, 3) if moved and np.isfinite(moved.factor) else None,
        threshold=threshold,
        signals=tuple(signals),
    )


def calm(ctx: Context, statement: str, signals: Iterable[Signal]) -> Answer:
    """Return an ok answer about the service's metrics.

    Log lines may be sampled, and tell of some components only: what does not move in them is no proof.
    """
    if ctx.from_logs:
        return Answer(
            locus=f"service:{ctx.bundle.service.name}",
            verdict="unknown",
            evidence=ctx.cite_readings(),
            statement=f"{statement}, by the log lines alone: no proof without metrics",
        )
    return Answer(
        locus=f"service:{ctx.bundle.service.name}",
        verdict="ok",
        evidence=ctx.cite("metrics"),
        statement=statement,
        signals=tuple(signals),
    )


def unseen(ctx: Context, what: str) -> Answer:
    """Return an unknown answer: no metric of that kind was seen."""
    why = ctx.why_missing("metrics")
    return Answer(
        locus=f"service:{ctx.bundle.service.name}",
        verdict="unknown",
        evidence=ctx.cite("metrics"),
        statement=f"{what} could not be seen: {why or 'no metric of that kind'}",
    )


@check(
    "latency.symptom",
    "Is the service slow, or does it fail?",
    opposes=(
        "resources.cpu_runaway",
        "resources.memory_step",
        "resources.noisy_neighbour",
        "none",
        *_CAUSES,
    ),
)
def symptom(ctx: Context) -> Iterable[Answer]:
    """Hold latency and errors of the watched service against the same hours before."""
    scene = ctx.scene
    seen = scene.of("latency", "inference_time", "errors", "availability")
    if not seen and not scene.symptoms:
        yield unseen(ctx, "Latency and errors")
        return
    asked = scene.alerted in ("latency", "errors")
    # What slows answers that are as fast as ever explains nothing about what they say.
    moot = asked or ctx.incident_type in NOT_OF_TIME
    if not scene.symptoms:
        yield calm(
            ctx,
            f"Latency and errors are as usual in {count(len(seen))} series",
            (
                Signal("none", "*", 3.0 if asked else 0.8),
                *(Signal(c, "*", -3.5 if moot else -1.5) for c in _CAUSES),
                *(Signal(c, "*", -2.0) for c in (_UNFELT if asked else ())),
            ),
        )
        return
    top = scene.symptoms[0]
    moved = top.shift
    strong = moved is not None and moved.unusual >= 2 and abs(moved.effect) >= 0.3
    over = scene.over_target
    within = over is not None and over < 0.15
    yield bad(
        ctx,
        top,
        said(top)
        + ("" if moved is None or moved.going_on else "; it came back")
        + ("; within its target nearly all the time" if within else ""),
        scene.service_locus(top),
        (
            Signal("none", "*", 0.8 if within else -3.0 if strong else -1.2),
            *(Signal(c, "*", -2.5) for c in (_CAUSES if within else ())),
        ),
    )


@check(
    "latency.traffic",
    "Do more requests come in?",
    finds=("latency.traffic_surge",),
    opposes=(
        "latency.memory_pressure",
        "latency.cpu_throttling",
        "latency.slow_dependency",
        "none",
        "resources.cpu_runaway",
        "resources.memory_step",
        "latency.traffic_surge",
        "latency.larger_requests",
        "latency.cache_misses",
    ),
)
def traffic(ctx: Context) -> Iterable[Answer]:
    """Compare requests to the entry with the same hours before; first in time, or a consequence."""
    scene = ctx.scene
    total = scene.intake()
    if total is None:
        yield unseen(ctx, "Traffic")
        return
    moved = total.shift
    locus = f"service:{scene.name}"
    if moved is None or not moved.clear or moved.direction < 0 or moved.factor < SURGE:
        yield calm(
            ctx,
            "Requests come as usual"
            if moved is None or not moved.clear
            else f"Requests: {said(total)}",
            (Signal("latency.traffic_surge", "*", -3.0),),
        )
        return
    signals = []
    if scene.alerted in ("cpu", "memory") and not scene.symptoms and moved.factor >= 1.15:
        # More work takes more of everything; while all is served in time, nothing is wrong.
        signals.append(Signal("none", "*", 1.5))
    long_before = _served_well(scene, total)
    if scene.symptoms:
        signals.append(
            Signal(
                "latency.traffic_surge",
                locus,
                2.5
                + min(1.0, moved.factor - SURGE)
                + (-2.0 if long_before else max(scene.order(total), -0.3)),
                headline=f"{moved.factor:.1f} times the usual requests, and slower answers.",
                mechanism="More requests than the capacity answers in time: they queue.",
            )
        )
    if scene.symptoms and not long_before:
        # What saturates under a surge is its consequence.
        signals += [
            Signal(cause, "*", -1.5)
            for cause in (
                "latency.cpu_throttling",
                "resources.cpu_runaway",
                "latency.slow_dependency",
                "resources.memory_step",
                "latency.memory_pressure",
            )
        ]
    yield bad(ctx, total, f"Requests: {said(total)}", locus, signals, SURGE)


@check(
    "latency.callee",
    "Is the time spent in something it calls?",
    finds=("latency.slow_dependency",),
    opposes=(
        "none",
        "latency.slow_dependency",
        "latency.cpu_throttling",
        "latency.larger_requests",
    ),
)
def callee(ctx: Context) -> Iterable[Answer]:
    """Follow the rise down the call graph to the deepest node that explains it."""
    scene = ctx.scene
    timed = scene.of("dependency_latency", "latency", "inference_time")
    below = scene.below(scene.entry) | scene.below(scene.name) | ctx.names.dependencies
    below -= {scene.entry, scene.name}
    seen = [r for r in timed if (_node(r) in below) or r.measure == "dependency_latency"]
    if not seen:
        yield unseen(ctx, "The time spent in what it calls")
        return
    slow: dict[str, Reading] = {}
    for reading in seen:
        node, moved = _node(reading), reading.shift
        if (
            node is None
            or node in (scene.entry, scene.name)
            or moved is None
            or not moved.clear
            or moved.direction < 0
            or moved.factor < 1.15
        ):
            continue
        if node not in slow or reading.unusual > slow[node].unusual:
            slow[node] = reading
    if not slow:
        yield calm(
            ctx,
            f"What it calls answers as usual ({count(len({_node(r) for r in seen}))} callees)",
            (Signal("latency.slow_dependency", "*", -3.0),),
        )
        return
    deepest = {n for n in slow if not (scene.below(n) & slow.keys())} or set(slow)
    for node in sorted(deepest, key=lambda n: (-_rise(slow[n]), n))[:3]:
        reading = slow[node]
        explains = _explains(scene, reading)
        locus = f"dependency:{node}"
        weight = (
            (3.2 if 0.5 <= explains < 9 else 2.5 if explains >= 0.3 else 0.8)
            + scene.order(reading)
            + scene.fits(reading)
        )
        yield bad(
            ctx,
            reading,
            f"{node} answers slowly: {said(reading)}"
            + (f"; that is {share(min(explains, 1.0))} of the rise here" if explains < 9 else ""),
            locus,
            (
                Signal(
                    "latency.slow_dependency",
                    locus,
                    weight,
                    headline=f"{node} answers slowly, and the service waits for it.",
                    mechanism="Time spent in this callee explains the rise.",
                ),
                Signal("none", "*", -0.5),
            ),
        )


def _told(ctx: Context, one: SlowOne) -> Answer:
    """Return what the logs of one instance say of slowness, where latency was not seen by instance."""
    locus = f"instance:{one.instance}"
    return Answer(
        locus=locus,
        verdict="bad",
        since=one.first,
        evidence=ctx.cite("logs"),
        value=one.lines,
        unit="lines",
        statement=f"{one.instance} warns of slowness in {count(one.lines)} of {count(one.all_lines)} such lines "
        f"of {count(one.siblings)} instances: {one.example[:120]}",
        signals=(
            Signal(
                "latency.bad_instance",
                locus,
                2.6 if one.siblings >= 3 else 1.8,
                headline=f"Instance {one.instance} says that it is slow, the others do not.",
                mechanism="One of several replicas answers slowly; requests that reach it wait.",
            ),
            Signal("latency.traffic_surge", "*", -1.5),
            Signal("latency.slow_dependency", "*", -1.5),
            Signal("none", "*", -1.5),
        ),
    )


def _apart(members: list[Reading]) -> bool:
    """Whether one instance of two moved five times as far as the other."""
    low, high = sorted(r.shift.effect if r.shift is not None else 0.0 for r in members)
    return low <= 0.2 * high


def _served_well(scene: Scene, total: Reading) -> bool:
    """Whether a surge was served well for more than an hour, though no fewer came than when it was felt.

    A surge adds to the day's own course: what first could be served no more comes at the highest load.
    A CPU's alert is explained by the surge whenever users felt it.
    """
    moved = total.shift
    if scene.since is None or moved is None or scene.alerted in ("cpu", "memory"):
        return False
    if (scene.since - moved.high) / 1e9 <= SOON_S:
        return False
    before = total.series.within(moved.start, scene.since - int(900e9)).values
    felt = total.series.within(scene.since - int(900e9), scene.since + int(900e9)).values
    if len(before) < 3 or not len(felt):
        return True
    return float(np.median(felt)) < 0.98 * float(np.quantile(before, 0.9))


def _node(reading: Reading) -> str | None:
    return reading.peer or reading.component


def _rise(reading: Reading) -> float:
    moved = reading.shift
    return (moved.after - moved.before) * reading.seconds if moved else 0.0


def _explains(scene: Scene, reading: Reading) -> float:
    """Return which share of the service's rise a callee's rise is; 9.9 where they do not compare.

    A callee's mean is held against our mean, its 99th percentile against ours: one call in twenty that
    takes long lifts the percentile by far more than the mean.
    """
    if scene.slow is None:
        return 9.9
    mine = _statistic(reading)
    timed = [r for r in scene.symptoms if r.measure in ("latency", "inference_time")]
    same = [r for r in timed if _statistic(r) == mine and not r.instance]
    same = same or [r for r in timed if _statistic(r) == mine]
    if not same and mine == "mean":
        # No mean of ours rose: a mean says less than what a percentile may show.
        return 9.9 if _statistic(scene.slow) not in ("mean", "p50") else _part(reading, scene.slow)
    return _part(reading, same[0] if same else scene.slow)


def _statistic(reading: Reading) -> str:
    return statistic_of(reading.series.name, reading.series.labels)


def _part(reading: Reading, ours: Reading) -> float:
    rise, here = _rise(reading), _rise(ours)
    if reading.series.unit != ours.series.unit and not (reading.seconds != 1 or ours.seconds != 1):
        return 9.9
    return rise / here if here > 0 else 0.0


@check(
    "latency.instances",
    "Is it one instance, or all of them?",
    finds=("latency.bad_instance",),
    opposes=(
        "latency.bad_instance",
        "latency.cpu_throttling",
        "latency.traffic_surge",
        "latency.slow_dependency",
        "none",
    ),
)
def instances(ctx: Context) -> Iterable[Answer]:
    """Compare the instances of one component with each other, each against its own past."""
    scene = ctx.scene
    groups: dict[tuple[str, str | None, tuple[tuple[str, str], ...]], list[Reading]] = defaultdict(
        list
    )
    felt: tuple[str, ...] = ("latency", "inference_time")
    if not any(r.instance for r in scene.of(*felt)):
        felt = ("errors",)
    for reading in scene.of(*felt):
        if reading.instance and reading.shift is not None:
            # Names without labels carry the instance in the name.
            name = reading.series.name.replace(reading.instance, "*")
            groups[name, reading.component, reading.part].append(reading)
    wide = {k: v for k, v in groups.items() if len({r.instance for r in v}) >= 2}
    if not wide:
        told = slow_one(ctx)
        yield unseen(ctx, "Latency instance by instance") if told is None else _told(ctx, told)
        return
    best: tuple[float, Reading, int, int] | None = None
    spread_out = False
    for members in wide.values():
        effects = np.array([r.shift.effect if r.shift and r.shift.clear else 0.0 for r in members])
        high = effects > max(0.15, 0.5 * effects.max())
        if not high.any():
            continue
        if len(members) == 2 and not high.all() and not _apart(members):
            continue  # of two alone, the other has to be as it always was
        if high.mean() > 0.5:
            spread_out = True
            continue
        usual = float(np.median(effects[~high]))
        for reading, effect in zip(members, effects, strict=True):
            lead = effect - usual
            if effect > 0.15 and (best is None or lead > best[0]):
                best = (lead, reading, int(high.sum()), len(members))
    if best is None:
        yield calm(
            ctx,
            "All instances are alike" + (": all are slow" if spread_out else ""),
            (Signal("latency.bad_instance", "*", -3.0),),
        )
        return
    lead, reading, slow, of = best
    weight = (3.0 if slow == 1 else 1.0) + min(lead, 1.0) * 0.5 - (1.5 if spread_out else 0.0)
    weight += scene.fits(reading) if scene.alerted else 0.0
    if lead < FELT:
        weight -= 1.5
    if of == 2:
        weight -= 0.4
    if not scene.symptoms and scene.of("latency", component=scene.name):
        weight -= 1.5  # the service as a whole is as fast as ever
    locus = f"instance:{reading.instance}"
    yield bad(
        ctx,
        reading,
        f"{reading.instance} is slow, {count(of - slow)} of {count(of)} instances are not: {said(reading)}",
        locus,
        (
            Signal(
                "latency.bad_instance",
                locus,
                weight,
                headline=f"Instance {reading.instance} is slow, the others are fine.",
                mechanism="One of several replicas answers slowly; requests that reach it wait.",
            ),
            *(
                Signal(c, "*", -1.5)
                for c in (
                    "latency.cpu_throttling",
                    "latency.traffic_surge",
                    "latency.slow_dependency",
                )
            ),
        ),
    )
