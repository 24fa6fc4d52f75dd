"""Speak to a Jupyter server: its sessions, and the kernels behind them."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import structlog

from triagebook.core.errors import RunError
from triagebook.core.times import to_utc

if TYPE_CHECKING:
    from datetime import datetime

FILE_WITHIN_S = 3.0
"""A connection file is written before the kernel is started, so it is there or will never be."""
ANSWER_WITHIN_S = 30.0
"""A kernel may be started within this; a plain one takes seconds on a busy machine."""


log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Session:
    """A notebook's path on the server with its kernel."""

    id: str
    path: str
    kernel: str
    connections: int
    state: str
    active_at: datetime


@dataclass(frozen=True)
class Jupyter:
    """A Jupyter server.

    Attributes
    ----------
    url : str
        Such as "http://127.0.0.1:8888".
    token : str
    connections : Path
        Where it keeps its kernels' connection files: it runs on this machine.
    root : Path
        The folder that its paths begin at.
    """

    url: str
    token: str
    connections: Path
    root: Path

    @classmethod
    def read(cls, file: Path) -> Jupyter:
        """Read what `server.py` wrote; RunError where there is none."""
        try:
            told = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise RunError(
                "no JupyterLab runs beside this service", "start it: triagebook serve --lab"
            ) from error
        return cls(told["url"], told["token"], Path(told["connections"]), Path(told["root"]))

    def is_up(self) -> bool:
        """Tell whether it answers."""
        try:
            self._ask("GET", "/api/status", within_s=5.0)
        except RunError:
            return False
        return True

    def path_of(self, notebook: Path) -> str:
        """Return a notebook's path on the server; RunError where it is outside its root."""
        try:
            return notebook.resolve().relative_to(self.root.resolve()).as_posix()
        except ValueError as error:
            raise RunError(
                f"{notebook} is not below {self.root}, the root of the Jupyter server",
                "set lab.root to that server's root folder, and let runs/ lie in it",
            ) from error

    def sessions(self) -> list[Session]:
        """Return all notebooks that have a kernel."""
        return [_session(item) for item in self._ask("GET", "/api/sessions")]

    def session(self, path: str) -> Session | None:
        """Return the session of a notebook."""
        return next((found for found in self.sessions() if found.path == path), None)

    def start(self, path: str) -> Session:
        """Start a kernel for a notebook, which need not exist yet.

        Where the notebook has a session, that one is returned: a server keeps one for each path.
        """
        asked = {
            "path": path,
            "name": path.rpartition("/")[2],
            "type": "notebook",
            "kernel": {"name": "python3"},
        }
        return _session(self._ask("POST", "/api/sessions", json=asked))

    def end(self, session: Session) -> None:
        """End a session and its kernel; one that is gone is no error."""
        self._ask("DELETE", f"/api/sessions/{session.id}", gone_is_fine=True)

    def connection(self, session: Session) -> dict[str, Any]:
        """Return how a session's kernel is reached, as jupyter_client takes it."""
        file = self.connections / f"kernel-{session.kernel}.json"
        deadline = time.monotonic() + FILE_WITHIN_S
        while not file.exists():
            if time.monotonic() > deadline:
                raise RunError(
                    f"the Jupyter server has a kernel whose connection file is not in {file.parent}",
                    "set lab.connections to the folder that `jupyter --runtime-dir` prints there",
                )
            time.sleep(0.02)
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        found["key"] = found["key"].encode()
        return found

    def link(self, path: str, *, with_token: bool) -> str:
        """Return the address of a notebook in JupyterLab."""
        address = f"{self.url}/lab/tree/{quote(path)}"
        return f"{address}?token={quote(self.token)}" if with_token else address

    def _ask(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        within_s: float = ANSWER_WITHIN_S,
        gone_is_fine: bool = False,
    ) -> Any:
        try:
            answer = httpx.request(
                method,
                f"{self.url}{path}",
                json=json,
                headers={"Authorization": f"token {self.token}"},
                timeout=within_s,
                trust_env=False,
            )
        except httpx.HTTPError as error:
            raise RunError(f"the Jupyter server at {self.url} does not answer: {error}") from error
        if gone_is_fine and answer.status_code == httpx.codes.NOT_FOUND:
            return None
        if answer.is_error:
            raise RunError(
                f"the Jupyter server at {self.url} answered {answer.status_code} to {method} {path}",
                "look at its log; 403 means that the token is another's",
            )
        return answer.json() if answer.content else None


def _session(item: dict[str, Any]) -> Session:
    kernel = item["kernel"]
    return Session(
        id=item["id"],
        path=item["path"],
        kernel=kernel["id"],
        connections=int(kernel.get("connections") or 0),
        state=str(kernel.get("execution_state") or "unknown"),
        active_at=to_utc(kernel["last_activity"]),
    )


def release(file: Path, notebook: Path) -> None:
    """End a notebook's session, unless somebody is in it; a server that is gone is no error.

    Parameters
    ----------
    file : Path
        Says where the server is.
    notebook : Path
    """
    try:
        jupyter = Jupyter.read(file)
        session = jupyter.session(jupyter.path_of(notebook))
        if session is not None and not session.connections:
            jupyter.end(session)
    except RunError as error:
        log.info("a session could not be ended", notebook=str(notebook), why=str(error))
