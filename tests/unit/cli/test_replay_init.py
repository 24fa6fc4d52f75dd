"""`init --demo` writes a home that works; `replay` needs nothing but the evidence."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from triagebook.cli.main import app
from triagebook.core.models import Alert, Diagnosis
from triagebook.core.settings import load_settings
from triagebook.core.times import now_utc
from triagebook.drills.worlds import flight_delay
from triagebook.evidence.collect import collect
from triagebook.evidence.windows import windows_for


def call(*arguments: str):
    return CliRunner(env={"COLUMNS": "100"}).invoke(app, list(arguments))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory, world_cache):
    root = tmp_path_factory.mktemp("home")
    world = flight_delay.build(root, cache=world_cache)
    settings = load_settings(root / "triagebook.toml")
    service = settings.service(world.service)
    alert = Alert(sender="test", incident_type="drift", service=service.name, labels=world.labels)
    windows = windows_for(alert, service, now_utc())
    into = tmp_path_factory.mktemp("bundle") / "evidence"
    collect(settings, service, alert, windows, root=root, incident_id="inc-1", into=into)
    return into


def test_replay_as_json_prints_the_diagnosis_and_nothing_else(bundle, tmp_path):
    # Far from any home, without a network and without the folder's being writable to us.
    done = subprocess.run(
        [sys.executable, "-m", "triagebook", "replay", str(bundle), "--json"],
        cwd=tmp_path,
        env={k: v for k, v in os.environ.items() if k in {"PATH", "HOME", "LANG"}},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = Diagnosis.model_validate(json.loads(done.stdout))
    assert found.hypotheses[0].cause == "data.unit_change"
    assert found.hypotheses[0].locus == "column:flights.distance"
    assert list(tmp_path.iterdir()) == []


def test_replay_prints_the_card(bundle):
    result = call("replay", str(bundle))
    assert result.exit_code == 0, result.output
    assert "flights.distance" in result.stdout


def test_replay_as_another_type(bundle):
    result = call("replay", str(bundle), "--type", "latency", "--json")
    assert result.exit_code == 0, result.output
    assert Diagnosis.model_validate_json(result.stdout).hypotheses


def test_replay_of_something_else_is_1_with_the_next_step(tmp_path):
    result = call("replay", str(tmp_path), "--json")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "bundle.json" in result.stderr


@pytest.mark.slow
def test_init_writes_a_home_that_doctor_finds_well(tmp_path):
    result = call("init", "--demo", str(tmp_path / "new" / "home"), "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["service"] == "flight-delay"
    assert call("doctor", "--home", told["home"]).exit_code == 0


def test_init_refuses_a_folder_in_use(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    result = call("init", "--demo", str(tmp_path))
    assert result.exit_code == 1
    assert "there is mine.txt" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_init_refuses_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    result = call("init", "--demo", str(tmp_path / "file"))
    assert result.exit_code == 1
    assert "cannot be used as a folder" in result.stderr
