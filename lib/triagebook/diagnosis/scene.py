"""The service as its metrics show it: symptom, callees, instances and hosts, each with what moved."""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.ndimage import median_filter

from triagebook.analysis.measures import measure_of
from triagebook.analysis.series import Series
from triagebook.analysis.shift import shift
from triagebook.analysis.statistic import statistic_of
from triagebook.analysis.telemetry import Reading
from triagebook.core.models import IncidentType
from triagebook.core.words import amount

if TYPE_CHECKING:
    from collections.abc import Iterable

    from triagebook.core.models import Change
    from triagebook.diagnosis.context import Context

SYMPTOMS = ("latency", "inference_time", "errors", "availability", "queue_time")
"""Measures that users feel."""
LONG_BEFORE_S = 2_700.0
"""What stepped so long before the symptom needs more than its order in time to be its cause."""
GRACE_S = 180.0
"""Clocks, scrapes and averages blur a moment by so much at least."""


class Scene:
    """Readings arranged for questions.

    Parameters
    ----------
    ctx : Context
    """

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.readings = ctx.readings
        service = ctx.bundle.service
        self.name = service.name
        self.entry = service.entrypoint or service.name

    # --- the graph -------------------------------------------------------------------------------

    @cached_property
    def callees(self) -> dict[str, set[str]]:
        """Whom each component calls."""
        out: dict[str, set[str]] = defaultdict(set)
        for edge in self.ctx.bundle.topology or []:
            if edge.kind == "calls":
                out[edge.from_].add(edge.to)
        known = self.ctx.names.all
        for reading in self.readings:
            # What is measured at a caller about a callee says that one calls the other.
            who, whom = reading.component, reading.peer
            if who and whom and who != whom and whom in known:
                out[who].add(whom)
        return out

    @cached_property
    def own(self) -> set[str]:
        """The watched service's own names, and every component it reaches by calls."""
        seen = {self.entry, self.name}
        todo = list(seen)
        while todo:
            for callee in self.callees.get(todo.pop(), ()):
                if callee not in seen:
                    seen.add(callee)
                    todo.append(callee)
        return seen

    def below(self, component: str) -> set[str]:
        """Return every component that one reaches by calls, without itself."""
        seen: set[str] = set()
        todo = [component]
        while todo:
            for callee in self.callees.get(todo.pop(), ()):
                if callee not in seen and callee != component:
                    seen.add(callee)
                    todo.append(callee)
        return seen

    @cached_property
    def home(self) -> set[str]:
        """Hosts that run something of the watched service or of what it reaches by calls."""
        names = self.ctx.names
        hosts = names.host_of
        found = {
            host
            for one, host in hosts.items()
            if (names.instances.get(one) or names.component_in(one) or one) in self.own
        }
        found |= {r.host for r in self.readings if r.host and r.component in self.own}
        return found

    def ours(self, reading: Reading) -> bool:
        """Whether a reading is about the watched service, what it reaches by calls, or their hosts."""
        if reading.component is not None:
            return reading.component in self.own
        return reading.host is None or reading.host in self.home or not self.home

    def service_locus(self, reading: Reading | None = None) -> str:
        """`service:NAME` of the component a reading is about; the watched service where it has none."""
        component = reading.component if reading is not None else None
        return f"service:{component or self.name}"

    def host_of(self, reading: Reading) -> str:
        """Name the host a reading is about; "unknown" where nothing says."""
        hosts = self.ctx.names.host_of
        for one in (reading.host, reading.instance, reading.component):
            if one and (one in hosts or one in hosts.values()):
                return hosts.get(one, one)
        if reading.host:
            return reading.host
        return hosts.get(self.entry) or hosts.get(self.name) or "unknown"

    # --- readings --------------------------------------------------------------------------------

    def of(self, *measures: str, component: str | None = None) -> list[Reading]:
        """List readings of some measures, of one component if named."""
        return [
            r
            for r in self.readings
            if r.measure in measures and (component is None or r.component == component)
        ]

    def rose(self, *measures: str, factor: float = 1.1) -> list[Reading]:
        """List readings that clearly rose by a factor at least, the most unusual first."""
        found = [r for r in self.of(*measures) if r.rose and r.shift and r.shift.factor >= factor]
        return sorted(found, key=_unusual)

    def fell(self, *measures: str, factor: float = 0.9) -> list[Reading]:
        """List readings that clearly fell to a factor at most, the most unusual first."""
        found = [r for r in self.of(*measures) if r.fell and r.shift and r.shift.factor <= factor]
        return sorted(found, key=_unusual)

    def total(self, *measures: str, component: str | None = None) -> Reading | None:
        """Sum series of some measures over instances, routes and statuses; None where there are none."""
        parts = [
            r
            for r in self.of(*measures, component=component)
            if len(r.series.times) and not r.series.name.endswith((" p50", " p99", " mean"))
        ]
        return self._totalled(parts, component)

    def _totalled(self, parts: list[Reading], component: str | None) -> Reading | None:
        if not parts:
            return None
        by_name: dict[str, list[Reading]] = defaultdict(list)
        for reading in parts:
            by_name[reading.series.name].append(reading)
        # One name counts everything once: the one that counts most.
        name = max(
            by_name, key=lambda n: (sum(float(np.median(r.series.values)) for r in by_name[n]), n)
        )
        summed = _sum([r.series for r in by_name[name]])
        reference, current = self.ctx.bundle.windows.reference, self.ctx.bundle.windows.current
        moved = shift(
            summed.times, summed.values, *(_ns(t) for t in (reference[0], current[0], current[1]))
        )
        return Reading(summed, parts[0].measure, component=component, shift=moved)

    def intake(self) -> Reading | None:
        """Return what comes in: requests to the entry or the service, else all; rows or messages without."""
        for component in (self.entry, self.name, None):
            found = self.total("traffic", component=component)
            if found is not None:
                return found
        own = (None, self.entry, self.name)
        rows = [r for r in self.of("rows") if r.task is None and r.component in own]
        return self._totalled(rows, None)

    # --- the symptom -----------------------------------------------------------------------------

    @cached_property
    def symptoms(self) -> list[Reading]:
        """What users feel and what clearly got worse, at the watched service first."""
        worse = [r for r in self.of(*SYMPTOMS) if _worse(r) and self._matters(r)]
        home = (None, self.entry, self.name)
        if not any(r.component in home for r in self.of(*SYMPTOMS)):
            # Who takes from a queue answers nobody: what waits there is what its users feel.
            behind = [r for r in self.of("queue_depth", "freshness") if _worse(r) and not r.task]
            about = self.ctx.bundle.alert.metric or "-"
            worse += [
                r
                for r in behind
                if r.component in home[1:]
                or (r.component is None and r.series.name.startswith(about))
            ]
        if any(r.component in home for r in self.of("latency", "inference_time")):
            # What is slow further down and is not felt here is no symptom of this service.
            worse = [r for r in worse if r.component in home]
        return sorted((r for r in worse if r.component in {*home, *self.own}), key=_unusual)

    def _matters(self, reading: Reading) -> bool:
        """Whether errors are a share of the requests worth a person's time: half a percent."""
        if reading.measure != "errors" or reading.shift is None:
            return True
        total = self.total("traffic", component=reading.component) or self.total("traffic")
        if total is None or not len(total.series.values):
            return True
        return reading.shift.after >= 0.005 * float(np.median(total.series.values))

    @cached_property
    def slow(self) -> Reading | None:
        """The latency that rose most unusually at the watched service."""
        timed = [r for r in self.symptoms if r.measure in ("latency", "inference_time")]
        return timed[0] if timed else None

    @cached_property
    def slow_nodes(self) -> set[str]:
        """Components whose latency clearly rose, seen at themselves or by their callers."""
        return {
            str(r.peer or r.component)
            for r in self.of("latency", "inference_time", "dependency_latency", "queue_time")
            if r.rose and (r.peer or r.component) and r.shift and r.shift.factor >= 1.15
        }

    @cached_property
    def over_target(self) -> float | None:
        """Share of the bad stretch in which the alert's own metric is beyond its threshold; None where untold."""
        alert = self.ctx.bundle.alert
        if alert.threshold is None or not alert.metric or not self.symptoms:
            return None
        mine = [r for r in self.symptoms if r.series.name.startswith(alert.metric)]
        # A mean that is below a threshold for the 99th percentile says nothing.
        about = statistic_of(alert.metric) or statistic_of(alert.title or "")
        told = [r for r in mine if statistic_of(r.series.name, r.series.labels) in (about, "")]
        mine = told if about else mine
        shares = []
        for reading in mine:
            moved = reading.shift
            if moved is None:
                continue
            bad = np.asarray(reading.series.within(moved.start, moved.end + 1).values)
            ref = np.asarray(reading.series.within(0, moved.start).values)
            limit = alert.threshold
            # A threshold in another unit than the series would be nowhere near it.
            if (
                not len(bad)
                or not len(ref)
                or not 1 / 30 <= limit / max(float(np.median(bad)), 1e-12) <= 30
            ):
                continue
            shares.append(
                float(np.mean(bad > limit)) if moved.direction > 0 else float(np.mean(bad < limit))
            )
        return max(shares) if shares else None

    @cached_property
    def since(self) -> int | None:
        """When the symptom began, nanoseconds: the earliest of the clear ones' starts."""
        strong = [r for r in self.symptoms if r.shift]
        if not strong:
            return None
        top = max(r.unusual for r in strong)
        strong = [r for r in strong if r.unusual >= 0.3 * top]
        # A step tells its moment; a ramp only about when it began.
        sharp = [r for r in strong if r.shift and r.shift.shape != "ramp"] or strong
        return int(np.median([r.shift.start for r in sharp if r.shift]))

    @cached_property
    def seen_since(self) -> int | None:
        """When the symptom was plain, nanoseconds: a ramp's start is only about known, and cannot be felt.

        The moment from which a ramp is half way to its median; `since` where there is a sharp start.
        """
        if self.since is None:
            return None
        ramps = [
            r
            for r in self.symptoms
            if r.shift and r.unusual >= 0.3 * max(s.unusual for s in self.symptoms)
        ]
        if any(r.shift and r.shift.shape != "ramp" for r in ramps):
            return self.since
        return max(self.since, int(np.median([_half_way(r) for r in ramps] or [self.since])))

    @cached_property
    def alerted(self) -> str:
        """The family of what the alert is about, by its metric or else its words; "" where unclear."""
        alert = self.ctx.bundle.alert
        for text in (alert.metric, alert.labels.get("alertname"), alert.title):
            family = family_of(measure_of(text, alert.labels, self.ctx.names.all)) if text else ""
            if family:
                return family
        return ""

    def fits(self, reading: Reading) -> float:
        """Nats for or against a cause by whether it would explain this alert.

        A resource's alert is explained by that resource; a symptom's by whatever came before it, so
        there what nobody feels explains nothing.
        """
        family = family_of(reading.measure)
        if self.alerted in _RESOURCES:
            if family != self.alerted:
                return -1.0
            about = set(self.ctx.bundle.alert.labels.values()) & self.ctx.names.all
            mine = {reading.component, reading.instance, reading.host, reading.peer}
            if about & mine:
                return 1.2
            return -0.5 if about - {self.name} else 0.6
        if not self.symptoms and self.ctx.bundle.alert.incident_type in _NOT_OF_SERVING:
            return -2.5  # what nobody waits for explains no alert about data or a model
        return 0.0 if self.symptoms or self.alerted not in ("latency", "errors") else -1.0

    def as_usual(self, family: str) -> float:
        """Nats for "nothing is wrong" where the alert is about a resource whose use is as ever."""
        if self.alerted != family:
            return 0.0
        about = set(self.ctx.bundle.alert.labels.values()) & self.ctx.names.all
        for reading in self.readings:
            mine = {reading.component, reading.instance, reading.host}
            if family_of(reading.measure) == family and (self.ours(reading) or about & mine):
                moved = reading.shift
                if moved is not None and moved.clear and moved.going_on:
                    return 0.0
        return 2.0

    def order(self, reading: Reading) -> float:
        """Nats for or against a cause by the order of time: before the symptom, with it, or after."""
        if self.since is None or reading.shift is None:
            return 0.0
        late = (reading.shift.low - (self.seen_since or self.since)) / 1e9
        early = (self.since - reading.shift.high) / 1e9
        if early > LONG_BEFORE_S and reading.shift.shape != "ramp":
            return -1.0  # it was there for long, and nobody felt it
        if self._over_while_felt(reading):
            return -1.5
        if late <= max(GRACE_S, 3 * reading.shift.step_s):
            return 0.3
        return -min(2.5, late / 600.0)

    def _over_while_felt(self, reading: Reading) -> bool:
        """Whether something came back before half of a symptom that goes on had passed."""
        moved, felt = reading.shift, self.slow.shift if self.slow is not None else None
        if moved is None or felt is None or self.since is None:
            return False
        half = self.since + (felt.end - self.since) // 2
        return felt.going_on and not moved.going_on and moved.end < half

    def near(
        self, kinds: Iterable[str] = (), when: int | None = None, before_s: float = 3_600.0
    ) -> list[Change]:
        """List changes of some kinds from `before_s` before a moment (the symptom's start) to just after."""
        moment = self.since if when is None else when
        if moment is None:
            return []
        wanted = set(kinds)
        close = []
        for change in self.ctx.changes:
            early = (moment - pd.Timestamp(change.ts).value) / 1e9
            if -600.0 <= early <= before_s and (not wanted or change.kind in wanted):
                close.append((abs(early), change))
        return [change for _, change in sorted(close, key=lambda item: item[0])]


_NOT_OF_SERVING = frozenset(
    {IncidentType.DRIFT, IncidentType.DATA_QUALITY, IncidentType.MODEL_PERFORMANCE}
)
_RESOURCES = frozenset({"memory", "cpu", "disk", "handles", "gpu"})


def family_of(measure: str) -> str:
    """Return the family of a measure: memory, cpu, disk, handles, gpu, latency, errors, traffic, cache or ""."""
    head = measure.partition("_")[0]
    if measure in ("memory_stall", "gc_time", "swap", "major_faults", "oom_kills"):
        return "memory"
    if measure in ("latency", "inference_time", "queue_time", "dependency_latency"):
        return "latency"
    if measure in ("errors", "availability"):
        return "errors"
    if measure == "load":
        return "cpu"
    if head in ("connections", "pool", "threads", "inodes"):
        return "disk" if head == "inodes" else "handles"
    return head if head in _RESOURCES | {"traffic", "cache"} else ""


def _half_way(reading: Reading) -> int:
    moved = reading.shift
    if moved is None:
        return 0
    part = reading.series.within(moved.start, moved.end + 1)
    if len(part.values) < 5:
        return moved.start
    level = median_filter(part.values, size=5, mode="nearest")
    middle = (moved.before + moved.after) / 2
    past = level >= middle if moved.direction > 0 else level <= middle
    return int(part.times[int(np.argmax(past))]) if past.any() else moved.start


def _ns(when: object) -> int:
    return int(pd.Timestamp(when).value)  # type: ignore[arg-type]


def _unusual(reading: Reading) -> tuple[float, str]:
    return (-reading.unusual, reading.title)


def _worse(reading: Reading) -> bool:
    moved = reading.shift
    if moved is None or not moved.clear:
        return False
    if reading.measure == "availability":
        return moved.direction < 0
    return moved.direction > 0 and moved.factor >= 1.15


def _sum(series: list[Series]) -> Series:
    """Add series up on the samples of the longest; each counts from just before its first to its last.

    Where the longest has none, before it began or after it ended, the next longest give theirs.
    """
    series = sorted((s for s in series if len(s.times)), key=lambda s: (-len(s.times), s.title))
    first = series[0]
    if len(series) == 1:
        return first
    grid = first.times
    for one in series[1:]:
        outside = (one.times < grid[0]) | (one.times > grid[-1])
        grid = np.sort(np.concatenate([grid, one.times[outside]]))
    # Scrapes of several targets differ by seconds, and the past may be kept at a coarser step: a level
    # between two samples is read off the line between them.
    total = np.zeros(len(grid))
    for one in series:
        steps = np.diff(one.times) if len(one.times) > 1 else np.array([6e10])
        # Who is replaced ends where the next begins; at both ends of all scrapes only differ.
        before = steps[0] * (1.5 if one.times[0] - grid[0] <= 1.5 * steps[0] else 0.5)
        after = steps[-1] * (1.5 if grid[-1] - one.times[-1] <= 1.5 * steps[-1] else 0.5)
        alive = (grid >= one.times[0] - before) & (grid <= one.times[-1] + after)
        total += np.where(alive, np.interp(grid, one.times, one.values), 0.0)
    return Series(first.name, {}, first.quantity, first.unit, grid, total)


def said(reading: Reading) -> str:
    """Put a reading's movement into words, with its unit."""
    moved = reading.shift
    unit = reading.series.unit
    if moved is None:
        return f"{reading.title} is as usual"
    return f"{reading.title}: {amount(moved.after, unit)}, usually {amount(moved.before, unit)}"
