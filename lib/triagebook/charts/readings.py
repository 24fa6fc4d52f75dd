"""Charts of metrics: what users feel, the load, what runs out, and where in the graph it is slow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
import pandas as pd

from triagebook.charts._style import (
    BAD,
    BAND,
    CHARTS,
    GREY,
    INK,
    NOW,
    SOFT,
    Drawn,
    Width,
    figure,
    halo,
    label,
    mark_changes,
    mark_onset,
    rc,
    time_axis,
    unit_axis,
)
from triagebook.charts.timelines import suspects, window_changes
from triagebook.core.words import number, several

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from triagebook.analysis.telemetry import Reading
    from triagebook.diagnosis.context import Context

_DAY = 86_400_000_000_000
_POINTS = 100
"""So many points are drawn across the window: a pixel or two each."""

_LOAD = ("traffic", "payload", "batch_size", "queue_depth", "rows")
_ROOM = (
    "memory_used",
    "memory_share",
    "memory_free",
    "cpu_used",
    "cpu_share",
    "cpu_throttled",
    "cpu_steal",
    "gc_time",
    "swap",
    "memory_stall",
    "disk_free",
    "disk_used",
    "disk_free_share",
    "disk_used_share",
    "handles_open",
    "connections_open",
    "gpu_memory_used",
    "gpu_memory_free",
    "gpu_memory_share",
    "gpu_xid",
    "gpu_clock",
)
_WITHIN = ("inference_time", "cache_hit_share", "cache_misses", "dependency_latency", "pool_wait")


@CHARTS.register("felt")
def felt(ctx: Context, width: Width) -> Drawn | None:
    """Draw latency and errors as users feel them, and the requests below, on one time axis."""
    scene = ctx.scene
    shown = list(scene.symptoms[:2])
    if not shown:
        home = scene.of("latency", "errors", "availability", "inference_time")
        shown = _strongest(home, 2)
    total = scene.total("traffic")
    return _panels(ctx, width, [*shown, *([total] if total is not None and shown else [])])


@CHARTS.register("load")
def load(ctx: Context, width: Width) -> Drawn | None:
    """Draw how many requests come and how large they are."""
    scene = ctx.scene
    total = scene.total("traffic")
    rest = _strongest([r for r in scene.of(*_LOAD) if r.measure != "traffic"], 2)
    return _panels(ctx, width, [*([total] if total is not None else []), *rest])


@CHARTS.register("room")
def room(ctx: Context, width: Width) -> Drawn | None:
    """Draw the resources that moved most: memory, CPU, disk, handles, GPUs."""
    return _panels(ctx, width, _strongest(ctx.scene.of(*_ROOM), 3))


@CHARTS.register("within")
def within(ctx: Context, width: Width) -> Drawn | None:
    """Draw what a request waits for: the model, the cache, the callees, the pool."""
    return _panels(ctx, width, _strongest(ctx.scene.of(*_WITHIN), 3))


@CHARTS.register("nodes")
def nodes(ctx: Context, width: Width) -> Drawn | None:
    """Draw, for each service and instance, how many times its usual latency it has now."""
    scene = ctx.scene
    best: dict[str, Reading] = {}
    for reading in scene.of("latency", "inference_time", "dependency_latency"):
        name = reading.instance or reading.peer or reading.component
        if name is None or reading.shift is None or not np.isfinite(reading.shift.factor):
            continue
        if name not in best or reading.unusual > best[name].unusual:
            best[name] = reading
    if len(best) < 2:
        return None
    order = sorted(best.items(), key=lambda item: (-_factor(item[1]), item[0]))[:14]
    with mpl.rc_context(rc()):
        made, (axes,) = figure(width, 0.33 * len(order) + 0.9)
        place = np.arange(len(order))
        factors = [_factor(r) for _, r in order]
        colours = [BAD if r.rose else NOW for _, r in order]
        axes.barh(place, factors, 0.56, color=colours)
        axes.axvline(1.0, color=INK, lw=1.2)
        for y, (_, reading) in zip(place, order, strict=True):
            moved = reading.shift
            if moved is not None and reading.rose:
                unit = f" {reading.series.unit}" if reading.series.unit else ""
                axes.annotate(
                    f"{number(moved.before)} → {number(moved.after)}{unit}",
                    (_factor(reading), y),
                    xytext=(6, 0),
                    textcoords="offset points",
                    va="center",
                    color=BAD,
                    fontsize=8.5,
                )
        most = 40 if width == "wide" else 20
        axes.set_yticks(place, [label(name, most) for name, _ in order])
        axes.tick_params(axis="y", length=0)
        axes.invert_yaxis()
        axes.set_xlim(0, max(*factors, 1.2) * 1.35)
        axes.set_xlabel("latency now, in times of its usual (the line is 1)")
    said = several([f"{label(n, 30)} {_factor(r):.1f} times" for n, r in order[:4]])
    return Drawn(
        made, f"Latency of {len(order)} services and instances against their usual: {said}."
    )


def _factor(reading: Reading) -> float:
    moved = reading.shift
    return float(np.clip(moved.factor, 0.0, 50.0)) if moved is not None and moved.clear else 1.0


def _strongest(found: Sequence[Reading], most: int) -> list[Reading]:
    """Take the readings that moved most, one of each measure first."""
    order = sorted(found, key=lambda r: (not (r.rose or r.fell), -r.unusual, r.title))
    first: dict[str, Reading] = {}
    for reading in order:
        first.setdefault(reading.measure, reading)
    rest = [r for r in order if r not in first.values()]
    return [*first.values(), *rest][:most]


def _panels(ctx: Context, width: Width, chosen: Sequence[Reading]) -> Drawn | None:
    """Draw readings below each other on one time axis, each against the same hours before."""
    shown = [r for r in chosen if len(_now(ctx, r)[0]) >= 3]
    if not shown:
        return None
    diagnosis = ctx.results["diagnosis"]
    start, end = ctx.bundle.windows.current
    said = []
    with mpl.rc_context(rc()):
        made, axes = figure(width, 1.35 * len(shown) + 0.7, len(shown), sharex=True)
        for panel, reading in zip(axes, shown, strict=True):
            times, values = _now(ctx, reading)
            low, mid, high = _usual(ctx, reading, times)
            at = times / 86_400e9
            panel.fill_between(at, low, high, color=BAND, lw=0)
            panel.plot(at, mid, color=GREY, lw=1)
            panel.plot(at, values, color=BAD if reading.rose or reading.fell else NOW, lw=1.5)
            # Inside the panel: the names of changes stand above the first one.
            panel.annotate(
                label(_name(reading), 74 if width == "wide" else 42),
                (0, 1),
                xycoords="axes fraction",
                xytext=(5, -3),
                textcoords="offset points",
                va="top",
                fontsize=9,
                path_effects=halo(),
            )
            panel.margins(y=0.18)
            unit_axis(panel, reading.series.unit)
            if panel is axes[0]:
                _name_lines(panel, at, values, mid)
            moved = reading.shift
            said.append(
                f"{label(reading.title, 70)}: "
                + (
                    f"{number(moved.after)} now, usually {number(moved.before)}"
                    if moved is not None and moved.clear
                    else f"about {number(float(np.median(values)))}, as usual"
                )
            )
        time_axis(axes[-1], start, end, width)
        for panel in axes:
            mark_onset(panel, diagnosis.onset, label=panel is axes[0], drop=14)
        mark_changes(axes, window_changes(ctx), suspects(ctx), width)
    return Drawn(made, f"Over the current window: {'; '.join(said)}.")


def _name(reading: Reading) -> str:
    """Name a reading by its metric and of whom it is, the rest of its labels left out."""
    whom = dict.fromkeys(
        str(one)
        for one in (reading.component, reading.instance or reading.host, reading.peer)
        if one is not None
    )
    return " · ".join((reading.series.name, *whom))


def _name_lines(panel: Axes, at: np.ndarray, values: np.ndarray, mid: np.ndarray) -> None:
    both = np.flatnonzero(np.isfinite(values) & np.isfinite(mid))
    if not len(both):
        return
    end = both[-1]
    up = 1 if values[end] >= mid[end] else -1
    for name, height, colour, side in (
        ("now", values[end], NOW, up),
        ("usual", mid[end], SOFT, -up),
    ):
        panel.annotate(
            name,
            (at[end], height),
            xytext=(-4, 7 * side),
            textcoords="offset points",
            color=colour,
            fontsize=8.5,
            ha="right",
            va="bottom" if side > 0 else "top",
            path_effects=halo(),
        )


def _now(ctx: Context, reading: Reading) -> tuple[np.ndarray, np.ndarray]:
    start, end = (pd.Timestamp(t).value for t in ctx.bundle.windows.current)
    part = reading.series.within(start, end + 1)
    every = max(len(part.values) // _POINTS, 1)
    n = len(part.values) // every * every
    if not n:
        return part.times[:0], part.values[:0]
    return part.times[:n:every], part.values[:n].reshape(-1, every).mean(axis=1)


def _usual(
    ctx: Context, reading: Reading, times: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """5 %, 50 % and 95 % of the reference around the same time of day; of all of it where days are few."""
    start = pd.Timestamp(ctx.bundle.windows.current[0]).value
    old = reading.series.within(pd.Timestamp(ctx.bundle.windows.reference[0]).value, start)
    if len(old.values) < 5:
        empty = np.full(len(times), np.nan)
        return empty, empty, empty
    flat = np.quantile(old.values, [0.05, 0.5, 0.95])
    out = np.tile(flat[:, None], (1, len(times)))
    if old.times[-1] - old.times[0] >= 2 * _DAY:
        width = _DAY // 48
        phase, wanted = old.times % _DAY, times % _DAY
        order = np.argsort(phase, kind="stable")
        phase, values = phase[order], old.values[order]
        for place, moment in enumerate(wanted):
            low, high = np.searchsorted(phase, [moment - width, moment + width])
            if high - low >= 8:
                out[:, place] = np.quantile(values[low:high], [0.05, 0.5, 0.95])
    return out[0], out[1], out[2]
