"""Hold runs back in maintenance windows, and release them at the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from triagebook.incidents.routes import route

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable
    from datetime import datetime
    from pathlib import Path

    from triagebook.core.maintenance import MaintenanceSettings
    from triagebook.core.models import Alert
    from triagebook.core.settings import Settings
    from triagebook.incidents.store import Store

LOOK_EVERY_S = 5.0
"""How late a run may be released, in seconds."""
_AT_ONCE = 200
"""Incidents released in one transaction; alerts wait for it."""
_FURTHEST = 100
"""Windows that follow one another without a gap; the rest is looked at when these are over."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Hold:
    """Until when a run is held back, and why."""

    until: datetime
    reason: str


def hold(windows: Iterable[MaintenanceSettings], now: datetime) -> Hold | None:
    """Return until when these windows hold a run back; None outside all of them.

    Windows that overlap, or follow one another without a gap, are one; the reason is that of the
    one which ends last of those that `now` lies in.
    """
    windows = tuple(windows)
    ends = [(end, window.reason) for window in windows if (end := window.end(now)) is not None]
    if not ends:
        return None
    until, reason = max(ends)
    for _ in range(_FURTHEST):
        later = [end for window in windows if (end := window.end(until)) is not None]
        if not later:
            break
        until = max(later)
    return Hold(until, reason)


class Releaser:
    """Rounds of releasing what is due. Used from one thread.

    Parameters
    ----------
    store : Store
    settings : Settings
        Its windows may be others than when a run was held back; what they say now counts.
    root : Path
        The home folder.
    enqueue : callable
        Called with each incident whose run is queued now.
    """

    def __init__(
        self, store: Store, settings: Settings, root: Path, enqueue: Callable[[str], object]
    ) -> None:
        self._store = store
        self._settings = settings
        self._root = root
        self._enqueue = enqueue
        self._looked = False

    def run(self, stop: threading.Event) -> None:
        """Do a round at once and then every `LOOK_EVERY_S`, until told to stop; never raises."""
        while True:
            try:
                released = self.round()
                if released:
                    _log.info("runs_released", count=len(released))
            except Exception:  # noqa: BLE001 - the next round may fare better; this one is logged
                _log.exception("release_failed")
            if stop.wait(LOOK_EVERY_S):
                return

    def round(self) -> list[str]:
        """Release what is due and still fires; the first time, look at all that is held.

        Returns
        -------
        list of str
            The incidents whose run is queued now.
        """
        now = self._store.clock()
        over, longer = [], []
        for name in self._store.line.held_back(None if not self._looked else now):
            found = self._hold(name, now)
            if found is None:
                over.append(name)
            else:
                longer.append((name, found))
        self._store.line.hold_longer([(name, h.until, h.reason) for name, h in longer])
        self._looked = True
        released = []
        for start in range(0, len(over), _AT_ONCE):
            queued = self._store.line.release(over[start : start + _AT_ONCE])
            for name in queued:
                self._enqueue(name)
            released += queued
        return released

    def _hold(self, name: str, now: datetime) -> Hold | None:
        """Return what holds every alert that still fires; one that nothing holds is enough to run."""
        held = [
            hold(route(alert, self._settings, self._root).windows, now)
            for alert in self._firing(name)
        ]
        if not held or any(one is None for one in held):
            return None
        return min((one for one in held if one is not None), key=lambda one: one.until)

    def _firing(self, name: str) -> list[Alert]:
        return self._store.firing_alerts(name)
