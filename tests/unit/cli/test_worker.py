"""What the command line of a worker says of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from triagebook.cli.main import app
from triagebook.cli.output import open_home
from triagebook.cli.worker import as_worker
from triagebook.core.settings import Settings
from triagebook.running.lease import default_worker_id


def test_the_command_line_goes_before_the_settings():
    settings = Settings(server={"concurrency": 3, "worker_id": "a"})
    assert as_worker(settings, None, None).server == settings.server
    told = as_worker(settings, "b", 0).server
    assert (told.worker_id, told.concurrency) == ("b", 0)
    assert settings.server.worker_id == "a"


def test_a_worker_on_sqlite_is_refused(tmp_path):
    (tmp_path / "triagebook.toml").write_text("")
    done = CliRunner().invoke(app, ["worker", "--home", str(tmp_path)])
    assert done.exit_code == 1
    assert "several processes can share" in done.stderr
    assert "server.database" in done.stderr


def test_a_worker_that_would_do_nothing_is_refused(tmp_path):
    text = "[server]\nconcurrency = 0\ndatabase = 'postgresql://me@127.0.0.1:1/x'\n"
    (tmp_path / "triagebook.toml").write_text(text)
    done = CliRunner().invoke(app, ["worker", "--home", str(tmp_path)])
    assert done.exit_code == 1
    assert "--concurrency" in done.stderr


@pytest.mark.parametrize("name", ["", "a b", "a:b", "x" * 65])
def test_an_id_that_cannot_be_is_wrong_usage(tmp_path, name):
    (tmp_path / "triagebook.toml").write_text("")
    done = CliRunner().invoke(app, ["worker", "--home", str(tmp_path), "--id", name])
    assert done.exit_code == 2


def test_by_default_an_id_stays_and_differs_from_home_to_home(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    assert default_worker_id(one) == default_worker_id(one)
    assert default_worker_id(one) != default_worker_id(two)
    as_worker(Settings(), default_worker_id(one), None)  # passes its own check


@pytest.mark.parametrize("absolute", [True, False])
def test_runs_may_lie_in_a_shared_folder(tmp_path, absolute):
    home = tmp_path / "home"
    home.mkdir()
    shared = tmp_path / "shared" if absolute else Path("../shared")
    (home / "triagebook.toml").write_text(f"[server]\nruns = '{shared}'\n")
    place, _ = open_home(home)
    assert place.attempt_dir("inc-1", 2).resolve() == tmp_path / "shared/inc-1/attempts/2"
    assert place.runs.resolve() == tmp_path / "shared"
