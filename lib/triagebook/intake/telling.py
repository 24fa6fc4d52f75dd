"""Tell the queue of incidents from a thread of its own: it may hang, or fail, where the intake must not."""

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

TOLD_WITHIN_S = 2.0
"""How long a delivery waits until the queue has heard of its incident, in seconds."""
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
        self._waiting: queue.SimpleQueue[tuple[str, threading.Event]] = queue.SimpleQueue()
        self._last = threading.Event()
        self._last.set()
        self._thread: threading.Thread | None = None

    def tell(self, incident: str) -> None:
        """Tell of an incident; return once it is told, or after `TOLD_WITHIN_S`.

        At once where an earlier one still waits to be told: it hangs, and nobody else should.
        """
        if self._thread is None:
            # A daemon: what is not told is taken up at the next start, and must not hold up the end.
            self._thread = threading.Thread(target=self._run, name="tell the queue", daemon=True)
            self._thread.start()
        hangs = not self._last.is_set()
        self._last = threading.Event()
        self._waiting.put((incident, self._last))
        if not hangs and not self._last.wait(TOLD_WITHIN_S):
            _log.warning("queue_does_not_answer", incident=incident)

    def _run(self) -> None:
        refused: list[str] = []
        again_at = 0.0
        while True:
            left_s = max(0.0, again_at - time.monotonic()) if refused else None
            with suppress(queue.Empty):
                incident, told = self._waiting.get(timeout=left_s)
                if not self._told(incident):
                    again_at = again_at if refused else time.monotonic() + self._again_after_s
                    refused.append(incident)
                told.set()
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
