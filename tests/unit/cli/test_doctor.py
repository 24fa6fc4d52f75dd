"""`doctor`: each check finds what is wrong and says what to do."""

from __future__ import annotations

import importlib.metadata
import json
import sys
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from tests.unit.cli.samples import write_home
from triagebook.cli import checks
from triagebook.cli.main import app
from triagebook.core.paths import Home
from triagebook.core.settings import Settings, load_settings


def call(*arguments: str):
    return CliRunner(env={"COLUMNS": "100"}).invoke(app, list(arguments))


def make_package(folder, name: str, modules: int, compiled: int) -> None:
    package = folder / name
    cache = package / "__pycache__"
    cache.mkdir(parents=True)
    for number in range(modules):
        stem = "__init__" if number == 0 else f"m{number}"
        (package / f"{stem}.py").write_text("")
        if number < compiled:
            (cache / f"{stem}.{sys.implementation.cache_tag}.pyc").write_bytes(b"")


@pytest.mark.parametrize(("compiled", "status"), [(8, "bad"), (9, "ok"), (10, "ok")])
def test_bytecode_is_missed_below_nine_in_ten(tmp_path, monkeypatch, compiled, status):
    make_package(tmp_path, "a_package_of_ten", 10, compiled)
    monkeypatch.syspath_prepend(tmp_path)
    found = checks.bytecode(["a_package_of_ten", "nosuch_package"])
    assert found.status == status
    if status == "bad":
        assert found.do == f"{sys.executable} -m compileall -q -j 0 {tmp_path}"


def test_versions_fit_here():
    assert checks.versions().status == "ok"


def test_wrong_and_missing_versions_are_named(monkeypatch):
    asked = ["pandas<3", "nosuch-package>=2", "rich>=1", "emacs>=1; extra == 'lab'"]
    monkeypatch.setattr(checks, "requires", lambda _: asked)
    found = checks.versions()
    have = importlib.metadata.version("pandas")
    assert found.status == "bad"
    assert found.says == (
        f"pandas is {have}, <3 is needed; nosuch-package is missing (>=2 is needed)"
    )


def test_engine_is_found_and_missed(monkeypatch):
    assert checks.engine().status == "ok"
    monkeypatch.setattr(checks, "entry_points", lambda **_: [])
    assert checks.engine().status == "bad"


def test_kernel_really_computes():
    assert checks.kernel().status == "ok"


def test_kernel_that_does_not_start_is_told(monkeypatch):
    monkeypatch.setitem(checks._ONE_CELL, "cells", [])
    assert checks.kernel().status == "bad"


def test_secret_that_is_missing_is_told_and_a_present_one_not_shown(tmp_path):
    home = Home(write_home(tmp_path))
    settings = load_settings(home.config)
    good = [
        check for check in checks.of_home(home, settings) if check.name == "intake alertmanager"
    ]
    assert [check.status for check in good] == ["ok"]
    assert "s3cret" not in str(good)
    (tmp_path / "token").unlink()
    bad = [check for check in checks.of_home(home, settings) if check.name == "intake alertmanager"]
    assert [check.status for check in bad] == ["bad"]


def test_windows_that_hold_now_and_unknown_services_are_told():
    window = {"from": "02:00", "to": "04:00", "reason": "reload"}
    settings = Settings(
        service=[{"name": "churn"}], maintenance=[window, {**window, "services": ["chrun"]}]
    )
    inside = datetime(2013, 6, 8, 3, tzinfo=UTC)
    now, unknown = checks.maintenance(settings, inside)
    assert (now.status, now.says) == (
        "ok",
        "reload: holds runs back until 2013-06-08T04:00:00Z",
    )
    assert (unknown.status, unknown.do) == ("bad", "did you mean 'churn'?")
    later, _ = checks.maintenance(settings, inside + timedelta(hours=1))
    assert later.says == "reload: does not hold anything back now"


def test_sources_that_do_not_answer_and_wrong_keys_are_told(tmp_path):
    home = Home(write_home(tmp_path))
    text = home.config.read_text()
    home.config.write_text(text + '[[service.logs]]\nsource = "files"\npath = "nosuch.jsonl"\n')
    result = call("doctor", "--home", str(tmp_path), "--json")
    assert result.exit_code == 1
    found = {check["name"]: check for check in json.loads(result.stdout)}
    assert found["flight-delay logs:files"]["status"] == "bad"
    assert "nosuch.jsonl" in found["flight-delay logs:files"]["says"]

    home.config.write_text(text + '[[service.logs]]\nsource = "files"\npaht = "nosuch.jsonl"\n')
    found = json.loads(call("doctor", "--home", str(tmp_path), "--json").stdout)
    wrong = [check for check in found if check["name"] == "pulls"]
    assert wrong
    assert all("triagebook.toml:" in check["says"] for check in wrong)


def test_all_is_well_here(tmp_path):
    result = call("doctor", "--home", str(write_home(tmp_path)))
    assert result.exit_code == 0, result.stdout
    assert "✗" not in result.stdout


def test_without_a_home_only_the_installation_is_checked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call("doctor")
    assert result.exit_code == 0, result.stdout
    assert "--home" in result.stdout
    assert list(tmp_path.iterdir()) == []
