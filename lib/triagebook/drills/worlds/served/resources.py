"""Faults of memory, CPU, disks, handles and accelerators: they grow, step or are taken away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from triagebook.drills.scenario import Planted
from triagebook.drills.worlds.served.clock import DAY_S
from triagebook.drills.worlds.served.plant import GIB, MIB
from triagebook.drills.worlds.served.stage import Symptom

if TYPE_CHECKING:
    from collections.abc import Callable

    from triagebook.drills.scenario import Fault
    from triagebook.drills.worlds.served.levers import Levers
    from triagebook.drills.worlds.served.stage import Stage


def memory_leak(stage: Stage, fault: Fault, at: float) -> Planted:
    """Let memory climb from a start on; the kernel kills what meets the limit.

    Size 1 meets it after seven tenths of the time to the window's end; 0.6 does not meet it.
    Share is the share of replicas that leak.
    """
    role = stage.choose(fault.target, ("api", "features", "model", "gateway"))
    unit, alive = stage.plant.units[role], stage.alive(role)
    if stage.chance(0.7):
        stage.deploy(role, at)
    else:
        for pod in range(alive):
            stage.levers.restart(
                stage.plant, stage.clock, role, pod, at + 70.0 * pod, "node drained"
            )
    leaking = max(1, round(fault.share * alive))
    lasts = 0.7 / fault.size * (stage.clock.end - at)
    for pod in range(leaking):
        began = at + 60 + 70.0 * pod
        base = float(np.nanmax(stage.calm.units[role].memory[pod]))
        room = unit.mem_limit - base
        full = lasts * stage.between(0.9, 1.15)
        while began < stage.clock.end:
            dead = began + full
            grown = np.clip((stage.clock.at - began) / full, 0, 1) * room * 1.02
            stage.levers.memory[role][pod] += np.where(
                (stage.clock.at >= began) & (stage.clock.at < dead), grown, 0
            )
            if dead < stage.clock.end:
                killed(stage, role, pod, dead)
            began = dead + 45
    stage.symptom = Symptom(role, "memory")
    return Planted("resources.memory_leak", (f"service:{unit.name}",))


def killed(stage: Stage, role: str, pod: int, at: float) -> None:
    """Kill a replica that met its memory limit."""
    unit = stage.plant.units[role]
    stage.levers.restart(stage.plant, stage.clock, role, pod, at, "OOMKilled", cold=3.0)
    stage.say(
        at,
        "WARN",
        "kubelet",
        f"Memory cgroup out of memory: Killed process {int(stage.rng.integers(300, 40000))} ({unit.runtime}) total-vm:{unit.mem_limit * 1.6 / 1024:.0f}kB, anon-rss:{unit.mem_limit * 0.98 / 1024:.0f}kB",
        host=stage.plant.hosts[unit.hosts[pod]].name,
    )
    stage.say(
        at + 1,
        "WARN",
        "kubelet",
        f"Container {unit.name} in pod {stage.plant.namespace}/{unit.pods[pod]} terminated: OOMKilled, exit code 137",
        kind="Event",
        reason="OOMKilling",
    )
    stage.say(
        at + 46, "INFO", unit.pods[pod], f"Started {unit.name} in {stage.between(4, 30):.1f} s"
    )


def memory_step(stage: Stage, fault: Fault, at: float) -> Planted:
    """Make a service hold more from a change on; size 1 takes it to 92 % of its limit."""
    role = stage.choose(fault.target, ("model", "api", "features"))
    unit, plant = stage.plant.units[role], stage.plant
    if role == "model":
        stage.change(at, "model", plant.model, plant.version, plant.next_version)
        stage.levers.versions.append((at + 30, plant.next_version))
        for pod in range(stage.alive(role)):
            stage.levers.restart(
                plant, stage.clock, role, pod, at + 20 + 70 * pod, "deploy", cold=1.5
            )
    else:
        stage.change(
            at,
            "config",
            f"{unit.name}.{stage.namer.pick(('batch_size', 'worker_processes', 'local_cache_entries'))}",
            "64",
            "256",
        )
        for pod in range(stage.alive(role)):
            stage.levers.restart(plant, stage.clock, role, pod, at + 20 + 70 * pod, "deploy")
    base = stage.now(stage.calm.units[role].memory[: stage.alive(role)])
    wanted = min(0.92, 0.72 + 0.2 * fault.size) * unit.mem_limit
    for pod in range(stage.alive(role)):
        stage.levers.memory[role][pod] += (wanted - base) * stage.clock.ramp(
            at + 65 + 70 * pod, 240
        )
    stage.symptom = Symptom(role, "memory")
    return Planted("resources.memory_step", (f"service:{unit.name}",))


def cpu_runaway(stage: Stage, fault: Fault, at: float) -> Planted:
    """Let one process spin; size 1 wants 1.3 times its limit whatever the load."""
    role = stage.choose(fault.target, ("api", "features", "model"))
    unit = stage.plant.units[role]
    pod = int(stage.rng.integers(stage.alive(role)))
    limit = unit.cpu_limit
    stage.levers.burn[role][pod] += (
        limit * 1.3 * fault.size * stage.clock.ramp(at, max(fault.ramp_h * 3600, 120))
    )
    for when in stage.moments(at + 200, stage.clock.end, 3, 20):
        stage.say(
            when,
            "WARN",
            unit.pods[pod],
            f"thread worker-{int(stage.rng.integers(1, 16))} has been running for {int(when - at)} s",
            thread_state="RUNNABLE",
        )
    stage.symptom = Symptom(role, "cpu")
    return Planted("resources.cpu_runaway", (f"service:{unit.name}",))


def gpu_memory(stage: Stage, fault: Fault, at: float) -> Planted:
    """Use up a card's memory; size 1 fills it and allocations fail, less leaves some."""
    number = _gpu_host(stage)
    host = stage.plant.hosts[number]
    left = host.gpu_bytes - stage.now(stage.calm.gpu_used[number])
    wanted = left * (1.05 if fault.size >= 1 else fault.size)
    stage.levers.gpu_mem[number] += wanted * stage.clock.ramp(at, fault.ramp_h * 3600)
    model = stage.plant.units["model"]
    pods = [p for p, h in enumerate(model.hosts) if h == number]
    full = at + fault.ramp_h * 3600 * 0.96
    if fault.size >= 1:
        for when in stage.moments(full, stage.clock.end, 40, 200):
            pod = model.pods[pods[int(stage.rng.integers(len(pods)))]]
            size = int(stage.rng.choice([64, 128, 256, 512]))
            stage.say(
                when,
                "ERROR",
                pod,
                f"torch.OutOfMemoryError: CUDA out of memory. Tried to allocate {size}.00 MiB. GPU 0 has a total capacity of {host.gpu_bytes / GIB:.2f} GiB of which {stage.between(3, 50):.2f} MiB is free.",
            )
    stage.symptom = Symptom("model", "gpu", number)
    return Planted("resources.gpu_memory", (f"host:{host.name}",))


def gpu_fault(stage: Stage, fault: Fault, at: float) -> Planted:
    """Break a card: target "lost" falls off the bus, "slow" is throttled to a fifth, "ecc" errs."""
    number = _gpu_host(stage)
    host, clock = stage.plant.hosts[number], stage.clock
    kind = stage.choose(fault.target, ("lost", "slow", "ecc"))
    model = stage.plant.units["model"]
    on = clock.ramp(at)
    code = {"lost": 79, "slow": 0, "ecc": 63}[kind]
    if kind == "lost":
        stage.levers.gpu_clock[number] *= 1 - 0.999 * on
        for pod, where in enumerate(model.hosts):
            if where == number:
                stage.levers.up["model"][pod] *= 1 - 0.999 * on
    else:
        slow = {"slow": 0.8, "ecc": 0.7}[kind] * min(fault.size, 1.3)
        stage.levers.gpu_clock[number] *= 1 - min(slow, 0.9) * clock.ramp(at, fault.ramp_h * 3600)
    if code:
        stage.levers.xid[number] = np.where(clock.at >= at, code, stage.levers.xid[number])
        says = {79: "GPU has fallen off the bus.", 63: "Row remapping event: pending."}[code]
        for when in [at + 2, *stage.moments(at + 60, clock.end, 2, 12)]:
            stage.say(
                when,
                "ERROR",
                host.name,
                f"kernel: NVRM: Xid (PCI:0000:{int(stage.rng.integers(1, 99)):02d}:00): {code}, pid={int(stage.rng.integers(900, 60000))}, {says}",
            )
    else:
        stage.say(
            at + 5,
            "WARN",
            host.name,
            "nvidia-smi: clocks_throttle_reasons.hw_thermal_slowdown: Active",
        )
    stage.symptom = Symptom("model", "card", number)
    return Planted("resources.gpu_fault", (f"host:{host.name}",))


def disk_filling(stage: Stage, fault: Fault, at: float) -> Planted:
    """Fill a disk; size 1 leaves 4 % of it at the window's end, 0.8 a fifth of what was free."""
    number = stage.busiest_host(
        "database" if (fault.target or stage.namer.pick(("data", "app"))) == "data" else "api"
    )
    host, clock = stage.plant.hosts[number], stage.clock
    free = float(stage.calm.disk_free[number, -1])
    amount = min(free - 0.04 * host.disk, free * fault.size)
    rate = amount / (clock.end - at) * clock.ramp(at)
    stage.levers.disk[number] += rate
    unit = stage.plant.units["database" if number in stage.plant.units["database"].hosts else "api"]
    stage.levers.writers[number] = unit.name if stage.chance(0.6) else host.tenant
    if unit.role == "api" and stage.levers.writers[number] == unit.name:
        pods = [unit.pods[p] for p, h in enumerate(unit.hosts[: stage.alive("api")]) if h == number]
        for when in stage.moments(at, clock.end, 30, 250):
            stage.say(
                when,
                "DEBUG",
                pods[0],
                f"request dump: {int(stage.between(20, 900))} kB written to /data/debug/{stage.namer.text(12)}.bin",
            )
    stage.symptom = Symptom("api", "disk", number)
    return Planted("resources.disk_filling", (f"host:{host.name}",))


def handle_leak(stage: Stage, fault: Fault, at: float) -> Planted:
    """Give back no descriptors (target "fds") or pooled connections ("pool").

    Size 1 uses them up after seven tenths of the time to the window's end.
    """
    kind = stage.choose(fault.target, ("fds", "pool"))
    role = "features" if kind == "pool" else stage.namer.pick(("api", "features"))
    unit, alive = stage.plant.units[role], stage.alive(role)
    if stage.chance(0.6):
        stage.deploy(role, at)
    lasts = 0.7 / fault.size * (stage.clock.end - at)
    climbs = np.clip((stage.clock.at - at - 120) / lasts, 0, 1.1)
    full = at + lasts
    for pod in range(alive):
        if kind == "fds":
            stage.levers.fds[role][pod] += (
                climbs * stage.between(0.95, 1.05) * (unit.fd_limit - unit.fds)
            )
        else:
            held = climbs * stage.plant.pool_size
            stage.levers.pool[pod] += held
            stage.levers.fds[role][pod] += held
        for when in stage.moments(full, stage.clock.end, 25, 80):
            text = (
                "OSError: [Errno 24] Too many open files"
                if kind == "fds" and unit.runtime == "python"
                else "java.net.SocketException: Too many open files"
                if kind == "fds" and unit.runtime == "jvm"
                else "accept4: too many open files; retrying in 1s"
                if kind == "fds"
                else f"Connection is not available, request timed out after 30000ms (total={stage.plant.pool_size:.0f}, active={stage.plant.pool_size:.0f}, idle=0, waiting={int(stage.between(3, 60))})"
            )
            stage.say(when, "ERROR", unit.pods[pod], text)
    stage.symptom = Symptom(role, "fds")
    return Planted("resources.handle_leak", (f"service:{unit.name}",))


def noisy_neighbour(stage: Stage, fault: Fault, at: float) -> Planted:
    """Take a host's CPU: by target "tenant", seen there, or "steal", on the hypervisor."""
    number = stage.busiest_host("api")
    host, clock = stage.plant.hosts[number], stage.clock
    kind = stage.choose(fault.target, ("tenant", "steal"))
    rise = clock.ramp(at, max(fault.ramp_h * 3600, 60))
    used = stage.now(stage.calm.host_cpu[number]) * host.cores

    def pull(levers: Levers, share: float) -> None:
        if kind == "steal":
            levers.stolen[number] += min(share, 0.85) * rise
        else:
            levers.tenant[number] += max(host.cores * (0.5 + share) - used, 1.0) * rise

    stage.calibrate(pull, 0.25, 0.9, 1 + 0.7 * fault.size, at + 300 + fault.ramp_h * 3600)
    if kind == "tenant":
        stage.say(
            at,
            "INFO",
            host.tenant,
            f"job {stage.namer.text(8)} started on {host.name}: {int(stage.between(20, 400))} parts",
        )
    stage.symptom = Symptom("api", "cpu", number)
    return Planted("resources.noisy_neighbour", (f"host:{host.name}",))


def limit_lowered(stage: Stage, fault: Fault, at: float) -> Planted:
    """Cut a limit below what is used: target "cpu" or "memory"; usage is what it was."""
    kind = stage.choose(fault.target, ("cpu", "memory"))
    role = "api"
    unit, alive, clock = stage.plant.units[role], stage.alive("api"), stage.clock
    state = stage.calm.units[role]
    key = f"{unit.name}.resources.limits.{kind}"
    on = clock.ramp(at + 60)
    if kind == "cpu":

        def pull(levers: Levers, cut: float) -> None:
            levers.limit_cpu[role] *= 1 - cut * on

        cut = stage.calibrate(pull, 0.15, 0.9, 1 + fault.size, at + 600)
        new = unit.cpu_limit * (1 - cut)
        old_text, new_text = f"{unit.cpu_limit * 1000:.0f}m", f"{new * 1000:.0f}m"
    else:
        peak = float(np.nanmax(state.memory[:alive][:, ~clock.reference]))
        new = peak * (1.06 - 0.05 * min(fault.size, 1.0))
        stage.levers.limit_mem[role] *= 1 + (new / unit.mem_limit - 1) * on
        old_text, new_text = f"{unit.mem_limit / MIB:.0f}Mi", f"{new / MIB:.0f}Mi"
        for when in stage.moments(at + 600, clock.end, 1.2 * alive, 40):
            killed(stage, role, int(stage.rng.integers(alive)), when)
    stage.change(at, "config", key, old_text, new_text)
    for pod in range(alive):
        stage.levers.restart(stage.plant, clock, role, pod, at + 20 + 70.0 * pod, "deploy")
    stage.symptom = Symptom(role, kind)
    return Planted("resources.limit_lowered", (f"config:{key}",))


def demand_growth(stage: Stage, fault: Fault, at: float) -> Planted:
    """Grow load for weeks, and usage with it; size 1 is where answers at the peak take 2.5 times as long."""
    clock = stage.clock
    began = min(at, clock.start) - 7 * DAY_S
    passed = np.clip((clock.at - began) / (clock.end - began), 0, 1)

    def pull(levers: Levers, more: float) -> None:
        levers.load *= (1 + more) ** passed

    stage.calibrate(pull, 0.5, 8.0, 1 + 1.5 * fault.size, clock.split, worst=0.98)
    stage.symptom = Symptom("api", "cpu")
    names = (stage.plant.name("api"), stage.plant.name("gateway"))
    return Planted("resources.demand_growth", tuple(f"service:{name}" for name in names))


def _gpu_host(stage: Stage) -> int:
    numbers = [h for h in stage.plant.at_host("model") if stage.plant.hosts[h].gpu_bytes]
    return numbers[int(stage.rng.integers(len(numbers)))]


FAULTS: Final[dict[str, Callable[[Stage, Fault, float], Planted]]] = {
    f"resources.{plant.__name__}": plant
    for plant in (
        memory_leak, memory_step, cpu_runaway, gpu_memory, gpu_fault, disk_filling, handle_leak,
        noisy_neighbour, limit_lowered, demand_growth,
    )
}  # fmt: skip
