"""What a notebook calls: open a run by hand, show its sections, and what goes wrong on the way."""

from __future__ import annotations

import json
import logging
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from tests.notebooks.attacks import ANSI
from tests.notebooks.evidence import ONSET, WINDOWS, changes, rows, series, small, table
from triagebook import nb
from triagebook.charts._style import CHARTS
from triagebook.core.errors import NotFoundError, SettingsError
from triagebook.core.models import Alert, Diagnosis, RunRequest, to_json
from triagebook.core.times import iso
from triagebook.diagnosis.diagnose import replay
from triagebook.evidence.bundle import Bundle

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Shown = list[dict[str, Any]]

CONFIG = """
[[service]]
name = "shop"
kind = "model"
window = "48h"
reference = "14d"
escalation = ["ann", "bob"]

[[service.metrics]]
source = "files"
path = "metrics.parquet"
"""


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Shown:
    """Catch what is displayed: without a kernel, IPython would only print it."""
    out: Shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, **_: out.append(data))
    return out


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small bundle with a fault; it names no incident, as those of others do."""
    return small(
        tmp_path_factory.mktemp("bundle") / "evidence",
        tables={"orders": table("raw"), "served": table("predictions")},
        changes=changes(2),
        metrics=series(),
    )


@pytest.fixture
def folder(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working folder of a notebook, with evidence in it."""
    place = tmp_path / "runs" / "I-7"
    shutil.copytree(bundle, place / "evidence")
    monkeypatch.chdir(place)
    return place


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a home whose service has one metric."""
    root = tmp_path / "home"
    root.mkdir()
    (root / "triagebook.toml").write_text(CONFIG, encoding="utf-8")
    series().to_parquet(root / "metrics.parquet")
    return root


def _html(shown: Shown) -> str:
    return "".join(data.get("text/html", "") for data in shown)


def _scraps(shown: Shown) -> dict[str, Any]:
    kind = "application/scrapbook.scrap.json+json"
    return {data[kind]["name"]: data[kind]["data"] for data in shown if kind in data}


def _request(home: Path, **more: Any) -> RunRequest:
    fields = {
        "incident_id": "I-8",
        "incident_type": "drift",
        "service": "shop",
        "runbook": "drift",
        "alert": Alert(title="psi", service="shop", starts_at=ONSET),
        "home": str(home),
        "attempt": 1,
    }
    return RunRequest.model_validate({**fields, **more})


def test_evidence_that_is_there_is_read_and_nothing_is_asked(folder: Path, shown: Shown):
    run = nb.open_run(incident_type="drift")
    assert (run.folder, run.settings) == (folder, None)
    assert run.bundle.tables["orders"].current is not None
    written = Diagnosis.model_validate_json((folder / "diagnosis.json").read_bytes())
    assert written == run.diagnosis
    assert "4 pulls, 0 of them without an answer" in _html(shown)


@pytest.mark.parametrize(
    ("given", "asked", "said"), [("I-9", True, "I-9"), ("", True, "I-8"), ("", False, "I-7")]
)
def test_a_bundle_of_others_takes_the_incidents_id(
    folder: Path, home: Path, shown: Shown, given: str, asked: bool, said: str
):
    # The parameter first, then the request, then the folder; never the attempt's number.
    if asked:
        (folder / "request.json").write_text(to_json(_request(home)), encoding="utf-8")
    run = nb.open_run(incident_id=given)
    assert run.diagnosis.incident_id == said
    run.answer()
    assert _scraps(shown)["incident_id"] == said


def _no_diagnosis(*_: Any, **__: Any) -> Any:
    message = "the evidence was diagnosed once more"
    raise AssertionError(message)


def test_opened_again_what_was_found_is_loaded_and_charts_are_made_when_asked_for(
    folder: Path, shown: Shown, monkeypatch: pytest.MonkeyPatch
):
    del folder
    first = nb.open_run(incident_type="drift")
    with monkeypatch.context() as patch:
        patch.setattr(nb, "diagnose", _no_diagnosis)
        again = nb.open_run(incident_type="drift")
        assert again.diagnosis == first.diagnosis
        with pytest.raises(AssertionError, match="once more"):
            again.answer()
    shown.clear()
    again.answer()
    assert first.diagnosis.summary in str(shown[0]["text/plain"])


@pytest.mark.parametrize(
    "change",
    [
        lambda known: known | {"versions": {"triagebook": "0.0.0"}},
        lambda known: known | {"ledger": []},
        lambda known: known | {"incident_type": "latency"},
        lambda _: {"no": "diagnosis"},
    ],
    ids=["another version", "other evidence", "another question", "something else"],
)
def test_what_answers_something_else_is_not_loaded(
    folder: Path, shown: Shown, change: Callable[[dict[str, Any]], dict[str, Any]]
):
    del shown
    nb.open_run(incident_type="drift")
    file = folder / "diagnosis.json"
    file.write_text(json.dumps(change(json.loads(file.read_text()))))
    run = nb.open_run(incident_type="drift")
    assert run.diagnosis.incident_type == "drift"
    assert len(run.diagnosis.ledger) == 4


def test_in_a_live_kernel_the_published_folder_is_the_notebooks(
    folder: Path, shown: Shown, monkeypatch: pytest.MonkeyPatch
):
    del shown
    attempt = folder / "attempts" / "1"
    attempt.mkdir(parents=True)
    (attempt / ".published").touch()
    monkeypatch.chdir(attempt)
    assert nb.open_run(incident_type="drift").folder == folder


def test_the_answer_leaves_scraps_and_plain_words(folder: Path, shown: Shown):
    run = nb.open_run(incident_type="drift")
    shown.clear()
    run.answer()
    scraps = _scraps(shown)
    assert scraps["verdict"] == run.diagnosis.verdict
    assert run.diagnosis.onset is not None
    assert scraps["onset"] == iso(run.diagnosis.onset.at)
    assert scraps["hypotheses"][0]["locus"] == run.diagnosis.hypotheses[0].locus
    assert shown[0]["text/plain"].startswith("shop · drift · SEV")
    assert replay(folder / "evidence", "drift").summary == scraps["summary"]


def test_no_scrap_is_null(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown: Shown):
    # scrapbook refuses null, and with it the whole notebook.
    small(tmp_path / "evidence")
    monkeypatch.chdir(tmp_path)
    run = nb.open_run()
    run.answer()
    assert run.diagnosis.onset is None
    assert "onset" not in _scraps(shown)
    assert None not in _scraps(shown).values()


@pytest.mark.usefixtures("folder")
def test_every_view_shows_something(shown: Shown):
    run = nb.open_run(incident_type="drift")
    for view in (
        run.answer,
        run.severity,
        run.impact,
        run.hypotheses,
        run.actions,
        run.escalation,
        run.similar,
        run.postmortem,
        run.ledger,
        run.provenance,
    ):
        shown.clear()
        view()
        assert len(_html(shown)) > 50, view
        assert shown[0]["text/plain"]


def test_a_section_shows_how_to_read_it_its_chart_and_its_findings(folder: Path, shown: Shown):
    run = nb.open_run(incident_type="drift")
    shown.clear()
    run.show("fault")
    html = _html(shown)
    assert "quantile against quantile" in html
    assert html.count("<img") == 2
    bad = [f for f in run.diagnosis.findings if f.cell == "fault" and f.verdict == "bad"]
    assert bad
    assert {f"finding {f.id}" for f in bad} == set(_scraps(shown))
    assert sorted(p.name for p in (folder / "figures").iterdir()) == [
        "fault-narrow.png",
        "fault.png",
    ]


@pytest.mark.usefixtures("folder")
def test_changes_are_listed_with_what_they_are_to_the_onset(shown: Shown):
    run = nb.open_run(incident_type="drift")
    run.show("around")
    html = _html(shown)
    assert html.count("deploy of part 0 v1 → v2</td>") == 1
    assert html.count("deploy of part 1 v1 → v2</td>") == 1


@pytest.mark.usefixtures("folder", "shown")
def test_an_unknown_section_names_the_known_ones():
    run = nb.open_run()
    with pytest.raises(NotFoundError, match="no section is called 'symptoms'") as caught:
        run.show("symptoms")
    assert "symptom" in caught.value.hint


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("section", ["inputs", "season", "kind", "service"])
def test_a_runbook_may_serve_an_alert_of_another_type(shown: Shown, section: str):
    run = nb.open_run(incident_type="latency")
    run.show(section)
    assert '<div class="tb"' in _html(shown)


@pytest.mark.usefixtures("folder")
def test_a_chart_that_fails_costs_itself_and_says_so(
    shown: Shown,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    def broken(*_: object) -> None:
        raise ZeroDivisionError("<b>of all things</b>")

    run = nb.open_run(incident_type="drift")
    CHARTS.get("fault")  # load all of them first: what is put in their place has to stay
    monkeypatch.setitem(CHARTS._items, "fault", broken)
    shown.clear()
    with caplog.at_level(logging.WARNING):
        run.show("fault")
    html = _html(shown)
    assert "The chart fault could not be drawn: ZeroDivisionError: &lt;b&gt;of all things" in html
    assert 'class="tb-finding bad"' in html
    assert "chart fault failed" in caplog.text


def test_control_characters_reach_no_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown: Shown
):
    names = (f"amount{ANSI}", "kind", "score")
    sides = [rows(side, names) for side in ("reference", "current")]
    spec = table("raw", names)[0]
    small(tmp_path / "evidence", tables={"orders": (spec, *sides)})
    monkeypatch.chdir(tmp_path)
    run = nb.open_run(incident_type="drift")
    run.answer()
    run.show("inputs")
    assert any("\x1b" in finding.statement for finding in run.diagnosis.findings)
    assert not [data for data in shown if "\x1b" in data.get("text/plain", "")]


def test_without_evidence_or_settings_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match="no evidence in") as caught:
        nb.open_run(service="shop")
    assert "TRIAGEBOOK_HOME" in caught.value.hint


def test_by_hand_it_asks_which_service(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(home)
    with pytest.raises(NotFoundError, match="needs a service") as caught:
        nb.open_run()
    assert "shop" in caught.value.hint
    with pytest.raises(NotFoundError, match="no service 'shpo'") as caught:
        nb.open_run(service="shpo")
    assert "did you mean 'shop'?" in caught.value.hint


def _enter(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, way: str) -> Path:
    place = home / "deep" / "down" if way == "above" else tmp_path / "elsewhere"
    place.mkdir(parents=True)
    monkeypatch.chdir(place)
    if way == "variable":
        monkeypatch.setenv("TRIAGEBOOK_HOME", str(home))
    if way == "request":
        (place / "request.json").write_text(to_json(_request(home)), encoding="utf-8")
    return place


@pytest.mark.parametrize("way", ["above", "variable", "request"])
def test_the_home_is_found_and_asked(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown: Shown, way: str
):
    place = _enter(home, monkeypatch, tmp_path, way)
    run = nb.open_run(service="shop", at=iso(WINDOWS.current[1]), window_h=48.0, reference_d=14.0)
    assert (place / "evidence" / "bundle.json").is_file()
    assert run.bundle.metrics is not None
    assert len(run.bundle.metrics) > 100
    assert run.diagnosis.incident_id == ("I-8" if way == "request" else "by-hand")
    assert run.diagnosis.service.name == "shop"
    shown.clear()
    run.escalation()
    assert "<li>ann</li><li>bob</li>" in _html(shown)


@pytest.mark.parametrize(
    ("window_h", "reference_d", "hours", "days"), [(0, 0, 48, 14), (6.0, 3.0, 6, 3)]
)
def test_lengths_of_nought_are_the_services(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    shown: Shown,
    window_h: float,
    reference_d: float,
    hours: float,
    days: float,
):
    monkeypatch.chdir(home)
    run = nb.open_run(service="shop", at=iso(ONSET), window_h=window_h, reference_d=reference_d)
    windows = run.bundle.windows
    assert (windows.current[1] - windows.current[0]).total_seconds() == hours * 3_600
    assert (windows.reference[1] - windows.reference[0]).total_seconds() == days * 86_400
    assert shown


def test_the_second_opening_reads_what_the_first_collected(
    home: Path, monkeypatch: pytest.MonkeyPatch, shown: Shown
):
    monkeypatch.chdir(home)
    first = nb.open_run(service="shop", at=iso(ONSET))
    (home / "metrics.parquet").unlink()
    second = nb.open_run(service="shop", at=iso(ONSET))
    timeless = [run.diagnosis.model_dump(exclude={"timings"}) for run in (first, second)]
    assert timeless[0] == timeless[1]
    assert shown


def test_progress_is_told_where_a_run_keeps_it(folder: Path, shown: Shown):
    log = folder / "progress.jsonl"
    log.touch()
    nb.open_run(incident_type="drift").answer()
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert {line["event"] for line in lines[:-1]} == {"cell"}
    assert (lines[-1]["event"], lines[-1]["message"]) == (
        "answer",
        _scraps(shown)["summary"],
    )


def test_without_a_progress_file_none_is_made(folder: Path, shown: Shown):
    nb.open_run().answer()
    assert not (folder / "progress.jsonl").exists()
    assert shown


@pytest.mark.parametrize("many", [1, 2])
def test_alerts_that_belong_together_are_in_the_bundle_and_shown(
    home: Path, tmp_path: Path, shown: Shown, monkeypatch: pytest.MonkeyPatch, many: int
):
    place = tmp_path / "attempt"
    place.mkdir()
    monkeypatch.chdir(place)
    over = {"status": "resolved", "ends_at": iso(ONSET)}
    alerts = [
        {"title": "psi", "service": "shop", "sender": "grafana", "starts_at": iso(ONSET)},
        {"title": "<b>slow</b>", "service": "till", "sender": "pagerduty", **over},
    ][:many]
    request = _request(home, alerts=alerts)
    (place / "request.json").write_text(to_json(request), encoding="utf-8")
    run = nb.open_run(incident_id="I-8", incident_type="drift", service="shop")
    kept = json.loads((place / "evidence" / "bundle.json").read_text())["alerts"]
    assert [alert["title"] for alert in kept] == [alert["title"] for alert in alerts]
    assert Bundle.read(place / "evidence").alerts == run.bundle.alerts
    run.answer()
    html = _html(shown)
    assert ("2 alerts belong to this incident, 1 of them still fire" in html) is (many == 2)
    if many == 2:
        assert "&lt;b&gt;slow&lt;/b&gt;" in html
        assert "still firing" in html
        assert "pagerduty" in html
