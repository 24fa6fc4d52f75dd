"""Where faults and red herrings are registered by name, and how each is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from triagebook.core.errors import ScenarioError

if TYPE_CHECKING:
    from collections.abc import Callable

    from triagebook.drills.scenario import Fault, Herring
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


def plant_all(stage: Stage) -> None:
    """Plant a scenario's faults and red herrings.

    Raises
    ------
    ScenarioError
        A cause or kind that this world cannot play.
    """
    for fault in stage.scenario.fault:
        if fault.cause not in FAULTS:
            raise ScenarioError(
                f"{stage.scenario.name}: this world cannot plant {fault.cause}",
                f"it can: {', '.join(sorted(FAULTS))}",
            )
        FAULTS[fault.cause](stage, fault)
    for herring in stage.scenario.herring:
        if herring.kind not in HERRINGS:
            raise ScenarioError(
                f"{stage.scenario.name}: this world has no red herring {herring.kind!r}",
                f"it has: {', '.join(sorted(HERRINGS))}",
            )
        HERRINGS[herring.kind](stage, herring)
