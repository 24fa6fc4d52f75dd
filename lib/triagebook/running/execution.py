"""Execute a notebook cell by cell with limits, saving and statuses that tell the truth."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from papermill.clientwrap import PapermillNotebookClient
from papermill.log import logger

from triagebook.core.errors import RunError
from triagebook.running.kernels import Kernel, LiveKernel, start_options
from triagebook.running.recorder import Recorder
from triagebook.running.statuses import is_runnable, mark_cell

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_client.manager import AsyncKernelManager
    from nbformat import NotebookNode

    from triagebook.running.progress import ProgressLog

START_LIMIT_S = 60
TIME_IS_UP = "the run's time was up"
GRACE_S = 2.0
"""How long a cell may take to react to an interrupt before its kernel is killed, in seconds."""


def execute(
    nb: NotebookNode,
    kernel_name: str,
    *,
    output_path: str | Path | None = None,
    save_to: Path | None = None,
    progress: ProgressLog | None = None,
    cell_limit_s: float | None = None,
    deadline: float | None = None,
    grace_s: float = GRACE_S,
    on_kernel: Callable[[int, Path], None] | None = None,
    kernel_log: Path | None = None,
    live: LiveKernel | None = None,
    labels: dict[str, Any] | None = None,
    start_timeout: int = START_LIMIT_S,
    execution_timeout: float | None = None,
    **_papermill_options: Any,
) -> NotebookNode:
    """Execute a notebook in a kernel of its own.

    Parameters
    ----------
    nb : NotebookNode
        Changed in place.
    kernel_name : str
        See `kernels.OwnKernelSpecs`.
    output_path, save_to : path or None
        Where to save after each cell; `save_to` first. papermill writes `output_path` itself once
        more at the end, in place: readers that must never see a part use `save_to`.
    progress : ProgressLog or None
        Gets a line at each start and end of a cell.
    cell_limit_s, execution_timeout : float or None
        Seconds a cell may take, unless its `metadata.triagebook.limit_s` says otherwise.
    deadline : float or None
        `time.monotonic()` at which the whole run has to end; cells not begun are `not_run`.
    grace_s : float
        Seconds between the interrupt and the kill of a cell over its limit.
    on_kernel : callable or None
        Called with the kernel's pid and its sockets' folder as soon as it runs.
    kernel_log : Path or None
        Gets what the kernel process itself writes, such as the trace of a crash.
    live : LiveKernel or None
        Take the kernel of a Jupyter server, and leave it there when the run is over, unless it
        died. Where there is none to be had, a kernel of the run's own is taken, and said so.
    labels : dict or None
        Added to the notebook's `metadata.triagebook`.
    start_timeout : int
        Seconds the kernel may take to start.

    Returns
    -------
    NotebookNode
        `nb`, with final statuses.

    Raises
    ------
    RunError
        The kernel did not start.
    """
    target = save_to or (Path(output_path) if output_path else None)
    recorder = Recorder(nb, target, progress, labels or {})
    recorder.notebook_start()
    kernel = Kernel(kernel_name, kernel_log, live)
    log = kernel_log.open("ab") if kernel_log else None
    try:
        client = CellClient(
            recorder,
            kernel=kernel,
            cell_limit_s=execution_timeout or cell_limit_s,
            deadline=deadline,
            grace_s=grace_s,
            on_kernel=on_kernel,
            startup_timeout=start_timeout,
        )
        client.execute(**start_options(log))
    finally:
        if log is not None:
            log.close()
        kernel.tidy()
        recorder.notebook_complete()
    return nb


class CellClient(PapermillNotebookClient):  # type: ignore[misc]  # papermill has no types
    """nbclient with limits that hold: interrupt, then kill, and go on where that is possible."""

    def __init__(
        self,
        recorder: Recorder,
        *,
        kernel: Kernel,
        cell_limit_s: float | None,
        deadline: float | None,
        grace_s: float,
        on_kernel: Callable[[int, Path], None] | None,
        startup_timeout: int,
    ) -> None:
        super().__init__(
            recorder,
            raise_on_iopub_timeout=False,
            iopub_timeout=30,
            kernel_name=kernel.name,
            startup_timeout=startup_timeout,
            shutdown_kernel="immediate",
            log=logger,
        )
        self.recorder = recorder
        self.kernel = kernel
        self.cell_limit_s = cell_limit_s
        self.deadline = deadline
        self.grace_s = grace_s
        self.on_kernel = on_kernel
        self.timeout_func = self._limit_s
        self._overran: list[str] = []
        self._killer: asyncio.Future[None] | None = None

    def create_kernel_manager(self) -> AsyncKernelManager:
        """Return the manager of this run's kernel."""
        manager = self.kernel.manager()
        self.km = manager
        return manager

    def execute(self, **kwargs: Any) -> NotebookNode:
        """Start the kernel, execute every cell, end the kernel; `kwargs` go to its Popen."""
        self.reset_execution_trackers()
        manager = self.create_kernel_manager()
        try:
            try:
                self.start_new_kernel(**kwargs)
            except RunError as error:
                if self.kernel.live is None:
                    raise
                # The investigation is worth more than that one can go on in its kernel.
                self.nb.metadata["triagebook"]["not_live"] = str(error)
                self.kernel.live = None
                manager = self.create_kernel_manager()
                self.start_new_kernel(**kwargs)
            self.nb.metadata["triagebook"]["kernel"] = self.kernel.kind
            if self.on_kernel is not None:
                self.on_kernel(_pid(manager), self.kernel.sockets)
            self.start_new_kernel_client()
        except Exception as error:
            self.recorder.why = f"the kernel {self.kernel.name!r} did not start: {error}"
            if self.km is not None:
                self._cleanup_kernel()
            raise RunError(
                self.recorder.why,
                "see kernel.log in the attempt's folder; triagebook doctor checks the environment",
            ) from error
        try:
            self._execute_cells()
        finally:
            self.kernel.keep_log()
            self.kernel.stays = self.kernel.live is not None and self.recorder.why is None
            if self.kernel.stays:
                self.nb.metadata["triagebook"]["kernel_stays"] = True
                self.kc.stop_channels()
            else:
                self._cleanup_kernel()
        nb: NotebookNode = self.nb
        return nb

    def _execute_cells(self) -> None:
        for index, cell in enumerate(self.nb.cells):
            if not is_runnable(cell):
                self.recorder.pass_by(cell)
                continue
            if self.recorder.why is None and self._left_s() <= 0:
                self.recorder.why = TIME_IS_UP
            if self.recorder.why is not None:
                self.recorder.skip(cell, self.recorder.why)
                continue
            self.recorder.cell_start(cell, index)
            self._execute_one(cell, index)
            self.recorder.cell_complete(cell, index)
        self._read_language()

    def _execute_one(self, cell: NotebookNode, index: int) -> None:
        self._overran.clear()
        try:
            self.execute_cell(cell, index)
        except CellExecutionError as error:
            if self._overran:
                mark_cell(cell, "timed_out", self._overran[0])
            else:
                mark_cell(cell, "failed", f"{error.ename}: {error.evalue}"[:300])
        except (DeadKernelError, CellTimeoutError) as error:
            self._kernel_is_gone(cell, error)
        else:
            if self._overran:
                # It caught the interrupt and came to an end all the same: late, but whole.
                cell.metadata.setdefault("triagebook", {})["why"] = self._overran[0]
        finally:
            if self._killer is not None:
                self._killer.cancel()
                self._killer = None

    def _read_language(self) -> None:
        if self.recorder.why is None and self.kc is not None:
            reply = self.wait_for_reply(self.kc.kernel_info())
            if reply is not None:
                self.nb.metadata["language_info"] = reply["content"]["language_info"]

    def _kernel_is_gone(self, cell: NotebookNode, error: Exception) -> None:
        if self._overran:
            why = f"{self._overran[0]}; it did not react, so its kernel was killed"
            mark_cell(cell, "timed_out", why)
            _add_error(cell, "CellTimedOut", why)
        else:
            why = f"the kernel died: {self._last_words() or error}"
            mark_cell(cell, "failed", why)
            _add_error(cell, "KernelDied", why)
        self.recorder.why = why

    def _last_words(self) -> str:
        """Say how the kernel's process ended, and what it wrote when it crashed."""
        process = getattr(getattr(self.km, "provisioner", None), "process", None)
        code = None if process is None else process.poll()
        if code is None:
            return ""
        if code < 0:
            words = f"ended by {signal.Signals(-code).name}"
            if -code == signal.SIGKILL:
                words += " (often: the machine had no memory left)"
        else:
            words = f"it exited with status {code}"
        tail = self.kernel.raw_output()[-1_500:].decode("utf-8", "replace").strip()
        return f"{words}\n{tail}" if tail else words

    def _left_s(self) -> float:
        return float("inf") if self.deadline is None else self.deadline - time.monotonic()

    def _limit_s(self, cell: NotebookNode) -> float | None:
        own = cell.metadata.get("triagebook", {}).get("limit_s", self.cell_limit_s)
        limit = min(float("inf") if own is None else float(own), self._left_s())
        # nbclient takes 0 for "no limit".
        return None if limit == float("inf") else max(limit, 0.05)

    async def _async_handle_timeout(
        self,
        timeout: float,  # noqa: ASYNC109 - the signature is nbclient's
        cell: NotebookNode | None = None,
    ) -> None:
        """Interrupt a cell over its limit; kill its kernel where it does not react.

        nbclient interrupts and then waits for as long again, for ever: C code in one long call
        never sees the interrupt.
        """
        del cell
        if not self._overran:
            of_run = self._left_s() <= 0.05
            self._overran.append(TIME_IS_UP if of_run else f"over its limit of {timeout:g} s")
            self._killer = asyncio.ensure_future(self._kill_after_grace())
            await self.km.interrupt_kernel()

    async def _kill_after_grace(self) -> None:
        await asyncio.sleep(self.grace_s)
        provisioner: Any = self.km.provisioner
        await provisioner.kill()
        if self.task_poll_for_reply is not None:
            # nbclient reads this as: the kernel is dead.
            self.task_poll_for_reply.cancel()


def _add_error(cell: NotebookNode, name: str, message: str) -> None:
    output = nbformat.v4.new_output(  # type: ignore[no-untyped-call]
        "error", ename=name, evalue=message, traceback=[f"{name}: {message}"]
    )
    cell.outputs.append(output)


def _pid(manager: AsyncKernelManager) -> int:
    process: Any = getattr(manager.provisioner, "process", None)
    return int(process.pid)
