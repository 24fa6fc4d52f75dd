"""A Jupyter server of somebody else's: runs take their kernels from it, and it goes on without us."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from tests.unit.running.conftest import code, wait_for
from triagebook.core.errors import RunError
from triagebook.core.models import Alert, IncidentType, RunRequest
from triagebook.core.settings import LabSettings
from triagebook.running.attempt import LIVE_FILE, Attempt
from triagebook.running.live.server import LabServer
from triagebook.running.processes import Identity, is_alive
from triagebook.running.progress import read_progress
from triagebook.running.publish import publish
from triagebook.running.sockets import free_port
from triagebook.running.supervise import execute_attempt

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.unit.running.conftest import WriteRunbook
    from triagebook.core.paths import Home


@pytest.fixture
def theirs(home: Home, tmp_path: Path) -> Iterator[LabSettings]:
    """Start a plain Jupyter server as its users do, with a root above `runs/`."""
    port, connections = free_port(), tmp_path / "runtime"
    (tmp_path / "token").write_text("their own")
    with (tmp_path / "jupyter.log").open("wb") as log:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "jupyter_server",
                "--no-browser",
                "--allow-root",
                f"--port={port}",
                "--ServerApp.port_retries=0",
                "--ServerApp.ip=127.0.0.1",
                f"--ServerApp.root_dir={home.root}",
                "--IdentityProvider.token=their own",
            ],
            env={
                "PATH": "/usr/bin:/bin",
                "JUPYTER_RUNTIME_DIR": str(connections),
                "HOME": str(tmp_path),
                "IPYTHONDIR": str(tmp_path / "ipython"),
            },
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    yield LabSettings(
        enabled=True,
        url=f"http://127.0.0.1:{port}/",
        token={"file": str(tmp_path / "token")},
        connections=connections,
        root=home.root,
        kernels=1,
    )
    process.terminate()
    process.wait(30)


def executed(home: Home, lab: LabServer, runbook: Path, incident: str) -> Attempt:
    attempt = Attempt(home.attempt_dir(incident, 1))
    request = RunRequest(
        incident_id=incident,
        incident_type=IncidentType.UNKNOWN,
        service=None,
        runbook=runbook.stem,
        alert=Alert(),
        home=str(home.root),
        attempt=1,
        deadline_s=120,
        live=str(lab.file),
    )
    attempt.prepare(request, notebooks=runbook.parent)
    execute_attempt(attempt)
    publish(home.run_dir(incident), 1)
    return attempt


def noted(home: Home, incident: str) -> Identity:
    content = json.loads((home.run_dir(incident) / LIVE_FILE).read_text())
    return Identity(int(content["pid"]), content["started"])


def test_runs_live_in_it_within_our_limits_and_outlive_us(
    home: Home, theirs: LabSettings, write_runbook: WriteRunbook
):
    runbook = write_runbook(code("frame = list(range(1000))", "one"))
    lab = LabServer(home, theirs)
    lab.open()
    try:
        assert lab.wait_until_up(threading.Event())
        executed(home, lab, runbook, "inc-1")
        published = json.loads((home.run_dir("inc-1") / "investigation.ipynb").read_text())
        assert published["metadata"]["triagebook"]["kernel"] == "live"
        assert lab.jupyter is not None
        session = lab.jupyter.session("runs/inc-1/investigation.ipynb")
        assert session is not None
        # A kernel of theirs that has nothing to do with us counts for nothing and is left alone.
        other = lab.jupyter.start("their.ipynb")
        first = noted(home, "inc-1")
        assert lab.make_room()
        wait_for(lambda: not is_alive(first))
        executed(home, lab, runbook, "inc-2")
        second = noted(home, "inc-2")
        assert is_alive(second)
        assert {s.path for s in lab.jupyter.sessions()} == {
            other.path,
            "runs/inc-2/investigation.ipynb",
        }
    finally:
        lab.close()
    # Our service is gone; the kernel is the server's.
    assert not lab.file.exists()
    assert is_alive(second)


def test_runs_that_are_not_below_its_root_have_kernels_of_their_own(
    home: Home, theirs: LabSettings, write_runbook: WriteRunbook, tmp_path: Path
):
    (tmp_path / "elsewhere").mkdir()
    lab = LabServer(home, theirs.model_copy(update={"root": tmp_path / "elsewhere"}))
    lab.open()
    try:
        assert lab.wait_until_up(threading.Event())
        attempt = executed(home, lab, write_runbook(code("1", "one")), "inc-1")
        published = json.loads((home.run_dir("inc-1") / "investigation.ipynb").read_text())
        assert published["metadata"]["triagebook"]["kernel"] == "plain"
        told = [line.message for line in read_progress(attempt.folder) if line.message]
        assert any("its kernel will not stay" in one and "lab.root" in one for one in told)
    finally:
        lab.close()


@pytest.mark.parametrize("missing", ["token", "connections"])
def test_what_is_missing_in_the_settings_is_told(home: Home, missing: str):
    known = {"token": {"file": "t"}, "connections": home.state}
    del known[missing]
    (home.root / "t").write_text("t")
    lab = LabServer(home, LabSettings(enabled=True, url="http://127.0.0.1:9", **known))
    with pytest.raises(RunError, match=rf"lab\.{missing} is not"):
        lab.open()
