"""What makes one service slow from within: cache, payload, CPU, model, memory, cold starts."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from triagebook.core.words import several, share
from triagebook.diagnosis.answer import Answer, Signal, check
from triagebook.diagnosis.checks.latency import bad, calm, unseen
from triagebook.diagnosis.scene import said

if TYPE_CHECKING:
    from collections.abc import Iterable

    from triagebook.analysis.telemetry import Reading
    from triagebook.diagnosis.context import Context


_STRAIN = (
    "latency.cpu_throttling",
    "latency.slow_dependency",
    "resources.cpu_runaway",
    "resources.memory_step",
)


@check(
    "latency.cache",
    "Does the cache still hit?",
    finds=("latency.cache_misses",),
    opposes=("none", "latency.cache_misses", "latency.slow_dependency"),
)
def cache(ctx: Context) -> Iterable[Answer]:
    """Compare the hit share (or hits and misses) with the same hours before."""
    scene = ctx.scene
    shares = scene.of("cache_hit_share", "cache_miss_share")
    missed = scene.of("cache_misses")
    if not shares and not missed:
        yield unseen(ctx, "The cache's hit share")
        return
    down = list(scene.fell("cache_hit_share", factor=0.93)) + scene.rose(
        "cache_miss_share", factor=1.3
    )
    up = scene.rose("cache_misses", factor=1.4)
    total = scene.total("traffic")
    surge = total.shift.factor if total is not None and total.shift and total.shift.clear else 1.0
    up = [r for r in up if r.shift and r.shift.factor >= 1.3 * surge]
    if not down and not up:
        yield calm(ctx, "The cache hits as usual", (Signal("latency.cache_misses", "*", -3.5),))
        return
    reading = (down or up)[0]
    name = _cache_name(ctx, reading)
    locus = f"dependency:{name}"
    backend = [
        r
        for r in scene.rose("dependency_traffic", "traffic", "disk_reads")
        if r.component != scene.entry
    ]
    yield bad(
        ctx,
        reading,
        f"{said(reading)}" + (f"; {said(backend[0])}" if backend else ""),
        locus,
        (
            Signal(
                "latency.cache_misses",
                locus,
                3.3 + (0.5 if backend else 0.0) + scene.order(reading),
                headline=f"The cache {name} misses; what stands behind it does the work.",
                mechanism="Each miss costs a call to the backend.",
            ),
            Signal("latency.slow_dependency", "*", -2.0),
            Signal("none", "*", -1.0),
        ),
    )


def _cache_name(ctx: Context, reading: Reading) -> str:
    known = ctx.names.dependencies | ctx.names.components
    part = [value for _, value in reading.part if value in known]
    for name in (reading.peer, reading.component, *part):
        if name in known and name not in (ctx.scene.entry, ctx.scene.name):
            return str(name)
    like = [n for n in sorted(known) if any(w in n.lower() for w in ("cache", "redis", "memcache"))]
    return (
        like[0]
        if like
        else next((v for _, v in reading.part), reading.peer or reading.component or "unknown")
    )


@check(
    "latency.requests",
    "Are the requests larger?",
    finds=("latency.larger_requests",),
    opposes=(
        "latency.cpu_throttling",
        "latency.slow_dependency",
        "resources.cpu_runaway",
        "resources.memory_step",
        "latency.larger_requests",
    ),
)
def requests(ctx: Context) -> Iterable[Answer]:
    """Compare payload and batch sizes with the same hours before."""
    scene = ctx.scene
    seen = scene.of("payload", "batch_size")
    if not seen:
        yield unseen(ctx, "The size of requests")
        return
    larger = scene.rose("payload", "batch_size", factor=1.25)
    if not larger:
        yield calm(
            ctx, "Requests are as large as usual", (Signal("latency.larger_requests", "*", -3.5),)
        )
        return
    reading = larger[0]
    # What comes in larger goes on larger to whatever is called: it is named where it comes in.
    inside = reading.component is None or reading.component in scene.own
    locus = scene.service_locus(None if inside else reading)
    yield bad(
        ctx,
        reading,
        said(reading),
        locus,
        (
            Signal(
                "latency.larger_requests",
                locus,
                (3.0 if scene.symptoms else 0.3) + scene.order(reading),
                headline="Requests are larger than before, and take longer.",
                mechanism="More work in each request; the time for one item is as before.",
            ),
            # What strains under larger requests is their consequence.
            *(Signal(c, "*", -1.3) for c in (_STRAIN if scene.symptoms else ())),
        ),
        1.25,
    )


def _material(ctx: Context, reading: Reading) -> bool:
    """Whether the CPU is held back in one period of twenty at least: less nobody feels."""
    moved = reading.shift
    if moved is None:
        return False
    unit = reading.series.unit
    if unit in ("share", "%"):
        return moved.after >= (0.05 if unit == "share" else 5.0)
    same = (reading.component, reading.instance)
    periods = [r for r in ctx.scene.of("cpu_periods") if (r.component, r.instance) == same]
    if periods and len(periods[0].series.values):
        whole = float(np.median(periods[0].series.values[-30:]))
        return moved.after >= 0.05 * whole
    # Throttled periods come at most ten a second, throttled seconds one a second and core.
    return moved.after >= (0.5 if unit == "1/s" else 0.05)


@check(
    "latency.throttling",
    "Is the CPU throttled?",
    finds=("latency.cpu_throttling",),
    opposes=(
        "none",
        "resources.cpu_runaway",
        "latency.cpu_throttling",
        "latency.bad_instance",
        "latency.slow_dependency",
    ),
)
def throttling(ctx: Context) -> Iterable[Answer]:
    """Look for throttled periods in all instances of a component, and for CPU at its limit."""
    scene = ctx.scene
    seen = scene.of("cpu_throttled")
    if not seen:
        yield unseen(ctx, "CPU throttling")
        return
    up = [r for r in scene.rose("cpu_throttled", factor=1.3) if _material(ctx, r)]
    if not up:
        yield calm(
            ctx,
            "The CPU is throttled no more than usual",
            (Signal("latency.cpu_throttling", "*", -3.5),),
        )
        return
    by_component: dict[str | None, list[Reading]] = defaultdict(list)
    for reading in up:
        by_component[reading.component].append(reading)
    for component, members in sorted(
        by_component.items(), key=lambda item: (-len(item[1]), str(item[0]))
    )[:2]:
        peers = [r for r in seen if r.component == component]
        part = len({r.instance for r in members}) / max(len({r.instance for r in peers}), 1)
        top = members[0]
        locus = f"service:{component or scene.name}"
        hot = scene.rose("cpu_used", "cpu_share")
        of = len({r.instance for r in peers})
        alone = of >= 2 and (len({r.instance for r in members}) == 1 or (of >= 3 and part <= 0.4))
        slow_here = not scene.slow_nodes or (component or scene.name) in scene.slow_nodes
        yield bad(
            ctx,
            top,
            f"{said(top)}; {share(part)} of its instances" + (f"; {said(hot[0])}" if hot else ""),
            locus,
            (
                Signal(
                    "latency.cpu_throttling",
                    locus,
                    (0.3 if alone else 3.0 if scene.symptoms else 1.5)
                    # Of several instances the first to be held back tells when.
                    + max(scene.order(r) for r in members)
                    - (0.0 if slow_here else 1.5),
                    headline=f"The CPU of {component or scene.name} is held at its limit.",
                    mechanism="In throttled periods nothing runs; requests wait for the next one.",
                ),
                *(
                    ()
                    if alone
                    else (
                        Signal("latency.bad_instance", "*", -1.0),
                        Signal("resources.cpu_runaway", locus, -2.0),
                        # Why a callee is slow says more than that it is.
                        Signal("latency.slow_dependency", f"dependency:{component}", -1.2),
                    )
                ),
                Signal("none", "*", -0.8),
            ),
        )


@check(
    "latency.memory",
    "Does memory slow it down: garbage collection, swapping, stalls?",
    finds=("latency.memory_pressure",),
    opposes=(
        "latency.bad_instance",
        "latency.slow_dependency",
        "none",
        "latency.memory_pressure",
    ),
)
def memory(ctx: Context) -> Iterable[Answer]:
    """Look for time lost to memory, before the latency."""
    scene = ctx.scene
    kinds = ("gc_time", "swap", "memory_stall", "major_faults")
    seen = scene.of(*kinds, "memory_free")
    if not seen:
        yield unseen(ctx, "Garbage collection, swapping and memory stalls")
        return
    up = [r for r in scene.rose(*kinds, factor=1.5) if scene.ours(r)]
    hard = [r for r in up if r.measure != "gc_time"]
    # Nearly nothing is free: what is left to give is little, whether stalls are measured or not.
    scarce = [r for r in scene.fell("memory_free", factor=0.3) if scene.ours(r)]
    if not up and not scarce:
        stalls = any(r.measure != "gc_time" for r in seen)
        yield calm(
            ctx,
            "No time is lost to memory",
            (Signal("latency.memory_pressure", "*", -3.5 if stalls else -2.0),),
        )
        return
    total = scene.total("traffic")
    surge = total.shift.factor if total is not None and total.shift and total.shift.clear else 1.0
    top = (hard or scarce or up)[0]
    factor = top.shift.factor if top.shift else 1.0
    if not hard and not scarce and factor < 1.5 * surge:
        yield calm(
            ctx,
            f"{said(top)}: as the requests grew",
            (Signal("latency.memory_pressure", "*", -1.5),),
        )
        return
    host = scene.host_of(top)
    locus = f"host:{host}"
    # One sign alone is often the kernel's housekeeping; several at once are pressure.
    signs = {r.measure for r in up} | {r.measure for r in scene.fell("memory_free", factor=0.7)}
    strong = hard and factor >= 3.0 and (len(signs) >= 2 or factor >= 10.0)
    weight = 3.0 if strong else 1.8 if len(signs) >= 2 or scarce else 0.4
    weight += scene.order(top) + scene.fits(top) - (0.0 if scene.symptoms else 1.0)
    kinds_up = several(sorted({r.measure.replace("_", " ") for r in up})) or "free memory, down"
    waits = {r.instance for r in scene.readings if r.instance and scene.host_of(r) == host}
    there = {r.component for r in scene.readings if r.component and scene.host_of(r) == host}
    yield bad(
        ctx,
        top,
        f"{said(top)}; up: {kinds_up}",
        locus,
        (
            Signal(
                "latency.memory_pressure",
                locus,
                weight,
                headline=f"Memory is short on {host}: time goes into {kinds_up}.",
                mechanism="The process waits for memory instead of answering.",
            ),
            # What runs on a host without memory is slow by it.
            *(
                (
                    *(Signal("latency.bad_instance", f"instance:{i}", -2.0) for i in sorted(waits)),
                    *(
                        Signal("latency.slow_dependency", f"dependency:{c}", -1.5)
                        for c in sorted(there - {None})
                    ),
                )
                if weight >= 1.5
                else ()
            ),
            Signal("none", "*", -0.8),
        ),
    )
