"""The company of one seed: services and their replicas, hosts, capacity, and how they call each other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from triagebook.drills.worlds.served.words import Namer

GIB = 2.0**30
MIB = 2.0**20
ROLES = ("database", "cache", "external", "model", "features", "api", "gateway")
"""From the leaves of the call graph to its root."""
CALLS = (
    ("gateway", "api"), ("api", "features"), ("api", "model"), ("api", "external"),
    ("features", "cache"), ("features", "database"),
)  # fmt: skip
TIMEOUT_S = {"database": 5.0, "cache": 1.0, "external": 4.0, "model": 5.0, "features": 5.0, "api": 10.0, "gateway": 15.0}  # fmt: skip


@dataclass(frozen=True)
class Unit:
    """One service and its replicas.

    Attributes
    ----------
    cpu_s : float
        CPU seconds of a call.
    wait_s : float
        Seconds of a call in which it waits on disks, networks or an accelerator of its own.
    cpu_limit, mem_limit, mem_base : float
        Cores and bytes of a replica.
    workers : int
        Calls a replica works on at once.
    weigh : float
        How its work grows with the items of a request: 0 not at all, 1 in proportion.
    idle : float
        Cores used without load.
    """

    role: str
    name: str
    pods: tuple[str, ...]
    hosts: tuple[int, ...]
    cpu_s: float
    wait_s: float
    cpu_limit: float
    mem_base: float
    mem_limit: float
    workers: int
    weigh: float
    idle: float
    fds: float
    fd_limit: float
    runtime: str


@dataclass(frozen=True)
class Host:
    """One machine. `gpu_bytes` is 0 where it has none; `tenant` is what else runs there."""

    name: str
    cores: float
    mem: float
    disk: float
    disk_used: float
    gpu_bytes: float
    tenant: str


@dataclass(frozen=True)
class Plant:
    """Everything that stays as it is through a scenario.

    Attributes
    ----------
    units : dict of role to Unit
    external : str
        Name of the system outside that the API calls, without hosts of ours.
    rps : float
        Mean requests a second that enter.
    hit : float
        Share of look-ups the cache answers.
    pods : int
        Replicas of the API up at rest: the first of those it has names for.
    items, pool_size, external_s, retries
        Items a request; connections of a pool; seconds of a call to the system outside; share of
        failed requests that callers send again.
    """

    units: dict[str, Unit]
    external: str
    hosts: tuple[Host, ...]
    batch_host: int
    rps: float
    peak_h: float
    depth: float
    weekend: float
    hit: float
    routes: tuple[str, ...]
    route_shares: tuple[float, ...]
    pods: int
    model: str
    version: str
    next_version: str
    task: str
    gpu: bool
    items: float
    pool_size: float
    namespace: str
    external_s: float
    retries: float

    def name(self, role: str) -> str:
        """Return what a service is called."""
        return self.external if role == "external" else self.units[role].name

    def at_host(self, role: str) -> list[int]:
        """Return the hosts a service runs on."""
        return sorted(set(self.units[role].hosts))


def _spread(count: int, hosts: list[int], first: int) -> tuple[int, ...]:
    return tuple(hosts[(first + i) % len(hosts)] for i in range(count))


def make_plant(rng: np.random.Generator, namer: Namer, gpu: bool | None = None) -> Plant:
    """Draw a company. Capacity is planned as people do: 35 to 60 % used at the daily peak.

    `gpu` says whether models run on accelerators; None draws it.
    """

    def between(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    def spread(low: float, high: float) -> float:
        return float(low * (high / low) ** rng.random())

    drawn = bool(rng.random() < 0.5)
    gpu = drawn if gpu is None else gpu
    app_hosts = int(rng.integers(2, 5))
    gpu_hosts = int(rng.integers(2, 4)) if gpu else 0
    # cores, memory and disk follow from what is placed there, below
    frames = ["app"] * app_hosts + ["gpu"] * gpu_hosts + ["data", "batch", "batch"]
    app = list(range(app_hosts))
    model_hosts = list(range(app_hosts, app_hosts + gpu_hosts)) or app
    data_host = len(frames) - 3

    pods = int(rng.integers(3, 9))
    rps = spread(20, 400)
    depth, weekend = between(0.25, 0.6), between(0.55, 1.0)
    peak = rps * (1 + depth)
    hit = between(0.7, 0.95)
    planned = between(0.38, 0.55)
    units: dict[str, Unit] = {}
    counts = {"gateway": 2, "api": pods, "features": int(rng.integers(2, 4)),
              "cache": int(rng.integers(1, 3)),
              "model": int(rng.integers(2, 5)), "database": 1}  # fmt: skip
    if gpu:
        counts["model"] = gpu_hosts
    own_s = {
        "gateway": (spread(0.0003, 0.001), spread(0.0003, 0.001)),
        "api": (spread(0.008, 0.03), spread(0.002, 0.006)),
        "features": (spread(0.003, 0.01), spread(0.001, 0.003)),
        "cache": (spread(0.00008, 0.0003), spread(0.0002, 0.0006)),
        "model": (spread(0.002, 0.004), spread(0.006, 0.03)) if gpu else (spread(0.008, 0.03), spread(0.001, 0.003)),
        "database": (spread(0.002, 0.006), spread(0.002, 0.01)),
    }  # fmt: skip
    rates = dict.fromkeys(counts, peak)
    rates["database"] = peak * (1 - hit)
    weigh = {"gateway": 0.15, "api": 0.5, "features": 0.3, "cache": 0.1, "model": 0.9, "database": 0.1}  # fmt: skip
    # What a call of each waits for below it, roughly, to plan its workers by.
    below = dict.fromkeys(counts, 0.0)
    below["features"] = 0.001 + (1 - hit) * sum(own_s["database"])
    external_s = spread(0.01, 0.06)
    below["api"] = below["features"] + sum(own_s["features"]) + sum(own_s["model"]) + external_s
    below["gateway"] = below["api"] + sum(own_s["api"])
    for role, count in counts.items():
        cpu_s, wait_s = own_s[role]
        idle = between(0.01, 0.05)
        cores = rates[role] * cpu_s / count + idle
        limit = max(0.1, math.ceil(cores / planned * 20) / 20)
        busy = rates[role] * (cpu_s + wait_s + below[role]) / count
        workers = max(8, round(busy / between(0.07, 0.14)))
        mem = spread(0.4, 3.0) * GIB if role != "model" else spread(2.0, 8.0) * GIB
        where = {"model": model_hosts, "database": [data_host], "cache": [data_host]}.get(role, app)
        name = namer.service(role)
        units[role] = Unit(
            role=role, name=name, pods=namer.pods(name, count * 2 if role == "api" else count),
            hosts=_spread(count * 2 if role == "api" else count, where, int(rng.integers(4))),
            cpu_s=cpu_s, wait_s=wait_s, cpu_limit=limit, mem_base=mem,
            mem_limit=round(mem * between(1.7, 2.4) / (256 * MIB)) * 256 * MIB,
            workers=workers, weigh=weigh[role], idle=idle,
            fds=spread(80, 400), fd_limit=float(rng.choice([1024, 4096, 8192])),
            runtime=namer.pick(("python", "jvm", "go")) if role in ("gateway", "api", "features") else "python" if role == "model" else "go",
        )  # fmt: skip
    hosts = []
    for number, frame in enumerate(frames):
        cores = mem = 0.0
        for unit in units.values():
            here = sum(1 for h in unit.hosts[: counts[unit.role]] if h == number)
            cores += here * unit.cpu_limit
            mem += here * unit.mem_limit
        hosts.append(
            Host(
                name=namer.host(frame),
                cores=float(next((c for c in (4, 8, 16, 32, 48, 64, 96) if c >= cores * 1.5), 128)),
                mem=round(max(8 * GIB, mem * between(1.3, 1.6)) / GIB) * GIB,
                disk=float(rng.choice([100, 200, 400])) * GIB,
                disk_used=between(0.35, 0.6),
                gpu_bytes=float(rng.choice([16, 24, 40])) * GIB if frame == "gpu" else 0.0,
                tenant=namer.service("tenant"),
            )
        )  # fmt: skip
    weights = rng.dirichlet([6.0, 3.0, 2.0])
    major, minor = int(rng.integers(1, 9)), int(rng.integers(0, 40))
    return Plant(
        units=units, external=namer.service("external"), hosts=tuple(hosts),
        batch_host=len(frames) - 1, rps=rps, peak_h=between(0, 24), depth=depth, weekend=weekend,
        hit=hit, routes=tuple(f"/v{major % 3 + 1}/{namer.noun()}" for _ in range(3)),
        route_shares=tuple(float(w) for w in weights), pods=pods,
        model=f"{namer.word()}-{namer.pick(('risk', 'rank', 'score', 'eta', 'demand', 'fraud', 'price'))}",
        version=f"{major}.{minor}", next_version=f"{major}.{minor + 1}",
        task=namer.pick(("classification", "regression")), gpu=gpu, items=spread(1, 40),
        pool_size=float(rng.choice([20, 50, 100])),
        namespace=namer.pick(("prod", "production", "live", "ml", namer.word())),
        external_s=external_s, retries=between(0.1, 0.5),
    )  # fmt: skip
