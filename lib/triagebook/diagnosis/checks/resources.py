"""What runs out, and why: memory, CPU, or plain growth of demand."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from triagebook.analysis.growth import Climb, climb
from triagebook.core.words import amount, count, several_of, share
from triagebook.diagnosis.answer import Answer, Signal, check
from triagebook.diagnosis.checks.latency import bad, calm, unseen
from triagebook.diagnosis.context import moment
from triagebook.diagnosis.scene import said

if TYPE_CHECKING:
    from collections.abc import Iterable

    from triagebook.analysis.telemetry import Reading
    from triagebook.diagnosis.context import Context


def climb_of(ctx: Context, reading: Reading) -> Climb | None:
    """Return how a reading climbs in the current window; computed once."""
    start = pd.Timestamp(ctx.bundle.windows.current[0]).value
    known = ctx.results.setdefault("climbs", {})
    key = (reading.title, reading.measure)
    if key not in known:
        moved = reading.shift
        if moved is not None and moved.clear and moved.shape == "ramp":
            start = max(start, moved.start)  # what was level before belongs to no climb
        known[key] = climb(reading.series.times, reading.series.values, start)
    found: Climb | None = known[key]
    return found


def load_factor(ctx: Context) -> float:
    """How many times the usual traffic comes; 1 where it is as usual or not seen."""
    total = ctx.scene.total("traffic")
    moved = total.shift if total is not None else None
    return moved.factor if moved is not None and moved.clear and moved.direction > 0 else 1.0


def to_limit(ctx: Context, reading: Reading, found: Climb, limits: tuple[str, ...]) -> str:
    """Say when a climb meets its limit, with an interval; "" where no limit is known."""
    limit = limit_of(ctx, reading, limits)
    if limit is None:
        return ""
    hours = found.hours_to(limit)
    if hours is None:
        return ""
    at, low, high = hours
    late = f"{high:.1f}" if np.isfinite(high) else "never"
    return f"; meets its limit of {amount(limit, reading.series.unit)} in {at:.1f} h ({low:.1f} to {late})"


def limit_of(ctx: Context, reading: Reading, measures: tuple[str, ...]) -> float | None:
    """Return the newest limit that belongs to a reading's component, instance or host; None without."""
    best: tuple[int, float] | None = None
    for other in ctx.scene.of(*measures):
        same = sum(
            getattr(other, key) is not None and getattr(other, key) == getattr(reading, key)
            for key in ("component", "instance", "host")
        )
        clash = any(
            getattr(other, key)
            and getattr(reading, key)
            and getattr(other, key) != getattr(reading, key)
            for key in ("component", "instance", "host")
        )
        if not clash and len(other.series.values) and other.series.unit == reading.series.unit:
            value = float(np.median(other.series.values[-10:]))
            if best is None or same > best[0]:
                best = (same, value)
    return best[1] if best else None


@check(
    "resources.memory",
    "Does memory climb, or did it step up?",
    finds=("resources.memory_leak", "resources.memory_step"),
    opposes=("latency.memory_pressure", "none", "resources.memory_leak", "resources.memory_step"),
)
def memory(ctx: Context) -> Iterable[Answer]:
    """Tell a leak (a steady climb since a start) from a step at a change, and both from load."""
    scene = ctx.scene
    seen = [r for r in scene.of("memory_used", "memory_share") if not is_host_wide(r)]
    seen = [r for r in seen or scene.of("memory_used", "memory_share") if _concerns(ctx, r)]
    # A task fills its memory each time it runs, and gives it back at its end.
    seen = [r for r in seen if r.task is None or _always_on(r)]
    if not seen:
        yield unseen(ctx, "The use of memory")
        return
    load = load_factor(ctx)
    climbing: dict[str, list[tuple[Reading, Climb]]] = defaultdict(list)
    stepped: dict[str, list[Reading]] = defaultdict(list)
    for reading in seen:
        found = climb_of(ctx, reading)
        moved = reading.shift
        who = reading.component or scene.name
        up = reading.rose and moved is not None and moved.factor >= 1.1 * max(load, 1.0) ** 0.8
        days = _for_days(ctx, reading)
        if days is not None:
            climbing[who].append((reading, days))
            continue
        rises = found is not None and found.climbs and (up or found.share_gained >= 0.2)
        step = up and moved is not None and moved.shape == "step"
        if found is not None and rises and (not step or _still_climbing(reading, found)):
            climbing[who].append((reading, found))
        elif up and moved is not None and moved.shape == "step" and moved.going_on:
            stepped[who].append(reading)
        elif (
            up
            and moved is not None
            and found is not None
            and found.resets
            and found.steady >= 0.8
            and _beyond(ctx, reading)
        ):
            climbing[who].append((reading, found))
    if not climbing and not stepped:
        yield calm(
            ctx,
            f"Memory is as usual in {count(len(seen))} series",
            (
                Signal("resources.memory_leak", "*", -3.0),
                Signal("resources.memory_step", "*", -3.0),
                Signal("none", "*", scene.as_usual("memory")),
            ),
        )
        return
    # Where most instances stepped, the others did so too: they were replaced one after another.
    for who in [w for w in climbing if len(stepped.get(w, ())) > len(climbing[w])]:
        del climbing[who]
    for who, members in sorted(climbing.items(), key=lambda item: -len(item[1]))[:2]:
        reading, found = max(
            members, key=lambda item: (item[0].rose, item[1].share_gained, item[0].title)
        )
        locus = f"service:{who}"
        grown = load >= 1.2
        yield bad(
            ctx,
            reading,
            f"{reading.title} climbs by {amount(found.per_hour, reading.series.unit)} an hour since "
            f"{moment(found.since):%d %b %H:%M} UTC"
            + (f", {several_of(found.resets, 'reset')}" if found.resets else "")
            + to_limit(ctx, reading, found, ("memory_limit",)),
            locus,
            (
                Signal(
                    "resources.memory_leak",
                    locus,
                    3.0
                    - (1.5 if grown else 0.0)
                    + (0.4 if found.resets else 0.0)
                    + scene.fits(reading),
                    headline=f"Memory of {who} climbs steadily, whatever the load.",
                    mechanism="Each request leaves something behind; at the limit the process is killed or stalls.",
                ),
                Signal("latency.memory_pressure", "*", -1.5),
                Signal("resources.memory_step", "*", -1.5),
                Signal("none", "*", -2.0),
            ),
        )
    for who, group in sorted(stepped.items(), key=lambda item: -len(item[1]))[:2]:
        if who in climbing:
            continue  # of several instances of a leak some look like a step
        reading = group[0]
        moved = reading.shift
        changes = scene.near((), moved.start if moved else None)
        locus = f"service:{who}"
        what = f"; {changes[0].what} just before" if changes else "; no change is known just before"
        yield bad(
            ctx,
            reading,
            f"{said(reading)}, in one step{what}",
            locus,
            (
                Signal(
                    "resources.memory_step",
                    locus,
                    (2.9 if changes else 1.6) - (1.5 if load >= 1.2 else 0.0) + scene.fits(reading),
                    headline=f"Memory of {who} stepped up"
                    + (f" at {changes[0].what}." if changes else "."),
                    mechanism="The new version, model or batch size holds more in memory from its start.",
                ),
                Signal("resources.memory_leak", locus, -1.0),
                Signal("none", "*", -1.5),
            ),
        )


def _beyond(ctx: Context, reading: Reading) -> bool:
    """Whether the window's top is above the reference's: what only goes up and down stays below it."""
    start = pd.Timestamp(ctx.bundle.windows.current[0]).value
    old, new = reading.series.within(0, start), reading.series.within(start, 2**62)
    if len(old.values) < 16 or not len(new.values):
        return True
    return bool(np.max(new.values) >= 1.03 * np.quantile(old.values, 0.995))


def _always_on(reading: Reading) -> bool:
    """Whether a series has samples in most stretches of ten minutes, as that of a streaming job has."""
    times = reading.series.times
    if len(times) < 20:
        return False
    stretch = times // 600_000_000_000
    return bool(len(np.unique(stretch)) >= 0.6 * (stretch[-1] - stretch[0] + 1))


def is_host_wide(reading: Reading) -> bool:
    """Whether a reading is about a whole host, not about one process on it."""
    return reading.component is None and reading.instance is None and reading.host is not None


def _still_climbing(reading: Reading, found: Climb) -> bool:
    """Whether it still climbs well after its shift began: a step does not."""
    moved = reading.shift
    start = moved.start if moved is not None else found.since
    end = int(reading.series.times[-1])
    start += (end - start) // 10
    part = reading.series.within(start, end + 1)
    after = climb(part.times, part.values, start)
    return after is not None and after.steady >= 0.6 and after.share_gained >= 0.03


def _for_days(ctx: Context, reading: Reading) -> Climb | None:
    """Return the climb over reference and window together, where it began long before the window."""
    moved = reading.shift
    begin, end = (pd.Timestamp(t).value for t in ctx.bundle.windows.current)
    if moved is None or not reading.rose or moved.start > begin + (end - begin) // 20:
        return None
    whole = climb(reading.series.times, reading.series.values, int(reading.series.times[0]))
    return whole if whole is not None and whole.steady >= 0.75 and whole.low > 0 else None


@check(
    "resources.cpu",
    "Is a process pinning the CPU?",
    finds=("resources.cpu_runaway",),
    opposes=(
        "latency.bad_instance",
        "latency.cpu_throttling",
        "none",
        "resources.cpu_runaway",
    ),
)
def cpu(ctx: Context) -> Iterable[Answer]:
    """Look for CPU that rose while requests did not, in one instance or process rather than all."""
    scene = ctx.scene
    seen = scene.of("cpu_used", "cpu_share", "load")
    if not seen:
        yield unseen(ctx, "The use of CPU")
        return
    up = scene.rose("cpu_used", "cpu_share", factor=1.3)
    load = load_factor(ctx)
    up = [r for r in up if r.shift and r.shift.factor >= 1.2 * load and _concerns(ctx, r)]
    per_process = any(r.component or r.instance for r in seen)
    owned = [r for r in up if r.component or r.instance] if per_process else up
    if not owned:
        yield calm(
            ctx,
            f"CPU is as usual in {count(len(seen))} series",
            (
                Signal("resources.cpu_runaway", "*", -3.0),
                Signal("none", "*", scene.as_usual("cpu")),
            ),
        )
        return
    by_component: dict[str, list[Reading]] = defaultdict(list)
    for reading in owned:
        by_component[reading.component or scene.name].append(reading)
    for who, members in sorted(by_component.items(), key=lambda item: (-_top(item[1]), item[0]))[
        :2
    ]:
        top = max(members, key=lambda r: (r.shift.effect if r.shift else 0.0, r.title))
        peers = {r.instance for r in seen if r.component == top.component and r.instance}
        hot = {r.instance for r in members if r.instance}
        one = len(peers) >= 2 and len(hot) == 1
        process = next(
            (v for k, v in top.part if "process" in k or k in ("comm", "exe", "pid")), None
        )
        locus = f"service:{who}"
        weight = 3.0 if one or process else 1.6
        if scene.rose("cpu_steal"):
            weight -= 1.5
        yield bad(
            ctx,
            top,
            said(top)
            + (f"; only {next(iter(hot))} of {count(len(peers))} instances" if one else "")
            + (f"; process {process}" if process else "")
            + ("" if load > 1 else "; requests as usual"),
            locus,
            (
                Signal(
                    "resources.cpu_runaway",
                    locus,
                    weight + (0.4 if load <= 1.05 else -0.5) + scene.fits(top),
                    headline=f"A process of {who} pins the CPU while requests come as usual.",
                    mechanism="A loop or a stuck job takes the CPU that requests need.",
                ),
                *(
                    (
                        Signal("latency.bad_instance", "*", -2.5),
                        Signal("latency.cpu_throttling", "*", -1.0),
                    )
                    if one
                    else ()
                ),
                Signal("none", "*", -1.2),
            ),
        )


def _concerns(ctx: Context, reading: Reading) -> bool:
    """Whether it is ours, or what the alert names: a busy crawler elsewhere explains nothing here."""
    named = set(ctx.bundle.alert.labels.values())
    return ctx.scene.ours(reading) or bool({reading.component, reading.instance} & named)


def _top(members: list[Reading]) -> float:
    return max((r.shift.effect for r in members if r.shift), default=0.0)


@check(
    "resources.growth",
    "Did demand grow over the weeks?",
    finds=("resources.demand_growth",),
    opposes=(
        "latency.cpu_throttling",
        "latency.traffic_surge",
        "none",
        "resources.memory_step",
        "resources.demand_growth",
        "resources.memory_leak",
        "resources.cpu_runaway",
    ),
)
def growth(ctx: Context) -> Iterable[Answer]:
    """Hold the daily levels of traffic and use against each other over the whole time seen."""
    scene = ctx.scene
    total = scene.total("traffic") or scene.total("rows")
    used = scene.of(
        "cpu_used",
        "cpu_share",
        "memory_used",
        "memory_share",
        "connections_open",
        "gpu_busy",
        "disk_used",
    )
    if total is None or not used:
        yield unseen(ctx, "Traffic beside the use of resources")
        return
    # The window itself may hold a surge: growth is what the days before show.
    start = pd.Timestamp(ctx.bundle.windows.current[0]).value
    past = total.series.within(0, start)
    days, level = _daily(past.times, past.values)
    if len(days) < 5:
        yield calm(ctx, "Too few days to see a trend", ())
        return
    rise, steady = _trend(days, level), _steadiness(days, level)
    if rise < 0.06 or steady < 0.6:
        yield calm(
            ctx,
            f"Traffic did not grow steadily over {count(len(days))} days ({share(rise)})",
            (Signal("resources.demand_growth", "*", -2.5),),
        )
        return
    best: tuple[float, Reading] | None = None
    for reading in used:
        before = reading.series.within(0, start)
        if len(before.values) < 20:
            continue
        d, use = _daily(before.times, before.values)
        # One may have samples enough on a half day, the other not.
        both, mine, its = np.intersect1d(days, d, return_indices=True)
        if len(both) < 5 or np.ptp(use[its]) == 0:
            continue
        follows = float(np.corrcoef(level[mine], use[its])[0, 1])
        # Named at the service itself where its own use follows; else where it is seen.
        rank = follows + (1.0 if reading.component in (scene.name, scene.entry) else 0.0)
        if follows >= 0.8 and _trend(d, use) >= 0.03 and (best is None or rank > best[0]):
            best = (rank, reading)
    if best is None:
        yield calm(
            ctx,
            f"Traffic grew by {share(rise)} over {count(len(days))} days; use did not follow",
            (Signal("resources.demand_growth", "*", -1.0),),
        )
        return
    locus = scene.service_locus(best[1])
    later = _later_at_peak(ctx)
    yield bad(
        ctx,
        best[1],
        f"Traffic grew by {share(rise)} over {count(len(days))} days, and {best[1].title} with it",
        locus,
        (
            Signal(
                "resources.demand_growth",
                locus,
                (3.2 if steady >= 0.8 and rise >= 0.1 else 2.4)
                + (1.0 if later else scene.fits(best[1])),
                headline="Use grew with the demand over the days: capacity, not a fault.",
                mechanism="The same work for each request, and more requests every day.",
            ),
            *(
                Signal(c, "*", -1.5)
                for c in (
                    "resources.memory_leak",
                    "resources.cpu_runaway",
                    "resources.memory_step",
                    "latency.traffic_surge",
                    "latency.cpu_throttling",
                )
            ),
            # Each day's peak is later than the last one's: no day stands out, and all get worse.
            Signal("none", "*", -2.5 if later else -0.5),
        ),
    )


def _later_at_peak(ctx: Context) -> bool:
    """Whether the watched service answers a fifth later than at the same hours before, however usual that is."""
    scene = ctx.scene
    home = (None, scene.entry, scene.name)
    return scene.alerted == "latency" and any(
        r.shift is not None and r.shift.direction > 0 and r.shift.factor >= 1.2
        for r in scene.of("latency")
        if r.component in home and not r.instance
    )


def _daily(times: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return days and the level of each, at the mean hour: half a day's hours are not the whole day's."""
    if not len(times):
        return times, values
    hour = (times // 3_600_000_000_000) % 24
    usual = np.bincount(hour, values, 24) / np.maximum(np.bincount(hour, minlength=24), 1)
    mean = float(np.mean(values))
    day = times // 86_400_000_000_000
    days, place, seen = np.unique(day, return_inverse=True, return_counts=True)
    expected = np.bincount(place, usual[hour])
    level = np.bincount(place, values) / np.where(expected > 0, expected, 1.0) * mean
    full = seen >= 0.5 * np.median(seen)
    return days[full], level[full]


def _steadiness(days: np.ndarray, level: np.ndarray) -> float:
    """Kendall's tau of level and day over pairs of like days: working days among themselves, weekends too."""
    weekend = (days + 3) % 7 >= 5
    up = [
        np.sign(level[j] - level[i])
        for i in range(len(days))
        for j in range(i + 1, len(days))
        if weekend[i] == weekend[j]
    ]
    return float(np.mean(up)) if up else 0.0


def _trend(days: np.ndarray, level: np.ndarray) -> float:
    """Return the growth from first to last day along a robust line, over the first level.

    Days are held against like days, working days or weekends, as far as there are pairs of them.
    """
    weekend = (days + 3) % 7 >= 5
    pairs = [(i, j) for i in range(len(days)) for j in range(i + 1, len(days))]
    alike = [(i, j) for i, j in pairs if weekend[i] == weekend[j]] or pairs
    slopes = [(level[j] - level[i]) / (days[j] - days[i]) for i, j in alike]
    slope = float(np.median(slopes))
    base = float(np.median(level)) - slope * (days[-1] - days[0]) / 2
    return slope * (days[-1] - days[0]) / base if base > 0 else 0.0
