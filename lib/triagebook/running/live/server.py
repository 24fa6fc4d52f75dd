"""JupyterLab beside the service: started, waited for, told to whom it concerns, ended."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import threading
from importlib.util import find_spec
from typing import TYPE_CHECKING

import structlog

from triagebook.core.errors import RunError
from triagebook.running.atomic import write_whole
from triagebook.running.live.jupyter import Jupyter
from triagebook.running.live.keeper import Keeper
from triagebook.running.sockets import free_port, make_sockets_folder, remove_sockets
from triagebook.running.warm.client import SOCKET_VARIABLE

if TYPE_CHECKING:
    from pathlib import Path

    from triagebook.core.paths import Home
    from triagebook.core.settings import LabSettings

UP_WITHIN_S = 60.0
FILE_NAME = "lab.json"

log = structlog.get_logger(__name__)


def lab_file(home: Home) -> Path:
    """Return the file that says where a service's JupyterLab is; there while one runs."""
    return home.state / FILE_NAME


class LabServer:
    """A JupyterLab that owns the kernels of runs, for as long as the service lives.

    Parameters
    ----------
    home : Home
        Its root folder is `runs/`; `state/lab.json` (readable by this user alone) says where it is.
    settings : LabSettings
        `idle`; with `url`, that server is used and none is started.
    """

    def __init__(self, home: Home, settings: LabSettings) -> None:
        self.home = home
        self.settings = settings
        self.file = lab_file(home)
        self.jupyter: Jupyter | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._looking: threading.Thread | None = None
        self._connections: Path | None = None

    def open(self, warm_socket: Path | None = None) -> None:
        """Start it, or name the configured one; returns before it answers.

        Parameters
        ----------
        warm_socket : Path or None
            Its kernels are taken from the template that listens there.

        Raises
        ------
        RunError
            JupyterLab is not installed.
        """
        if self.settings.url is not None:
            self._tell(self.settings.url.rstrip("/"), self._given_token(), self._given_folder())
            self._keep_within_limits()
            return
        if find_spec("jupyterlab") is None:
            raise RunError(
                "JupyterLab is not installed", "pip install 'triagebook[lab]', or leave out --lab"
            )
        self._connections = make_sockets_folder()
        port, token = free_port(), secrets.token_urlsafe(32)
        self._tell(f"http://127.0.0.1:{port}", token, self._connections, port=port)
        env = dict(os.environ)
        if warm_socket is not None:
            env[SOCKET_VARIABLE] = str(warm_socket)
        with (self.home.state / "lab.log").open("ab") as out:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", "triagebook.running.live.labserver", str(self.file)],
                stdin=subprocess.PIPE,  # never written to: its end tells that we are gone
                stdout=out,
                stderr=out,
                start_new_session=True,
                env=env,
            )
        self._keep_within_limits()

    def _keep_within_limits(self) -> None:
        keeper = Keeper(self.home, self.settings, Jupyter.read(self.file))
        self._looking = threading.Thread(
            target=keeper.run, args=(self._stopping,), name="live kernels", daemon=True
        )
        self._looking.start()

    def wait_until_up(self, stop: threading.Event) -> bool:
        """Wait until it answers; False where it does not within a minute, or `stop` is set."""
        tries = int(UP_WITHIN_S / 0.2)
        for _ in range(tries):
            if self.jupyter is not None and self.jupyter.is_up():
                return True
            if self._process is not None and self._process.poll() is not None:
                log.warning("JupyterLab ended by itself", log=str(self.home.state / "lab.log"))
                return False
            if stop.wait(0.2):
                return False
        return False

    def make_room(self) -> bool:
        """See that one more kernel fits; False where the server does not answer (yet)."""
        if self.jupyter is None:
            return False
        if self._process is not None and self._process.poll() is not None:
            log.warning("JupyterLab ended by itself", log=str(self.home.state / "lab.log"))
            self.file.unlink(missing_ok=True)
            self.jupyter = None
            return False
        try:
            Keeper(self.home, self.settings, self.jupyter).make_room(room_for=1)
        except RunError as error:
            log.info("no live kernel", why=str(error))
            return False
        return True

    def close(self) -> None:
        """End it with all its kernels; a configured server goes on."""
        self._stopping.set()
        if self._looking is not None:
            self._looking.join()
        self.file.unlink(missing_ok=True)
        process, self._process = self._process, None
        if process is not None:
            if process.stdin is not None:
                process.stdin.close()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._connections is not None:
            remove_sockets(self._connections)

    def _tell(self, url: str, token: str, connections: Path, *, port: int = 0) -> None:
        root = self.home.runs
        if self.settings.url is not None and self.settings.root is not None:
            root = self.settings.root
        content = {
            "url": url,
            "token": token,
            "connections": str(connections),
            "port": port,
            "root": str(root.resolve()),
            "idle_s": self.settings.idle,
        }
        write_whole(self.file, json.dumps(content), mode=0o600)
        self.jupyter = Jupyter(url, token, connections, root)

    def _given_token(self) -> str:
        if self.settings.token is None:
            raise RunError("lab.url is set, lab.token is not", 'name it: token = { env = "…" }')
        return self.settings.token.value(self.home.root)

    def _given_folder(self) -> Path:
        if self.settings.connections is None:
            raise RunError(
                "lab.url is set, lab.connections is not",
                "set it to the folder that `jupyter --runtime-dir` prints for that server",
            )
        return self.settings.connections
