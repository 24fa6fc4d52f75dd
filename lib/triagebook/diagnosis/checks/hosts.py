"""What others on the host take, and which limits were moved."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from triagebook.diagnosis.answer import Answer, Signal, check
from triagebook.diagnosis.checks.latency import bad, calm, unseen
from triagebook.diagnosis.checks.resources import is_host_wide
from triagebook.diagnosis.context import moment
from triagebook.diagnosis.scene import said

if TYPE_CHECKING:
    from collections.abc import Iterable

    from triagebook.analysis.telemetry import Reading
    from triagebook.core.models import Change
    from triagebook.diagnosis.context import Context


@check(
    "resources.neighbour",
    "Does another workload on the host take the resource?",
    finds=("resources.noisy_neighbour",),
    opposes=(
        "latency.bad_instance",
        "none",
        "resources.cpu_runaway",
        "resources.noisy_neighbour",
    ),
)
def neighbour(ctx: Context) -> Iterable[Answer]:
    """Look for steal time, and for a host that is busier than our own processes make it."""
    scene = ctx.scene
    steal = scene.of("cpu_steal")
    host_wide = [
        r
        for r in scene.of(
            "cpu_share", "cpu_used", "cpu_wait", "disk_io", "load", "cpu_stall", "io_stall"
        )
        if is_host_wide(r)
    ]
    others = [
        r
        for r in scene.of("cpu_used", "cpu_share")
        if r.component and r.component not in scene.own and not is_host_wide(r)
    ]
    if not steal and not host_wide and not others:
        yield unseen(ctx, "What else runs on the hosts")
        return
    stolen = [r for r in scene.rose("cpu_steal", factor=1.5) if scene.ours(r) and _matters(r)]
    own_up = [
        r
        for r in scene.rose("cpu_used", "cpu_share", factor=1.3)
        if not is_host_wide(r) and scene.ours(r) and r.component is not None
    ]
    # Only what runs where we run can take from us.
    foreign = [
        r for r in others if r.rose and r.shift and r.shift.factor >= 1.5 and r.host in scene.home
    ]
    busy = [r for r in host_wide if r.rose and r.shift and r.shift.factor >= 1.3 and scene.ours(r)]
    busy_hosts = {r.host for r in busy}
    seen_hosts = {r.host for r in host_wide}
    # Where the host itself was seen and is not busy nobody takes anything; unseen, it takes a good part.
    foreign = [r for r in foreign if r.host in busy_hosts] or [
        r for r in foreign if not busy and r.host not in seen_hosts and _takes_much(r)
    ]
    foreign.sort(key=lambda r: (-_gain(r), r.title))
    ours_there = {r.host for r in own_up if r.shift and r.shift.factor >= 1.5}
    if stolen:
        reading, weight = stolen[0], 3.2
    elif foreign and foreign[0].host not in ours_there:
        reading, weight = foreign[0], 2.6 if foreign[0].host in busy_hosts else 1.2
    elif busy and not own_up and scene.of("cpu_used", "cpu_share"):
        reading, weight = busy[0], 0.6
    else:
        yield calm(
            ctx,
            "No other workload takes more than usual",
            (Signal("resources.noisy_neighbour", "*", -3.0),),
        )
        return
    felt = bool(scene.symptoms) or bool(stolen)
    if not felt:
        yield calm(
            ctx,
            f"{said(reading)}; nobody feels it",
            (Signal("resources.noisy_neighbour", "*", -3.0),),
        )
        return
    host = scene.host_of(reading)
    if host == "unknown" and busy:
        host = scene.host_of(busy[0])
    locus = f"host:{host}"
    weight += scene.order(reading) + scene.fits(reading)
    yield bad(
        ctx,
        reading,
        said(reading) + ("; our own processes use as much as before" if not own_up else ""),
        locus,
        (
            Signal(
                "resources.noisy_neighbour",
                locus,
                weight,
                headline=f"Another workload on {host} takes the CPU.",
                mechanism="The host gives our processes less than they ask for.",
            ),
            # What came too late, or is no matter here, speaks against nothing else.
            *(
                (
                    Signal("resources.cpu_runaway", "*", -1.5),
                    Signal("latency.bad_instance", "*", -1.5),
                    Signal("none", "*", -1.2),
                )
                if weight >= 1.0
                else ()
            ),
        ),
    )


_LIMITS = ("memory_limit", "cpu_limit", "connections_limit", "handles_limit", "gpu_memory_total")
_LIMIT_WORDS = re.compile(
    r"limit|quota|max[_ -]|maximum|pool.?size|cap\b|request(s)?\.(cpu|memory)|resources?\.|replicas|ulimit|heap|xmx|workers",
    re.IGNORECASE,
)


@check(
    "resources.limits",
    "Was a limit moved?",
    finds=("resources.limit_lowered",),
    opposes=(
        "latency.cpu_throttling",
        "latency.traffic_surge",
        "none",
        "resources.handle_leak",
        "resources.memory_leak",
        "resources.memory_step",
        "resources.limit_lowered",
    ),
)
def limits(ctx: Context) -> Iterable[Answer]:
    """Look for limits that stepped down while use is as before, and for changes that say so."""
    scene = ctx.scene
    seen = scene.of(*_LIMITS)
    lowered = [r for r in seen if _stepped_down(ctx, r)]
    window = ctx.bundle.windows.current
    changes = [
        c
        for c in ctx.changes
        if window[0] <= c.ts <= window[1] and c.kind in ("config", "infra", "deploy", "flag")
    ]
    told = [
        c for c in changes if _LIMIT_WORDS.search(c.what) and _lower(c.from_, c.to) is not False
    ]
    told = [c for c in told if _lower(c.from_, c.to) or lowered]
    if not lowered and not told:
        cut = _cut_below_use(ctx)
        if cut is not None:
            yield _cut_answer(ctx, cut)
            return
    if not seen and ctx.bundle.changes is None:
        yield unseen(ctx, "Limits")
        return
    if not lowered and not told:
        where = "" if seen else ", as far as the change log says: no metric of limits was seen"
        yield calm(
            ctx, f"No limit was lowered{where}", (Signal("resources.limit_lowered", "*", -3.0),)
        )
        return
    key = setting_of(told[0].what) if told else _key_near(ctx, lowered[0])
    locus = f"config:{key}"
    reading = lowered[0] if lowered else None
    statement = "; ".join(
        x
        for x in (
            said(reading) if reading is not None else "",
            f"{told[0].what} {told[0].from_ or ''} → {told[0].to or ''}" if told else "",
        )
        if x
    )
    yield Answer(
        locus=locus,
        verdict="bad",
        since=told[0].ts
        if told
        else moment(reading.shift.start)
        if reading is not None and reading.shift
        else None,
        evidence=[
            *(ctx.cite("metrics") if reading is not None else []),
            *(ctx.cite("changes") if told else []),
        ],
        statement=statement,
        signals=(
            Signal(
                "resources.limit_lowered",
                locus,
                (3.2 if lowered else 1.8)
                + (0.8 if told else 0.0)
                + (0.6 if told and not lowered and _just_before(ctx, told[0]) else 0.0),
                headline=f"The limit {key} was lowered; use is as before.",
                mechanism="What fitted yesterday meets the limit today.",
            ),
            *(
                Signal(c, "*", -1.8)
                for c in (
                    "resources.memory_leak",
                    "latency.cpu_throttling",
                    "resources.memory_step",
                    "resources.handle_leak",
                    "latency.traffic_surge",
                )
            ),
            Signal("none", "*", -1.5),
        ),
    )


def _just_before(ctx: Context, change: Change) -> bool:
    """Whether a change lies within half an hour of the symptom's start."""
    since = ctx.scene.since
    return since is not None and abs(since - pd.Timestamp(change.ts).value) <= 1_800e9


def _cut_below_use(ctx: Context) -> Reading | None:
    """Find CPU held back in all instances of a component that use no more than before: a limit came down.

    What asks for more is held back at the limit it had; who asks for no more is held back by a lower one.
    Only where neither the limit nor the changes could be seen: they would say so themselves.
    """
    scene = ctx.scene
    if ctx.bundle.changes is not None:
        return None
    held = [r for r in scene.rose("cpu_throttled", factor=1.3) if r.component and r.instance]
    for component in sorted({str(r.component) for r in held}):
        used = scene.of("cpu_used", "cpu_share", component=component)
        mine = {r.instance for r in held if r.component == component}
        of = {r.instance for r in scene.of("cpu_throttled", component=component) if r.instance}
        if not used or len(mine) < max(2, len(of)) or scene.of("cpu_limit", component=component):
            continue
        more = [r for r in used if r.shift and r.shift.direction > 0 and r.shift.factor >= 1.1]
        if not more:
            return next(r for r in held if r.component == component)
    return None


def _cut_answer(ctx: Context, reading: Reading) -> Answer:
    key = _key_near(ctx, reading)
    locus = f"config:{key}"
    return bad(
        ctx,
        reading,
        f"{said(reading)}, in all instances, though they use no more CPU than before",
        locus,
        (
            Signal(
                "resources.limit_lowered",
                locus,
                3.2 + ctx.scene.order(reading),
                headline=f"The CPU limit of {reading.component} came down: it is held back at its usual use.",
                mechanism="What fitted yesterday meets the limit today.",
            ),
            Signal("latency.cpu_throttling", "*", -1.8),
            Signal("none", "*", -1.5),
        ),
    )


def _matters(reading: Reading) -> bool:
    """Whether three hundredths of the CPU at least are stolen."""
    moved = reading.shift
    return moved is not None and moved.after >= (3.0 if reading.series.unit == "%" else 0.03)


MUCH_CORES = 0.5
"""A stranger that takes so many cores more is felt by its neighbours, were the host small."""


def _takes_much(reading: Reading) -> bool:
    """Whether a stranger takes half a core more at least, or a tenth of the host."""
    unit = reading.series.unit
    if unit == "%":
        return _gain(reading) >= 10.0
    if unit == "share":
        return _gain(reading) >= 0.1
    if reading.measure == "cpu_share":
        moved = reading.shift
        return _gain(reading) >= (10.0 if moved is not None and moved.after > 1.5 else 0.1)
    return _gain(reading) >= MUCH_CORES


def _gain(reading: Reading) -> float:
    moved = reading.shift
    return moved.after - moved.before if moved is not None else 0.0


def _stepped_down(ctx: Context, reading: Reading) -> bool:
    start = pd.Timestamp(ctx.bundle.windows.current[0]).value
    old, new = reading.series.within(0, start), reading.series.within(start, 2**62)
    if len(old.values) < 3 or len(new.values) < 2:
        return False
    was, now = (
        float(np.median(old.values)),
        float(np.median(new.values[-max(len(new.values) // 10, 2) :])),
    )
    return was > 0 and now < 0.95 * was and now > 0


def _lower(old: str | None, new: str | None) -> bool | None:
    """Whether the second of two amounts is less; None where they are no amounts."""
    a, b = _amount(old), _amount(new)
    return None if a is None or b is None else b < a


_FACTORS = {
    "": 1.0,
    "m": 1e-3,
    "k": 1e3,
    "ki": 2.0**10,
    "mi": 2.0**20,
    "gi": 2.0**30,
    "ti": 2.0**40,
    "mb": 1e6,
    "gb": 1e9,
    "mib": 2.0**20,
    "gib": 2.0**30,
    "g": 1e9,
    "M": 1e6,
}


def _amount(text: str | None) -> float | None:
    found = re.search(r"(-?\d+(?:\.\d+)?)\s*([A-Za-z]{0,3})\s*$", (text or "").strip())
    if not found:
        return None
    unit = found.group(2)
    return float(found.group(1)) * _FACTORS.get(unit, _FACTORS.get(unit.lower(), 1.0))


def setting_of(what: str) -> str:
    """Pick the configuration key out of a change's text: the word with dots or underscores, else all of it."""
    words = re.findall(r"[\w./\-\[\]]+", what)
    keyed = [
        w.strip(".")
        for w in words
        if re.search(r"[a-zA-Z0-9][._/-][a-zA-Z0-9]", w) or (w.isupper() and len(w) > 3)
    ]
    upper = [w for w in keyed if w.isupper()]
    first: str = (upper or keyed or words or ["unknown"])[0]
    return first


def _key_near(ctx: Context, reading: Reading) -> str:
    near = ctx.scene.near(
        ("config", "infra", "deploy"), reading.shift.start if reading.shift else None
    )
    return setting_of(near[0].what) if near else "unknown"
