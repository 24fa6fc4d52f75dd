"""Execute notebooks again when that is due: a look every second, whatever happened to the service before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from triagebook.core.errors import TriagebookError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from triagebook.incidents.refresh import Refreshing
    from triagebook.incidents.store import Store

POLL_EVERY_S = 1.0

_log = structlog.get_logger(__name__)


class Refresher:
    """Takes what is due and hands it to the queue. Several services may look at one store.

    Parameters
    ----------
    store : Store
    policy : Refreshing
        How the next run by the clock alone is planned.
    enqueue : callable
        Asks for an incident's run.
    """

    def __init__(self, store: Store, policy: Refreshing, enqueue: Callable[[str], object]) -> None:
        self._store = store
        self._policy = policy
        self._enqueue = enqueue

    def run(self, stop: threading.Event) -> None:
        """Look every second until told to stop; never raises."""
        while not stop.wait(POLL_EVERY_S):
            try:
                self.round()
            except TriagebookError as error:
                _log.warning("refresh_not_looked_for", why=error.message)
            except Exception:  # noqa: BLE001 - the next look may fare better; this one is logged
                _log.exception("refresh_failed")

    def round(self) -> list[str]:
        """Start every run that is due; returns the incidents."""
        return [name for name in self._store.refreshes.due() if self.start(name) is not None]

    def start(self, incident_id: str) -> int | None:
        """Start an incident's run where it is due; returns its attempt's number.

        Once it is taken the store says `queued`: should the queue fail now, the next start of the
        service takes it up.
        """
        attempt = self._store.refreshes.take(incident_id, self._policy)
        if attempt is not None:
            self._enqueue(incident_id)
        return attempt
