"""The service as its metrics show it: symptom, callees, instances and hosts, each with what moved."""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from triagebook.analysis.measures import measure_of
from triagebook.analysis.series import Series
from triagebook.analysis.shift import shift
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

    # --- the symptom -----------------------------------------------------------------------------

    @cached_property
    def symptoms(self) -> list[Reading]:
        """What users feel and what clearly got worse, at the watched service first."""
        worse = [r for r in self.of(*SYMPTOMS) if _worse(r) and self._matters(r)]
        home = (None, self.entry, self.name)
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
                or not 0.2 <= limit / max(float(np.max(bad)), 1e-12) <= 5
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

    def order(self, reading: Reading) -> float:
        """Nats for or against a cause by the order of time: before the symptom, with it, or after."""
        if self.since is None or reading.shift is None:
            return 0.0
        late = (reading.shift.low - self.since) / 1e9
        early = (self.since - reading.shift.high) / 1e9
        if early > LONG_BEFORE_S and reading.shift.shape != "ramp":
            return -1.0  # it was there for long, and nobody felt it
        if late <= max(GRACE_S, 3 * reading.shift.step_s):
            return 0.3
        return -min(2.5, late / 600.0)

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
    series = [s for s in series if len(s.times)]
    first = series[0]
    if len(series) == 1:
        return first
    step = float(
        np.median([np.median(np.diff(s.times)) for s in series if len(s.times) > 1] or [1e9])
    )
    start = min(int(s.times[0]) for s in series)
    size = int((max(int(s.times[-1]) for s in series) - start) // step) + 1
    total, seen = np.zeros(size), np.zeros(size)
    for one in series:
        place = ((one.times - start) // step).astype(int)
        count = np.bincount(place, minlength=size)
        mean = np.bincount(place, one.values, size) / np.maximum(count, 1)
        total += np.where(count > 0, mean, 0.0)
        seen += count > 0
    # Where only some instances have a sample the sum would dip: scaled up, if half of them are there.
    ends = np.zeros(size + 1)
    for one in series:
        ends[int((one.times[0] - start) // step)] += 1
        ends[int((one.times[-1] - start) // step) + 1] -= 1
    alive = np.cumsum(ends)[:size]
    good = seen >= np.maximum(0.5 * alive, 1)
    values = total[good] * np.maximum(alive[good], 1) / seen[good]
    times = (start + np.flatnonzero(good) * step).astype(np.int64)
    return Series(first.name, {}, first.quantity, first.unit, times, values)


def said(reading: Reading) -> str:
    """Put a reading's movement into words, with its unit."""
    moved = reading.shift
    unit = reading.series.unit
    if moved is None:
        return f"{reading.title} is as usual"
    return f"{reading.title}: {amount(moved.after, unit)}, usually {amount(moved.before, unit)}"
