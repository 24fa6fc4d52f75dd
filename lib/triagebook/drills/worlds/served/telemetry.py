"""What monitoring sees of the running system: one pass over services, replicas, hosts and the batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from triagebook.drills.worlds.served.clock import noise
from triagebook.drills.worlds.served.plant import CALLS, MIB
from triagebook.drills.worlds.served.queueing import NETWORK_S, Latency
from triagebook.drills.worlds.served.render import Entity, Renderer, Signal, Spread

if TYPE_CHECKING:
    from triagebook.drills.worlds.served.clock import Array, Clock
    from triagebook.drills.worlds.served.levers import Levers, Restart
    from triagebook.drills.worlds.served.naming import Style
    from triagebook.drills.worlds.served.plant import Plant, Unit
    from triagebook.drills.worlds.served.running import State, UnitState

_DETAILED = "api"


class Telemetry:
    """Turns a state into samples.

    Parameters
    ----------
    where : bool
        Whether replicas carry the label of the host they run on.
    """

    def __init__(self, plant: Plant, clock: Clock, levers: Levers, state: State, style: Style,
                 renderer: Renderer, rng: np.random.Generator, *, where: bool) -> None:  # fmt: skip
        self._plant, self._clock, self._levers, self._state = plant, clock, levers, state
        self._style, self._out, self._rng, self._where = style, renderer, rng, where

    def emit(self) -> None:
        """Emit everything that is always measured."""
        for role, unit in self._plant.units.items():
            state = self._state.units[role]
            self._service(role, unit, state)
            for pod in range(len(unit.pods)):
                if state.up[pod].any():
                    self._pod(role, unit, state, pod)
        for caller, callee in CALLS:
            self._edge(caller, callee)
        self._special()
        for number in range(len(self._plant.hosts)):
            self._host(number)

    def gauge(self, key: str, entity: Entity, values: Array, labels: dict[str, str]) -> None:
        """Emit one gauge."""
        self._out.add(Signal(key, entity, values, "gauge", labels))

    def counter(self, key: str, entity: Entity, rate: Array, labels: dict[str, str], resets: tuple[float, ...] = ()) -> None:  # fmt: skip
        """Emit one counter from its rate a second."""
        self._out.add(Signal(key, entity, rate, "counter", labels, resets))

    def _restarts(self, role: str, pod: int) -> list[Restart]:
        return [r for r in self._levers.restarts if r.role == role and r.pod == pod]

    def _requests(self, key: str, errors: str, entity: Entity, rate: Array, fail: Array,
                  labels: dict[str, str], resets: tuple[float, ...] = ()) -> None:  # fmt: skip
        """Emit calls by status, or all calls and failures, as the convention has it."""
        if self._style.shows(errors):
            self.counter(key, entity, rate, labels, resets)
            self.counter(errors, entity, rate * fail, labels, resets)
            return
        self.counter(key, entity, rate * (1 - fail), {**labels, "code": "200"}, resets)
        self.counter(key, entity, rate * fail, {**labels, "code": "503"}, resets)

    def _service(self, role: str, unit: Unit, state: UnitState) -> None:
        entity, labels = Entity("service", unit.name), {"service": unit.name}
        rate = state.rate.sum(0)
        if role == "gateway":
            for route, share in zip(self._plant.routes, self._state.routes, strict=True):
                self._requests("requests", "errors", entity, share, state.fail, {**labels, "route": route})  # fmt: skip
        elif role != "cache":
            self._requests("requests", "errors", entity, rate, state.fail, labels)
        if role in ("gateway", "api", "features", "model"):
            self._out.spread(Spread("latency", entity, rate, state.latency, labels))
        if role in ("api", "model", "features"):
            self.gauge("replicas", entity, state.up.sum(0), labels)

    def _pod(self, role: str, unit: Unit, state: UnitState, pod: int) -> None:
        name = unit.pods[pod]
        entity = Entity("instance", name)
        labels = {"service": unit.name, "pod": name}
        if self._where:
            labels["node"] = self._plant.hosts[unit.hosts[pod]].name
        there = np.where(state.up[pod] > 0.5, 1.0, np.nan)
        ended = self._restarts(role, pod)
        # A process killed for memory counts anew; a planned restart too.
        resets = tuple(r.at + r.down_s for r in ended)
        usage = state.usage[pod] * np.exp(noise(self._rng, self._clock, 1, 0.03, 120)[0]) * there
        self._cpu("cpu", entity, usage, state.limit[pod], labels, resets)
        self.gauge("memory", entity, state.memory[pod] * there, labels)
        if role in (_DETAILED, "model", "features", "gateway"):
            self._limit("cpu_limit", entity, state.limit[pod] * there, labels, "cpu")
            self._limit("mem_limit", entity, state.mem_limit[pod] * there, labels, "memory")
            self._count_restarts(entity, labels, ended)
            busy = 10 * np.clip(usage / state.limit[pod] * 2, 0.2, 1.0)
            self.counter("periods", entity, busy, labels, resets)
            self.counter("throttled", entity, busy * state.throttle[pod], labels, resets)
        if role in (_DETAILED, "features"):
            self.gauge("fds", entity, np.round(state.fds[pod]) * there, labels)
        if role != _DETAILED:
            return
        rate = state.rate[pod] * there
        self._requests("pod_requests", "errors", entity, rate, state.pod_fail[pod], labels, resets)
        self._out.spread(
            Spread("pod_latency", entity, rate, state.per_pod.pod(pod), labels, resets, full=False)
        )
        busy_now = self._rng.poisson(np.nan_to_num(state.inflight[pod])).astype(np.float64)
        self.gauge("inflight", entity, busy_now * there, labels)
        self.gauge("fd_limit", entity, np.full_like(there, unit.fd_limit) * there, labels)
        if unit.runtime != "python":
            self.counter("gc", entity, state.gc[pod] * there, labels, resets)
        self._started(entity, labels, ended, there)

    def _cpu(self, key: str, entity: Entity, cores: Array, limit: Array | float,
             labels: dict[str, str], resets: tuple[float, ...] = ()) -> None:  # fmt: skip
        if self._style.convention in ("prometheus", "opentelemetry"):
            # Cores over time are seconds of CPU.
            self.counter_exact(key, entity, cores, labels, resets, unit="s")
        elif self._style.convention == "cloudwatch" or ".pct" in self._style.chosen[key]:
            share = Signal(key, entity, cores / limit * 100, "gauge", labels, unit="%")
            self._out.add(share)
        else:
            self.gauge(key, entity, cores, labels)

    def counter_exact(self, key: str, entity: Entity, rate: Array, labels: dict[str, str], resets: tuple[float, ...] = (), unit: str = "") -> None:  # fmt: skip
        """Emit a counter of something continuous, such as CPU seconds: no counting noise."""
        self._out.add(Signal(key, entity, rate, "counter", labels, resets, exact=True, unit=unit))

    def _limit(self, key: str, entity: Entity, values: Array, labels: dict[str, str], resource: str) -> None:  # fmt: skip
        more = {"resource": resource} if "resource_limits" in self._style.chosen[key] else {}
        self.gauge(key, entity, values, {**labels, **more})

    def _count_restarts(self, entity: Entity, labels: dict[str, str], ended: list[Restart]) -> None:
        count = self._clock.zeros()
        for restart in ended:
            if restart.reason != "deploy":
                count = count + (self._clock.at >= restart.at + restart.down_s)
        self._out.add(Signal("restarts", entity, count, "gauge", labels))

    def _started(self, entity: Entity, labels: dict[str, str], ended: list[Restart], there: Array) -> None:  # fmt: skip
        began = self._clock.zeros() + self._clock.start - float(self._rng.uniform(1, 20)) * 86_400
        for restart in sorted(ended, key=lambda r: r.at):
            began = np.where(self._clock.at >= restart.at, restart.at + restart.down_s, began)
        self.gauge("started", entity, np.round(began) * there, labels)

    def _edge(self, caller: str, callee: str) -> None:
        plant, state = self._plant, self._state
        peer = plant.name(callee)
        labels = {"service": plant.name(caller), "peer": peer}
        if callee == "external":
            latency, fail = state.external, state.external_fail
        else:
            latency, fail = state.units[callee].latency, state.units[callee].fail
        seen = Latency(latency.body_s + NETWORK_S, latency.sigma, latency.parts, latency.cap_s)
        entity, rate = Entity("dependency", peer), state.calls[caller, callee]
        self._requests("client_calls", "client_errors", entity, rate, fail, labels)
        self._out.spread(Spread("client_latency", entity, rate, seen, labels, full=False))

    def _special(self) -> None:
        plant, state, clock = self._plant, self._state, self._clock
        api, model = plant.units["api"], plant.units["model"]
        entity, labels = Entity("service", api.name), {"service": api.name}
        size = 900 * state.items * np.exp(noise(self._rng, clock, 1, 0.04)[0])
        self.gauge("request_bytes", entity, size, labels)
        entity, labels = Entity("service", model.name), {"service": model.name}
        served = state.units["model"]
        self.gauge(
            "items", entity, state.items * np.exp(noise(self._rng, clock, 1, 0.02)[0]), labels
        )
        own = served.latency
        for version, there in self._versions():
            inference = Latency(own.body_s * 0.9, own.sigma * 0.7, own.parts, own.cap_s)
            rate = np.where(there, served.rate.sum(0), np.nan)
            if there.any():
                named = {**labels, "model": plant.model, "version": version}
                self._out.spread(Spread("inference", entity, rate, inference, named, full=False))
        cache = Entity("service", plant.name("cache"))
        labels = {"service": plant.name("cache")}
        looked = state.rate
        self.counter("hits", cache, looked * state.hit, labels)
        self.counter("misses", cache, looked * (1 - state.hit), labels)
        self.counter("evictions", cache, 0.002 * looked + self._levers.evictions, labels)
        store = plant.units["features"]
        entity, labels = Entity("service", store.name), {"service": store.name}
        used = np.round(np.minimum(state.pool.sum(0) + self._rng.poisson(1.0, clock.size), plant.pool_size * len(store.pods)))  # fmt: skip
        self.gauge("pool_used", entity, used, labels)
        self.gauge("pool_max", entity, clock.zeros() + plant.pool_size * len(store.pods), labels)

    def _versions(self) -> list[tuple[str, npt.NDArray[np.bool_]]]:
        """Return each model version with when it served."""
        moves = sorted(self._levers.versions)
        known = [(float("-inf"), self._plant.version), *moves]
        shown = []
        for i, (since, version) in enumerate(known):
            until = known[i + 1][0] if i + 1 < len(known) else float("inf")
            shown.append((version, (self._clock.at >= since) & (self._clock.at < until)))
        return shown

    def _host(self, number: int) -> None:
        plant, state, clock, levers = self._plant, self._state, self._clock, self._levers
        host = plant.hosts[number]
        entity, labels = Entity("host", host.name), {"host": host.name}
        busy = np.clip(
            state.host_cpu[number] + noise(self._rng, clock, 1, 0.01, 300)[0], 0.005, 1.0
        )
        stolen = np.clip(levers.stolen[number] + 0.002 * self._rng.random(clock.size), 0, 0.95)
        if self._style.convention == "prometheus":
            idle = np.clip(1 - busy - stolen, 0, 1)
            for mode, share in (("user", busy), ("idle", idle), ("steal", stolen)):  # fmt: skip
                self.counter_exact(
                    "host_cpu", entity, share * host.cores, {**labels, "mode": mode}, unit="s"
                )
        else:
            self.gauge("host_cpu", entity, busy, labels)
            self.gauge("host_steal", entity, stolen, labels)
        free = host.mem - state.host_mem[number]
        self.gauge("host_free", entity, free, labels)
        self.gauge("host_total", entity, np.full_like(free, host.mem), labels)
        stall = np.clip(
            state.stall[number] * np.exp(noise(self._rng, clock, 1, 0.2, 120)[0]), 0, 0.95
        )
        self.counter_exact(
            "stall", entity, stall + 0.0005 * self._rng.exponential(1, clock.size), labels
        )
        self.counter("swap", entity, 4000 * stall + 0.02, labels)
        disk = {**labels, "mountpoint": "/data"} if self._style.convention != "statsd" else labels
        self.gauge("disk_free", entity, state.disk_free[number], disk)
        self.gauge("disk_size", entity, np.full_like(free, host.disk), disk)
        runnable = busy * host.cores * np.exp(noise(self._rng, clock, 1, 0.1, 120)[0])
        self.gauge("load1", entity, runnable * (1 + 3 * np.clip(busy - 0.9, 0, 1)), labels)
        self._tenant(number)
        if host.gpu_bytes:
            self._gpu(number)

    def _tenant(self, number: int) -> None:
        """Emit what else runs on a host, and who writes to its disk."""
        host, levers = self._plant.hosts[number], self._levers
        name = host.tenant
        labels = {"service": name}
        labels |= {"node": host.name} if self._style.convention != "statsd" else {"host": host.name}
        entity = Entity("service", name)
        self._cpu("tenant_cpu", entity, self._state.tenant[number], host.cores, labels)
        writer = levers.writers.get(number, name)
        quiet = 2e4 * self._rng.exponential(1.0, self._clock.size)
        mine = levers.disk[number] if writer == name else 0.0
        self.counter_exact("written", entity, quiet + mine, labels)
        if writer != name:
            other = {**labels, "service": writer}
            self.counter_exact(
                "written", Entity("service", writer), quiet + levers.disk[number], other
            )

    def _gpu(self, number: int) -> None:
        plant, state, clock, levers = self._plant, self._state, self._clock, self._levers
        host = plant.hosts[number]
        entity = Entity("host", host.name)
        labels = {"host": host.name, **({"gpu": "0"} if self._style.convention != "statsd" else {})}
        # A card that is lost answers nothing; what is known of it is the last error.
        there = np.where(levers.gpu_clock[number] < 0.01, np.nan, 1.0)
        util, slow = state.gpu_util[number] * there, levers.gpu_clock[number] * there
        used = state.gpu_used[number] * there
        self.gauge("gpu_used", entity, np.round(used / MIB) * MIB, labels)
        self.gauge("gpu_free", entity, np.round((host.gpu_bytes - used) / MIB) * MIB, labels)
        self.gauge(
            "gpu_util",
            entity,
            np.clip(util + noise(self._rng, clock, 1, 0.04, 60)[0], 0, 1),
            labels,
        )
        heat = 38 + 35 * util + 14 * np.clip(1 - slow, 0, 1) * (slow > 0.01)
        self.gauge(
            "gpu_temp", entity, np.round(heat + noise(self._rng, clock, 1, 1.5, 600)[0]), labels
        )
        self.gauge("gpu_clock", entity, np.round(1410 * slow / 15) * 15, labels)
        self.gauge("gpu_xid", entity, levers.xid[number], labels)
