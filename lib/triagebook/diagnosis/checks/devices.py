"""GPUs, disks and handles: what is full, broken or not given back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from triagebook.analysis.logs import serving_trouble_of
from triagebook.core.words import amount, count, number, span
from triagebook.diagnosis.answer import Answer, Signal, check
from triagebook.diagnosis.checks.latency import bad, calm, unseen
from triagebook.diagnosis.checks.resources import climb_of, limit_of, load_factor, to_limit
from triagebook.diagnosis.context import moment
from triagebook.diagnosis.scene import said

if TYPE_CHECKING:
    from collections.abc import Iterable

    from triagebook.analysis.growth import Climb
    from triagebook.analysis.telemetry import Reading
    from triagebook.diagnosis.context import Context


@check(
    "resources.gpu",
    "Is a GPU full or broken?",
    finds=("resources.gpu_memory", "resources.gpu_fault"),
    opposes=(
        "latency.bad_instance",
        "latency.heavier_model",
        "latency.slow_dependency",
        "none",
        "resources.gpu_memory",
        "resources.gpu_fault",
    ),
)
def gpu(ctx: Context) -> Iterable[Answer]:
    """Look for XID errors and throttled clocks, and for GPU memory at its limit."""
    scene = ctx.scene
    kinds = (
        "gpu_xid",
        "gpu_ecc",
        "gpu_error",
        "gpu_clock",
        "gpu_temperature",
        "gpu_busy",
        "gpu_throttle",
        "gpu_memory_used",
        "gpu_memory_free",
        "gpu_memory_share",
    )
    seen = scene.of(*kinds)
    lines = _trouble_lines(ctx)
    gpu_lines: dict[str, tuple[pd.Timestamp, str, str]] = {
        c: lines[c] for c in ("resources.gpu_memory", "resources.gpu_fault") if c in lines
    }
    if not seen and not gpu_lines:
        yield unseen(ctx, "GPUs")
        return
    quiet = True
    faults = [r for r in scene.of("gpu_xid", "gpu_ecc", "gpu_error") if _newly_nonzero(ctx, r)]
    slow_clock = scene.fell("gpu_clock", factor=0.85) + scene.rose("gpu_throttle", factor=1.5)
    hot = [] if faults or slow_clock else _strained(ctx)
    if hot and "resources.gpu_fault" not in gpu_lines:
        quiet = False
        warm = hot[0].measure == "gpu_temperature"
        yield _gpu_answer(ctx, "resources.gpu_fault", hot[0], gpu_lines, 3.0 if warm else 2.4)
    if faults or slow_clock or "resources.gpu_fault" in gpu_lines:
        quiet = False
        reading = next(iter(faults + slow_clock), None)
        yield _gpu_answer(
            ctx,
            "resources.gpu_fault",
            reading,
            gpu_lines,
            3.8 if faults or "resources.gpu_fault" in gpu_lines else 2.6,
        )
    full = [
        r
        for r in scene.of("gpu_memory_used", "gpu_memory_share", "gpu_memory_free")
        if _gpu_full(ctx, r)
    ]
    if full or "resources.gpu_memory" in gpu_lines:
        quiet = False
        yield _gpu_answer(
            ctx,
            "resources.gpu_memory",
            full[0] if full else None,
            gpu_lines,
            (3.0 if full else 1.0) + (1.0 if "resources.gpu_memory" in gpu_lines else -0.5),
        )
    if quiet:
        yield calm(
            ctx,
            f"GPUs are as usual in {count(len(seen))} series",
            (Signal("resources.gpu_memory", "*", -3.0), Signal("resources.gpu_fault", "*", -3.0)),
        )


def _gpu_answer(
    ctx: Context,
    cause: str,
    reading: Reading | None,
    lines: dict[str, tuple[pd.Timestamp, str, str]],
    weight: float,
) -> Answer:
    scene = ctx.scene
    line = lines.get(cause)
    host = scene.host_of(reading) if reading is not None else "unknown"
    if host == "unknown" and line is not None:
        host = _host_in(ctx, f"{line[1]} {line[2]}") or "unknown"
    if host == "unknown":
        hosts = {
            scene.host_of(r)
            for r in scene.of("gpu_memory_used", "gpu_busy", "gpu_memory_share", "gpu_clock")
        } - {"unknown"}
        host = min(hosts) if len(hosts) == 1 else "unknown"
    locus = f"host:{host}"
    words = {
        "resources.gpu_fault": (
            f"A GPU of {host} is at fault.",
            "The device fails or runs with throttled clocks; work on it fails or waits.",
        ),
        "resources.gpu_memory": (
            f"GPU memory of {host} is full.",
            "Allocations fail or are retried; batches wait for memory.",
        ),
    }[cause]
    statement = "; ".join(
        x
        for x in (said(reading) if reading is not None else "", line[2][:160] if line else "")
        if x
    )
    return Answer(
        locus=locus,
        verdict="bad",
        since=line[0]
        if line
        else moment(reading.shift.start)
        if reading is not None and reading.shift
        else None,
        evidence=[
            *(ctx.cite("metrics") if reading is not None else []),
            *(ctx.cite("logs") if line else []),
        ],
        statement=statement,
        value=round(float(np.max(reading.series.values[-50:])), 4) if reading is not None else None,
        unit=(reading.series.unit or None) if reading is not None else None,
        signals=(
            Signal(cause, locus, weight, headline=words[0], mechanism=words[1]),
            Signal("none", "*", -2.0),
            Signal("latency.bad_instance", "*", -1.5),
            Signal("latency.slow_dependency", "*", -1.5),
            Signal("latency.heavier_model", "*", -1.0),
        ),
    )


def _strained(ctx: Context) -> list[Reading]:
    """List cards that got hot or busy for no work of theirs: alone of several, no more requests, no new model.

    A card whose clocks are held down works longer on the same, and heat is why they are held down.
    """
    scene = ctx.scene
    changes = scene.near(("model", "deploy"), before_s=900.0)
    asked = scene.rose("payload", "batch_size", factor=1.15)
    if load_factor(ctx) > 1.1 or asked or any(c.kind == "model" for c in changes):
        return []
    if not scene.slow:
        return []
    found = []
    for measure, factor in (("gpu_temperature", 1.2), ("gpu_busy", 1.5)):
        all_hosts = {r.host for r in scene.of(measure) if r.host}
        up = scene.rose(measure, factor=factor)
        hosts = {r.host for r in up if r.host}
        if len(hosts) == 1 < len(all_hosts):
            found += [r for r in up if scene.order(r) > -0.5]
    return found


def _newly_nonzero(ctx: Context, reading: Reading) -> bool:
    start = pd.Timestamp(ctx.bundle.windows.current[0]).value
    old, new = reading.series.within(0, start), reading.series.within(start, 2**62)
    usual = float(np.quantile(old.values, 0.99)) if len(old.values) else 0.0
    return bool(len(new.values) and new.values.max() > max(usual, 0.0))


def _gpu_full(ctx: Context, reading: Reading) -> bool:
    start = pd.Timestamp(ctx.bundle.windows.current[0]).value
    old, new = reading.series.within(0, start), reading.series.within(start, 2**62)
    if len(new.values) < 3:
        return False
    if reading.measure == "gpu_memory_share":
        top = 100.0 if np.max(new.values) > 1.5 else 1.0
        now, before = (
            np.quantile(new.values, 0.9) / top,
            np.quantile(old.values, 0.9) / top if len(old.values) else 0.0,
        )
        return bool(now >= 0.95 and before < 0.93)
    if reading.measure == "gpu_memory_used":
        total = limit_of(ctx, reading, ("gpu_memory_total",))
        free = _same(ctx, reading, "gpu_memory_free")
        if total is None and free is not None and len(free.series.values) and len(old.values):
            total = float(np.median(old.values)) + float(
                np.median(free.series.within(0, start).values)
            )
        if total is None or total <= 0:
            return reading.rose
        return bool(
            np.quantile(new.values, 0.9) >= 0.95 * total
            and np.quantile(old.values, 0.9) < 0.93 * total
        )
    return bool(
        reading.fell
        and len(old.values)
        and np.quantile(new.values, 0.1) <= 0.1 * np.median(old.values)
    )


def _same(ctx: Context, reading: Reading, measure: str) -> Reading | None:
    same = [
        r
        for r in ctx.scene.of(measure)
        if (r.instance, r.host, r.part) == (reading.instance, reading.host, reading.part)
    ]
    return same[0] if same else None


@check(
    "resources.disk",
    "Does a disk fill up?",
    finds=("resources.disk_filling",),
    opposes=(
        "none",
        "resources.disk_filling",
    ),
)
def disk(ctx: Context) -> Iterable[Answer]:
    """Carry the free space's line on to zero, and name the writer that grew."""
    scene = ctx.scene
    seen = scene.of("disk_free", "disk_used", "disk_free_share", "disk_used_share", "inodes_free")
    if not seen:
        yield unseen(ctx, "Free disk space")
        return
    filling: list[tuple[float, Reading, Climb]] = []
    for reading in seen:
        found = climb_of(ctx, reading)
        if found is None:
            continue
        free = "free" in reading.measure
        # A disk may have filled before the window too: then its line is no news, its end is.
        towards = found.falls if free else found.climbs
        hours = _hours_to_full(ctx, reading, found)
        soon = (
            hours is not None
            and hours <= 72
            and (found.steady <= -0.8 if free else found.steady >= 0.8)
        )
        moved = reading.shift
        jumped = (
            (reading.fell if free else reading.rose)
            and moved is not None
            and abs(moved.effect) >= 0.2
        )
        if (towards or jumped or soon) and (hours is None or hours <= 240):
            filling.append((hours if hours is not None else 1e3, reading, found))
    if not filling:
        yield calm(
            ctx,
            f"No disk fills up, of {count(len(seen))}",
            (Signal("resources.disk_filling", "*", -3.0),),
        )
        return
    hours, reading, found = min(filling, key=lambda item: (item[0], item[1].title))
    host = scene.host_of(reading)
    locus = f"host:{host}"
    writers = scene.rose("disk_writes", factor=1.5)
    rate = amount(found.per_hour, reading.series.unit)
    words = (
        f"{reading.title} moves by {rate} an hour; full in {span(hours * 3600)}"
        if hours < 1e3
        else f"{said(reading)}; the size of what fills is not known"
    )
    yield bad(
        ctx,
        reading,
        words + (f"; {said(writers[0])}" if writers else ""),
        locus,
        (
            Signal(
                "resources.disk_filling",
                locus,
                (2.8 if hours <= 72 else 1.2) + scene.fits(reading),
                headline=f"The disk of {host} is filling"
                + (f": full in {span(hours * 3600)}." if hours < 1e3 else "."),
                mechanism="Free space falls on a line that meets zero; writes then fail.",
            ),
            # A week away is a ticket, not what somebody was woken for.
            Signal("none", "*", -2.0 if hours <= 72 else -0.8),
        ),
    )


def _hours_to_full(ctx: Context, reading: Reading, found: Climb) -> float | None:
    if reading.measure in ("disk_free", "disk_free_share", "inodes_free"):
        hours = found.hours_to(0.0)
    elif reading.measure == "disk_used_share":
        hours = found.hours_to(100.0 if reading.series.values.max() > 1.5 else 1.0)
    else:
        size = limit_of(ctx, reading, ("disk_size",))
        hours = found.hours_to(size) if size else None
    return max(hours[0], 0.0) if hours else None


def _grew_for_long(ctx: Context, reading: Reading) -> bool:
    """Whether it took half an hour at least from its usual top to where it stands now."""
    start = pd.Timestamp(ctx.bundle.windows.current[0]).value
    old, new = reading.series.within(0, start), reading.series.within(start, 2**62)
    if len(old.values) < 16 or len(new.values) < 8:
        return False
    usual = float(np.quantile(old.values, 0.995))
    goal = usual + 0.9 * (float(np.max(new.values[-10:])) - usual)
    above = new.values > usual
    last_calm = np.flatnonzero(~above[: int(np.argmax(new.values >= goal)) + 1])
    if goal <= usual or not len(last_calm):
        return False
    reached = new.times[int(np.argmax(new.values >= goal))]
    return bool(reached - new.times[last_calm[-1]] >= 1_800e9)


def _near_limit(ctx: Context, reading: Reading) -> bool:
    """Whether the newest level is two thirds of its limit or more; False where no limit is known."""
    limit = limit_of(ctx, reading, ("handles_limit", "connections_limit"))
    return limit is not None and float(np.max(reading.series.values[-10:])) >= 0.67 * limit


def _not_queueing(ctx: Context, reading: Reading) -> float:
    """Nats against a leak where what is called got slow first: calls in flight then hold connections."""
    scene = ctx.scene
    waits = scene.slow_nodes - {scene.entry, scene.name, reading.component}
    moved = reading.shift
    if not waits or moved is None or scene.since is None:
        return 0.0
    # What waits for its callee holds connections from the moment the callee is slow, not from long before.
    return -2.5 if (scene.since - moved.low) / 1e9 < 1_800 else 0.0


@check(
    "resources.handles",
    "Do open files or connections climb to their limit?",
    finds=("resources.handle_leak",),
    opposes=(
        "latency.slow_dependency",
        "none",
        "resources.handle_leak",
    ),
)
def handles(ctx: Context) -> Iterable[Answer]:
    """Look for handles that climb whatever the load, and for messages of an exhausted pool."""
    scene = ctx.scene
    kinds = ("handles_open", "connections_open", "connections_share", "threads")
    seen = [r for r in scene.of(*kinds) if scene.ours(r)]
    lines = _trouble_lines(ctx)
    line = lines.get("resources.handle_leak")
    if not seen and line is None:
        yield unseen(ctx, "Open files and connections")
        return
    load = load_factor(ctx)
    climbing: list[tuple[float, Reading, Climb | None]] = []
    for reading in seen:
        found = climb_of(ctx, reading)
        moved = reading.shift
        if (
            found is not None
            and found.climbs
            and found.share_gained >= 0.2 * load
            and (reading.rose or found.share_gained >= 0.4)
        ):
            climbing.append((found.share_gained, reading, found))
        elif (
            moved is not None
            and reading.rose
            and moved.factor >= 1.5 * load
            and moved.going_on
            and _near_limit(ctx, reading)
        ):
            climbing.append((moved.factor - 1, reading, found))
    if not climbing and line is None:
        yield calm(
            ctx,
            f"Open files and connections are as usual in {count(len(seen))} series",
            (Signal("resources.handle_leak", "*", -3.0),),
        )
        return
    _, worst, line_fit = max(
        climbing, key=lambda item: (item[0], item[1].title), default=(0.0, None, None)
    )
    who = (
        (worst.component if worst is not None else None)
        or (_component_in(ctx, line[1]) if line else None)
        or scene.name
    )
    locus = f"service:{who}"
    said_so = (
        f"{worst.title} climbs by {number(line_fit.per_hour)} an hour"
        + to_limit(ctx, worst, line_fit, ("handles_limit", "connections_limit"))
        if worst is not None and line_fit is not None
        else said(worst)
        if worst is not None
        else ""
    )
    # What has met its limit climbs no more: it came from far below, and stays there.
    full = worst is not None and _near_limit(ctx, worst) and _grew_for_long(ctx, worst)
    ramp = (line_fit is not None and line_fit.climbs) or full
    weight = (3.0 if ramp else 1.2 if worst is not None else 0.3) + (1.2 if line else 0.0)
    if worst is not None:
        weight += scene.fits(worst) + _not_queueing(ctx, worst)
    yield Answer(
        locus=locus,
        verdict="bad",
        since=moment(worst.shift.start)
        if worst is not None and worst.shift
        else line[0]
        if line
        else None,
        evidence=[
            *(ctx.cite("metrics") if worst is not None else []),
            *(ctx.cite("logs") if line else []),
        ],
        statement="; ".join(x for x in (said_so, line[2][:160] if line else "") if x),
        value=round(line_fit.level, 3) if line_fit is not None else None,
        unit="handles" if line_fit is not None else None,
        signals=(
            Signal(
                "resources.handle_leak",
                locus,
                weight,
                headline=f"Open handles of {who} climb and are not given back.",
                mechanism="At the limit nothing can be opened any more: calls wait or fail.",
            ),
            Signal("latency.slow_dependency", "*", -1.0 if ramp and weight >= 1.0 else 0.0),
            Signal("none", "*", -1.5),
        ),
    )


def _trouble_lines(ctx: Context) -> dict[str, tuple[pd.Timestamp, str, str]]:
    """First line of each serving trouble that is new or much more frequent in the current window."""
    known: dict[str, tuple[pd.Timestamp, str, str]] | None = ctx.results.get("serving_lines")
    if known is not None:
        return known
    out: dict[str, tuple[pd.Timestamp, str, str]] = {}
    logs = ctx.bundle.logs
    if logs is not None and not logs.empty:
        start = pd.Timestamp(ctx.bundle.windows.current[0])
        ratio = ctx.bundle.windows
        length = (ratio.current[1] - ratio.current[0]) / (ratio.reference[1] - ratio.reference[0])
        cause = logs["message"].astype(str).map(serving_trouble_of)
        for one in sorted(set(cause.dropna())):
            mine = logs[cause == one]
            now, before = mine[mine["ts"] >= start], mine[mine["ts"] < start]
            if len(now) and len(now) > 3 * len(before) * length:
                first = now.iloc[0]
                out[one] = (first["ts"], str(first["source"]), str(first["message"]))
    ctx.results["serving_lines"] = out
    return out


def _host_in(ctx: Context, text: str) -> str | None:
    hosts = [h for h in sorted(ctx.names.hosts, key=len, reverse=True) if h in text]
    return (
        hosts[0]
        if hosts
        else next(
            (
                ctx.names.host_of[c]
                for c in sorted(ctx.names.host_of, key=len, reverse=True)
                if c in text
            ),
            None,
        )
    )


def _component_in(ctx: Context, source: str) -> str | None:
    return ctx.names.component_in(source)
