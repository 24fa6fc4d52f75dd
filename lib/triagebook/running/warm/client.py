"""Take a warm process from a template, and hold it like a `subprocess.Popen`."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Any, Literal

from triagebook.running.warm.lines import Lines

if TYPE_CHECKING:
    from pathlib import Path

SOCKET_VARIABLE = "TRIAGEBOOK_WARM"
"""Environment variable with the path of the template's socket; unset where there is none."""
ANSWER_WITHIN_S = 5.0

Kind = Literal["kernel", "runner"]


class WarmError(Exception):
    """There is no warm process to be had; the caller starts a plain one."""


class WarmProcess:
    """A process that a template forked, as far as `subprocess.Popen` is needed of it.

    The process lives as long as the connection to the template: when this object's owner ends,
    however it does, the template kills the process with all that it started.

    Attributes
    ----------
    pid : int
    answer : dict
        What the process said when it was taken.
    returncode : int or None
        As Popen's; -SIGKILL where the template ended without a word.
    """

    stdin = stdout = stderr = None

    def __init__(self, lines: Lines, answer: dict[str, Any]) -> None:
        self._lines = lines
        self.answer = answer
        self.pid = int(answer["pid"])
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return how the process ended; None while it runs."""
        if self.returncode is None:
            said = self._lines.pending()
            if said is None:
                self.returncode = -signal.SIGKILL
            else:
                codes = [line["exit"] for line in said if "exit" in line]
                self.returncode = int(codes[0]) if codes else None
            if self.returncode is not None:
                self._lines.close()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the process to end; subprocess.TimeoutExpired where it does not in `timeout` s."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if deadline is not None and time.monotonic() >= deadline:
                raise subprocess.TimeoutExpired(["warm", str(self.pid)], timeout or 0)
            time.sleep(0.005)
        return code

    def send_signal(self, signum: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.poll() is None:
            try:
                os.kill(self.pid, signum)
            except ProcessLookupError:
                return  # it ended since; the template is about to say so

    def kill(self) -> None:
        """Kill the process."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask the process to end."""
        self.send_signal(signal.SIGTERM)


def take(path: Path | str, kind: Kind, request: dict[str, Any]) -> WarmProcess:
    """Take an idle process.

    Parameters
    ----------
    path : path
        The template's socket.
    kind : "kernel" or "runner"
    request : dict
        What the process is to do: `children.py` says which keys there are.

    Raises
    ------
    WarmError
        No template listens there (yet), or it gave none.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    lines = Lines(connection)
    try:
        connection.settimeout(ANSWER_WITHIN_S)
        connection.connect(str(path))
        lines.send({"take": kind, "request": request})
        answer = lines.receive(ANSWER_WITHIN_S)
    except OSError as error:  # TimeoutError is one
        lines.close()
        raise WarmError(f"the template at {path} does not answer: {error}") from error
    if answer is None or "pid" not in answer:
        lines.close()
        raise WarmError(str((answer or {}).get("error", "the template ended")))
    return WarmProcess(lines, answer)
