"""`run` in the foreground: real kernels, the answer printed, the incident recorded."""

from __future__ import annotations

import json
from datetime import timedelta

import nbformat
import pytest
from typer.testing import CliRunner

from tests.unit.cli.samples import write_home
from triagebook.cli.main import app
from triagebook.cli.run import read_alert
from triagebook.core.errors import NotFoundError, NotUnderstoodError
from triagebook.core.models import Alert, Change, IncidentType
from triagebook.core.paths import Home
from triagebook.core.times import now_utc
from triagebook.incidents.changes import Announced
from triagebook.incidents.lifecycle import apply_delivery, open_incident
from triagebook.incidents.routes import Route
from triagebook.incidents.store import Store
from triagebook.running.attempt import Attempt


@pytest.fixture
def home(tmp_path) -> Home:
    return Home(write_home(tmp_path / "home"))


def call(*arguments: str):
    return CliRunner(env={"COLUMNS": "100"}).invoke(app, list(arguments))


def incidents(home: Home):
    with Store.open(home) as store:
        return store.incidents()


def alert_file(folder, *statuses: str):
    path = folder / "alert.json"
    alerts = [
        {
            "status": status,
            "labels": {"alertname": f"A{n}", "service": "flight-delay", "incident_type": "drift"},
            "annotations": {},
            "startsAt": "2013-06-04T21:45:00.000Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "fingerprint": f"{n:016x}",
        }
        for n, status in enumerate(statuses)
    ]
    body = {"version": "4", "groupKey": "{}", "status": "firing", "receiver": "r", "alerts": alerts}
    path.write_text(json.dumps(body | {"groupLabels": {}, "commonLabels": {}}))
    return path


def test_run_for_a_service_prints_the_card_and_records_the_incident(home):
    result = call(
        "run", "--home", str(home.root), "--service", "flight-delay", "--at", "2013-06-04T22:00:00Z"
    )
    assert result.exit_code == 0, result.output
    assert "Unit change in flights.distance" in result.stdout
    # The cell that failed is told, and the run went on.
    assert "ZeroDivisionError" in result.stderr
    assert "4/4" in result.stderr
    (found,) = incidents(home)
    assert (found.run_state, found.severity, found.verdict) == ("published", "SEV2", "cause_found")
    assert found.headline == "distance arrives in kilometres"
    assert found.alert.starts_at.isoformat() == "2013-06-04T22:00:00+00:00"
    assert (home.run_dir(found.id) / "investigation.ipynb").is_file()


def test_run_takes_along_what_was_posted_about_changes(home):
    at = now_utc() - timedelta(hours=1)
    told = Announced("flight-delay", Change(ts=at, kind="model", what="m", to="8"), "champion")
    with Store.open(home) as store:
        name = store.deliveries.add("mlflow", {}, b"{}")
        apply_delivery(store, name, [], lambda _: None, announced=[told])
    result = call("run", "--home", str(home.root), "--service", "flight-delay")
    assert result.exit_code == 0, result.output
    (found,) = incidents(home)
    request = Attempt(home.attempt_dir(found.id, 1)).request()
    assert [change.to for change in request.feed.changes] == ["8"]


def test_run_for_an_alert_file_prints_json_and_nothing_else(home, tmp_path):
    path = alert_file(tmp_path, "resolved", "firing")
    result = call("run", "--home", str(home.root), "--alert", str(path), "--json")
    assert result.exit_code == 0, result.output
    (found,) = incidents(home)
    assert json.loads(result.stdout)["incident_id"] == found.id
    assert found.runbook == "drift"
    assert found.alert.labels["alertname"] == "A1"


def test_run_that_writes_no_diagnosis_is_1(home):
    path = home.root / "own-notebooks" / "drift.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if cell.id != "answer"]
    nbformat.write(notebook, path)
    result = call("run", "--home", str(home.root), "--service", "flight-delay", "--type", "drift")
    assert result.exit_code == 1
    assert "without writing a diagnosis" in result.stderr
    assert "investigation.ipynb" in result.stderr


def test_run_whose_runbook_cannot_be_read_is_1_and_the_incident_says_failed(home):
    (home.root / "own-notebooks" / "drift.ipynb").write_text("no notebook")
    result = call("run", "--home", str(home.root), "--service", "flight-delay", "--type", "drift")
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    assert incidents(home)[0].run_state == "failed"


def test_unknown_service_names_the_nearest(home):
    result = call("run", "--home", str(home.root), "--service", "flight-dely")
    assert result.exit_code == 1
    assert "did you mean 'flight-delay'?" in result.stderr
    assert incidents(home) == []


def test_a_time_that_is_none_is_wrong_usage(home):
    result = call("run", "--home", str(home.root), "--service", "flight-delay", "--at", "yesterday")
    assert result.exit_code == 2
    assert "yesterday" in result.stderr


def test_alert_in_our_own_shape(tmp_path):
    path = tmp_path / "alert.json"
    path.write_text('{"sender": "grafana", "title": "slow", "incident_type": "latency"}')
    assert read_alert(path).title == "slow"


def test_alert_of_a_group_that_is_all_resolved_can_still_be_looked_at(tmp_path):
    assert read_alert(alert_file(tmp_path, "resolved")).labels["alertname"] == "A0"


@pytest.mark.parametrize(
    "body",
    ["", "no json", "[]", "42", "{}", '{"status": "perhaps"}', '{"version": "4", "alerts": []}'],
)
def test_a_file_that_holds_no_alert_says_what_was_expected(tmp_path, body):
    path = tmp_path / "alert.json"
    path.write_text(body)
    with pytest.raises(NotUnderstoodError, match="holds no alert"):
        read_alert(path)


def test_an_alert_file_that_is_not_there(tmp_path):
    with pytest.raises(NotFoundError, match="cannot be read"):
        read_alert(tmp_path / "nosuch.json")


@pytest.mark.slow
def test_an_incident_is_run_again_with_other_parameters(home):
    assert call("run", "--home", str(home.root), "--service", "flight-delay").exit_code == 0
    (first,) = incidents(home)
    part = first.id[-5:]
    result = call("run", "--home", str(home.root), "--incident", part, "-p", "x=6", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["verdict"] == "cause_found"
    (found,) = incidents(home)
    assert (found.attempt, found.run_state, found.parameters) == (2, "published", {"x": 6})
    request = json.loads((home.attempt_dir(found.id, 2) / "request.json").read_text())
    assert request["parameters"] == {"x": 6}
    assert (home.run_dir(found.id) / "attempts" / "1-replaced" / "investigation.ipynb").is_file()


def test_a_parameter_that_the_runbook_does_not_declare_is_no_failed_run(home):
    with Store.open(home) as store:
        alert = Alert(title="x", labels={"service": "flight-delay"})
        name = open_incident(store, alert, Route(IncidentType.DRIFT, None, "drift", "x"))
        store.set_run_state(name, "published")
    result = call("run", "--home", str(home.root), "--incident", name, "-p", "y=6")
    assert result.exit_code == 1
    assert "declares no such parameter" in result.stderr
    assert incidents(home)[0].run_state == "published"


def test_an_incident_that_is_being_run_is_left_alone(home):
    with Store.open(home) as store:
        alert = Alert(title="x", labels={"service": "flight-delay"})
        name = open_incident(store, alert, Route(IncidentType.DRIFT, None, "drift", "x"))
    result = call("run", "--home", str(home.root), "--incident", name)
    assert result.exit_code == 1
    assert f"run 1 of {name} is queued" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--incident", "x", "--service", "flight-delay"],
        ["--incident", "x", "--type", "drift"],
        ["--incident", "x", "-p", "window_h"],
        ["--incident", "x", "-p", "=6"],
    ],
)
def test_wrong_usage_of_incident(home, arguments):
    assert call("run", "--home", str(home.root), *arguments).exit_code == 2
