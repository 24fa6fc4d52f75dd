"""Metrics with their meaning: what each series measures, and of which service, instance, host or callee.

Labels carry the entity in Prometheus and OpenTelemetry; StatsD has it inside the name; `metrics.json`
may say it outright. Known names (of the graph, hosts, tasks) are recognised wherever they stand.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from triagebook.analysis.measures import measure_of
from triagebook.analysis.metric_words import words_of
from triagebook.analysis.shift import Shift, shift

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from triagebook.analysis.series import Series

_INSTANCE = frozenset(
    {"pod", "instance", "replica", "worker", "task_id", "taskid", "member", "shard"}
)
_HOST = frozenset({"host", "hostname", "node", "nodename", "machine", "server", "vm"})
_PEER = frozenset(
    {
        "peer",
        "target",
        "upstream",
        "dependency",
        "destination",
        "remote",
        "callee",
        "downstream",
        "backend",
        "dest",
        "dst",
        "address",
        "called",
        "external",
    }
)
_SERVICE = frozenset(
    {"service", "app", "application", "job", "deployment", "container", "component", "workload"}
)
_HOST_METRIC = re.compile(r"^(node|system|host|machine|AWS/EC2)[._/]", re.IGNORECASE)
_SECONDS = {
    "s": 1.0,
    "seconds": 1.0,
    "ms": 1e-3,
    "milliseconds": 1e-3,
    "us": 1e-6,
    "µs": 1e-6,
    "ns": 1e-9,
    "min": 60.0,
}


@dataclass(frozen=True)
class Names:
    """Names that the bundle knows, each with its kind.

    Attributes
    ----------
    service : str
        The watched service.
    components : frozenset of str
        Nodes of the call graph, the service among them.
    dependencies : frozenset of str
        What the service calls.
    hosts, tasks : frozenset of str
    host_of : mapping
        Component, instance or task to its host.
    instances : mapping
        Instance to its component, as far as the topology says.
    """

    service: str
    components: frozenset[str] = frozenset()
    dependencies: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()
    tasks: frozenset[str] = frozenset()
    host_of: Mapping[str, str] = field(default_factory=dict)
    instances: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def all(self) -> frozenset[str]:
        """Every name."""
        named = self.components | self.dependencies | self.hosts | self.tasks | {self.service}
        return named | frozenset(self.instances)

    def component_in(self, text: str) -> str | None:
        """Return the longest component name that a text starts with or holds as words of its own."""
        low = text.lower()
        fits = [
            c
            for c in self.components | self.dependencies | {self.service}
            if c and re.search(rf"(?<![a-z0-9]){re.escape(c.lower())}(?![a-z0-9])", low)
        ]
        return max(fits, key=lambda c: (len(c), c), default=None)


@dataclass(frozen=True)
class Reading:
    """One series with its meaning.

    Attributes
    ----------
    measure : str
        See `measures.measure_of`.
    component, instance, host, peer, task, model : str or None
        Whom it is about; `peer` is the callee of a client-side series.
    part : tuple of (str, str)
        The labels left over: route, device, status.
    shift : Shift or None
    """

    series: Series
    measure: str
    component: str | None = None
    instance: str | None = None
    host: str | None = None
    peer: str | None = None
    task: str | None = None
    model: str | None = None
    part: tuple[tuple[str, str], ...] = ()
    shift: Shift | None = None

    @property
    def title(self) -> str:
        """How a sentence calls it."""
        return self.series.title

    @property
    def unusual(self) -> float:
        """The shift's weight over any seen before; 0 without a shift."""
        return self.shift.unusual if self.shift is not None else 0.0

    @property
    def rose(self) -> bool:
        """Whether it clearly went up."""
        return self.shift is not None and self.shift.clear and self.shift.direction > 0

    @property
    def fell(self) -> bool:
        """Whether it clearly went down."""
        return self.shift is not None and self.shift.clear and self.shift.direction < 0

    @property
    def seconds(self) -> float:
        """How many seconds one unit of it is; 1 where its unit is no time."""
        return _SECONDS.get(self.series.unit.partition("/")[0], 1.0)


def _may_be_time(unit: str) -> bool:
    """Whether a unit is one of time, or none was told."""
    return unit.partition("/")[0] in {*_SECONDS, "", "1", "h", "d"}


def readings(
    series: Iterable[Series],
    names: Names,
    meta: Mapping[str, Mapping[str, Any]],
    windows: tuple[int, int, int],
) -> list[Reading]:
    """Give each series its meaning and its shift.

    Parameters
    ----------
    series : iterable of Series
    names : Names
    meta : mapping
        metrics.json of the bundle.
    windows : (int, int, int)
        Nanoseconds: start of the reference, start and end of the current window.

    Returns
    -------
    list of Reading
        In the order given.
    """
    items = _without_constant_labels(_joined_versions(list(series)))
    hidden = _names_inside([s.name for s in items if not s.labels], names)
    out = []
    for one in items:
        base = one.name.partition(" ")[0]
        measure = measure_of(
            one.name, one.labels, names.all | set(hidden.get(one.name, {}).values())
        )
        who = _entity(
            one, names, meta.get(base) or meta.get(one.name) or {}, hidden.get(one.name, {})
        )
        if measure in ("latency", "inference_time") and not _may_be_time(one.unit):
            measure = "other"  # the drift of a column that is called elapsed_days, say
        if who.get("task"):
            # What a task reads and writes are rows of its own, no requests.
            of_task = {"latency": "task_time", "batch_size": "rows", "payload": "rows"}
            measure = of_task.get(measure, measure)
        if who.get("peer") and measure in ("latency", "traffic", "errors"):
            # Seen from the caller: it tells of the callee.
            measure = f"dependency_{measure}"
        if measure == "batch_size" and one.unit.endswith("/s"):
            measure = "rows"  # items a second grow with the requests, however large these are
        moved = shift(one.times, one.values, *windows)
        out.append(Reading(one, measure, shift=moved, **who))
    return out


_VERSION = frozenset({"version", "revision", "image", "build", "release", "sha", "commit"})


def _joined_versions(series: list[Series]) -> list[Series]:
    """Join series that differ in a version only and follow one another: a deploy does not end a metric."""
    groups: dict[tuple[str, tuple[tuple[str, str], ...]], list[Series]] = defaultdict(list)
    for one in series:
        rest = tuple(
            (k, v) for k, v in sorted(one.labels.items()) if not set(words_of(k)) & _VERSION
        )
        groups[one.name, rest].append(one)
    out: list[Series] = []
    for (_, rest), members in groups.items():
        members.sort(key=lambda s: (int(s.times[0]) if len(s.times) else 0, s.title))
        follow = all(
            len(a.times)
            and len(b.times)
            and b.times[0] > a.times[0] + 0.6 * (a.times[-1] - a.times[0])
            for a, b in pairwise(members)
        )
        if len(members) == 1 or not follow:
            out.extend(members)
            continue
        times = np.concatenate([m.times for m in members])
        values = np.concatenate([m.values for m in members])
        order = np.argsort(times, kind="stable")
        out.append(replace(members[0], labels=dict(rest), times=times[order], values=values[order]))
    return out


def _without_constant_labels(series: list[Series]) -> list[Series]:
    """Drop labels that say the same everywhere (cluster, environment): they tell nothing apart."""
    if len(series) < 10:
        return series
    values: dict[str, set[str]] = defaultdict(set)
    seen: dict[str, int] = defaultdict(int)
    for one in series:
        for key, value in one.labels.items():
            values[key].add(value)
            seen[key] += 1
    constant = {k for k, v in values.items() if len(v) == 1 and seen[k] >= 0.5 * len(series)}
    if not constant:
        return series
    return [
        replace(one, labels={k: v for k, v in one.labels.items() if k not in constant})
        for one in series
    ]


def _entity(
    series: Series, names: Names, meta: Mapping[str, Any], hidden: Mapping[str, str]
) -> dict[str, Any]:
    who: dict[str, Any] = dict(hidden)
    part = []
    for key, value in sorted(series.labels.items()):
        words = set(words_of(key))
        if value in names.instances:
            kind = "instance"
        elif value in names.hosts:
            kind = "host"
        elif value in names.tasks and words & {"task", "step", "stage", "job", "name"}:
            kind = "task"
        elif "version" in words and "model" in words:
            kind = "version"
        elif "model" in words:
            kind = "model"
        elif key.lower() in _INSTANCE or words & (_INSTANCE | {"replica"}):
            kind = "instance"
        elif words & {"task", "dag", "step", "stage"} and "id" not in words:
            kind = "task"
        elif (words & _PEER and not words & {"service"}) or words & {
            "peer",
            "destination",
            "upstream",
        }:
            kind = "peer"
        elif value in names.components | names.dependencies | {names.service}:
            kind = "component"
        elif words & _HOST:
            kind = "host"
        elif words & _SERVICE:
            kind = "component"
        else:
            part.append((key, value))
            continue
        if kind == "version":
            part.append((key, value))
        elif kind in who and who[kind] != value:
            _second(who, kind, key, value, names)
        else:
            who[kind] = value
    entity = meta.get("entity")
    if isinstance(entity, dict) and entity.get("name"):
        _said(who, str(entity.get("kind") or ""), str(entity["name"]), names)
    _conclude(who, series, names)
    return {**who, "part": tuple(part)}


def _second(who: dict[str, Any], kind: str, key: str, value: str, names: Names) -> None:
    """Two labels speak of one kind: a name the graph knows wins, then the more special key."""
    known = names.all
    if value in known and who[kind] not in known:
        who[kind] = value
    elif kind == "component" and value in known and who[kind] in known and "job" not in key:
        who.setdefault("peer", value)
    elif kind == "instance" and "pod" in key:
        who[kind] = value


def _said(who: dict[str, Any], kind: str, name: str, names: Names) -> None:
    kind = kind.lower()
    if kind in ("instance", "pod", "replica", "container"):
        who["instance"] = name
    elif kind in ("host", "node", "machine"):
        who["host"] = name
    elif kind in ("model", "task"):
        who[kind] = name
    elif kind == "dependency" or (name in names.dependencies and "component" in who):
        who["peer" if who.get("component") not in (None, name) else "component"] = name
    else:
        who["component"] = name


def _conclude(who: dict[str, Any], series: Series, names: Names) -> None:
    instance = who.get("instance")
    if instance and instance in names.hosts:
        who["host"] = who.pop("instance")
        instance = None
    if instance and ":" in instance:
        bare = instance.rpartition(":")[0]
        if bare in names.hosts:
            who["host"] = bare
            who.pop("instance")
            instance = None
    if instance and "host" not in who and _HOST_METRIC.match(series.name):
        who["host"] = instance.rpartition(":")[0] or instance
        who.pop("instance")
        instance = None
    if instance:
        belongs = names.instances.get(instance) or names.component_in(instance)
        if (belongs and who.get("component") not in names.components | names.dependencies) or (
            belongs and "component" not in who
        ):
            who["component"] = belongs
    component = who.get("component")
    if component and component not in names.all:
        who["component"] = names.component_in(component) or component
    if "host" not in who:
        for one in (instance, who.get("component")):
            if one is not None and one in names.host_of:
                who["host"] = names.host_of[one]
                break


def _names_inside(plain: list[str], names: Names) -> dict[str, dict[str, str]]:
    """Find entities that stand inside names without labels (StatsD): known names, or what varies.

    Names that differ in one segment only, such as `a.web-1.cpu` and `a.web-2.cpu`, speak of the same
    thing of several entities; the segment is the entity.
    """
    cut = {name: name.partition(" ")[0].split(".") for name in plain if "." in name}
    siblings: dict[tuple[int, tuple[str, ...]], set[str]] = defaultdict(set)
    for parts in cut.values():
        for place in range(len(parts)):
            rest = (*parts[:place], "*", *parts[place + 1 :])
            siblings[place, rest].add(parts[place])
    out: dict[str, dict[str, str]] = {}
    for name, parts in cut.items():
        who: dict[str, str] = {}
        for place, segment in enumerate(parts):
            kind = _kind_of_segment(segment, names)
            if kind is None and place < len(parts) - 1:
                same = siblings[place, (*parts[:place], "*", *parts[place + 1 :])]
                alike = {re.sub(r"[0-9a-f]{1,12}$", "", one) for one in same}
                # Numbered or hashed twins are instances; routes and statistics are not.
                if len(same) > 1 and len(alike) == 1 and segment not in alike:
                    kind = "instance"
            if kind == "component" and "component" in who and who["component"] != segment:
                kind = "peer"
            if kind:
                who.setdefault(kind, segment)
        if not who:
            found = names.component_in(name)
            if found:
                who["component"] = found
        out[name] = who
    for name in plain:
        if name not in out:
            found = names.component_in(name)
            out[name] = {"component": found} if found else {}
    return out


def _kind_of_segment(segment: str, names: Names) -> str | None:
    if segment in names.instances:
        return "instance"
    if segment in names.hosts:
        return "host"
    if segment in names.tasks:
        return "task"
    if segment in names.components | names.dependencies | {names.service}:
        return "component"
    owner = names.component_in(segment)
    if owner and segment.lower().startswith(owner.lower()) and segment != owner:
        return "instance"
    return None
