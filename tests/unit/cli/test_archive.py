"""`archive` and `unarchive`: what is said, what is done, and what is refused with a reason."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner, Result

from tests.unit.cli.samples import write_home
from triagebook.cli.main import app
from triagebook.core.models import Alert, IncidentType
from triagebook.core.paths import Home
from triagebook.incidents.lifecycle import open_incident
from triagebook.incidents.routes import Route
from triagebook.incidents.store import Store
from triagebook.incidents.tables import incidents

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(write_home(tmp_path / "home"))


def call(home: Home, *arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "100"}).invoke(app, [*arguments, "--home", str(home.root)])


def told(result: Result) -> str:
    return " ".join(result.stderr.split())


def opened(home: Home, *, over: bool) -> str:
    with Store.open(home) as store:
        name = open_incident(
            store, Alert(title="t"), Route(IncidentType.DRIFT, "flight-delay", "drift", "t")
        )
        store.set_run_state(name, "published")
        state = "resolved" if over else "open"
        with store.database.write() as connection:
            connection.execute(
                incidents.update()
                .where(incidents.c.id == name)
                .values(state=state, refresh_at=None)
            )
    home.run_dir(name).mkdir(parents=True)
    (home.run_dir(name) / "report.html").write_text("<p>it was the unit")
    return name


def there(home: Home) -> list[str]:
    return [one["id"] for one in json.loads(call(home, "incidents", "--json").stdout)]


def test_there_and_back(home: Home):
    over, still = opened(home, over=True), opened(home, over=False)
    assert json.loads(
        call(home, "archive", "--older-than", "0s", "--dry-run", "--json").stdout
    ) == [over]
    assert set(there(home)) == {over, still}
    done = call(home, "archive", "--older-than", "0s")
    assert done.exit_code == 0, done.output
    assert "1 incidents archived" in done.stdout
    assert there(home) == [still]
    assert over in call(home, "archive", "--list").stdout
    [listed] = json.loads(call(home, "archive", "--list", "--json").stdout)
    assert listed["id"] == over
    assert listed["bytes"] > 0
    back = call(home, "unarchive", over)
    assert f"triagebook show {over}" in " ".join(back.stdout.split())
    assert set(there(home)) == {over, still}
    assert (home.run_dir(over) / "report.html").read_text() == "<p>it was the unit"


def test_by_name_whatever_its_age(home: Home):
    over = opened(home, over=True)
    [done] = json.loads(call(home, "archive", over, "--json").stdout)
    assert done["id"] == over
    assert there(home) == []


def test_one_that_goes_on_is_left_with_a_reason(home: Home):
    over, still = opened(home, over=True), opened(home, over=False)
    result = call(home, "archive", over, still)
    assert result.exit_code == 1
    assert f"{still} is open" in told(result)
    assert set(there(home)) == {over, still}


def test_without_an_age_it_says_what_to_say(home: Home):
    result = call(home, "archive")
    assert result.exit_code == 1
    assert "--older-than 180d" in told(result)
    assert call(home, "archive", "--older-than", "soon").exit_code == 2


@pytest.mark.parametrize("command", ["archive", "unarchive"])
def test_an_unknown_incident(home: Home, command: str):
    result = call(home, command, "inc-none")
    assert result.exit_code == 1
    assert "triagebook" in told(result)
