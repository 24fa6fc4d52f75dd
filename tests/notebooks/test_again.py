"""A published run, looked at again: replayed, re-executed in place, and one with a broken cell."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.notebooks.conftest import empty_bundle
from tests.notebooks.evidence import NOW
from triagebook.core.models import Alert, Diagnosis
from triagebook.core.paths import Home, notebooks_dir
from triagebook.core.settings import ServerSettings, Settings
from triagebook.diagnosis.diagnose import replay
from triagebook.running.foreground import ForegroundRun, run_now

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.notebooks.conftest import Published

pytestmark = pytest.mark.slow


def _timeless(diagnosis: Diagnosis) -> dict[str, Any]:
    return diagnosis.model_dump(exclude={"timings"})


@pytest.mark.parametrize(
    ("runbook", "evidence"),
    [
        ("drift", "demo"),
        ("generic", "no-predictions"),
        ("generic", "empty"),
        ("drift", "sources-gone"),
    ],
)
def test_a_replay_gives_the_same_answer(
    published: Callable[[str, str], Published], runbook: str, evidence: str
):
    run = published(runbook, evidence)
    again = replay(run.folder / "evidence", "unknown" if runbook == "generic" else "drift")
    assert _timeless(again) == _timeless(run.diagnosis)


def test_a_replay_elsewhere_gives_the_same_answer_and_changes_nothing(moved_away: Published):
    evidence = moved_away.folder / "evidence"
    before = {path: path.stat().st_mtime_ns for path in evidence.rglob("*")}
    again = replay(evidence, "unknown")
    assert _timeless(again) == _timeless(moved_away.diagnosis)
    assert {path: path.stat().st_mtime_ns for path in evidence.rglob("*")} == before


def test_executed_again_in_place_it_reads_its_evidence_and_asks_nobody(moved_away: Published):
    # No settings and no data are left: whatever it asked would be missing from the answer.
    evidence = moved_away.folder / "evidence"
    before = {path: path.stat().st_mtime_ns for path in evidence.rglob("*")}
    book = copy.deepcopy(moved_away.notebook)
    for cell in book.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    client = NotebookClient(
        book,
        timeout=120,
        kernel_name="python3",
        resources={"metadata": {"path": str(moved_away.folder)}},
    )
    client.execute()
    answers = [
        next(o.data["text/html"] for o in cell.outputs if "text/html" in o.data)
        for cell in book.cells
        if cell.id == "answer"
    ]
    old = moved_away.code_cells()["answer"].outputs
    assert answers == [next(o.data["text/html"] for o in old if "text/html" in o.data)]
    written = Diagnosis.model_validate_json((moved_away.folder / "diagnosis.json").read_bytes())
    assert _timeless(written) == _timeless(moved_away.diagnosis)
    assert {path: path.stat().st_mtime_ns for path in evidence.rglob("*")} == before
    figures = {path.name for path in (moved_away.folder / "figures").iterdir()}
    assert {"symptom.png", "symptom-narrow.png", "data.png", "around.png"} <= figures


def _damaged_run(home: Home) -> ForegroundRun:
    """Run drift's notebook with a cell that divides by nought and one that asks for no section."""
    book = nbformat.read(notebooks_dir() / "drift.ipynb", as_version=4)
    place = next(n for n, cell in enumerate(book.cells) if cell.id == "fault")
    for ident, source in (("divides", "1 / 0"), ("unknown", 'run.show("no-such-section")')):
        cell = nbformat.v4.new_code_cell(source)
        cell["id"] = ident
        book.cells.insert(place, cell)
    (home.root / "runbooks").mkdir()
    nbformat.write(book, home.root / "runbooks" / "damaged.ipynb")
    return run_now(
        home,
        Settings(server=ServerSettings(notebooks="runbooks", warm=0)),
        incident_id="I-1",
        alert=Alert(title="by hand", service="shop"),
        runbook="damaged",
        bundle=empty_bundle(home.root / "bundle", NOW),
        parameters={"incident_id": "I-1"},
    )


def test_a_cell_that_raises_costs_itself_and_is_published(tmp_path: Path):
    # It is drift's notebook for an alert of no type: all its other sections are shown as well.
    done = _damaged_run(Home(tmp_path))
    assert done.result.status == "executed"
    assert done.result.failed_cells == ["unknown", "divides"]
    assert done.result.not_run_cells == []
    book = nbformat.read(done.folder / "investigation.ipynb", as_version=4)
    cells = {cell.id: cell for cell in book.cells if cell.cell_type == "code"}
    assert cells["divides"].outputs[-1].ename == "ZeroDivisionError"
    assert cells["divides"].metadata.triagebook.status == "failed"
    said = cells["unknown"].outputs[-1]
    assert said.ename == "NotFoundError"
    assert "there are: around, arrival, data" in said.evalue
    assert cells["provenance"].metadata.papermill.status == "completed"
    assert cells["provenance"].outputs
    report = (done.folder / "report.html").read_text(encoding="utf-8")
    assert "ZeroDivisionError: division by zero" in report
    assert (done.folder / "diagnosis.json").is_file()
