"""A real JupyterLab owns the kernels of runs: they stay, and one goes on in them."""

from __future__ import annotations

import json
import stat
import threading
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from websockets.sync.client import connect

from tests.unit.running.conftest import code, wait_for
from triagebook.core.models import Alert, IncidentType, RunRequest
from triagebook.core.settings import LabSettings
from triagebook.running.attempt import LIVE_FILE, Attempt
from triagebook.running.live.server import LabServer
from triagebook.running.processes import Identity, identify, is_alive
from triagebook.running.supervise import execute_attempt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.running.conftest import WriteRunbook
    from triagebook.core.paths import Home
    from triagebook.running.live.jupyter import Jupyter, Session


@pytest.fixture
def lab(home: Home) -> Iterator[LabServer]:
    server = LabServer(home, LabSettings(enabled=True, kernels=2))
    server.open()
    try:
        assert server.wait_until_up(threading.Event()), (home.state / "lab.log").read_text()
        yield server
    finally:
        server.close()


def jupyter_of(lab: LabServer) -> Jupyter:
    assert lab.jupyter is not None
    return lab.jupyter


class Runs:
    def __init__(self, home: Home, write: WriteRunbook, lab: LabServer) -> None:
        self.home, self.write, self.lab = home, write, lab

    def __call__(self, *cells: Any, number: int = 1, deadline_s: float = 90.0) -> Attempt:
        path = self.write(*cells)
        attempt = Attempt(self.home.attempt_dir("inc-1", number))
        request = RunRequest(
            incident_id="inc-1",
            incident_type=IncidentType.UNKNOWN,
            service=None,
            runbook=path.stem,
            alert=Alert(),
            home=str(self.home.root),
            attempt=number,
            deadline_s=deadline_s,
            live=str(self.lab.file),
        )
        attempt.prepare(request, notebooks=path.parent)
        execute_attempt(attempt)
        return attempt


@pytest.fixture
def run(home: Home, write_runbook: WriteRunbook, lab: LabServer) -> Runs:
    return Runs(home, write_runbook, lab)


def kernel_of(attempt: Attempt) -> str:
    return str(json.loads(attempt.notebook.read_text())["metadata"]["triagebook"]["kernel"])


def noted(home: Home) -> Identity:
    content = json.loads((home.run_dir("inc-1") / LIVE_FILE).read_text())
    return Identity(int(content["pid"]), content["started"])


def ask(jupyter: Jupyter, session: Session, expression: str) -> str:
    client = BlockingKernelClient()
    client.load_connection_info(jupyter.connection(session))
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        reply = client.execute_interactive(
            "", silent=True, user_expressions={"value": expression}, timeout=60
        )
        return str(reply["content"]["user_expressions"]["value"]["data"]["text/plain"])
    finally:
        client.stop_channels()


def test_the_kernel_stays_with_its_frames_and_ends_with_the_server(
    home: Home, run: Runs, lab: LabServer
):
    attempt = run(code("frame = list(range(1000))", "one"), code("1 / 0", "two"))
    assert kernel_of(attempt) == "live"
    who = noted(home)
    assert is_alive(who)
    session = jupyter_of(lab).session("inc-1/investigation.ipynb")
    assert session is not None
    assert ask(jupyter_of(lab), session, "len(frame)") == "1000"
    # Nothing of the finished attempt ends it.
    execute_attempt(attempt)
    assert is_alive(who)
    lab.close()
    wait_for(lambda: not is_alive(who))


def test_the_file_with_the_token_is_for_this_user_alone(lab: LabServer):
    assert stat.S_IMODE(lab.file.stat().st_mode) == 0o600
    # Nobody without the token gets in.
    answer = httpx.get(f"{jupyter_of(lab).url}/api/sessions")
    assert answer.status_code == httpx.codes.FORBIDDEN
    lab.close()
    assert not lab.file.exists()


def test_a_refresh_replaces_an_unused_kernel_and_leaves_one_that_is_used(
    home: Home, run: Runs, lab: LabServer
):
    first = run(code("x = 1", "one"))
    before = noted(home)
    second = run(code("x = 2", "one"), number=2)
    assert kernel_of(first) == kernel_of(second) == "live"
    wait_for(lambda: not is_alive(before))
    session = jupyter_of(lab).session("inc-1/investigation.ipynb")
    assert session is not None
    jupyter = jupyter_of(lab)
    address = jupyter.url.replace("http", "ws", 1)
    with connect(f"{address}/api/kernels/{session.kernel}/channels?token={jupyter.token}"):
        wait_for(lambda: bool((s := jupyter.session(session.path)) and s.connections))
        third = run(code("x = 3", "one"), number=3)
        assert kernel_of(third) == "plain"
        told = json.loads(third.notebook.read_text())["metadata"]["triagebook"]
        assert "left to them" in told["not_live"]
        assert ask(jupyter, session, "x") == "2"


def test_a_run_that_is_ended_leaves_no_kernel_behind(home: Home, run: Runs, lab: LabServer):
    stuck = code("import os; open('pid', 'w').write(str(os.getpid())); sum(range(10**12))", "stuck")
    attempt = run(stuck, code("2", "two"), deadline_s=20)
    assert kernel_of(attempt) == "live"
    assert not (home.run_dir("inc-1") / LIVE_FILE).exists()
    assert jupyter_of(lab).session("inc-1/investigation.ipynb") is None
    pid = (attempt.folder / "pid").read_text()
    wait_for(lambda: not is_running(pid))


def is_running(pid: str) -> bool:
    return identify(int(pid)) is not None


def test_without_an_answer_of_the_server_the_run_has_a_kernel_of_its_own(
    home: Home, write_runbook: WriteRunbook
):
    server = LabServer(home, LabSettings(enabled=True))
    server.file.write_text(
        json.dumps(
            {
                "url": "http://127.0.0.1:9",
                "token": "t",
                "connections": str(home.state),
                "root": str(home.runs),
            }
        )
    )
    attempt = Runs(home, write_runbook, server)(code("1", "one"))
    assert kernel_of(attempt) == "plain"
    told = json.loads(attempt.notebook.read_text())["metadata"]["triagebook"]
    assert "does not answer" in told["not_live"]


def test_room_is_made_for_the_next_one(home: Home, run: Runs, lab: LabServer):
    run(code("x = 1", "one"))
    first = noted(home)
    lab.settings = LabSettings(enabled=True, kernels=1)
    assert lab.make_room()
    wait_for(lambda: not is_alive(first))
