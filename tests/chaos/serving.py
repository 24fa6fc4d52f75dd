"""A real `triagebook serve` that is killed and started again on one home, and what is left of it."""

from __future__ import annotations

import json
import os
import platform
import signal
import socket
import sqlite3
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit
from uuid import uuid4

from tests.live.workers import make_notebook, wait_until
from tests.payloads.alertmanager import build
from triagebook.cli.service_process import ServiceProcess
from triagebook.core.paths import Home

if TYPE_CHECKING:
    from collections.abc import Iterable

# Each alert is an incident of its own, and no notebook is executed again by the clock.
_CONFIG = """
[server]
port = 0
notebooks = "runbooks"
deadline = "120s"
warm = {warm}
[correlation]
window = 0
[refresh]
every = 0
on_resolve = false
"""
_MARK = "CHAOS_MARK"


class Serving:
    """A home with one runbook, and its service.

    Parameters
    ----------
    root : Path
        Empty.
    cells : iterable of str
        Of the runbook.
    warm : int
        Processes kept ready.
    """

    def __init__(self, root: Path, cells: Iterable[str], *, warm: int = 2) -> None:
        self.home = Home(root)
        root.mkdir(parents=True, exist_ok=True)
        self.home.config.write_text(_CONFIG.format(warm=warm), encoding="utf-8")
        runbooks = root / "runbooks"
        runbooks.mkdir()
        (runbooks / "generic.ipynb").write_text(make_notebook(*cells), encoding="utf-8")
        self._mark = uuid4().hex
        self._service: ServiceProcess | None = None

    @property
    def url(self) -> str:
        assert self._service is not None
        return self._service.url

    @property
    def pid(self) -> int:
        assert self._service is not None
        assert self._service.pid is not None
        return self._service.pid

    def start(self) -> None:
        """Start it and return when it answers."""
        self.home.state.mkdir(exist_ok=True)
        self._service = ServiceProcess(self.home, 0)
        os.environ[_MARK] = self._mark  # every process that comes of it has this
        try:
            self._service.__enter__()
        finally:
            del os.environ[_MARK]

    def kill_now(self) -> None:
        """Kill -9, and nothing else: what it started has to end by itself."""
        os.kill(self.pid, signal.SIGKILL)

    def kill(self) -> None:
        """`kill_now`, and tidy up."""
        self.kill_now()
        self.stop()

    def stop(self) -> None:
        """End it as a system does, or tidy up after `kill`."""
        if self._service is not None:
            self._service.stop()
            self._service = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def left(self) -> list[int]:
        """Return the processes that came of the service and are alive, itself included."""
        wanted = f"{_MARK}={self._mark}".encode()
        found = []
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    if wanted in (folder / "environ").read_bytes().split(b"\0"):
                        found.append(int(folder.name))
                except OSError:
                    continue  # it ended while we looked
        return found

    def ask(self, query: str) -> list[Any]:
        """Ask the service's database, beside the service."""
        connection = sqlite3.connect(self.home.state / "triagebook.db", timeout=30)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    def wait_opened(self, incidents: int) -> str:
        """Return the last one's id when so many incidents are there."""
        found: list[tuple[str]] = []

        def there() -> bool:
            found[:] = self.ask("SELECT id FROM incidents ORDER BY seq")
            return len(found) >= incidents

        wait_until(f"{incidents} incidents are opened", there)
        return found[-1][0]

    def wait_published(self, incidents: int, within_s: float) -> None:
        """Return when so many incidents are there and published."""
        query = "SELECT COUNT(*) FROM incidents WHERE run_state = 'published'"
        wait_until(
            f"{incidents} runs are published",
            lambda: self.ask(query)[0][0] >= incidents,
            within_s,
        )


def alert(number: int) -> bytes:
    """Return what Alertmanager posts for one alert; each number is another alert."""
    return build.body(build.alert(service=f"s{number}", instance=f"i{number}", incident_type=""))


class Post:
    """One POST over a bare socket, so that nothing lies between the answer and who waits for it."""

    def __init__(self, url: str, body: bytes) -> None:
        at = urlsplit(url)
        self._socket = socket.create_connection((str(at.hostname), int(at.port or 0)), timeout=60)
        self._head = (
            "POST /intake/alertmanager HTTP/1.1\r\n"
            f"Host: {at.netloc}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        ).encode()
        self._body = body

    def send(self) -> None:
        self._socket.sendall(self._head + self._body)

    def status(self) -> int | None:
        """Wait for the status line; None where the connection ended without one."""
        line = b""
        try:
            while b"\r\n" not in line:
                part = self._socket.recv(4096)
                if not part:
                    return None
                line += part
        except OSError:
            return None
        return int(line.split()[1])

    def close(self) -> None:
        self._socket.close()


def counted(site: Serving) -> dict[str, int]:
    """Count what must be there once for each alert, and what must not be there at all."""

    def number(query: str) -> int:
        return int(site.ask(query)[0][0])

    doubled = "SELECT COUNT(*) FROM (SELECT 1 FROM {} GROUP BY {} HAVING COUNT(*) > 1)"
    return {
        "incidents": number("SELECT COUNT(*) FROM incidents"),
        "published": number("SELECT COUNT(*) FROM incidents WHERE run_state = 'published'"),
        "unread": number("SELECT COUNT(*) FROM deliveries WHERE status <> 'processed'"),
        "alerts_doubled": number(doubled.format("episodes", "fingerprint")),
        "incidents_doubled": number(doubled.format("incidents", "service, title, alert")),
        "runs_doubled": number(doubled.format("runs", "incident_id")),
        "published_twice": number(
            doubled.format("timeline WHERE kind = 'published'", "incident_id")
        ),
    }


def machine() -> str:
    """Return one line about where the figures come from."""
    return f"{os.cpu_count()} cores, {platform.platform()}, Python {platform.python_version()}"


def posted(site: Serving, body: bytes) -> int | None:
    """Post once and return the status."""
    post = Post(site.url, body)
    try:
        post.send()
        return post.status()
    finally:
        post.close()


def parsed(path: Path, wrong: list[str]) -> Any:
    """Return a JSON file's content; None where there is none. What is no JSON goes to `wrong`."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        wrong.append(f"{path.name}: {error}")
        return None


def none_left(site: Serving, within_s: float = 5.0) -> list[str]:
    """Wait until nothing that came of the service is alive; name what is after so many seconds."""
    deadline = time.monotonic() + within_s
    while (left := site.left()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return [_described(pid) for pid in left]


def _described(pid: int) -> str:
    """Return a process's number, age, state and command."""
    told = subprocess.run(
        ["ps", "-o", "pid=,ppid=,etimes=,stat=,args=", "-p", str(pid)],
        check=False,
        capture_output=True,
        text=True,
    )
    return " ".join(told.stdout.split())[:200] or f"{pid}, gone by now"
