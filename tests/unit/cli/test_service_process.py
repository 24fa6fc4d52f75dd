"""The service as a child: it answers, and it is gone however its parent ends."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.unit.cli.samples import write_home
from triagebook.cli.service_process import ServiceProcess
from triagebook.core.errors import TriagebookError
from triagebook.core.paths import Home

PARENT = """
import signal
import sys
from pathlib import Path
from triagebook.cli.service_process import ServiceProcess, end_on_signals
from triagebook.core.paths import Home
# Tests started in the background inherit that interrupts are ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
end_on_signals()
with ServiceProcess(Home(Path(sys.argv[1])), 0) as service:
    print(service.pid, service.url, flush=True)
    service.wait()
"""


@pytest.fixture
def home(tmp_path) -> Home:
    return Home(write_home(tmp_path / "home"))


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie answers to signals; in a container nobody may collect it.
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


def wait_until_gone(pid: int, limit_s: float = 20) -> bool:
    deadline = time.monotonic() + limit_s
    while is_alive(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_answers_inside_the_block_and_is_gone_after_it(home):
    with ServiceProcess(home, 0) as service:
        pid = service.pid
        assert httpx.get(f"{service.url}/healthz", trust_env=False).text == "ok\n"
    assert not is_alive(pid)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{service.url}/healthz", trust_env=False)


def test_what_it_logs_goes_to_its_log_and_not_to_the_pipe_that_nobody_reads(home):
    # The pipe holds 64 KiB; a service that wrote its log there would stand still after an hour.
    with ServiceProcess(home, 0) as service:
        assert service._process is not None
        assert service._process.stdout is not None
        answer = httpx.post(
            f"{service.url}/intake/alertmanager",
            content=b"{",
            headers={"Authorization": "Bearer s3cret", "Prefer": "wait=8"},
            trust_env=False,
        )
        assert answer.json()["status"] == "quarantined"
        assert "delivery_quarantined" in service.log.read_text(encoding="utf-8")
        readable, _, _ = select.select([service._process.stdout], [], [], 0)
        assert readable == []


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGKILL, -9)],
    ids=lambda value: getattr(value, "name", value),
)
def test_is_gone_however_its_parent_ends(home, number, code):
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, home.root],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as parent:
        pid, url = parent.stdout.readline().split()
        assert httpx.get(f"{url}/readyz", trust_env=False).json()["ready"]
        parent.send_signal(number)
        ended = parent.wait(20)
    # An interrupt that nobody handles ends Python by the signal itself.
    assert ended in {code, -number}
    assert wait_until_gone(int(pid))


def test_a_service_that_does_not_start_says_why(home):
    home.config.write_text("[server]\nprot = 1\n")
    with pytest.raises(TriagebookError, match="did not start") as caught, ServiceProcess(home, 0):
        pass
    assert "did you mean 'port'?" in caught.value.message
    assert str(home.state / "service.log") in caught.value.hint


def test_a_service_that_dies_ends_the_wait_with_its_last_lines(home):
    with ServiceProcess(home, 0) as service:
        os.kill(service.pid, signal.SIGKILL)
        with pytest.raises(TriagebookError, match="ended with exit code -9"):
            service.wait()


def test_taken_port_is_an_error_unless_any_will_do(home):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (
            pytest.raises(TriagebookError, match=f"cannot listen on 127.0.0.1:{port}"),
            ServiceProcess(home, port),
        ):
            pass
        with ServiceProcess(home, port, or_any=True) as service:
            assert not service.url.endswith(f":{port}")
            assert httpx.get(f"{service.url}/healthz", trust_env=False).is_success


def test_two_services_on_one_home_are_refused_with_a_reason(home):
    with (
        ServiceProcess(home, 0),
        pytest.raises(TriagebookError, match="did not start"),
        ServiceProcess(home, 0),
    ):
        pass
