"""A run in the foreground, as `triagebook run` does it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.unit.running.conftest import code
from triagebook.core.errors import BadParameterError, RunbookNotFoundError, RunError
from triagebook.core.models import Alert
from triagebook.running.foreground import run_now

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.running.conftest import WriteRunbook
    from triagebook.core.models import Progress
    from triagebook.core.paths import Home
    from triagebook.core.settings import Settings


def test_a_bundle_is_brought_along_and_progress_is_told(
    home: Home, settings: Settings, write_runbook: WriteRunbook, tmp_path: Path
):
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "bundle.json").write_text('{"schema": "triagebook/bundle/1"}')
    write_runbook(
        code("limit = 1  # share", tags=["parameters"]),
        code("print(open('evidence/bundle.json').read(), limit)"),
    )
    lines: list[Progress] = []
    done = run_now(
        home,
        settings,
        incident_id="by-hand",
        alert=Alert(title="by hand"),
        runbook="probe",
        parameters={"limit": 7},
        bundle=bundle,
        on_progress=lines.append,
    )

    assert done.folder == home.run_dir("by-hand")
    assert done.result.failed_cells == []
    assert (done.folder / "evidence" / "bundle.json").exists()
    assert "bundle/1" in (done.folder / "investigation.ipynb").read_text()
    events = [line.event for line in lines]
    assert (events[0], events[-1]) == ("started", "published")
    request = json.loads((done.folder / "attempts" / "1" / "request.json").read_text())
    assert (request["incident_id"], request["parameters"]) == ("by-hand", {"limit": 7})


def test_what_cannot_run_is_refused_with_what_to_do(
    home: Home, settings: Settings, write_runbook: WriteRunbook, tmp_path: Path
):
    write_runbook(code("limit = 1", tags=["parameters"]))
    common = {"incident_id": "x", "alert": Alert(), "runbook": "probe"}
    with pytest.raises(BadParameterError, match="declares no such"):
        run_now(home, settings, **common, parameters={"limit; import os": 1})
    with pytest.raises(RunbookNotFoundError, match="no runbook is called"):
        run_now(home, settings, **{**common, "runbook": "nothing"})
    with pytest.raises(RunbookNotFoundError):
        run_now(home, settings, **{**common, "runbook": "../runbooks/probe"})
    with pytest.raises(RunError, match="no evidence folder"):
        run_now(home, settings, **common, bundle=tmp_path / "nothing")


def test_no_notebook_is_an_error_that_names_the_logs(
    home: Home, settings: Settings, write_runbook: WriteRunbook
):
    write_runbook(code("1")).write_text("{}")
    with pytest.raises(RunError, match="gave no notebook") as caught:
        run_now(home, settings, incident_id="x", alert=Alert(), runbook="probe")
    assert "attempts/1" in str(caught.value)
