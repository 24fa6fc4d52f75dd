"""`incidents` and `show`, on a real store and a run's folder."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from tests.unit.cli.samples import diagnosis, write_home
from triagebook.cli.main import app
from triagebook.core.models import Alert, IncidentType, to_json
from triagebook.core.paths import Home
from triagebook.incidents.lifecycle import open_incident
from triagebook.incidents.routes import Route
from triagebook.incidents.store import Store


def call(*arguments: str):
    return CliRunner(env={"COLUMNS": "100"}).invoke(app, list(arguments))


@pytest.fixture
def home(tmp_path) -> Home:
    return Home(write_home(tmp_path / "home"))


def opened(home: Home, title: str, kind: IncidentType = IncidentType.DRIFT) -> str:
    alert = Alert(sender="test", title=title, fingerprint=title)
    with Store.open(home) as store:
        return open_incident(store, alert, Route(kind, "flight-delay", "drift", "service:x"))


def published(home: Home, name: str) -> None:
    folder = home.run_dir(name)
    folder.mkdir(parents=True)
    (folder / "diagnosis.json").write_text(to_json(diagnosis(incident_id=name)))
    (folder / "investigation.ipynb").write_text("{}")


def test_empty_list_says_what_to_do(home):
    result = call("incidents", "--home", str(home.root))
    assert result.exit_code == 0
    assert "triagebook serve" in result.stdout
    assert call("incidents", "--home", str(home.root), "--json").stdout == "[]\n"


def test_what_no_service_has_read_yet_is_told(home):
    with Store.open(home) as store:
        store.deliveries.add("alertmanager", {}, b"{}")
    said = call("incidents", "--home", str(home.root)).stdout
    assert "1 delivery came in and is not read yet; the service reads it" in said
    opened(home, "one")
    with Store.open(home) as store:
        store.deliveries.add("alertmanager", {}, b"{}")
    assert "2 deliveries came in" in call("incidents", "--home", str(home.root)).stdout


def test_list_newest_first_and_as_json(home):
    first, second = opened(home, "one"), opened(home, "two")
    result = call("incidents", "--home", str(home.root))
    assert result.stdout.index(second) < result.stdout.index(first)
    found = json.loads(call("incidents", "--home", str(home.root), "--json").stdout)
    assert [item["id"] for item in found] == [second, first]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--type", "drift"], ["two"]),
        (["--text", "ON"], ["one"]),
        (["--limit", "1"], ["two"]),
        (["--state", "resolved"], []),
        (["--service", "nosuch"], []),
    ],
)
def test_list_can_be_narrowed(home, arguments, expected):
    opened(home, "one", IncidentType.LATENCY)
    opened(home, "two")
    found = json.loads(call("incidents", "--home", str(home.root), "--json", *arguments).stdout)
    assert [item["title"] for item in found] == expected


def test_unknown_state_is_wrong_usage(home):
    result = call("incidents", "--home", str(home.root), "--state", "closed")
    assert result.exit_code == 2
    assert "acknowledged" in result.stderr


def test_show_prints_the_card_the_timeline_and_the_files(home):
    name = opened(home, "Inputs have moved")
    published(home, name)
    result = call("show", name, "--home", str(home.root))
    assert result.exit_code == 0
    assert "Unit change in flights.distance" in result.stdout
    assert "received" in result.stdout
    assert str(home.run_dir(name) / "investigation.ipynb") in result.stdout


def test_show_as_json(home):
    name = opened(home, "Inputs have moved")
    published(home, name)
    found = json.loads(call("show", name, "--home", str(home.root), "--json").stdout)
    assert found["id"] == name
    assert found["diagnosis"]["hypotheses"][0]["cause"] == "data.unit_change"
    assert found["diagnosis"]["onset"]["from"] == "flights.distance"
    assert [entry["kind"] for entry in found["timeline"]] == ["received", "queued"]
    assert set(found["files"]) == {"diagnosis.json", "investigation.ipynb"}


def test_show_before_there_is_an_answer(home):
    name = opened(home, "Inputs have moved")
    result = call("show", name, "--home", str(home.root))
    assert result.exit_code == 0
    assert "run 1 is queued, place 1 of 1" in result.stdout
    assert (
        json.loads(call("show", name, "--home", str(home.root), "--json").stdout)["diagnosis"]
        is None
    )


def test_part_of_an_id_is_enough_if_it_is_only_one(home):
    one = opened(home, "one")
    assert call("show", one[-5:], "--home", str(home.root)).exit_code == 0
    opened(home, "two")
    result = call("show", "inc-", "--home", str(home.root))
    assert result.exit_code == 1
    assert "2 incidents have 'inc-' in their id" in result.stderr


def test_unknown_incident_is_1(home):
    result = call("show", "inc-nosuch", "--home", str(home.root))
    assert result.exit_code == 1
    assert "no incident 'inc-nosuch'" in result.stderr


def test_broken_diagnosis_says_which_file(home):
    name = opened(home, "one")
    published(home, name)
    (home.run_dir(name) / "diagnosis.json").write_text('{"schema": "triagebook/diag')
    result = call("show", name, "--home", str(home.root))
    assert result.exit_code == 1
    assert str(home.run_dir(name) / "diagnosis.json") in result.stderr
