"""The system at work: from load, capacity and levers to rates, CPU, memory, latency and failures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from triagebook.drills.worlds.served.clock import DAY_S, Array, day_shape, noise
from triagebook.drills.worlds.served.plant import CALLS, GIB, MIB, ROLES, TIMEOUT_S
from triagebook.drills.worlds.served.queueing import (
    NETWORK_S,
    Latency,
    Parts,
    add,
    bounded,
    contention,
    throttled,
    turned_away,
    wait_s,
)

if TYPE_CHECKING:
    from triagebook.drills.worlds.served.clock import Clock
    from triagebook.drills.worlds.served.levers import Levers
    from triagebook.drills.worlds.served.plant import Plant, Unit


@dataclass
class UnitState:
    """A service over time; arrays (P, T) for replicas, (T,) for the whole."""

    rate: Array
    wanted: Array
    usage: Array
    limit: Array
    throttle: Array
    memory: Array
    mem_limit: Array
    gc: Array
    fds: Array
    inflight: Array
    latency: Latency
    per_pod: Latency
    fail: Array
    pod_fail: Array
    up: Array


@dataclass
class State:
    """Everything over time."""

    rate: Array
    routes: Array
    items: Array
    hit: Array
    units: dict[str, UnitState]
    external: Latency
    external_fail: Array
    external_rate: Array
    calls: dict[tuple[str, str], Array]
    host_cpu: Array
    host_mem: Array
    stall: Array
    disk_free: Array
    gpu_used: Array
    gpu_util: Array
    pool: Array
    tenant: Array


@dataclass
class Weather:
    """The chance of one seed, drawn once so that both passes see the same."""

    load: Array
    level: dict[str, Array]
    tail: dict[str, Array]
    share: dict[str, Array]
    memory: dict[str, Array]
    saw: dict[str, Array]
    fds: dict[str, Array]
    tenant: Array
    host_mem: Array
    gpu_base: Array
    hit: Array
    items: Array
    sigma: dict[str, float]


def make_weather(rng: np.random.Generator, plant: Plant, clock: Clock) -> Weather:
    """Draw all noise of a play."""
    level, tail, share, memory, saw, fds, sigma = {}, {}, {}, {}, {}, {}, {}
    for role, unit in plant.units.items():
        count = len(unit.pods)
        # Replicas are never quite alike; now and then a whole service has a bad minute.
        own = rng.normal(0, 0.03, size=(count, 1))
        blips = (rng.random((count, clock.size)) < 0.002) * np.minimum(
            rng.exponential(0.5, (count, clock.size)), 1.2
        )
        level[role] = np.exp(own + noise(rng, clock, count, 0.04) + blips)
        tail[role] = np.exp(noise(rng, clock, count, 0.07, 300))
        share[role] = np.exp(noise(rng, clock, count, 0.03))
        memory[role] = noise(rng, clock, count, 0.012, 7200)
        period = rng.uniform(900, 5400, size=(count, 1))
        depth = {"jvm": 0.12, "go": 0.05, "python": 0.01}[unit.runtime]
        saw[role] = depth * ((clock.at / period + rng.random((count, 1))) % 1.0)
        fds[role] = noise(rng, clock, count, 0.06, 3600)
        sigma[role] = float(rng.uniform(0.4, 0.7))
    level["external"] = np.exp(noise(rng, clock, 1, 0.08) + (rng.random((1, clock.size)) < 0.004) * np.minimum(rng.exponential(0.6, (1, clock.size)), 1.3))  # fmt: skip
    sigma["external"] = float(rng.uniform(0.5, 0.8))
    hosts = len(plant.hosts)
    nightly = np.zeros((hosts, clock.size))
    for h in range(hosts):
        at, last = rng.uniform(0, 24), rng.uniform(0.5, 1.5)
        hour = clock.at / 3600 % 24
        nightly[h] = ((hour - at) % 24 < last) * rng.uniform(0.05, 0.2) * plant.hosts[h].cores
    load = day_shape(clock, plant.peak_h, plant.depth, plant.weekend)
    return Weather(
        load=load * np.exp(noise(rng, clock, 1, 0.05, 1800)[0]), level=level, tail=tail, share=share,
        memory=memory, saw=saw, fds=fds,
        tenant=0.03 * np.array([[h.cores] for h in plant.hosts]) * np.exp(noise(rng, clock, hosts, 0.3)) + nightly,
        host_mem=rng.uniform(0.04, 0.12, size=(hosts, 1)) + noise(rng, clock, hosts, 0.004, 7200),
        gpu_base=rng.uniform(0.5, 0.75, size=(hosts, 1)) + noise(rng, clock, hosts, 0.003, 7200),
        hit=noise(rng, clock, 1, 0.008, 1800)[0], items=np.exp(noise(rng, clock, 1, 0.03, 1800)[0]),
        sigma=sigma,
    )  # fmt: skip


def run(plant: Plant, clock: Clock, levers: Levers, weather: Weather) -> State:
    """Let it run: twice, since failures make callers call again, and that is load."""
    state = _pass(plant, clock, levers, weather, clock.zeros())
    return _pass(plant, clock, levers, weather, state.units["gateway"].fail)


def _pass(plant: Plant, clock: Clock, levers: Levers, weather: Weather, failing: Array) -> State:
    entering = plant.rps * weather.load * levers.load
    entering = entering * (1 + plant.retries * np.clip(failing - 0.002, 0, 1))
    items = levers.items * weather.items
    hit = np.clip(plant.hit + weather.hit + levers.hit, 0.0, 0.995)
    rates = dict.fromkeys(ROLES, entering)
    rates["database"] = entering * (1 - hit)
    wanted = {r: _cpu(plant.units[r], rates[r], items, levers, weather) for r in plant.units}
    host_cpu, stretch = _hosts_cpu(plant, levers, weather, wanted)
    memory = {r: _memory(plant.units[r], wanted[r][2], levers, weather) for r in plant.units}
    host_mem, stall = _hosts_memory(plant, levers, weather, memory)
    gpu_used = np.array([[h.gpu_bytes] for h in plant.hosts]) * weather.gpu_base + levers.gpu_mem
    total = np.array([[h.gpu_bytes] for h in plant.hosts])
    gpu_used = np.minimum(gpu_used, total * 0.998)
    external = Latency(
        plant.external_s * levers.wait["external"][0] * weather.level["external"][0],
        weather.sigma["external"],
        {"slow": (levers.slow_share["external"], levers.slow_s["external"])}, TIMEOUT_S["external"],
    )  # fmt: skip
    served: dict[str, Latency] = {"external": external}
    failed: dict[str, Array] = {"external": np.clip(levers.fail["external"] + 0.0002, 0, 1)}
    units: dict[str, UnitState] = {}
    pool = clock.zeros(len(plant.units["features"].pods))
    for role in ROLES:
        if role == "external":
            continue
        unit = plant.units[role]
        below, slow, broken = _below(role, served, failed, hit)
        blocked = clock.zeros(len(unit.pods))
        if role == "features":
            in_use = (
                rates["database"] / levers.up[role].sum(0) * (served["database"].mean_s + 0.001)
            )
            pool = np.minimum(in_use * np.ones_like(pool) + levers.pool + 2, plant.pool_size)
            blocked = np.clip((pool / plant.pool_size - 0.9) / 0.1, 0, 1)
        if role == "model":
            full = np.clip((gpu_used / np.maximum(total, 1) - 0.985) / 0.01, 0, 1) * (total > 0)
            blocked = blocked + 0.35 * full[list(unit.hosts)]
        units[role] = _serve(unit,  levers, weather, items, wanted[role], memory[role],
                             stretch, stall, below, slow, broken, blocked)  # fmt: skip
        served[role], failed[role] = units[role].latency, units[role].fail
    calls = {(a, b): rates[b] for a, b in CALLS}
    disk = _disk(plant, clock, levers)
    gpu = plant.units["model"]
    util = clock.zeros(len(plant.hosts))
    for p, h in enumerate(gpu.hosts):
        if plant.hosts[h].gpu_bytes:
            work = units["model"].rate[p] * gpu.wait_s * levers.wait["model"][p] * _grow(items, gpu)
            util[h] = np.clip(work / np.maximum(levers.gpu_clock[h], 0.05) / 1.2, 0, 1)
    return State(
        rate=entering, routes=_routes(plant, levers) * entering, items=items * plant.items, hit=hit,
        units=units, external=external, external_fail=failed["external"],
        external_rate=rates["external"], calls=calls, host_cpu=host_cpu, host_mem=host_mem,
        stall=stall, disk_free=disk, gpu_used=gpu_used, gpu_util=util, pool=pool,
        tenant=weather.tenant + levers.tenant,
    )  # fmt: skip


def _routes(plant: Plant, levers: Levers) -> Array:
    shares = np.array(plant.route_shares)[:, None] * levers.routes
    return np.asarray(shares / shares.sum(0))


def _grow(items: Array, unit: Unit) -> Array:
    return np.asarray(1 + unit.weigh * (items - 1))


def _cpu(unit: Unit, rate: Array, items: Array, levers: Levers, weather: Weather) -> tuple[Array, Array, Array]:  # fmt: skip
    """Return cores wanted, the limit, and the rate, each (P, T)."""
    up = levers.up[unit.role]
    weight = up * weather.share[unit.role]
    shares = weight / np.maximum(weight.sum(0), 1e-9)
    pods = rate * shares
    each = unit.cpu_s * levers.work[unit.role] * _grow(items, unit)
    cold = 1 + np.minimum(0.3 * (levers.cold[unit.role] - 1), 0.4)
    gc = levers.gc[unit.role] * 1.5 * unit.cpu_limit
    wanted = (pods * each * cold + unit.idle + gc) * up + levers.burn[unit.role]
    limit = unit.cpu_limit * levers.limit_cpu[unit.role] * np.ones_like(wanted)
    return wanted, limit, pods


def _hosts_cpu(plant: Plant, levers: Levers, weather: Weather,
               wanted: dict[str, tuple[Array, Array, Array]]) -> tuple[Array, Array]:  # fmt: skip
    used = weather.tenant + levers.tenant + 0.1
    for role, (cores, limit, _) in wanted.items():
        for p, h in enumerate(plant.units[role].hosts):
            used[h] = used[h] + np.minimum(cores[p], limit[p])
    cores = np.array([[h.cores] for h in plant.hosts])
    left = cores * (1 - levers.stolen)
    pressure = used / left
    stretch = contention(pressure) / (1 - levers.stolen)
    return np.minimum(used, left) / cores, stretch


def _memory(unit: Unit, pods: Array, levers: Levers, weather: Weather) -> tuple[Array, Array]:
    """Return bytes used and the limit, each (P, T)."""
    held = pods * (unit.cpu_s + unit.wait_s) * 3 * MIB
    used = unit.mem_base * (1 + weather.memory[unit.role] + weather.saw[unit.role]) + held
    used = np.maximum(used + levers.memory[unit.role], 0.2 * unit.mem_base)
    limit = unit.mem_limit * levers.limit_mem[unit.role] * np.ones_like(used)
    return np.minimum(used, limit * 0.999) * levers.up[unit.role], limit


def _hosts_memory(plant: Plant, levers: Levers, weather: Weather,
                  memory: dict[str, tuple[Array, Array]]) -> tuple[Array, Array]:  # fmt: skip
    total = np.array([[h.mem] for h in plant.hosts])
    used = total * weather.host_mem + levers.host_mem
    for role, (bytes_, _) in memory.items():
        for p, h in enumerate(plant.units[role].hosts):
            used[h] = used[h] + bytes_[p]
    used = np.minimum(used, total * 0.995)
    free = 1 - used / total
    return used, 0.6 * np.clip((0.09 - free) / 0.08, 0, 1) ** 1.5


def _below(role: str, served: dict[str, Latency], failed: dict[str, Array],
           hit: Array) -> tuple[Array, Parts, Array]:  # fmt: skip
    """Return seconds of callees a call, what takes some calls longer, and the share that fails."""
    seconds = np.zeros_like(hit)
    parts: Parts = {}
    broken = np.zeros_like(hit)
    for caller, callee in CALLS:
        if caller != role:
            continue
        latency, timeout = served[callee], TIMEOUT_S[callee]
        often = np.ones_like(hit)
        if callee == "database":
            # Only what the cache does not know goes on to the database.
            often = 1 - hit
            add(parts, "miss", (often, np.minimum(latency.body_s + NETWORK_S, timeout)))
        else:
            seconds = seconds + np.minimum(latency.body_s + NETWORK_S, timeout)
        for name, (share, more_s) in latency.parts.items():
            add(parts, name, (often * share, np.minimum(more_s, timeout)))
        # What takes as long as its time-out was given up on.
        late = 1 - latency.below(0.98 * timeout)
        broken = 1 - (1 - broken) * (1 - often * np.clip(failed[callee] + late, 0, 1))
    return seconds, parts, broken


def _serve(unit: Unit, levers: Levers, weather: Weather, items: Array,
           cpu: tuple[Array, Array, Array], memory: tuple[Array, Array], stretch: Array,
           stall: Array, below: Array, slow: Parts, broken: Array,
           blocked: Array) -> UnitState:  # fmt: skip
    role = unit.role
    wanted, limit, pods = cpu
    where = list(unit.hosts)
    throttle = throttled(wanted / limit)
    full = memory[0] / memory[1]
    # The nearer the limit, the more a garbage collector, and the kernel, work to find room.
    heap = {"jvm": 0.45, "go": 0.3, "python": 0.2}[unit.runtime] * np.clip((full - 0.8) / 0.19, 0, 1) ** 2  # fmt: skip
    base = {"jvm": 0.008, "go": 0.003, "python": 0.001}[unit.runtime]
    gc = np.clip(levers.gc[role] + heap + base * weather.tail[role], 0, 0.8)
    slower = stretch[where] * (1 + 2.5 * throttle**2 + np.clip(8 * (wanted / limit - 1), 0, 4))
    slower = slower * (1 + 8 * stall[where])
    each = _grow(items, unit)
    clock_factor = np.maximum(levers.gpu_clock[where], 0.05) if role == "model" else 1.0
    own = unit.cpu_s * levers.work[role] * each * slower
    own = own + unit.wait_s * levers.wait[role] * each * (1 + 8 * stall[where]) / clock_factor
    own = own * levers.cold[role] / (1 - gc) * weather.level[role]
    paused = (np.clip(gc * 1.2 - 0.01, 0, 0.5), np.full_like(gc, 0.08) + 0.6 * gc)
    none = np.zeros_like(gc)
    parts = {name: (share + none, more_s + none) for name, (share, more_s) in slow.items()}
    add(parts, "slow", (levers.slow_share[role] + none, levers.slow_s[role] + none))
    add(parts, "pause", paused)
    # A call cut off by its quota waits for the next period, one in want of a page for the disk, and
    # one on a full host for its turn.
    add(parts, "pause", (0.6 * throttle, np.full_like(gc, 0.06)))
    add(parts, "pause", (0.8 * stall[where], np.full_like(gc, 0.2)))
    add(parts, "pause", (0.3 * np.clip((stretch[where] - 1.2) / 2, 0, 1), np.full_like(gc, 0.04)))
    wall = own + below
    held = wall
    for share, more_s in parts.values():
        held = held + share * more_s
    busy = pods * held / unit.workers
    queued = wait_s(busy, unit.workers, held, TIMEOUT_S[role]) + blocked * 0.4
    body = (wall + queued) * weather.tail[role] ** 0.3
    body, parts = bounded(body, parts)
    up = levers.up[role]
    fds = unit.fds * (1 + weather.fds[role]) + 2 * pods * held + levers.fds[role]
    fds = np.minimum(fds, unit.fd_limit) * up
    out_of_fds = 0.7 * np.clip((fds / unit.fd_limit - 0.97) / 0.03, 0, 1)
    refused = turned_away(busy) + blocked * 0.5 + out_of_fds
    pod_fail = np.clip(levers.fail[role] + broken + refused + 0.0002, 0, 1)
    weight = pods / np.maximum(pods.sum(0), 1e-9)
    cap = 1.5 * TIMEOUT_S[role]
    whole = _mixed(body, parts, weight, weather.sigma[role], cap)
    return UnitState(
        rate=pods, wanted=wanted, usage=np.minimum(wanted, limit), limit=limit, throttle=throttle,
        memory=memory[0], mem_limit=memory[1], gc=gc, fds=fds,
        inflight=np.minimum(pods * (wall + queued), unit.workers * 4.0), latency=whole,
        per_pod=Latency(body, weather.sigma[role], parts, cap),
        fail=np.clip((pod_fail * weight).sum(0), 0, 1), pod_fail=pod_fail, up=up,
    )  # fmt: skip


def _mixed(body: Array, parts: Parts, weight: Array, sigma: float, cap: float) -> Latency:
    """Mix replicas: calls to those far slower than the middle one are calls that take longer."""
    middle = _middle(body, weight)
    far = body > 1.4 * middle
    odd = weight * far
    odd_share = odd.sum(0)
    odd_s = (odd * (body - middle)).sum(0) / np.maximum(odd_share, 1e-12) * (odd_share > 0)
    usual = (weight * np.where(far, middle, body)).sum(0)
    mixed: Parts = {}
    for name, (share, more_s) in parts.items():
        whole = (weight * share).sum(0)
        mixed[name] = whole, (weight * share * more_s).sum(0) / np.maximum(whole, 1e-12)
    add(mixed, "odd", (odd_share, odd_s))
    usual, mixed = bounded(usual, mixed)
    return Latency(np.maximum(usual, 1e-6), sigma, mixed, cap)


def _middle(body: Array, weight: Array) -> Array:
    """Return the median over replicas that serve, at each moment."""
    shown = np.where(weight > 0, body, np.inf)
    ordered = np.sort(shown, axis=0)
    count = np.maximum((weight > 0).sum(0), 1)
    middle = np.take_along_axis(ordered, ((count - 1) // 2)[None], axis=0)[0]
    return np.where(np.isfinite(middle), middle, np.median(body, axis=0))


def _disk(plant: Plant, clock: Clock, levers: Levers) -> Array:
    """Return bytes free on each host's data disk, shape (H, T)."""
    free = np.empty((len(plant.hosts), clock.size))
    for h, host in enumerate(plant.hosts):
        grown = (clock.at - clock.start) * 0.25 * GIB / DAY_S
        rotated = 0.006 * host.disk * ((clock.at / DAY_S + h / 7) % 1.0)
        written = np.cumsum(levers.disk[h] * clock.step)
        used = host.disk * host.disk_used + grown + rotated + written
        for number, at, bytes_ in levers.disk_freed:
            if number == h:
                used = used - bytes_ * (clock.at >= at)
        free[h] = np.clip(host.disk - used, 0.0, None)
    return free
