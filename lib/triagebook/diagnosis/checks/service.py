"""Whether the service itself is slow, or runs out of something."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from triagebook.core.words import count, number
from triagebook.diagnosis.answer import Answer, Signal, check
from triagebook.diagnosis.context import moment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from triagebook.analysis.movement import Movement
    from triagebook.analysis.series import Quantity, Series
    from triagebook.diagnosis.context import Context


def _higher(ctx: Context, *quantities: Quantity) -> list[tuple[Series, Movement]]:
    """List series of a quantity that rose beyond their natural movement, farthest first."""
    rose = [
        (series, moved)
        for series, moved in ctx.series_movements
        if series.quantity in quantities
        and moved.beyond_natural
        and (moved.mean_current or 0.0) > 1.1 * (moved.mean_reference or 0.0)
    ]
    return sorted(rose, key=lambda item: (-item[1].ratio, item[0].title))


def _of(ctx: Context, *quantities: Quantity) -> list[tuple[Series, Movement]]:
    return [item for item in ctx.series_movements if item[0].quantity in quantities]


def _not_seen(ctx: Context, what: str) -> Answer:
    why = ctx.why_missing("metrics")
    return Answer(
        locus=f"service:{ctx.bundle.service.name}",
        verdict="unknown",
        evidence=ctx.cite("metrics"),
        statement=f"{what} was not seen: {why or 'no metric of that kind'}",
    )


def _said(series: Series, moved: Movement) -> str:
    unit = f" {series.unit}" if series.unit else ""
    return (
        f"{series.title}: {number(moved.mean_current or 0.0)}{unit}, "
        f"was {number(moved.mean_reference or 0.0)}{unit} ({moved.ratio:.1f} times its natural movement)"
    )


@check(
    "service.latency",
    "Is the service slow?",
    finds=("latency.traffic_surge", "latency.bad_instance"),
    opposes=("none", "latency.traffic_surge"),
)
def latency(ctx: Context) -> Iterable[Answer]:
    """Compare latencies with the same hours before; then traffic, then instance by instance."""
    service = f"service:{ctx.bundle.service.name}"
    seen = _of(ctx, "latency")
    if not seen:
        yield _not_seen(ctx, "Latency")
        return
    slow = _higher(ctx, "latency")
    if not slow:
        yield Answer(
            locus=service,
            verdict="ok",
            evidence=ctx.cite("metrics"),
            statement=f"Latency is as usual in {count(len(seen))} series",
            signals=(
                Signal("none", "*", 0.3),
                Signal("latency.traffic_surge", "*", -3.0),
                Signal("latency.bad_instance", "*", -3.0),
            ),
        )
        return
    series, moved = slow[0]
    since = moment(moved.split.time) if moved.split else None
    traffic = _higher(ctx, "traffic")
    signals = [Signal("none", "*", -2.5)]
    if traffic:
        signals.append(
            Signal(
                "latency.traffic_surge",
                service,
                2.5,
                headline="More requests than before, and slower answers.",
                mechanism=_said(*traffic[0]),
            )
        )
    names = {s.labels.get("instance") or s.labels.get("pod") for s, _ in seen} - {None}
    slow_names = {s.labels.get("instance") or s.labels.get("pod") for s, _ in slow} - {None}
    if len(names) >= 2 and len(slow_names) == 1:
        one = min(str(n) for n in slow_names)
        signals.append(
            Signal(
                "latency.bad_instance",
                f"instance:{one}",
                3.0,
                headline=f"Instance {one} is slow, the others are fine.",
                mechanism="One replica of several answers slowly.",
            )
        )
    yield Answer(
        locus=service,
        verdict="bad",
        since=since,
        evidence=ctx.cite("metrics"),
        statement=_said(series, moved),
        value=round(moved.mean_current or 0.0, 4),
        unit=series.unit or None,
        effect=round(moved.ratio, 3),
        threshold=1.25,
        signals=tuple(signals),
    )


@check(
    "service.resources",
    "Does it run out of memory, CPU, disk or handles?",
    finds=(
        "resources.memory_leak",
        "resources.memory_step",
        "resources.cpu_runaway",
        "resources.disk_filling",
        "resources.handle_leak",
        "resources.demand_growth",
    ),
    opposes=("none", "resources.memory_leak", "resources.memory_step"),
)
def resources(ctx: Context) -> Iterable[Answer]:
    """Compare each resource with the same hours before; a line that climbs is told from a step."""
    service = f"service:{ctx.bundle.service.name}"
    seen = _of(ctx, "memory", "cpu", "disk", "handles", "gpu")
    if not seen:
        yield _not_seen(ctx, "Use of memory, CPU and disk")
        return
    high = _higher(ctx, "memory", "cpu", "disk", "handles", "gpu")
    if not high:
        yield Answer(
            locus=service,
            verdict="ok",
            evidence=ctx.cite("metrics"),
            statement=f"Memory, CPU and disk are as usual in {count(len(seen))} series",
            signals=(Signal("none", "*", 0.3), *(Signal(c, "*", -3.0) for c in _RESOURCE_CAUSES)),
        )
        return
    busy = bool(_higher(ctx, "traffic"))
    for series, moved in high[:4]:
        cause, headline = _resource_cause(ctx, series, busy=busy)
        locus = (
            service
            if cause != "resources.disk_filling"
            else f"host:{series.labels.get('instance', 'unknown')}"
        )
        yield Answer(
            locus=locus,
            verdict="bad",
            since=moment(moved.split.time) if moved.split else None,
            evidence=ctx.cite("metrics"),
            statement=_said(series, moved),
            value=round(moved.mean_current or 0.0, 4),
            unit=series.unit or None,
            effect=round(moved.ratio, 3),
            threshold=1.25,
            signals=(
                Signal(cause, locus, 2.0, headline=headline, mechanism=_said(series, moved)),
                Signal("none", "*", -2.0),
            ),
        )


_RESOURCE_CAUSES = (
    "resources.memory_leak",
    "resources.memory_step",
    "resources.cpu_runaway",
    "resources.disk_filling",
    "resources.handle_leak",
    "resources.demand_growth",
)


def _resource_cause(ctx: Context, series: Series, *, busy: bool) -> tuple[str, str]:
    start = int(ctx.bundle.windows.current[0].timestamp() * 1e9)
    now = series.within(start, int(series.times[-1]) + 1)
    climbs = _climbs(now.values)
    if series.quantity == "memory":
        if climbs:
            return "resources.memory_leak", "Memory climbs steadily."
        return "resources.memory_step", "Memory stepped up."
    if series.quantity == "disk":
        return "resources.disk_filling", "The disk is filling."
    if series.quantity == "handles":
        return "resources.handle_leak", "Open handles climb."
    if busy:
        return "resources.demand_growth", "Use grew with the load."
    return "resources.cpu_runaway", "CPU use is up while the load is not."


def _climbs(values: np.ndarray) -> bool:
    """Whether the values follow a rising line better than a step: rank correlation with time >= 0.8."""
    if len(values) < 20:
        return False
    ranks = np.argsort(np.argsort(values))
    steps = np.corrcoef(ranks, np.arange(len(values)))[0, 1]
    halves = np.array_split(values, 4)
    rising = all(b.mean() > a.mean() for a, b in pairwise(halves))
    return bool(steps >= 0.8 and rising)
