"""Tell the queue of incidents from a thread of its own: nobody who posts an alert waits for it."""

from __future__ import annotations

import queue
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from triagebook.core.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

AGAIN_AFTER_S = 5.0
"""When it is told again what the queue could not take, in seconds."""

_log = structlog.get_logger(__name__)


class Teller:
    """Calls a function for one incident after the other, in order.

    Parameters
    ----------
    on_incident : callable
        Gets an incident's id; told of it again after a while, and again, where it raises.
    again_after_s : float
        Seconds.
    """

    def __init__(
        self, on_incident: Callable[[str], None], again_after_s: float = AGAIN_AFTER_S
    ) -> None:
        self._on_incident = on_incident
        self._again_after_s = again_after_s
        self._waiting: queue.SimpleQueue[str | None] = queue.SimpleQueue()  # None: the end
        self._untold = 0
        self._change = threading.Condition()
        self._thread: threading.Thread | None = None

    def tell(self, incident: str) -> None:
        """Tell of an incident soon; returns at once. Who tells holds a lock of their own."""
        if self._thread is None:
            # A daemon: what is not told is taken up at the next start, and must not hold up the end.
            self._thread = threading.Thread(target=self._run, name="tell the queue", daemon=True)
            self._thread.start()
        with self._change:
            self._untold += 1
        self._waiting.put(incident)

    def wait_told(self, within_s: float) -> bool:
        """Wait until the queue was told, or refused, all that there is; return whether it was."""
        with self._change:
            return self._change.wait_for(lambda: self._untold == 0, within_s)

    def close(self, within_s: float) -> bool:
        """Tell what there is for so long, then no more; the store knows the rest for the next start.

        Returns
        -------
        bool
            Whether all was told, or refused.
        """
        all_told = self.wait_told(within_s)
        self._waiting.put(None)
        return all_told

    def _run(self) -> None:
        refused: list[str] = []
        again_at = 0.0
        while True:
            left_s = max(0.0, again_at - time.monotonic()) if refused else None
            with suppress(queue.Empty):
                incident = self._waiting.get(timeout=left_s)
                if incident is None:
                    return
                if not self._told(incident):
                    again_at = again_at if refused else time.monotonic() + self._again_after_s
                    refused.append(incident)
                with self._change:
                    self._untold -= 1
                    self._change.notify_all()
            if refused and time.monotonic() >= again_at:
                refused = [one for one in refused if not self._told(one)]
                again_at = time.monotonic() + self._again_after_s

    def _told(self, incident: str) -> bool:
        try:
            self._on_incident(incident)
        except NotFoundError:
            return True  # it was deleted meanwhile
        except Exception as error:  # noqa: BLE001 - the incident is kept, whatever the queue says
            _log.warning("incident_not_announced", incident=incident, error=str(error))
            return False
        return True
