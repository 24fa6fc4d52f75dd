"""The template: imports everything once, then forks idle children, which are taken one by one.

`python -m triagebook.running.warm.template SOCKET IDLE`. It has one thread when it forks, because a
fork copies only the thread that calls it: locks held by others would stay locked in the child.
Its standard input is a pipe whose other end only the service holds; when that closes, it kills all
its children, with what they started, and ends.

A child belongs to the connection by which it was taken. When that closes, the child is killed with
all that it started; when the child ends, the connection is told how.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import logging
import os
import select
import selectors
import signal
import socket
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from triagebook.running.processes import Identity, adopt_orphans, end, identify, table
from triagebook.running.runbook import skip_slow_import
from triagebook.running.sockets import make_sockets_folder, remove_sockets
from triagebook.running.warm import children
from triagebook.running.warm.client import SOCKET_VARIABLE
from triagebook.running.warm.lines import Lines

if TYPE_CHECKING:
    from collections.abc import Iterator

REFILL_AFTER_S = 1.0
"""So long after a child was taken the next one is forked: the one taken has the machine first."""
KINDS = ("runner", "kernel")

# By name, as a kernel would import them: the service's half does not import the analyst's.
MODULES = (
    "ipykernel.kernelapp",
    "ipykernel.ipkernel",
    # Each kernel would import these before its first cell, into memory of its own.
    "ipykernel.debugger",
    "IPython.core.oinspect",
    "tornado.platform.asyncio",
    "triagebook.nb",
    "matplotlib.pyplot",
    "matplotlib.backends.backend_agg",
    "triagebook.running.runner",
    "papermill",
    "triagebook.running.execution",
    "triagebook.running.warm.provisioner",
    "triagebook.report.html",
    "duckdb",
    "pyarrow.parquet",
    "scipy.stats",
    "sklearn.linear_model",
    "evidently",
    "evidently.presets",
)

log = logging.getLogger("triagebook.template")


@dataclass
class Child:
    """A forked process."""

    kind: str
    who: Identity
    lines: Lines
    folder: Path | None = None
    client: Lines | None = None
    told: bool = False  # whether the client has had its answer


class Template:
    """Forks children and hands them out.

    Parameters
    ----------
    listener : socket
        Listening.
    idle : int
        So many idle children of each kind.
    """

    def __init__(self, listener: socket.socket, idle: int) -> None:
        self.listener = listener
        self.idle = idle
        self.pid = os.getpid()
        self.children: dict[int, Child] = {}
        self.waiting: dict[int, Lines] = {}  # connections that have asked for nothing yet
        self.refill_at = time.monotonic()
        self.retired = False
        self.selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        for end_ in (self._wake, self._woken):
            end_.setblocking(False)

    def run(self) -> None:
        """Work until the service is gone, or until a retired template's last child has ended."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._woken.fileno(), warn_on_full_buffer=False)
        self.selector.register(0, selectors.EVENT_READ, self._service)
        self.selector.register(self._wake, selectors.EVENT_READ, self._child_ended)
        self.selector.register(self.listener, selectors.EVENT_READ, self._connect)
        try:
            while not (self.retired and not self.children):
                self._refill()
                left = None if self._full() else max(0.0, self.refill_at - time.monotonic())
                for key, _ in self.selector.select(left):
                    # An earlier one of this batch may have closed it.
                    if self.selector.get_map().get(key.fd) is key:
                        key.data()
        finally:
            self._end_all()

    # --- children --------------------------------------------------------------------------------

    def _free(self, kind: str) -> list[Child]:
        return [c for c in self.children.values() if c.kind == kind and c.client is None]

    def _full(self) -> bool:
        return self.retired or all(len(self._free(kind)) >= self.idle for kind in KINDS)

    def _refill(self) -> None:
        if self._full() or time.monotonic() < self.refill_at:
            return
        for kind in KINDS:
            while len(self._free(kind)) < self.idle:
                self._fork(kind)

    def _fork(self, kind: str) -> Child:
        threads = len(list(Path("/proc/self/task").iterdir()))
        if threads != 1:
            message = f"the template has {threads} threads; a fork would copy only one"
            raise RuntimeError(message)
        mine, theirs = socket.socketpair()
        folder = make_sockets_folder() if kind == "kernel" else None
        pid = os.fork()
        if pid == 0:
            self._be(kind, mine, theirs, folder)
        theirs.close()
        who = identify(pid) or Identity(pid, "")
        child = Child(kind, who, Lines(mine), folder)
        self.children[pid] = child
        self.selector.register(mine, selectors.EVENT_READ, lambda: self._child_says(child))
        return child

    def _be(
        self, kind: str, mine: socket.socket, theirs: socket.socket, folder: Path | None
    ) -> None:
        """Be the child; never returns."""
        code = 1
        try:
            children.begin(self.pid)
            mine.close()
            self._let_go()
            lines = Lines(theirs)
            if folder is not None:
                children.be_kernel(lines, folder)
                code = 0
            else:
                code = children.be_runner(lines)
        except SystemExit as end_:
            code = end_.code if isinstance(end_.code, int) else 1
        except BaseException:
            log.exception("a warm %s failed", kind)
        finally:
            # Not sys.exit: what the template would do at its end is not for a child to do.
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError, ValueError):
                    stream.flush()
            os._exit(code)

    def _let_go(self) -> None:
        """Close, in a child, what belongs to the template and to other children."""
        self.selector.close()
        self.listener.close()
        self._wake.close()
        self._woken.close()
        for other in self.children.values():
            other.lines.close()
            if other.client is not None:
                other.client.close()
        for line in self.waiting.values():
            line.close()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)

    def _child_says(self, child: Child) -> None:
        said = child.lines.pending()
        if said is None:
            self.selector.unregister(child.lines)
            return  # it has ended, or is a runner that works; SIGCHLD tells
        for answer in said:
            if child.client is None or child.told:
                continue
            child.told = True
            self._tell(child, {**answer, "pid": child.who.pid, "started": child.who.started})

    def _tell(self, child: Child, message: dict[str, Any]) -> None:
        if child.client is not None:
            # Where it is gone, the end of its connection says so as well.
            with contextlib.suppress(OSError):
                child.client.send(message)

    def _child_ended(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._wake.recv(4_096):
                pass
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            child = self.children.pop(pid, None)
            if child is None:
                continue  # an orphan of a child's that was ended
            end([child.who], within_s=2.0)  # what it started outlives it otherwise
            if child.client is None:
                log.warning("an idle %s ended (%s)", child.kind, status)
                self.refill_at = time.monotonic() + REFILL_AFTER_S
            self._tell(child, {"exit": os.waitstatus_to_exitcode(status)})
            self._forget(child)
        self._end_strays()

    def _end_strays(self) -> None:
        """Kill processes that a child started and that fell to this process when it ended."""
        rows = table()
        for row in rows.values():
            if row.parent == self.pid and row.pid not in self.children and not row.zombie:
                end([Identity(row.pid, row.started)], within_s=2.0)

    def _forget(self, child: Child) -> None:
        for lines in (child.lines, child.client):
            if lines is not None:
                with contextlib.suppress(KeyError, ValueError):
                    self.selector.unregister(lines)
                lines.close()
        if child.folder is not None:
            remove_sockets(child.folder)

    def _end_all(self) -> None:
        end([child.who for child in self.children.values()])
        for child in self.children.values():
            self._forget(child)
        self._end_strays()

    # --- whoever asks ----------------------------------------------------------------------------

    def _service(self) -> None:
        # It never writes; the end of the pipe is the end of the service.
        if not os.read(0, 64):
            self._end_all()
            os._exit(0)

    def _connect(self) -> None:
        connection, _ = self.listener.accept()
        lines = Lines(connection)
        self.waiting[connection.fileno()] = lines
        self.selector.register(connection, selectors.EVENT_READ, lambda: self._asked(lines))

    def _asked(self, lines: Lines) -> None:
        try:
            said = lines.pending()
        except ValueError:
            said = None
        if said == []:
            return
        self.selector.unregister(lines)
        self.waiting.pop(lines.fileno(), None)
        if not said:
            lines.close()
            return
        if said[0].get("retire"):
            self._retire()
            lines.close()
            return
        self._give(lines, said[0])

    def _give(self, lines: Lines, asked: dict[str, Any]) -> None:
        kind = asked.get("take")
        if kind not in KINDS or self.retired:
            with contextlib.suppress(OSError):
                lines.send({"error": "this template gives no more processes"})
            lines.close()
            return
        child = next(iter(self._free(kind)), None) or self._fork(kind)
        child.client = lines
        self.selector.register(lines, selectors.EVENT_READ, lambda: self._client_says(child))
        self.refill_at = time.monotonic() + REFILL_AFTER_S
        try:
            child.lines.send(asked.get("request") or {})
        except OSError:
            log.warning("an idle %s was gone when it was needed", kind)
            self._client_gone(child)

    def _client_says(self, child: Child) -> None:
        if child.client is not None and child.client.pending() is None:
            self._client_gone(child)

    def _client_gone(self, child: Child) -> None:
        if child.client is not None:
            with contextlib.suppress(KeyError, ValueError):
                self.selector.unregister(child.client)
        end([child.who], within_s=2.0)  # SIGCHLD does the rest

    def _retire(self) -> None:
        """Give no more children; end when those that work have ended."""
        self.retired = True
        self.selector.unregister(self.listener)
        self.listener.close()
        end([child.who for kind in KINDS for child in self._free(kind)], within_s=2.0)


@contextlib.contextmanager
def ends_with_service() -> Iterator[None]:
    """End this process where the service goes while the block lasts, which takes seconds.

    By a thread, which has ended before anything is forked.
    """
    done, wake = socket.socketpair()

    def look() -> None:
        ready, _, _ = select.select([0, done.fileno()], [], [])
        if 0 in ready:
            os._exit(0)

    looking = threading.Thread(target=look, name="lifeline", daemon=True)
    looking.start()
    try:
        yield
    finally:
        wake.close()
        looking.join()
        done.close()


def prepare() -> None:
    """Import what children need, do once what they do, and let go of what only that needed."""
    skip_slow_import()
    for name in MODULES:
        importlib.import_module(name)
    from triagebook.running.warm.rehearsal import rehearse  # noqa: PLC0415 - after skip_slow_import

    rehearse()
    gc.collect()
    # glibc keeps what was freed; every child would have it as well.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    # The collector would write into every object's header, and copy every page for each child.
    gc.freeze()


def main(arguments: list[str] | None = None) -> int:
    """Be the template until the service ends."""
    path, idle = arguments if arguments is not None else sys.argv[1:]
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    # Ctrl-C in the service's terminal is for the service, which then closes the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    adopt_orphans()
    os.environ[SOCKET_VARIABLE] = path
    with ends_with_service():
        prepare()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    Path(path).unlink(missing_ok=True)
    listener.bind(path)
    listener.listen(64)
    log.info("ready, process %s", os.getpid())
    Template(listener, int(idle)).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
