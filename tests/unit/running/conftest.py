"""Small real runbooks and attempts."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from triagebook.core.models import Alert, IncidentType, RunRequest
from triagebook.core.paths import Home
from triagebook.core.settings import ServerSettings, Settings
from triagebook.running.attempt import Attempt
from triagebook.running.runbook import skip_slow_import
from triagebook.running.supervise import RunnerProcess, start_runner
from triagebook.running.warm.pool import WarmPool

skip_slow_import()

from nbformat import v4, write  # noqa: E402 - after skip_slow_import

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEADLINE_S = 60.0


Start = Callable[[Attempt], RunnerProcess]


class WriteRunbook(Protocol):
    def __call__(self, *cells: Any, name: str = "probe") -> Path: ...


class MakeAttempt(Protocol):
    def __call__(
        self, *cells: Any, deadline_s: float = DEADLINE_S, parameters: dict[str, Any] | None = None
    ) -> Attempt: ...


def text(source: str) -> Any:
    return v4.new_markdown_cell(source)


def code(source: str, ident: str | None = None, **metadata: Any) -> Any:
    cell = v4.new_code_cell(source, metadata=metadata)
    if ident:
        cell["id"] = ident
    return cell


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def settings() -> Settings:
    server = ServerSettings(notebooks="runbooks", deadline=DEADLINE_S, warm=0)
    return Settings(server=server)


@pytest.fixture
def write_runbook(home: Home) -> WriteRunbook:
    folder = home.root / "runbooks"

    def write_one(*cells: Any, name: str = "probe") -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.ipynb"
        write(v4.new_notebook(cells=list(cells)), path)
        return path

    return write_one


@pytest.fixture
def make_attempt(home: Home, write_runbook: WriteRunbook) -> MakeAttempt:
    def make(
        *cells: Any, deadline_s: float = DEADLINE_S, parameters: dict[str, Any] | None = None
    ) -> Attempt:
        path = write_runbook(*cells)
        attempt = Attempt(home.attempt_dir("inc-1", 1))
        request = RunRequest(
            incident_id="inc-1",
            incident_type=IncidentType.UNKNOWN,
            service=None,
            runbook=path.stem,
            alert=Alert(),
            home=str(home.root),
            attempt=1,
            parameters=parameters or {},
            deadline_s=deadline_s,
        )
        attempt.prepare(request, notebooks=path.parent)
        return attempt

    return make


@pytest.fixture(scope="session")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarmPool]:
    pool = WarmPool(1, [], tmp_path_factory.mktemp("pool") / "template.log")
    pool.open()
    try:
        wait_for(lambda: pool.socket is not None and pool.socket.exists())
        yield pool
    finally:
        pool.close()


@pytest.fixture(params=["plain", "warm"])
def start(request: pytest.FixtureRequest) -> Start:
    """How a runner is started: as a process of its own, and forked from a template."""
    if request.param == "plain":
        return start_runner
    if not sys.platform.startswith("linux"):
        pytest.skip("macOS only: no warm processes there")
    pool: WarmPool = request.getfixturevalue("pool")

    def warm(attempt: Attempt) -> RunnerProcess:
        before = pool.warm_starts
        process = pool.start(attempt)
        assert pool.warm_starts == before + 1
        return process

    return warm


def wait_for(true: Callable[[], bool], within_s: float = 60.0) -> None:
    """Wait until something is so; fail where it is not in time."""
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, "it did not become so in time"
        time.sleep(0.02)
