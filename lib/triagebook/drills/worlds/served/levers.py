"""What a scenario may move in the running system: neutral until a fault or a herring pulls."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from triagebook.drills.worlds.served.clock import Array, Clock
    from triagebook.drills.worlds.served.plant import Plant


@dataclass
class Restart:
    """A replica that went down and came back."""

    role: str
    pod: int
    at: float
    down_s: float
    reason: str


@dataclass
class Levers:
    """Arrays on the clock's grid; factors are 1 and additions 0 until moved.

    Attributes
    ----------
    load, items : ndarray, shape (T,)
        Factors of requests entering, and of items a request.
    work, wait : dict of role to ndarray, shape (P, T)
        Factors of CPU and waiting seconds a call; `wait["external"]` has one row.
    slow_share : dict of role to ndarray, shape (T,)
        Share of calls that `slow_s` further seconds are added to.
    limit_cpu, limit_mem : dict of role to ndarray, shape (T,)
        Factors of the limits.
    memory, burn, gc, up, cold, fds : dict of role to ndarray, shape (P, T)
        Bytes added; cores burnt by no request; share of time paused; ready or not; factor of
        latency of first requests; descriptors added.
    fail : dict of role to ndarray, shape (T,)
        Share of calls that fail for a reason of their own.
    pool : ndarray, shape (P, T)
        Connections to the database that no call of the feature store holds.
    hit, evictions : ndarray, shape (T,)
        Added to the cache's hit share; keys it drops a second.
    tenant, stolen : ndarray, shape (H, T)
        Cores other workloads use on a host; share of CPU that its hypervisor takes away.
    host_mem, disk : ndarray, shape (H, T)
        Bytes taken by others; bytes a second written beyond what is cleaned up.
    gpu_mem, gpu_clock, xid : ndarray, shape (H, T)
        Bytes added; factor of clock; error code shown (0 none).
    """

    load: Array
    items: Array
    routes: Array
    hit: Array
    work: dict[str, Array]
    wait: dict[str, Array]
    slow_share: dict[str, Array]
    slow_s: dict[str, Array]
    limit_cpu: dict[str, Array]
    limit_mem: dict[str, Array]
    memory: dict[str, Array]
    burn: dict[str, Array]
    gc: dict[str, Array]
    up: dict[str, Array]
    cold: dict[str, Array]
    fds: dict[str, Array]
    fail: dict[str, Array]
    pool: Array
    tenant: Array
    stolen: Array
    host_mem: Array
    disk: Array
    gpu_mem: Array
    gpu_clock: Array
    xid: Array
    evictions: Array
    restarts: list[Restart] = field(default_factory=list)
    versions: list[tuple[float, str]] = field(default_factory=list)
    writers: dict[int, str] = field(default_factory=dict)
    disk_freed: list[tuple[int, float, float]] = field(default_factory=list)

    def restart(self, plant: Plant, clock: Clock, role: str, pod: int, at: float, reason: str,
                down_s: float = 45.0, cold: float = 2.0, warm_s: float = 180.0) -> None:  # fmt: skip
        """Take a replica down for a while; its first requests after that are slow."""
        if not 0 <= pod < len(plant.units[role].pods):
            raise IndexError(pod)
        self.restarts.append(Restart(role, pod, at, down_s, reason))
        down = (clock.at >= at) & (clock.at < at + max(down_s, 0.0))
        self.up[role][pod] = np.where(down, 0.0, self.up[role][pod])
        since = clock.at - at - down_s
        # A fresh process holds less, until its caches and pools are filled again.
        grown = np.where(since >= 0, np.exp(-np.maximum(since, 0) / 900), 0.0)
        self.memory[role][pod] = self.memory[role][pod] - 0.3 * plant.units[role].mem_base * grown
        warm = np.where(since >= 0, np.exp(-np.maximum(since, 0) / (warm_s / 2.5)), 0.0)
        self.cold[role][pod] *= 1 + (cold - 1) * warm

    def wave(self, at: float, last_s: float, clock: Clock) -> Array:
        """Return 1 during a stretch of time and 0 else, with soft ends; shape (T,)."""
        soft = max(last_s / 12, 30.0)
        return np.asarray(
            1 / (1 + np.exp(-np.clip((clock.at - at) / soft, -50, 50)))
            - 1 / (1 + np.exp(-np.clip((clock.at - at - last_s) / soft, -50, 50)))
        )


def neutral(plant: Plant, clock: Clock) -> Levers:
    """Return levers that move nothing. Replicas beyond those at rest are down."""

    def per_pod(value: float) -> dict[str, Array]:
        return {r: clock.zeros(len(u.pods)) + value for r, u in plant.units.items()}

    def per_role(value: float) -> dict[str, Array]:
        return {r: clock.zeros() + value for r in (*plant.units, "external")}

    hosts = len(plant.hosts)
    up = per_pod(1.0)
    up["api"][plant.pods :] = 0.0
    return Levers(
        load=clock.ones(), items=clock.ones(), routes=clock.ones(len(plant.routes)),
        hit=clock.zeros(), work=per_pod(1.0),
        wait={**per_pod(1.0), "external": clock.ones(1)},
        slow_share=per_role(0.0), slow_s=per_role(0.0), limit_cpu=per_role(1.0),
        limit_mem=per_role(1.0), memory=per_pod(0.0), burn=per_pod(0.0), gc=per_pod(0.0), up=up,
        cold=per_pod(1.0), fds=per_pod(0.0), fail=per_role(0.0), tenant=clock.zeros(hosts),
        stolen=clock.zeros(hosts), host_mem=clock.zeros(hosts), disk=clock.zeros(hosts),
        gpu_mem=clock.zeros(hosts), gpu_clock=clock.ones(hosts), xid=clock.zeros(hosts),
        evictions=clock.zeros(), pool=clock.zeros(len(plant.units["features"].pods)),
    )  # fmt: skip
