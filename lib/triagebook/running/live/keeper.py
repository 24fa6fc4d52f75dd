"""Keep the live kernels within limits: so many at once, so much memory; the longest unused go first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from triagebook.core.errors import RunError
from triagebook.core.paths import Home
from triagebook.running.attempt import LIVE_FILE, read_json
from triagebook.running.processes import Identity, family

if TYPE_CHECKING:
    import threading

    from triagebook.core.settings import LabSettings
    from triagebook.running.live.jupyter import Jupyter, Session

LOOK_EVERY_S = 15.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Kept:
    """A live kernel and what it uses, in bytes."""

    session: Session
    used: int

    @property
    def in_use(self) -> bool:
        """Whether somebody is in it, or it computes."""
        return self.session.connections > 0 or self.session.state == "busy"


def surplus(kernels: list[Kept], most: int, most_bytes: int, *, room_for: int = 0) -> list[Kept]:
    """Return the kernels to end: the longest unused first, until the others fit.

    A kernel that somebody is in, or that computes, is never ended for room.

    Parameters
    ----------
    kernels : list of Kept
    most, most_bytes : int
        How many, and how much memory in all.
    room_for : int
        So many more are about to be started.
    """
    left = list(kernels)
    gone = []
    for kernel in sorted(kernels, key=lambda k: k.session.active_at):
        if len(left) + room_for <= most and sum(k.used for k in left) <= most_bytes:
            break
        if not kernel.in_use:
            left.remove(kernel)
            gone.append(kernel)
    return gone


class Keeper:
    """Looks at the live kernels now and then.

    Parameters
    ----------
    home : Home
    settings : LabSettings
        `kernels` and `memory`.
    jupyter : Jupyter
    """

    def __init__(self, home: Home, settings: LabSettings, jupyter: Jupyter) -> None:
        self.home = Home(home.root.resolve())
        self.settings = settings
        self.jupyter = jupyter

    def kept(self) -> list[Kept]:
        """Return the live kernels of runs; others of a configured server are not ours."""
        found = []
        for session in self.jupyter.sessions():
            notebook = self.jupyter.root / session.path
            who = _process(notebook) if self.home.runs in notebook.parents else None
            if who is not None:
                found.append(Kept(session, _memory(who)))
        return found

    def make_room(self, room_for: int = 0) -> list[str]:
        """End what is beyond the limits; return the paths of those notebooks."""
        most_bytes = self.settings.memory * 1_048_576
        gone = surplus(self.kept(), self.settings.kernels, most_bytes, room_for=room_for)
        for kernel in gone:
            log.info("a live kernel was ended for room", notebook=kernel.session.path)
            self.jupyter.end(kernel.session)
        return [kernel.session.path for kernel in gone]

    def run(self, stop: threading.Event) -> None:
        """Look until `stop` is set."""
        while not stop.wait(LOOK_EVERY_S):
            try:
                self.make_room()
            except RunError as error:
                log.info("live kernels could not be looked at", why=str(error))


def _process(notebook: Path) -> Identity | None:
    noted = read_json(notebook.parent / LIVE_FILE)
    return Identity(int(noted["pid"]), str(noted["started"])) if noted else None


def _memory(who: Identity) -> int:
    """Return the bytes that a kernel and what it started use: shared pages by their share (PSS)."""
    total = 0
    for pid in family([who]):
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
        except OSError:
            continue  # it ended while we looked, or the system has no such file
        total += sum(int(line.split()[1]) * 1_024 for line in lines if line.startswith("Pss:"))
    return total
