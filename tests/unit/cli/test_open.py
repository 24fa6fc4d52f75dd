"""`triagebook open`: the address of a published notebook in the JupyterLab beside the service."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from tests.unit.cli.samples import write_home
from triagebook.cli.main import app
from triagebook.core.paths import Home
from triagebook.running.live.server import lab_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "inc-1"
NOTEBOOK = f"{NAME}/investigation.ipynb"


class Sessions(BaseHTTPRequestHandler):
    """Answers as a Jupyter server does when it is asked for its sessions."""

    told: tuple[dict[str, Any], ...] = ()

    def do_GET(self) -> None:
        known = self.headers["Authorization"] == "token t0k"
        body = json.dumps(self.told if known else {"message": "Forbidden"}).encode()
        self.send_response(200 if known else 403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(write_home(tmp_path / "home"))
    home.run_dir(NAME).mkdir(parents=True)
    (home.run_dir(NAME) / "investigation.ipynb").write_text("{}")
    return home


@pytest.fixture
def address(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(Sessions, "told", ())
    server = HTTPServer(("127.0.0.1", 0), Sessions)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    url = f"http://127.0.0.1:{server.server_port}"
    lab_file(home).parent.mkdir(exist_ok=True)
    tell(home, url, "t0k")
    yield url
    server.shutdown()
    serving.join()
    server.server_close()


def tell(home: Home, url: str, token: str) -> None:
    told = {
        "url": url,
        "token": token,
        "connections": str(home.state),
        "root": str(home.runs),
    }
    lab_file(home).write_text(json.dumps(told))


def call(home: Home, *arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "100"}).invoke(
        app, ["open", *arguments, "--home", str(home.root)]
    )


def told_by(result: Result) -> str:
    return " ".join(result.stderr.split())


def with_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = {"id": "k", "last_activity": "2026-01-01T00:00:00Z", "execution_state": "idle"}
    monkeypatch.setattr(Sessions, "told", ({"id": "s", "path": NOTEBOOK, "kernel": kernel},))


def test_the_browser_gets_the_address(
    home: Home, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_kernel(monkeypatch)
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda url: not opened.append(url))
    result = call(home, NAME)
    assert (result.exit_code, result.stdout) == (0, "")
    assert opened == [f"{address}/lab/tree/{NOTEBOOK}?token=t0k"]


def test_without_a_browser_the_address_is_printed_in_one_line(
    home: Home, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webbrowser.open", lambda _: False)
    lines = call(home, NAME).stdout.splitlines()
    assert lines[-1] == f"{address}/lab/tree/{NOTEBOOK}?token=t0k"
    # Nothing is left in memory: said, so that nobody looks for a frame that is gone.
    assert "kernel has ended" in lines[0]
    assert call(home, NAME, "--print").stdout.splitlines() == lines


def test_as_json(home: Home, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"url": f"{address}/lab/tree/{NOTEBOOK}?token=t0k", "kernel_alive": False}
    assert json.loads(call(home, NAME, "--json").stdout) == told
    with_kernel(monkeypatch)
    assert json.loads(call(home, NAME, "--json").stdout) == {**told, "kernel_alive": True}


@pytest.mark.usefixtures("address")
@pytest.mark.parametrize("name", ["inc-2", "../state", "inc-1/..", ""])
def test_an_incident_without_a_notebook(home: Home, name: str) -> None:
    result = call(home, name)
    assert result.exit_code != 0
    assert "triagebook incidents" in told_by(result)


def test_without_a_jupyterlab_it_says_how_to_start_one(home: Home) -> None:
    result = call(home, NAME)
    assert result.exit_code != 0
    assert "triagebook serve --lab" in told_by(result)


def test_a_token_that_is_not_taken_is_told(home: Home, address: str) -> None:
    tell(home, address, "another")
    result = call(home, NAME)
    assert result.exit_code != 0
    assert "403" in told_by(result)
    assert "another's" in told_by(result)
