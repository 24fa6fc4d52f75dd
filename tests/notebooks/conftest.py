"""Runbooks executed for real, each once a session; parallel workers share what one of them made."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import nbformat
import pytest

from tests.notebooks.attacks import hostile_bundle
from tests.notebooks.evidence import Demo, alone, demo, shared_folder, without
from triagebook.core.models import Alert, Diagnosis, IncidentType
from triagebook.core.paths import Home
from triagebook.core.settings import Settings
from triagebook.evidence.collect import collect
from triagebook.evidence.windows import windows_for
from triagebook.running.foreground import run_now

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from nbformat import NotebookNode

RUNBOOKS = {"drift": IncidentType.DRIFT, "generic": IncidentType.UNKNOWN}


@dataclass(frozen=True)
class Published:
    """A published run, and the home that it lies in."""

    home: Home
    folder: Path
    runbook: str
    evidence: str

    @cached_property
    def notebook(self) -> NotebookNode:
        return nbformat.read(self.folder / "investigation.ipynb", as_version=4)

    @cached_property
    def diagnosis(self) -> Diagnosis:
        return Diagnosis.model_validate_json((self.folder / "diagnosis.json").read_bytes())

    @property
    def result(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            (self.folder / "attempts" / "1" / "result.json").read_text(encoding="utf-8")
        )
        return found

    def code_cells(self) -> dict[str, NotebookNode]:
        return {cell["id"]: cell for cell in self.notebook.cells if cell.cell_type == "code"}

    def html(self, cell: str) -> str:
        outputs = self.code_cells()[cell].outputs
        return "".join(o.data["text/html"] for o in outputs if "text/html" in o.get("data", {}))


@pytest.fixture(scope="session")
def flights(tmp_path_factory: pytest.TempPathFactory, world_cache: Path) -> Demo:
    return demo(tmp_path_factory, world_cache)


@pytest.fixture(scope="session")
def published(
    tmp_path_factory: pytest.TempPathFactory, flights: Demo
) -> Callable[[str, str], Published]:
    """Return a function: runbook and evidence in, the published run out."""
    base = shared_folder(tmp_path_factory, "executed")

    def once(runbook: str, evidence: str) -> Published:
        root = base / f"{evidence}-{runbook}"
        with alone(root):
            if not (root / "whole").exists():
                shutil.rmtree(root, ignore_errors=True)
                _execute(root, runbook, evidence, flights)
                (root / "whole").touch()
        home = Home(root / "home")
        return Published(home, home.run_dir("I-1"), runbook, evidence)

    return once


def _execute(root: Path, runbook: str, evidence: str, flights: Demo) -> None:
    kind = RUNBOOKS[runbook]
    home = Home(root / "home")
    settings, alert, bundle = Settings(), Alert(title="by hand", service="shop"), None
    if evidence in ("demo", "sources-gone"):
        home.root.mkdir(parents=True)
        shutil.copyfile(flights.home.config, home.config)
        settings, alert = flights.settings, flights.alert
        if evidence == "demo":
            shutil.copytree(flights.home.root / "data", home.root / "data")
    elif evidence == "no-predictions":
        bundle = without(flights.evidence, root / "bundle", "tables/predictions")
        alert = flights.alert
    elif evidence == "hostile":
        bundle = hostile_bundle(root / "bundle")
    elif evidence == "empty":
        bundle = empty_bundle(root / "bundle", flights.alert.starts_at)
    run_now(
        home,
        settings,
        incident_id="I-1",
        alert=alert.model_copy(update={"incident_type": kind}),
        runbook=runbook,
        bundle=bundle,
        parameters={"incident_id": "I-1", "incident_type": kind.value},
    )


def empty_bundle(into: Path, at: datetime | None) -> Path:
    """Collect for a service that nobody configured: every kind is in the ledger, none is there."""
    alert = Alert(title="by hand", service="shop", starts_at=at)
    windows = windows_for(alert, None, at)
    place = {"root": into.parent, "incident_id": None, "into": into}
    return collect(Settings(), None, alert, windows, **place).root


# Each kind of evidence with the runbook that has more to lose by it; a run takes up to 15 s of a core.
PAIRS = (
    "demo/drift",
    "empty/generic",
    "hostile/drift",
    "hostile/generic",
    "no-predictions/generic",
    "sources-gone/drift",
)


@pytest.fixture(scope="session", params=PAIRS)
def run(request: pytest.FixtureRequest, published: Callable[[str, str], Published]) -> Published:
    evidence, _, runbook = request.param.partition("/")
    return published(runbook, evidence)


@pytest.fixture
def moved_away(published: Callable[[str, str], Published], tmp_path: Path) -> Published:
    """Return a copy of a run with findings, alone: no home, no settings, no data."""
    made = published("generic", "hostile")
    folder = tmp_path / "elsewhere" / "runs" / "I-1"
    shutil.copytree(made.folder, folder, ignore=shutil.ignore_patterns("attempts", "figures"))
    return replace(made, home=Home(tmp_path / "elsewhere"), folder=folder)
