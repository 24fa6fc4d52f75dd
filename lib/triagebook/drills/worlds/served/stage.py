"""Where a play is put on: the plant, its clock and levers, and what people and logs say meanwhile."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from triagebook.core.models import Change
from triagebook.drills.worlds.served.clock import moment
from triagebook.drills.worlds.served.running import run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from triagebook.drills.worlds.served.batch import Batch
    from triagebook.drills.worlds.served.clock import Clock
    from triagebook.drills.worlds.served.levers import Levers
    from triagebook.drills.worlds.served.plant import Plant
    from triagebook.drills.worlds.served.running import State, Weather
    from triagebook.drills.worlds.served.words import Namer


T = TypeVar("T", "Clock", "Levers", "Weather")


@dataclass(frozen=True)
class Line:
    """One line of a log."""

    at: float
    severity: str
    source: str
    message: str
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass
class Symptom:
    """What an alert of a fault would be about, where its type leaves the choice.

    Attributes
    ----------
    role : str
        Of the service that hurts; of what a resource alert is about.
    resource : str
        memory, cpu, disk, gpu, card, fds; "" where none is short.
    host : int or None
        Where the resource is a host's.
    """

    role: str = "api"
    resource: str = ""
    host: int | None = None


def at_times(item: T, seen: npt.NDArray[np.bool_]) -> T:
    """Return a dataclass of arrays with only some moments of each, for what has no memory."""

    def cut(value: Any) -> Any:
        if isinstance(value, np.ndarray) and value.shape[-1:] == seen.shape:
            return value[..., seen]
        if isinstance(value, dict):
            return {key: cut(entry) for key, entry in value.items()}
        return value

    return replace(item, **{f.name: cut(getattr(item, f.name)) for f in fields(item)})


@dataclass
class Stage:
    """Everything a fault or a herring may touch.

    Attributes
    ----------
    calm : State
        How it would run with nothing wrong: what sizes are measured against.
    always_slow : int or None
        The replica of the API that has always been slower.
    """

    plant: Plant
    clock: Clock
    levers: Levers
    calm: State
    batch: Batch
    namer: Namer
    rng: np.random.Generator
    weather: Weather
    changes: list[Change] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    symptom: Symptom = field(default_factory=Symptom)
    always_slow: int | None = None

    def between(self, low: float, high: float) -> float:
        """Draw a number."""
        return float(self.rng.uniform(low, high))

    def chance(self, share: float) -> bool:
        """Tell whether something happens."""
        return bool(self.rng.random() < share)

    def choose(self, target: str, options: Sequence[str]) -> str:
        """Return the target where the scenario names one, else draw one."""
        return target or self.namer.pick(options)

    def change(self, at: float, kind: str, what: str, old: str | None = None, new: str | None = None,
               by: str | None = None) -> None:  # fmt: skip
        """Put something into the change log."""
        slug = "".join(c if c.isalnum() else "-" for c in what.split(" ", maxsplit=1)[0])
        self.changes.append(
            Change.model_validate(
                {"ts": moment(at), "kind": kind, "what": what, "from": old, "to": new,
                 "by": by or self.namer.person(),
                 "url": f"https://changes.example/{kind}/{slug}/{int(at) % 100_000}"}
            )
        )  # fmt: skip

    def deploy(self, role: str, at: float, *, what: str | None = None, cold: float = 2.0) -> None:
        """Deploy a service: its replicas restart one after another, a minute apart."""
        major = int(self.rng.integers(20, 400))
        name = self.plant.name(role)
        self.change(at, "deploy", what or name, f"v{major}", f"v{major + 1}")
        for pod in range(self.alive(role)):
            when = at + 40 + pod * self.between(60, 90)
            self.levers.restart(self.plant, self.clock, role, pod, when, "deploy", cold=cold)
            self.say(when, "INFO", self.plant.units[role].pods[pod], f"Stopping: SIGTERM received, draining {int(self.rng.integers(1, 9))} requests")  # fmt: skip
            self.say(when + 44, "INFO", self.plant.units[role].pods[pod], f"Started {name} v{major + 1} in {self.between(4, 30):.1f} s")  # fmt: skip

    def say(self, at: float, severity: str, source: str, message: str, **attributes: Any) -> None:
        """Log a line."""
        if self.clock.start <= at < self.clock.end:
            self.lines.append(Line(at, severity, source, message, attributes))

    def moments(self, since: float, until: float, each_h: float, most: int = 400) -> list[float]:
        """Draw when something that comes so often an hour happened, sorted."""
        until = min(until, self.clock.end)
        if until <= since:
            return []
        count = min(int(self.rng.poisson((until - since) / 3600 * each_h)), most)
        return sorted(float(t) for t in self.rng.uniform(since, until, size=count))

    def alive(self, role: str) -> int:
        """Return how many replicas are up at rest."""
        return self.plant.pods if role == "api" else len(self.plant.units[role].pods)

    def now(self, values: np.ndarray[Any, Any]) -> float:
        """Return the mean over the current window."""
        return float(np.nanmean(values[..., ~self.clock.reference]))

    def pressure(self, role: str) -> float:
        """Return the larger of cores wanted over the limit and workers busy, in the calm, now."""
        state, unit = self.calm.units[role], self.plant.units[role]
        alive = self.alive(role)
        cpu = self.now(state.wanted[:alive] / state.limit[:alive])
        held = state.rate[:alive] * state.per_pod.mean_s[:alive]
        return max(cpu, self.now(held) / unit.workers)

    def tightest(self) -> float:
        """Return the pressure of the service that more load would bring down first."""
        return max(self.pressure(role) for role in self.plant.units)

    def calibrate(self, pull: Callable[[Levers, float], None], low: float, high: float, goal: float,
                  since: float, role: str = "api", worst: float = 0.95) -> float:  # fmt: skip
        """Pull a lever just so far that a service's mean latency grows to `goal` times what it was.

        Queues make some systems break where others hardly notice; a size has to mean the same in
        both. Where not even `high` does it, `high` it is.

        Parameters
        ----------
        pull : callable
            From levers and an amount to the levers moved by it.
        low, high : float
            Amounts to search between, above 0.
        goal : float
            Above 1.
        since : float
            Unix seconds; what comes after is looked at.
        worst : float
            Quantile over time that is to grow so far.

        Returns
        -------
        float
            The amount, which has been pulled.
        """
        seen = self.clock.at >= min(
            since, self.clock.end - 0.2 * (self.clock.end - self.clock.split)
        )
        weather, here = at_times(self.weather, seen), at_times(self.clock, seen)

        def latency(levers: Levers) -> float:
            state = run(self.plant, here, at_times(levers, seen), weather)
            # The worst of the time counts: at the peak a system breaks first.
            return float(np.quantile(state.units[role].latency.mean_s, worst))

        usual = latency(self.levers)
        best, first = low, high
        for _ in range(8):
            trial = copy.deepcopy(self.levers)
            pull(trial, first)
            grown = latency(trial) / usual
            if grown <= goal:
                best = low = first
            else:
                high = first
            if best >= high:
                break
            first = float(np.sqrt(low * high))
        pull(self.levers, best)
        return best

    def busiest_host(self, role: str) -> int:
        """Return the host with the most replicas of a service that are up at rest."""
        where = self.plant.units[role].hosts[: self.alive(role)]
        return max(sorted(set(where)), key=where.count)
