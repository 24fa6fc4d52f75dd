"""The runner process: executes one attempt's notebook and writes its report.

`python -m triagebook.running.runner ATTEMPT_DIR`. Its standard input is a pipe whose other end
only the service holds: when that closes, however the service ended, the runner kills its kernel,
all that the kernel started, and itself at once. (Had Linux kill the runner together with the
service, as it does the kernel with the runner, nobody would be left to end the kernel's children.)
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from triagebook.core.errors import RunError, TriagebookError
from triagebook.core.times import iso
from triagebook.running.attempt import Attempt, RunResult, read_json
from triagebook.running.limits import VARIABLE as MEMORY_VARIABLE
from triagebook.running.limits import session_stands_back, stand_back
from triagebook.running.parameters import declared_names, split_parameters
from triagebook.running.processes import (
    Identity,
    adopt_orphans,
    end,
    identify,
)
from triagebook.running.progress import ProgressLog
from triagebook.running.runbook import load_runbook
from triagebook.running.sockets import remove_sockets

if TYPE_CHECKING:
    from triagebook.core.models import RunRequest
    from triagebook.running.kernels import LiveKernel

CELL_SHARE = 0.6
"""One cell may take this share of the run's time, so that the sections after it still have some."""
RESERVE_SHARE, RESERVE_S = 0.15, 10.0
"""The notebook ends this much before the deadline (the smaller of the two), for the report."""


class Lifeline:
    """Watches standard input; its end means that the service is gone."""

    def __init__(self) -> None:
        self.kernel: Identity | None = None
        self.sockets: Path | None = None

    def start(self) -> None:
        """Watch from a thread."""
        threading.Thread(target=self._watch, name="lifeline", daemon=True).start()

    def roots(self) -> list[Identity]:
        """Return the kernel, and this process, which `end` itself leaves out: for its children."""
        found = [self.kernel, identify(os.getpid())]
        return [who for who in found if who is not None]

    def _watch(self) -> None:
        while os.read(0, 64):
            pass
        try:
            end(self.roots(), within_s=2.0)
            if self.sockets is not None:
                remove_sockets(self.sockets)
        finally:
            os.kill(os.getpid(), signal.SIGKILL)


def run(attempt: Attempt, lifeline: Lifeline) -> RunResult:
    """Execute the attempt's notebook, then write its report.

    Returns
    -------
    RunResult
        Also in result.json: it is there before the report is begun, so a report that hangs or
        fails never costs the notebook.
    """
    began = time.monotonic()
    request = attempt.request()
    progress = ProgressLog(attempt.folder)
    try:
        summary = _execute(attempt, request, progress, lifeline, began)
        result = RunResult.of_notebook(summary, time.monotonic() - began)
    except TriagebookError as error:
        result = RunResult("failed", str(error), took_s=round(time.monotonic() - began, 3))
    attempt.write_result(result)
    if result.status == "failed":
        progress.add("failed", message=result.message)
        return result
    progress.add("executed", took_s=result.took_s, message=result.message or None)
    problem = _report(attempt)
    if problem is not None:
        progress.add("executed", message=f"the report could not be made: {problem}")
    return result


def _identity(request: RunRequest) -> dict[str, str]:
    """Return what the notebook is about, for the runbooks whose parameters ask for it."""
    starts_at = request.alert.starts_at
    return {
        "incident_id": request.incident_id,
        "incident_type": "" if request.incident_type == "unknown" else str(request.incident_type),
        "service": request.service or "",
        "at": iso(starts_at) if starts_at is not None else "",
    }


def _execute(
    attempt: Attempt, request: RunRequest, progress: ProgressLog, lifeline: Lifeline, began: float
) -> dict[str, Any]:
    notebook = load_runbook(attempt.runbook)
    import papermill  # noqa: PLC0415 - after load_runbook, which makes it quick
    from papermill.exceptions import PapermillExecutionError  # noqa: PLC0415

    declared = declared_names(notebook)
    passed, refused = split_parameters(request.parameters, declared)
    passed = {**{n: v for n, v in _identity(request).items() if n in declared}, **passed}
    for name, why in refused.items():
        progress.add("started", message=f"parameter {name[:80]!r} was left out: {why}")

    def note_kernel(pid: int, sockets: Path) -> None:
        lifeline.kernel, lifeline.sockets = identify(pid), sockets
        session_stands_back(pid)
        if lifeline.kernel is not None:
            attempt.note_process("kernel", lifeline.kernel, sockets)
        # While the kernel works this process has nothing to do.
        threading.Thread(target=_load_report, name="load report", daemon=True).start()

    reserve_s = min(RESERVE_S, RESERVE_SHARE * request.deadline_s)
    try:
        papermill.execute_notebook(
            notebook,
            None,  # papermill itself would write in place; the engine saves by rename
            parameters=passed,
            engine_name="triagebook",
            progress_bar=False,
            save_to=attempt.notebook,
            progress=progress,
            cell_limit_s=CELL_SHARE * request.deadline_s,
            deadline=began + request.deadline_s - reserve_s,
            grace_s=min(2.0, reserve_s / 2),
            on_kernel=note_kernel,
            kernel_log=attempt.kernel_log,
            live=_live(attempt, request),
            labels={
                "incident_id": request.incident_id,
                "attempt": request.attempt,
                "runbook": f"{request.runbook}.ipynb",
                "parameters_left_out": refused,
            },
        )
    except PapermillExecutionError:
        # A cell failed. The engine went on and saved everything; the statuses tell.
        pass
    finally:
        executed = read_json(attempt.notebook)
        own = {} if executed is None else executed["metadata"].get("triagebook", {})
        if own.get("kernel_stays"):
            attempt.keep_kernel()
            lifeline.kernel = None
        # What a cell started in the background must not outlive the run.
        end(lifeline.roots())
    if own.get("not_live"):
        progress.add("executed", message=f"its kernel does not stay: {own['not_live']}")
    if executed is None:
        raise RunError(f"{attempt.notebook} was not written", "see runner.log beside it")
    return dict(executed["metadata"]["triagebook"])


def _live(attempt: Attempt, request: RunRequest) -> LiveKernel | None:
    """Say by which session of the Jupyter server the notebook gets a kernel, if by any."""
    if request.live is None:
        return None
    from triagebook.running.kernels import LiveKernel  # noqa: PLC0415 - papermill is loaded by now
    from triagebook.running.live.jupyter import Jupyter  # noqa: PLC0415

    # The path under which people will open it, where the notebook is not yet.
    notebook = attempt.folder.parents[1] / attempt.notebook.name
    file = Path(request.live)
    try:
        return LiveKernel(file, Jupyter.read(file).path_of(notebook))
    except RunError as error:
        ProgressLog(attempt.folder).add("started", message=f"its kernel will not stay: {error}")
        return None


def _report(attempt: Attempt) -> str | None:
    """Write report.html; return what went wrong, if anything did."""
    try:
        from triagebook.report.html import write_report  # noqa: PLC0415 - never costs the notebook

        write_report(attempt.notebook, attempt.folder / "report.html")
    except Exception as error:
        logging.getLogger(__name__).exception("the report could not be made")
        return f"{type(error).__name__}: {error}"
    return None


def _load_report() -> None:
    with contextlib.suppress(Exception):  # `_report` meets the same error, and says it
        importlib.import_module("triagebook.report.html")


def _environment(request: RunRequest) -> None:
    """Set what the kernel inherits; what an operator has set stays."""
    for name, value in {
        "DO_NOT_TRACK": "1",
        "MPLBACKEND": "Agg",
        # Several notebooks run at once on a small machine: threads of one fight those of another.
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OMP_NUM_THREADS": str(min(2, os.cpu_count() or 1)),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }.items():
        os.environ.setdefault(name, value)
    os.environ["TRIAGEBOOK_HOME"] = request.home
    if request.memory_bytes:
        os.environ[MEMORY_VARIABLE] = str(request.memory_bytes)


def main(arguments: list[str] | None = None) -> int:
    """Run one attempt; return 0 where there is a notebook, 1 where there is none."""
    folder = Path((arguments if arguments is not None else sys.argv[1:])[0]).resolve()
    adopt_orphans()
    lifeline = Lifeline()
    lifeline.start()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    attempt = Attempt(folder)
    os.chdir(folder)
    _environment(attempt.request())
    return 0 if run(attempt, lifeline).status == "executed" else 1


if __name__ == "__main__":
    stand_back()
    sys.exit(main())
