"""A scenario: a world, its faults, what distracts from them, what cannot be seen; played, it is a bundle.

Everything a scenario makes is simulated, and its truth is known because it was planted.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from triagebook.core.errors import ScenarioError
from triagebook.core.models import IncidentType
from triagebook.core.registry import Registry
from triagebook.evidence.bundle import Bundle, write_bundle

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    import pandas as pd

    from triagebook.core.models import (
        Alert,
        Change,
        Edge,
        LedgerEntry,
        Service,
        TableSpec,
        TaskRun,
        Windows,
    )

FOLDER = Path(__file__).parent / "scenarios"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Fault(_Strict):
    """One planted fault.

    Attributes
    ----------
    cause : str
        Of the catalogue.
    target : str
        The world's own word for where it enters, such as "amount"; "" lets the world choose by seed.
    size : float
        1 is plain to see; a world says in its docstring what less and more mean.
    onset_h : float
        Hours before the window's end.
    ramp_h : float
        Hours from nothing to full size; 0 is a step.
    share : float
        Share of rows, requests or replicas it touches, (0, 1].
    """

    cause: str
    target: str = ""
    size: float = Field(default=1.0, gt=0)
    onset_h: float = Field(default=6.0, gt=0)
    ramp_h: float = Field(default=0.0, ge=0)
    share: float = Field(default=1.0, gt=0, le=1)


class Herring(_Strict):
    """Something that looks like a cause and is none; or, in a healthy scenario, what looks alarming."""

    kind: str
    target: str = ""
    size: float = Field(default=1.0, gt=0)
    onset_h: float = Field(default=6.0, gt=0)


class Scenario(_Strict):
    """One file of `drills/scenarios/`.

    Attributes
    ----------
    name : str
        The file's name without its ending.
    world : str
    incident_type : IncidentType
        What the alert says it is; the fault may be another.
    difficulty : "plain", "hard" or "healthy"
        Healthy scenarios have no fault.
    missing : tuple of str
        Evidence that could not be had: metrics, logs, changes, pipeline, topology, or `tables:NAME`
        with the world's own word for the table.
    decisive : bool
        Whether what is missing is what would decide; then "inconclusive" is right as well.
    """

    name: str
    title: str
    world: str
    incident_type: IncidentType
    difficulty: Literal["plain", "hard", "healthy"]
    fault: tuple[Fault, ...] = ()
    herring: tuple[Herring, ...] = ()
    missing: tuple[str, ...] = ()
    decisive: bool = False


@dataclass(frozen=True)
class Planted:
    """What a right answer names: the cause, and the loci that are right for it."""

    cause: str
    loci: tuple[str, ...]


@dataclass(frozen=True)
class Truth:
    """What was planted.

    Attributes
    ----------
    answers : tuple of Planted
        One for each fault; empty where nothing is wrong.
    onset : datetime or None
        UTC, of the first fault.
    step_s : float
        Seconds between two samples of what shows it, to measure the onset in.
    inconclusive : bool
        Whether that verdict is right as well.
    """

    answers: tuple[Planted, ...]
    onset: datetime | None
    step_s: float
    inconclusive: bool = False


@dataclass
class Play:
    """A scenario played for one seed: a bundle's parts, and the truth. None means not configured."""

    truth: Truth
    alert: Alert
    service: Service
    windows: Windows
    ledger: Sequence[LedgerEntry]
    metrics: pd.DataFrame | None = None
    metrics_meta: Mapping[str, Any] | None = None
    logs: pd.DataFrame | None = None
    tables: Mapping[str, tuple[TableSpec, Any, Any]] = field(default_factory=dict)
    changes: Sequence[Change] | None = None
    pipeline: Sequence[TaskRun] | None = None
    topology: Sequence[Edge] | None = None

    def write(self, into: Path) -> Bundle:
        """Write the bundle; BundleError where the folder is there already."""
        parts = {k: v for k, v in vars(self).items() if k != "truth"}
        return Bundle.read(write_bundle(into, **parts))


class World(Protocol):
    """A made-up company: it plays scenarios, with names, sizes and shapes drawn anew for each seed."""

    causes: frozenset[str]
    """What it can plant."""
    herrings: frozenset[str]
    """What it can distract with."""

    def play(self, scenario: Scenario, seed: int) -> Play:
        """Play a scenario; the same seed gives the same bundle. ScenarioError for what it cannot plant."""


WORLDS: Registry[World] = Registry("world", "triagebook.drills.worlds", "triagebook.worlds")
"""All worlds, by name."""


def read_scenario(path: Path) -> Scenario:
    """Read a scenario's file.

    Raises
    ------
    ScenarioError
        Not TOML, or a key or value that is none.
    """
    try:
        return Scenario.model_validate(
            {"name": path.stem, **tomllib.loads(path.read_text(encoding="utf-8"))}
        )
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError) as error:
        raise ScenarioError(
            f"{path} is no scenario: {error}", "compare it with those in drills/scenarios"
        ) from error


def library(folder: Path = FOLDER) -> list[Scenario]:
    """Return every scenario of a folder, by name."""
    return [read_scenario(path) for path in sorted(folder.glob("*.toml"))]
