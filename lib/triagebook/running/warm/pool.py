"""Keep a template for the service, and start runners from it; plain ones wherever it fails."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import structlog

from triagebook.running.supervise import start_runner
from triagebook.running.warm.client import WarmError, take
from triagebook.running.warm.lines import Lines

if TYPE_CHECKING:
    from triagebook.running.attempt import Attempt
    from triagebook.running.supervise import RunnerProcess

AGAIN_AFTER_S = 30.0
"""A template that ended by itself is started again so long after its last start, at the earliest."""
LOOK_HOLDS_S = 1.0
"""How long a look at code and settings holds, in seconds."""
_PACKAGE = Path(__file__).parents[2]
_ENVIRONMENT = {
    "DO_NOT_TRACK": "1",
    "MPLBACKEND": "Agg",
    # Each of these would start threads, and a process with threads cannot be forked safely.
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    "PYTHONUNBUFFERED": "1",
}

log = structlog.get_logger(__name__)


class WarmPool:
    """Starts the runner of an attempt: warm where there is a template, plain otherwise.

    Parameters
    ----------
    idle : int
        Idle children of each kind, 0 for no template at all.
    watched : list of Path
        Files or folders; when one changes, the template is replaced (triagebook's own code and the
        installed packages always count). Runs under way keep theirs.
    log_file : Path
        Gets what templates write.

    Notes
    -----
    Only Linux has warm processes: on macOS a process that has used system frameworks cannot be
    forked safely, and nothing would end a child whose template died.
    """

    def __init__(self, idle: int, watched: list[Path], log_file: Path) -> None:
        self.idle = idle if sys.platform.startswith("linux") else 0
        self.watched = [*watched, _PACKAGE]
        self.log_file = log_file
        self.warm_starts = 0
        self.plain_starts = 0
        self._guard = threading.Lock()
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._retired: list[subprocess.Popen[bytes]] = []
        self._made_of = ""
        self._number = 0
        self._started_at = float("-inf")
        self._looked = (float("-inf"), "")

    @property
    def socket(self) -> Path | None:
        """Where the present template listens, or will listen once it has imported everything."""
        return None if self._folder is None else self._folder / f"{self._number}.sock"

    @property
    def address(self) -> Path | None:
        """A name of `socket` that stays the same when the template is replaced."""
        return None if self._folder is None else self._folder / "current"

    @property
    def state(self) -> Literal["off", "starting", "ready"]:
        """Whether runs start warm by now."""
        if self.socket is None:
            return "off"
        return "ready" if self.socket.exists() else "starting"

    @property
    def process_id(self) -> int | None:
        """The present template's process."""
        return None if self._process is None else self._process.pid

    def open(self) -> None:
        """Start the template; returns at once. Until it is ready, runners are plain."""
        if self.idle and self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="triagebook-warm-"))
            with self._guard:
                self._start()

    def look(self) -> None:
        """See whether code or settings have changed, for a start that is to come within a second."""
        if self._folder is not None:
            found = fingerprint(self.watched)
            self._looked = (time.monotonic(), found)

    def start(self, attempt: Attempt) -> RunnerProcess:
        """Start the runner of a prepared attempt."""
        path = self._ready()
        if path is not None:
            request = {
                "folder": str(attempt.folder),
                "log": str(attempt.runner_log),
                "env": {"PYTHONUNBUFFERED": "1"},
            }
            try:
                process = take(path, "runner", request)
            except WarmError as error:
                # Not a warning while it still imports.
                log.info("no warm runner, starting a plain one", why=str(error))
            else:
                self.warm_starts += 1
                return process
        self.plain_starts += 1
        return start_runner(attempt)

    def close(self) -> None:
        """End the template and all its children."""
        with self._guard:
            processes = [*self._retired, *([self._process] if self._process else [])]
            if self._process is not None and self.socket is not None and not self.socket.exists():
                # It still imports, would hear of the end only afterwards, and has no children yet.
                self._process.kill()
            self._process, self._retired = None, []
            for process in processes:
                if process.stdin is not None:
                    process.stdin.close()
            for process in processes:
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
                self._folder = None

    def _ready(self) -> Path | None:
        """Return the socket of a template that is up to date; see to it that there will be one."""
        if self._folder is None:
            return None
        with self._guard:
            self._reap()
            ended = self._process is None or self._process.poll() is not None
            if ended:
                if time.monotonic() - self._started_at >= AGAIN_AFTER_S:
                    log.warning("the template had ended; starting another")
                    self._start()
                return None
            if self._made_of != self._present():
                log.info("code or settings have changed; replacing the template")
                self._retire()
                self._start()
                return None
            path = self.socket
        return path if path is not None and path.exists() else None

    def _present(self) -> str:
        at, found = self._looked
        return found if time.monotonic() - at < LOOK_HOLDS_S else fingerprint(self.watched)

    def _start(self) -> None:
        self._number += 1
        self._made_of = fingerprint(self.watched)
        self._started_at = time.monotonic()
        if self.socket is not None and self.address is not None:
            link = self.address.with_name("next")
            link.symlink_to(self.socket.name)
            link.replace(self.address)
        with self.log_file.open("ab") as out:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [
                    sys.executable,
                    "-m",
                    "triagebook.running.warm.template",
                    str(self.socket),
                    str(self.idle),
                ],
                stdin=subprocess.PIPE,  # never written to: its end tells the template that we are gone
                stdout=out,
                stderr=out,
                start_new_session=True,
                env={**os.environ, **_ENVIRONMENT},
            )

    def _retire(self) -> None:
        """Ask the template to give no more; it ends when its last child has."""
        path, process = self.socket, self._process
        if path is None or process is None:
            return
        self._retired.append(process)
        self._process = None
        lines = Lines(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        try:
            lines.connection.settimeout(1.0)
            lines.connection.connect(str(path))
            lines.send({"retire": True})
        except OSError:
            # It was still importing: nobody has taken anything from it.
            if process.stdin is not None:
                process.stdin.close()
        finally:
            lines.close()
        with suppress(FileNotFoundError):
            path.unlink()

    def _reap(self) -> None:
        for process in [p for p in self._retired if p.poll() is not None]:
            if process.stdin is not None:
                process.stdin.close()
            self._retired.remove(process)


def fingerprint(watched: list[Path]) -> str:
    """Return text that changes when a watched file, or the set of installed packages, does."""
    packages = Path(sysconfig.get_paths()["purelib"])
    parts = [f"{packages}:{_changed(packages)}"]
    for path in watched:
        files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
        parts += [f"{file}:{_changed(file)}" for file in files]
    return "\n".join(parts)


def _changed(path: Path) -> str:
    try:
        status = path.stat()
    except FileNotFoundError:
        return "missing"
    return f"{status.st_mtime_ns}:{status.st_size}"
