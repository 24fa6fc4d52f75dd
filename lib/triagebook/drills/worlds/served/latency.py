"""Faults that make answers late, from where they enter; size 1 makes them 2.5 times as late."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from triagebook.drills.scenario import Planted
from triagebook.drills.worlds.served.stage import Symptom

if TYPE_CHECKING:
    from collections.abc import Callable

    from triagebook.drills.scenario import Fault
    from triagebook.drills.worlds.served.levers import Levers
    from triagebook.drills.worlds.served.stage import Stage


def traffic_surge(stage: Stage, fault: Fault, at: float) -> Planted:
    """Send more requests on all routes than the tightest service can take at its usual speed."""
    rise = stage.clock.ramp(at, fault.ramp_h * 3600)

    def pull(levers: Levers, more: float) -> None:
        levers.load *= 1 + more * rise

    stage.calibrate(pull, 0.3, 8.0, _goal(fault), _whole(fault, at), worst=0.98)
    return _at_the_service(stage, "latency.traffic_surge")


def slow_dependency(stage: Stage, fault: Fault, at: float) -> Planted:
    """Slow a callee: all calls, or a share of them by five times the API's usual time."""
    target = stage.choose(fault.target, ("external", "database", "cache"))
    usual = stage.now(stage.calm.units["api"].latency.mean_s)
    rise = stage.clock.ramp(at, fault.ramp_h * 3600)
    plant, name = stage.plant, stage.plant.name(target)
    base = plant.external_s if target == "external" else plant.units[target].wait_s
    if fault.share < 1:
        more = 5 * fault.size * usual / (1 - plant.hit if target == "database" else 1.0) ** 0.5
        stage.levers.slow_share[target] = stage.levers.slow_share[target] + fault.share * rise
        stage.levers.slow_s[target] = stage.levers.slow_s[target] + more
    else:

        def pull(levers: Levers, more_s: float) -> None:
            levers.wait[target] *= 1 + more_s / base * rise

        more = stage.calibrate(pull, 0.01 * usual, 40 * usual, _goal(fault), _whole(fault, at))
    caller = plant.units["api" if target == "external" else "features"]
    for when in stage.moments(at + fault.ramp_h * 1200, stage.clock.end, 14, 120):
        pod = caller.pods[int(stage.rng.integers(stage.alive(caller.role)))]
        took = int(1000 * (more + stage.between(0.2, 1.5) * usual))
        stage.say(when, "WARN", pod, f"slow call to {name}: {took} ms", upstream=name, took_ms=took)
    if target == "database":
        for when in stage.moments(at, stage.clock.end, 8, 60):
            took = int(1000 * more * stage.between(0.8, 2.5))
            stage.say(
                when,
                "INFO",
                name,
                f"LOG:  duration: {took}.{int(stage.rng.integers(999)):03d} ms  execute <unnamed>: SELECT * FROM {stage.batch.tables['online']} WHERE id = $1",  # noqa: S608 - a line of a log, never run
            )
    return Planted("latency.slow_dependency", (f"dependency:{name}",))


def heavier_model(stage: Stage, fault: Fault, at: float) -> Planted:
    """Serve a new model version that takes longer for the same input."""
    plant = stage.plant
    unit, version = plant.units["model"], plant.next_version
    stage.change(at, "model", plant.model, plant.version, version)
    for pod in range(stage.alive("model")):
        stage.levers.restart(
            plant, stage.clock, "model", pod, at + 20 + pod * 70, "deploy", cold=1.5
        )
        stage.say(
            at + 66 + pod * 70,
            "INFO",
            unit.pods[pod],
            f"Loaded model {plant.model} version {version} ({stage.between(120, 900):.0f} MB) in {stage.between(3, 20):.2f}s",
        )
    stage.levers.versions.append((at + 30, version))
    step = stage.clock.ramp(at + 30)

    def pull(levers: Levers, more: float) -> None:
        levers.work["model"] *= 1 + more * step
        levers.wait["model"] *= 1 + more * step

    stage.levers.memory["model"] = stage.levers.memory["model"] + 0.06 * unit.mem_base * step
    stage.calibrate(pull, 0.3, 20.0, _goal(fault), at + 600)
    return Planted("latency.heavier_model", (f"model:{plant.model}/{version}",))


def cpu_throttling(stage: Stage, fault: Fault, at: float) -> Planted:
    """Make each request cost more CPU, until all replicas meet their limit."""
    role = stage.choose(fault.target, ("api", "features"))
    rise = stage.clock.ramp(at, fault.ramp_h * 3600)
    if fault.ramp_h == 0 and stage.chance(0.7):
        stage.deploy(role, at)

    def pull(levers: Levers, more: float) -> None:
        levers.work[role] *= 1 + more * rise

    # Calls to a small callee are a small part of an answer: there it takes more to be noticed.
    more = 2 if role == "api" else 6
    stage.calibrate(pull, 0.3, 15.0, 1 + more * fault.size, _whole(fault, at), role)
    stage.symptom = Symptom(role, "cpu")
    return Planted("latency.cpu_throttling", (f"service:{stage.plant.name(role)}",))


def memory_pressure(stage: Stage, fault: Fault, at: float) -> Planted:
    """Take a host's memory until it swaps and what runs there waits."""
    number = stage.busiest_host("api")
    host = stage.plant.hosts[number]
    free = stage.now(host.mem - stage.calm.host_mem[number])
    rise = stage.clock.ramp(at, fault.ramp_h * 3600)

    def pull(levers: Levers, share: float) -> None:
        levers.host_mem[number] += (free - host.mem * (0.08 - share)) * rise

    stage.calibrate(pull, 0.002, 0.075, 1 + fault.size, _whole(fault, at))
    stage.symptom = Symptom("api", "memory", number)
    for when in stage.moments(at + fault.ramp_h * 3000 + 300, stage.clock.end, 6, 60):
        stall = stage.between(200, 3000)
        stage.say(
            when,
            "WARN",
            host.name,
            f"kernel: kswapd0: page allocation stalls for {stall:.0f}ms, order:0, mode:0x6200ca(GFP_HIGHUSER_MOVABLE)",
        )
    return Planted("latency.memory_pressure", (f"host:{host.name}",))


def larger_requests(stage: Stage, fault: Fault, at: float) -> Planted:
    """Put more items into each request; it takes longer wherever items are worked on."""
    rise = stage.clock.ramp(at, fault.ramp_h * 3600)

    def pull(levers: Levers, more: float) -> None:
        levers.items *= 1 + more * rise

    stage.calibrate(pull, 0.3, 12.0, _goal(fault), _whole(fault, at))
    if stage.chance(0.4):
        stage.change(
            at - stage.between(30, 240),
            "flag",
            f"{stage.namer.word()}-client.bulk_requests",
            "off",
            "on",
        )
    return _at_the_service(stage, "latency.larger_requests")


def bad_instance(stage: Stage, fault: Fault, at: float) -> Planted:
    """Slow one replica of the API; size 1 makes the mean over all 1.6 times what it was."""
    unit = stage.plant.units["api"]
    pod = int(stage.rng.integers(stage.alive("api")))
    if pod == stage.always_slow:
        pod = (pod + 1) % stage.alive("api")
    usual = stage.now(stage.calm.units["api"].latency.mean_s)
    rise = stage.clock.ramp(at, fault.ramp_h * 3600)

    def pull(levers: Levers, more_s: float) -> None:
        levers.wait["api"][pod] *= 1 + more_s / unit.wait_s * rise

    stage.calibrate(pull, 0.5 * usual, 20 * usual, 1 + 0.6 * fault.size, _whole(fault, at))
    for when in stage.moments(at, stage.clock.end, 10, 90):
        stage.say(
            when,
            "WARN",
            unit.pods[pod],
            f"request took {usual * stage.between(4, 12):.3f} s, over budget {usual * 3:.3f} s",
        )
    return Planted("latency.bad_instance", (f"instance:{unit.pods[pod]}",))


def cold_start(stage: Stage, fault: Fault, at: float) -> Planted:
    """Replace replicas again and again until the end; each is slow at first."""
    role = stage.choose(fault.target, ("api", "model"))
    unit, alive = stage.plant.units[role], stage.alive(role)
    every = stage.between(500, 900) / min(alive, 4) * 2
    reason = stage.namer.pick(("Evicted", "spot reclaimed", "NodeNotReady"))
    times = []
    when = at + 20.0
    while when < stage.clock.end - 60:
        times.append(when)
        when += every * stage.between(0.7, 1.3)

    def pull(levers: Levers, cold: float) -> None:
        for count, when in enumerate(times):
            levers.restart(
                stage.plant,
                stage.clock,
                role,
                count % alive,
                when,
                reason,
                cold=1 + cold,
                warm_s=900,
            )

    stage.calibrate(pull, 1.0, 60.0, 1 + fault.size, at + 300)
    for count, when in enumerate(times):
        pod = f"{stage.plant.namespace}/{unit.pods[count % alive]}"
        stage.say(
            when,
            "WARN",
            "kubelet",
            f"Killing container {unit.name} of pod {pod}: {reason}",
            kind="Event",
            reason="Killing",
        )
        stage.say(
            when + 46,
            "INFO",
            "kubelet",
            f"Started container {unit.name} of pod {pod}",
            kind="Event",
            reason="Started",
        )
        stage.say(
            when + 47,
            "INFO",
            unit.pods[count % alive],
            f"warming up: {int(stage.between(200, 4000))} entries to load",
        )
    return Planted("latency.cold_start", (f"service:{unit.name}",))


def cache_misses(stage: Stage, fault: Fault, at: float) -> Planted:
    """Let the cache answer less, so that the database gets the rest."""
    plant = stage.plant
    rise = stage.clock.ramp(at, fault.ramp_h * 3600)

    def pull(levers: Levers, lost: float) -> None:
        levers.hit = levers.hit - lost * rise

    lost = stage.calibrate(pull, 0.02, plant.hit - 0.05, _goal(fault), _whole(fault, at))
    why = stage.choose(fault.target, ("evictions", "keys", "node"))
    cache = plant.units["cache"]
    if why == "evictions":
        stage.levers.evictions += stage.now(stage.calm.rate) * lost * rise
        stage.say(at + 60, "WARN", cache.name, "maxmemory reached, evicting keys (allkeys-lru)")
    elif why == "keys":
        stage.deploy("features", at - 30, what=f"{plant.name('features')}: new key format")
    else:
        stage.levers.memory["cache"] -= 0.4 * cache.mem_base * rise
        stage.say(
            at,
            "WARN",
            cache.name,
            "Node 2 marked as failing (quorum reached); cluster state: partial",
        )
    for when in stage.moments(at + 120, stage.clock.end, 6, 60):
        stage.say(
            when,
            "INFO",
            plant.name("database"),
            f"checkpoint complete: wrote {int(stage.between(900, 9000))} buffers",
        )
    return Planted("latency.cache_misses", (f"dependency:{cache.name}",))


def _goal(fault: Fault) -> float:
    """Return how many times the API's usual latency a fault leads to: 2.5 at size 1."""
    return 1 + 1.5 * fault.size


def _whole(fault: Fault, at: float) -> float:
    """Return since when a fault has its full size."""
    return at + 120 + fault.ramp_h * 3600


def _at_the_service(stage: Stage, cause: str) -> Planted:
    """Name the service and the gateway before it: either is right for what comes in."""
    names = (stage.plant.name("api"), stage.plant.name("gateway"))
    return Planted(cause, tuple(f"service:{name}" for name in names))


FAULTS: Final[dict[str, Callable[[Stage, Fault, float], Planted]]] = {
    f"latency.{plant.__name__}": plant
    for plant in (
        traffic_surge, slow_dependency, heavier_model, cpu_throttling, memory_pressure,
        larger_requests, bad_instance, cold_start, cache_misses,
    )
}  # fmt: skip
