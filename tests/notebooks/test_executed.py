"""Both runbooks, executed by papermill in real kernels, on good, poor and hostile evidence."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest

from tests.notebooks.attacks import ANSI, EMOJI, QUOTES, RTL, SCRIPT
from tests.notebooks.evidence import WINDOWS
from triagebook.core.models import IncidentType
from triagebook.display.answer import VERDICTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.notebooks.conftest import Published

# A fixture executes the notebook, and the first of all builds the demo: both may take a while.
pytestmark = pytest.mark.slow

SILENT = {"parameters", "injected-parameters"}  # cells' tags; papermill gives its own a random id
PNG = b"\x89PNG\r\n\x1a\n"


def test_every_cell_ran_and_none_failed(run: Published):
    assert (run.result["status"], run.result["cells"]) == ("executed", len(run.code_cells()))
    for key in ("failed_cells", "timed_out_cells", "not_run_cells"):
        assert run.result[key] == []
    assert run.notebook.metadata.triagebook.status == "complete"
    statuses = {c: cell.metadata.papermill.status for c, cell in run.code_cells().items()}
    assert set(statuses.values()) == {"completed"}, statuses


def test_every_code_cell_says_something_and_nothing_on_standard_error(run: Published):
    for name, cell in run.code_cells().items():
        kinds = [o.output_type for o in cell.outputs]
        if SILENT & set(cell.metadata.get("tags", [])):
            assert kinds == []
        else:
            assert kinds, name
            assert set(kinds) == {"display_data"}, (name, cell.outputs)


def test_the_answer_comes_first_and_holds_the_verdict(run: Published):
    html = run.html("answer")
    assert f">{VERDICTS[run.diagnosis.verdict]}</span>" in html
    assert f">{run.diagnosis.severity.level}</span>" in html
    shown = [c for c in run.code_cells() if run.html(c)]
    assert shown[:2] == ["open-run", "answer"]


def test_the_files_of_a_run_are_there_and_real(run: Published):
    names = {path.name for path in run.folder.iterdir()}
    assert {"investigation.ipynb", "diagnosis.json", "evidence", "report.html"} <= names
    figures = list((run.folder / "figures").glob("*.png")) if "figures" in names else []
    for path in figures:
        data = path.read_bytes()
        assert data.startswith(PNG)
        assert data.endswith(b"IEND\xaeB`\x82")
    rich = run.evidence in ("demo", "no-predictions", "hostile")
    assert bool(figures) or not rich
    assert not [p for p in run.folder.rglob("*.part") if "attempts" not in p.parts]


def test_evidentlys_report_lies_beside_a_drift_notebook(run: Published):
    sidecar = run.folder / "evidently.html"
    rich = run.evidence in ("demo", "no-predictions", "hostile")
    assert sidecar.exists() == (rich and run.runbook == "drift")
    if sidecar.exists():
        assert sidecar.stat().st_size > 100_000
        assert "evidently.html" in run.html("evidently")
    elif run.runbook == "drift":
        assert "was not made" in run.html("evidently")


def test_outputs_do_not_name_the_home(run: Published):
    for name, cell in run.code_cells().items():
        assert str(run.home.root) not in str(cell.outputs), name


def test_the_diagnosis_is_about_this_run(run: Published):
    found = run.diagnosis
    given = {"no-predictions": "collected"}  # the bundle was made for another incident
    assert found.incident_id == given.get(run.evidence, "I-1")
    kinds = {"drift": {IncidentType.DRIFT}, "generic": set(IncidentType)}
    assert found.incident_type in kinds[run.runbook]
    known = {f.id for f in found.findings}
    assert len(known) == len(found.findings)
    for hypothesis in found.hypotheses:
        assert set(hypothesis.for_) | set(hypothesis.against) <= known
    total = found.none_of_these + sum(h.confidence for h in found.hypotheses)
    assert total == pytest.approx(1.0, abs=1e-6)
    pulls = {entry.id for entry in found.ledger}
    assert all(set(f.evidence) <= pulls for f in found.findings)


def test_every_finding_is_shown_by_the_cell_it_names(run: Published):
    for finding in run.diagnosis.findings:
        assert finding.cell in run.code_cells(), finding
        # Those that could not be seen for one reason share a line: "F19, F20 · L01".
        assert re.search(rf"\b{finding.id}(, F\d+)* ·", run.html(finding.cell)), finding


def test_no_check_broke(run: Published):
    broken = [
        f.statement for f in run.diagnosis.findings if re.match(r"The check .* failed", f.statement)
    ]
    assert broken == []


def test_no_chart_broke(run: Published):
    for name in run.code_cells():
        assert "could not be drawn" not in run.html(name), name


@pytest.mark.parametrize("runbook", ["drift", "generic"])
def test_the_demo_is_solved(published: Callable[[str, str], Published], runbook: str):
    found = published(runbook, "demo").diagnosis
    assert found.verdict == "cause_found"
    first = found.hypotheses[0]
    assert (first.cause, first.locus) == ("data.unit_change", "column:flights.distance")


@pytest.mark.parametrize(("runbook", "evidence"), [("generic", "empty"), ("drift", "sources-gone")])
def test_without_evidence_nothing_is_found_and_what_is_missing_is_said(
    published: Callable[[str, str], Published], runbook: str, evidence: str
):
    run = published(runbook, evidence)
    assert run.diagnosis.verdict == "inconclusive"
    assert not [f for f in run.diagnosis.findings if f.verdict == "bad"]
    word = "not configured" if evidence == "empty" else "unavailable"
    assert word in run.html("answer")
    statuses = {e.status for e in run.diagnosis.ledger}
    assert statuses <= {"not_configured", "unavailable", "ok"}
    assert word.replace(" ", "_") in statuses


def test_a_table_that_is_gone_is_named(published: Callable[[str, str], Published]):
    run = published("generic", "no-predictions")
    assert "predictions: unavailable" in run.html("answer")
    gone = [e for e in run.diagnosis.ledger if e.status == "unavailable"]
    assert {e.source.partition(":")[2].split("/")[0] for e in gone} == {"predictions"}
    # What the other tables show is still found.
    assert run.diagnosis.hypotheses[0].locus == "column:flights.distance"


class _Shape(HTMLParser):
    """Collect tags, attributes and text of a page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.addresses: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.addresses += [str(value) for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("runbook", ["drift", "generic"])
def test_hostile_text_is_shown_as_text_only(
    published: Callable[[str, str], Published], runbook: str
):
    run = published(runbook, "hostile")
    shape = _Shape()
    for name in run.code_cells():
        shape.feed(run.html(name))
    assert shape.tags.isdisjoint({"script", "iframe", "svg", "style", "form", "object", "link"})
    assert not [name for name in shape.attributes if name.startswith("on")]
    assert all(a.startswith(("#cell-id=", "data:image/png;base64,")) for a in shape.addresses)
    assert SCRIPT in shape.text
    assert QUOTES in shape.text
    assert EMOJI in shape.text
    assert not set("\x1b\u202e\u202c") & set(shape.text)


@pytest.mark.parametrize("runbook", ["drift", "generic"])
def test_hostile_text_is_harmless_in_a_terminal_too(
    published: Callable[[str, str], Published], runbook: str
):
    run = published(runbook, "hostile")
    plain = [
        output.data.get("text/plain", "")
        for cell in run.code_cells().values()
        for output in cell.outputs
    ]
    assert not [text for text in plain if ANSI in text or RTL in text]


@pytest.mark.parametrize("runbook", ["drift", "generic"])
def test_the_fault_is_found_whatever_it_is_called(
    published: Callable[[str, str], Published], runbook: str
):
    found = published(runbook, "hostile").diagnosis
    assert SCRIPT in found.hypotheses[0].locus
    assert found.onset is not None
    assert WINDOWS.current[0] < found.onset.at < WINDOWS.current[1]


def _scraps(run: Published, monkeypatch: pytest.MonkeyPatch) -> Any:
    # papermill reads addresses in notebooks' names; scrapbook asks it about local files only.
    monkeypatch.chdir(run.folder)
    import scrapbook  # noqa: PLC0415 - imports papermill and more: two seconds, here alone

    return scrapbook.read_notebook("investigation.ipynb")


def test_scrapbook_reads_the_key_findings(run: Published, monkeypatch: pytest.MonkeyPatch):
    book = _scraps(run, monkeypatch)
    found = run.diagnosis
    data = {name: scrap.data for name, scrap in book.scraps.items()}
    assert data["incident_id"] == found.incident_id
    assert data["incident_type"] == found.incident_type
    assert data["service"] == found.service.name
    assert data["verdict"] == found.verdict
    assert data["severity"] == found.severity.level
    assert data["summary"] == found.summary
    assert data["none_of_these"] == pytest.approx(found.none_of_these)
    assert [h["cause"] for h in data["hypotheses"]] == [h.cause for h in found.hypotheses]
    assert ("onset" in data) == (found.onset is not None)
    assert len(data["impact"]) == len(found.impact)
    bad = [f for f in found.findings if f.verdict == "bad"]
    assert [f["statement"] for f in data["bad_findings"]] == [f.statement for f in bad]
    assert {f"finding {f.id}" for f in bad} <= set(data)


def test_scrapbook_reads_a_folder_of_runs(
    published: Callable[[str, str], Published], monkeypatch: pytest.MonkeyPatch
):
    import scrapbook  # noqa: PLC0415 - as above

    run = published("drift", "demo")
    monkeypatch.chdir(run.home.runs)
    books = scrapbook.read_notebooks(run.folder.name)
    assert "investigation" in books.notebooks or list(books)
    verdicts = [book.scraps["verdict"].data for book in books.notebooks]
    assert verdicts == ["cause_found"]
