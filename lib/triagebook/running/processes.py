"""Find and end processes for certain: by pid and start time, with all they started."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_LINUX = sys.platform.startswith("linux")
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LIBC = ctypes.CDLL(None, use_errno=True) if _LINUX else None


@dataclass(frozen=True)
class Process:
    """One row of the process table.

    `started` is text that differs between two processes that had the same pid one after the other.
    """

    pid: int
    parent: int
    group: int
    session: int
    started: str
    zombie: bool


@dataclass(frozen=True)
class Identity:
    """A process to be found again later, when its pid may be another's."""

    pid: int
    started: str


def table() -> dict[int, Process]:
    """Return all processes by pid: from /proc where there is one, else from `ps`."""
    return _from_proc() if _PROC.joinpath("self/stat").exists() else _from_ps()


def identify(pid: int) -> Identity | None:
    """Return the identity of a running process; None where there is none."""
    row = _read_stat(pid) if _PROC.joinpath("self/stat").exists() else table().get(pid)
    return None if row is None or row.zombie else Identity(pid, row.started)


def is_alive(who: Identity) -> bool:
    """Tell whether that very process is running."""
    return identify(who.pid) == who


def family(roots: list[Identity], rows: dict[int, Process] | None = None) -> list[int]:
    """List pids of the roots that are alive, their descendants, and what is in their sessions.

    A root that is gone still names its group and session: the system does not give a pid away
    while a group or session of that number has members.
    """
    rows = table() if rows is None else rows
    led = set()
    found = set()
    for root in roots:
        row = rows.get(root.pid)
        if row is None or row.started == root.started:
            led.add(root.pid)
        if row is not None and row.started == root.started:
            found.add(root.pid)
    me = os.getpid()
    found |= {row.pid for row in rows.values() if row.group in led or row.session in led}
    grown = True
    while grown:
        more = {row.pid for row in rows.values() if row.parent in found} - found
        grown = bool(more)
        found |= more
    return sorted(pid for pid in found - {me} if not rows[pid].zombie)


def end(roots: list[Identity], within_s: float = 4.0) -> bool:
    """Kill the roots with all they started; return whether all are gone.

    SIGKILL at once: what has to be ended here did not listen, or must not write any more. Looks
    again until nothing is left, because a child may be born between the look and the signal.
    """
    deadline = time.monotonic() + within_s
    known = list(roots)
    while True:
        rows = table()
        pids = family(known, rows)
        if not pids:
            return True
        # Their own children are found by these, once the root is gone.
        known += [one for pid in pids if (one := Identity(pid, rows[pid].started)) not in known]
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                continue
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)


def table_name() -> str:
    """Name the process table that pids here belong to: this boot's of this host, or container."""
    if not _TABLE:
        try:
            space = (_PROC / "self/ns/pid").readlink().name
        except OSError:
            space = socket.gethostname()  # no Linux: a host has one table
        _TABLE.append(f"{_boot()}/{space}")
    return _TABLE[0]


def die_with_parent() -> None:
    """Ask Linux to kill this process when the thread that started it ends; elsewhere do nothing.

    Called between fork and exec too, so it must not import or allocate more than it does.
    """
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def adopt_orphans() -> None:
    """Make grandchildren that lose their parent children of this process (Linux), to find them."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _read_stat(pid: int) -> Process | None:
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    # The command's name is in parentheses and may hold spaces and parentheses itself.
    fields = text[text.rfind(")") + 2 :].split()
    return Process(
        pid=pid,
        parent=int(fields[1]),
        group=int(fields[2]),
        session=int(fields[3]),
        started=f"{_boot()}:{fields[19]}",
        zombie=fields[0] in "ZX",
    )


_TABLE: list[str] = []
_BOOT: list[str] = []


def _boot() -> str:
    if not _BOOT:
        path = _PROC / "sys/kernel/random/boot_id"
        _BOOT.append(path.read_text(encoding="ascii").strip()[:8] if path.exists() else "boot")
    return _BOOT[0]


def _from_proc() -> dict[int, Process]:
    rows = {}
    for entry in os.scandir(_PROC):
        if entry.name.isdigit():
            row = _read_stat(int(entry.name))
            if row is not None:
                rows[row.pid] = row
    return rows


def _from_ps() -> dict[int, Process]:
    listing = subprocess.run(
        ["/bin/ps", "-A", "-o", "pid=,ppid=,pgid=,stat=,lstart="],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "LC_ALL": "C"},
    ).stdout
    rows = {}
    for line in listing.splitlines():
        pid, parent, group, state, started = line.split(None, 4)
        # macOS gives no session number; whatever calls setsid leads a group of its own as well.
        rows[int(pid)] = Process(
            int(pid), int(parent), int(group), int(group), started.strip(), state.startswith("Z")
        )
    return rows
