"""What looks alarming and is not: beside a fault, or alone in a healthy scenario."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from triagebook.drills.worlds.served.batch import Trouble
from triagebook.drills.worlds.served.clock import DAY_S, HOUR_S
from triagebook.drills.worlds.served.stage import Symptom

if TYPE_CHECKING:
    from collections.abc import Callable

    from triagebook.drills.scenario import Herring
    from triagebook.drills.worlds.served.stage import Stage


def deploy(stage: Stage, herring: Herring, at: float) -> None:
    """Deploy something that changes nothing. Target: a role; else one beside the alert."""
    stage.deploy(stage.choose(herring.target, ("gateway", "features", "cache")), at, cold=1.3)


def config(stage: Stage, herring: Herring, at: float) -> None:
    """Change a config value that has no effect."""
    key = herring.target or stage.namer.pick(("log_level", "banner_text", "metrics_interval"))
    name = stage.plant.name(stage.namer.pick(("gateway", "api", "features")))
    stage.change(at, "config", f"{name}.{key}", "info", "debug")


def noisy_log(stage: Stage, herring: Herring, at: float) -> None:
    """Log one error that has been there for weeks, and is there more often now."""
    role = stage.choose(herring.target, ("api", "features", "gateway"))
    unit = stage.plant.units[role]
    word = stage.namer.word()
    for when in [
        *stage.moments(stage.clock.start, at, 1.5, 150),
        *stage.moments(at, stage.clock.end, 12 * herring.size, 300),
    ]:
        stage.say(
            when,
            "ERROR",
            unit.pods[int(stage.rng.integers(stage.alive(role)))],
            f"could not send usage statistics to {word}: Name or service not known",
        )


def log_storm(stage: Stage, herring: Herring, at: float) -> None:
    """Log hundreds of warnings, while nobody is served worse."""
    unit = stage.plant.units["api"]
    for when in stage.moments(at, stage.clock.end, 500 * herring.size, 900):
        stage.say(
            when,
            "WARN",
            unit.pods[int(stage.rng.integers(stage.alive("api")))],
            f"DeprecationWarning: field 'legacy_id' of request {stage.namer.text(6)} will go away in v{int(stage.rng.integers(4, 9))}",
        )


def batch_elsewhere(stage: Stage, _herring: Herring, at: float) -> None:
    """Run a big job of others on a host where nothing of ours that serves runs."""
    number = stage.plant.batch_host
    host = stage.plant.hosts[number]
    stage.levers.tenant[number] += (
        0.75 * host.cores * stage.levers.wave(at, stage.between(1, 3) * HOUR_S, stage.clock)
    )
    stage.say(at, "INFO", host.tenant, f"job {stage.namer.text(8)} started on {host.name}")


def slow_replica(stage: Stage, herring: Herring, _at: float) -> None:
    """Make one replica a bit slower all along: older hardware; nothing new."""
    pod = int(stage.rng.integers(stage.alive("api")))
    stage.always_slow = pod
    usual = stage.now(stage.calm.units["api"].latency.mean_s)
    unit = stage.plant.units["api"]
    stage.levers.wait["api"][pod] *= 1 + 0.35 * herring.size * usual / unit.wait_s


def gc_noise(stage: Stage, herring: Herring, _at: float) -> None:
    """Let garbage collectors pause now and then, all week long."""
    for role in ("api", "features"):
        rows = stage.levers.gc[role]
        rows += (stage.rng.random(rows.shape) < 0.01) * stage.rng.exponential(
            0.03 * herring.size, rows.shape
        )


def gc_sawtooth(stage: Stage, herring: Herring, _at: float) -> None:
    """Let memory climb and fall back several times a day, as a heap does, all week long."""
    role = stage.choose(herring.target, ("api", "features"))
    unit = stage.plant.units[role]
    for pod in range(len(unit.pods)):
        period = stage.between(3.5, 7) * HOUR_S
        saw = (stage.clock.at / period + stage.between(0, 1)) % 1.0
        room = unit.mem_limit - float(np.nanmax(stage.calm.units[role].memory[pod]))
        stage.levers.memory[role][pod] += 0.45 * min(herring.size, 1.2) * room * saw
    stage.symptom = Symptom(role, "memory")


def traffic_peak(stage: Stage, herring: Herring, at: float) -> None:
    """Send more requests, well within capacity: a campaign. Size 1 is 60 % used."""
    factor = min(max(0.6 * min(herring.size, 1.2) / stage.tightest(), 1.15), 2.0)
    last = stage.between(1.5, 3) * HOUR_S
    stage.levers.load *= 1 + (factor - 1) * stage.levers.wave(at, last, stage.clock)


def autoscale(stage: Stage, _herring: Herring, at: float) -> None:
    """Send more requests and add replicas: the autoscaler does its job."""
    plant, levers, clock = stage.plant, stage.levers, stage.clock
    last = stage.between(2, 4) * HOUR_S
    factor = float(np.clip(0.72 / stage.tightest(), 1.15, 1.7))
    stage.levers.load *= 1 + (factor - 1) * levers.wave(at, last, clock)
    more = max(1, round((factor - 1) * plant.pods))
    for k in range(min(more, len(plant.units["api"].pods) - plant.pods)):
        pod = plant.pods + k
        ready = at + 90 + 30 * k
        levers.up["api"][pod] = ((clock.at >= ready) & (clock.at < at + last + 900)).astype(
            np.float64
        )
        stage.say(
            ready - 40,
            "INFO",
            "kubelet",
            f"Started container {plant.units['api'].name} of pod {plant.namespace}/{plant.units['api'].pods[pod]}",
            kind="Event",
        )
    stage.say(
        at + 45,
        "INFO",
        "horizontal-pod-autoscaler",
        f"New size: {plant.pods + more}; reason: cpu resource utilization (percentage of request) above target",
    )


def nightly_batch(stage: Stage, herring: Herring, at: float) -> None:
    """Run a job on a serving host every day at this hour; it slows hardly anything."""
    number = stage.busiest_host("features")
    host = stage.plant.hosts[number]
    used = stage.now(stage.calm.host_cpu[number])
    cores = max(0.15, 0.8 - used) * host.cores * min(herring.size, 1.0)
    for day in range(9):
        when = at - day * DAY_S + stage.between(-200, 200)
        wave = stage.levers.wave(when, 1.2 * HOUR_S, stage.clock)
        stage.levers.tenant[number] += cores * wave * stage.between(0.9, 1.1)
        stage.say(
            when, "INFO", host.tenant, f"job nightly-{stage.namer.text(4)} started on {host.name}"
        )
    stage.symptom = Symptom("api", "cpu", number)


def weekly_restart(stage: Stage, herring: Herring, at: float) -> None:
    """Restart the cache every week at this hour; it warms up within some minutes."""
    for week in range(3):
        when = at - week * 7 * DAY_S
        if when < stage.clock.start - HOUR_S:
            continue
        cold = np.where(
            stage.clock.at >= when, np.exp(-np.maximum(stage.clock.at - when, 0) / 700), 0
        )
        stage.levers.hit = stage.levers.hit - 0.22 * min(herring.size, 1.3) * cold
        for pod in range(len(stage.plant.units["cache"].pods)):
            stage.levers.restart(
                stage.plant,
                stage.clock,
                "cache",
                pod,
                when + pod * 70,
                "planned",
                down_s=20.0,
                cold=1.2,
            )
        stage.say(
            when,
            "INFO",
            stage.plant.name("cache"),
            "User requested shutdown (SIGTERM): saving the final RDB snapshot",
        )
        stage.say(when + 21, "INFO", stage.plant.name("cache"), "Ready to accept connections tcp")
        stage.change(
            when, "infra", f"{stage.plant.name('cache')}: weekly patching", None, None, "platform"
        )


def flaky_retry(stage: Stage, _herring: Herring, at: float) -> None:
    """Fail a task once; its second try succeeds."""
    task = stage.batch.task("ingest")
    stage.batch.troubles.append(
        Trouble(frozenset({task.path}), at, "fail", until=at + stage.batch.pipeline_of(task).every_s,
                error=lambda t, _: f"requests.exceptions.ReadTimeout: HTTPSConnectionPool(host='{t.uses[0]}', port=443): Read timed out. (read timeout=30)",
                after=0.2, once=True)
    )  # fmt: skip


def long_run(stage: Stage, herring: Herring, at: float) -> None:
    """Take longer in the run that rebuilds everything, as two weeks ago."""
    task = stage.batch.task("features")
    every = stage.batch.pipeline_of(task).every_s
    for back in (0.0, 14 * DAY_S):
        begin = at - back
        stage.batch.troubles.append(
            Trouble(
                frozenset({task.path}),
                begin,
                "slow",
                until=begin + every,
                factor=lambda _: 1 + 1.6 * herring.size,
            )
        )
    stage.change(
        at - 14 * DAY_S, "schedule", f"{task.pipeline}: fortnightly rebuild", None, None, "platform"
    )
    stage.change(at, "schedule", f"{task.pipeline}: fortnightly rebuild", None, None, "platform")


def noisy_threshold(stage: Stage, _herring: Herring, _at: float) -> None:
    """Do nothing: the alert's threshold lies where the metric is now and then anyway."""
    stage.symptom = Symptom("api", "", None)


def weekend_dip(_stage: Stage, _herring: Herring, _at: float) -> None:
    """Do nothing: it is Saturday, and there are fewer requests, as each week."""


HERRINGS: Final[dict[str, Callable[[Stage, Herring, float], None]]] = {
    h.__name__: h
    for h in (
        deploy, config, noisy_log, log_storm, batch_elsewhere, slow_replica, gc_noise, gc_sawtooth,
        traffic_peak, autoscale, nightly_batch, weekly_restart, flaky_retry, long_run,
        noisy_threshold, weekend_dip,
    )
}  # fmt: skip
NEEDS_WEEK: Final = frozenset({"weekly_restart", "weekend_dip"})
NEEDS_DAYS: Final = frozenset({"nightly_batch", "gc_sawtooth"})
ON_BATCH: Final = frozenset({"flaky_retry", "long_run"})
