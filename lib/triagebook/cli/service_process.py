"""`triagebook serve` as a child process: started, waited for, and never left behind."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Self

from triagebook.core.errors import TriagebookError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from triagebook.core.paths import Home

START_LIMIT_S = 60.0
STOP_LIMIT_S = 10.0
LOG_LINES = 15


class ServiceProcess:
    """A service on 127.0.0.1, as long as the block lasts.

    It ends with us, however we go: its standard input is a pipe from this process, and it ends
    when that closes.

    Parameters
    ----------
    home : Home
        With a triagebook.toml.
    port : int
        0 takes a free one.
    or_any : bool
        Take a free one where `port` is taken.

    Attributes
    ----------
    url : str
        Where it answers.
    log : Path
        What it writes.
    """

    def __init__(self, home: Home, port: int, *, or_any: bool = False) -> None:
        self.home = home
        self.port = port
        self.or_any = or_any
        self.url = ""
        self.log: Path = home.state / "service.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.url = self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        """Its process id, while it runs."""
        return self._process.pid if self._process else None

    def wait(self) -> None:
        """Wait until it ends, which it does not do by itself; TriagebookError when it does."""
        if self._process is not None:
            code = self._process.wait()
            raise self._died(f"the service ended with exit code {code}")

    def stop(self) -> None:
        """End it: asked first, then killed. What is unfinished is taken up at the next start."""
        process, self._process = self._process, None
        if process is None:
            return
        try:
            process.terminate()
            process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        finally:
            if process.poll() is None:  # a second Ctrl-C while we waited
                process.kill()
                process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()

    def _start(self) -> str:
        command = [sys.executable, "-m", "triagebook", "serve", "--home", str(self.home.root)]
        command += ["--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--json", "--until-stdin-closes"]
        if self.or_any:
            command.append("--or-any-port")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                # Ctrl-C goes to the whole foreground group: we end it, in order, ourselves.
                start_new_session=True,
            )
        line = self._first_line(self._process)
        try:
            return str(json.loads(line)["url"])
        except (ValueError, KeyError, TypeError) as error:
            raise self._died("the service did not start") from error

    @staticmethod
    def _first_line(process: subprocess.Popen[bytes]) -> bytes:
        """Read up to the first line break; what came until the end or the limit otherwise."""
        assert process.stdout is not None  # noqa: S101 - asked for above
        handle = process.stdout.fileno()
        line = b""
        deadline = time.monotonic() + START_LIMIT_S
        with selectors.DefaultSelector() as selector:
            selector.register(handle, selectors.EVENT_READ)
            while b"\n" not in line and selector.select(max(0.0, deadline - time.monotonic())):
                part = os.read(handle, 4096)
                if not part:
                    break
                line += part
        return line.partition(b"\n")[0]

    def _died(self, what: str) -> TriagebookError:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
        told = "".join(f"\n    {line}" for line in lines)
        return TriagebookError(f"{what}; its last lines:{told}", f"all of it: {self.log}")


def end_on_signals() -> None:
    """Let SIGTERM and SIGHUP end this process as an exception, so that blocks are left in order."""
    for kind in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(kind, _leave)


def _leave(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)
