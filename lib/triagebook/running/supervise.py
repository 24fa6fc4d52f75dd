"""Start the runner, wait for it no longer than the deadline, and leave nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

from triagebook.core.errors import RunError
from triagebook.running.atomic import write_whole
from triagebook.running.attempt import Attempt, RunResult, read_json
from triagebook.running.live.jupyter import release
from triagebook.running.processes import end, identify
from triagebook.running.progress import ProgressLog, ProgressTail, read_progress
from triagebook.running.sockets import remove_sockets
from triagebook.running.statuses import CellStatus, close_ended

if TYPE_CHECKING:
    from collections.abc import Callable

    from triagebook.core.models import Progress

LOOK_EVERY_S = 0.05


class RunnerProcess(Protocol):
    """What is needed of a runner's process: a `subprocess.Popen`, or one from a template."""

    pid: int
    returncode: int | None

    @property
    def stdin(self) -> IO[bytes] | None:
        """The pipe that tells the runner that we are gone, where this process holds it."""

    def poll(self) -> int | None:
        """Return how it ended; None while it runs."""

    def kill(self) -> None:
        """Kill it."""

    def wait(self) -> int:
        """Wait for its end; return how it ended."""


def execute_attempt(
    attempt: Attempt,
    *,
    stop: threading.Event | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    start: Callable[[Attempt], RunnerProcess] | None = None,
) -> RunResult:
    """Execute a prepared attempt in a process of its own.

    Safe to call again after the service was killed in the middle: what the earlier execution left
    (processes, files) is ended and removed first; a finished one is not executed again.

    Parameters
    ----------
    attempt : Attempt
        As `Attempt.prepare` made it.
    stop : Event or None
        Set from another thread: ends the run at once, with status "stopped".
    on_progress : callable or None
        Gets each line of progress, in this thread.
    start : callable or None
        Starts the runner's process; `start_runner` by default.

    Returns
    -------
    RunResult
        Where the deadline or a crash ended the run, the last saved notebook is marked truthfully
        and kept: "executed" if any cell ran, "failed" if none did.
    """
    end_leftovers(attempt)
    done = attempt.result()
    if done is not None:
        return done
    attempt.clean()
    request = attempt.request()
    began = time.monotonic()
    ended: tuple[CellStatus, str] | None = None
    tail = ProgressTail(attempt.folder)
    process = (start or start_runner)(attempt)
    who = identify(process.pid)
    if who is not None:
        attempt.note_process("runner", who)
    try:
        stop = stop or threading.Event()
        while process.poll() is None:
            _pass_on(tail, on_progress)
            if stop.is_set():
                return RunResult("stopped", "the service was stopped")
            if time.monotonic() - began >= request.deadline_s:
                ended = "timed_out", f"the run reached its deadline of {request.deadline_s:g} s"
                break
            stop.wait(LOOK_EVERY_S)
    finally:
        _end(attempt, process)
        if request.live is not None and not attempt.keeps_kernel():
            release(Path(request.live), attempt.folder.parents[1] / attempt.notebook.name)
    result = attempt.result()
    if result is None:
        status, why = ended or ("failed", _last_words(attempt, process.returncode))
        result = _mark(attempt, status, why, time.monotonic() - began)
    elif ended is not None:
        ProgressLog(attempt.folder).add(
            "executed", message=f"{ended[1]}, before its report was made"
        )
    _pass_on(tail, on_progress)
    return result


def end_leftovers(attempt: Attempt) -> None:
    """End the processes that an earlier execution of this attempt may have left.

    Raises
    ------
    RunError
        Some could not be ended; executing again beside them would mix two runs.
    """
    noted = list(attempt.processes()) if attempt.folder.is_dir() else []
    roots = [who for who, _ in noted]
    if roots and not end(roots):
        pids = ", ".join(str(who.pid) for who in roots)
        raise RunError(
            f"processes of an earlier execution in {attempt.folder} cannot be ended ({pids})",
            "end them by hand, then run the incident again",
        )
    for _, sockets in noted:
        if sockets is not None:
            remove_sockets(sockets)


def start_runner(attempt: Attempt) -> subprocess.Popen[bytes]:
    """Start a plain runner process."""
    with attempt.runner_log.open("ab") as log:
        return subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", "triagebook.running.runner", str(attempt.folder)],
            stdin=subprocess.PIPE,  # never written to: its end tells the runner that we are gone
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C in our terminal is for us alone
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )


def _end(attempt: Attempt, process: RunnerProcess) -> None:
    """Make sure that neither the runner, nor the kernel, nor what they started is left."""
    roots = [who for who, _ in attempt.processes()]
    end(roots)
    if process.poll() is None:
        process.kill()
    process.wait()
    if process.stdin is not None:
        process.stdin.close()
    # The kernel may have been noted while the first look was on its way.
    end_leftovers(attempt)


def _mark(attempt: Attempt, status: CellStatus, why: str, took_s: float) -> RunResult:
    """Mark the notebook that an ended runner left, and write the result in its place."""
    progress = ProgressLog(attempt.folder)
    notebook = read_json(attempt.notebook)
    if notebook is None:
        result = RunResult("failed", why, took_s=round(took_s, 3))
    else:
        summary = close_ended(notebook, status, why, _running_cells(attempt))
        write_whole(
            attempt.notebook,
            json.dumps(notebook, indent=1, ensure_ascii=False) + "\n",
            durable=True,
        )
        result = RunResult.of_notebook(summary, took_s, why)
    attempt.write_result(result)
    progress.add("executed" if result.status == "executed" else "failed", message=why)
    return result


def _running_cells(attempt: Attempt) -> set[str]:
    state = {line.cell: line.status for line in read_progress(attempt.folder) if line.cell}
    return {cell for cell, status in state.items() if status == "running"}


def _last_words(attempt: Attempt, code: int | None) -> str:
    words = f"the runner process ended by itself (status {code})"
    try:
        tail = attempt.runner_log.read_bytes()[-1_500:].decode("utf-8", "replace").strip()
    except FileNotFoundError:
        tail = ""
    return f"{words}\n{tail}" if tail else words


def _pass_on(tail: ProgressTail, on_progress: Callable[[Progress], None] | None) -> None:
    if on_progress is not None:
        for line in tail.new():
            on_progress(line)
