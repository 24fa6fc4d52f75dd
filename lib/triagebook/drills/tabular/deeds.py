"""Where faults and red herrings are registered by name, and how each is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from triagebook.core.errors import ScenarioError

if TYPE_CHECKING:
    from collections.abc import Callable

    from triagebook.drills.scenario import Fault, Herring, Scenario, World
    from triagebook.drills.tabular.stage import Stage

Plant: TypeAlias = "Callable[[Stage, Fault], None]"
Distract: TypeAlias = "Callable[[Stage, Herring], None]"

FAULTS: dict[str, Plant] = {}
"""Causes of the catalogue, and how each is planted."""
HERRINGS: dict[str, Distract] = {}
"""Kinds of red herring."""


def plants(cause: str) -> Callable[[Plant], Plant]:
    """Return a decorator that registers how a cause is planted."""

    def keep(plant: Plant) -> Plant:
        FAULTS[cause] = plant
        return plant

    return keep


def distracts(kind: str) -> Callable[[Distract], Distract]:
    """Return a decorator that registers a red herring."""

    def keep(distract: Distract) -> Distract:
        HERRINGS[kind] = distract
        return distract

    return keep


def check(world: World, scenario: Scenario) -> None:
    """Raise ScenarioError where a world cannot play a scenario."""
    asked = (
        ("cause", {fault.cause for fault in scenario.fault} - world.causes, world.causes),
        ("red herring", {h.kind for h in scenario.herring} - world.herrings, world.herrings),
    )
    for what, unknown, known in asked:
        if unknown:
            raise ScenarioError(
                f"{scenario.name}: this world has no {what} {', '.join(sorted(unknown))}",
                f"it has: {', '.join(sorted(known))}",
            )


def plant_all(stage: Stage) -> None:
    """Plant a scenario's faults and red herrings."""
    for fault in stage.scenario.fault:
        FAULTS[fault.cause](stage, fault)
    for herring in stage.scenario.herring:
        HERRINGS[herring.kind](stage, herring)
