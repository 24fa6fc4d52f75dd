"""How much of the machine a run may use: its memory, and its turn.

Beyond its memory Python raises MemoryError, and the cell says so.
"""

from __future__ import annotations

import os
import resource
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from triagebook.core.settings import ServerSettings

VARIABLE = "TRIAGEBOOK_KERNEL_MEMORY_BYTES"
"""Environment variable by which a kernel is told its limit."""


NICE = 5
"""How much a runner and its kernel stand back: alerts and people are answered first."""


def stand_back() -> None:
    """Let alerts and people be answered before this process; called once."""
    os.nice(NICE)
    session_stands_back(os.getpid())


def session_stands_back(pid: int) -> None:
    """Let the session of one of our processes stand back, where the system shares by session.

    Linux with autogroups gives each session the same share, and looks at `nice` within one only:
    sched(7). A runner and a kernel are sessions of their own. Elsewhere there is no such file; an
    unprivileged process that writes it too often is refused, which costs the run nothing.
    """
    with suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(NICE), encoding="ascii")


def memory_bytes(server: ServerSettings) -> int:
    """Return the limit of one run's kernel, in bytes.

    Where none is set: a share of the machine's memory, such that all runs and one share more fit.
    """
    if server.memory is not None:
        return server.memory * 1_048_576
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return int(total // (server.concurrency + 1))


def limit_memory(count: int | None) -> None:
    """Bound this process's private memory, in bytes; None, 0 or macOS: no bound.

    RLIMIT_DATA counts what a process writes itself (heap and private mappings), and not what it
    maps of files, as RLIMIT_AS does; Linux counts mappings since 4.7 (setrlimit(2)). Each process
    that a cell starts inherits the same limit for itself.
    """
    if not count or not sys.platform.startswith("linux"):
        return
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        count = min(count, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (count, hard))


def told_memory_bytes() -> int | None:
    """Return the limit that the environment names, if it names one."""
    text = os.environ.get(VARIABLE, "")
    return int(text) if text.isdigit() else None
