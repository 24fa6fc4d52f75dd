"""Read what is kept from one thread, in the order of arrival; who posted it waits a moment for what came of it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

AGAIN_AFTER_S = 5.0
"""When it is tried again where the database failed, in seconds."""

T = TypeVar("T")
_log = structlog.get_logger(__name__)


@dataclass
class Outcome(Generic[T]):
    """What came of one delivery.

    Attributes
    ----------
    how : str
        `read`; `over`: nothing of that name was left to read; `failed`: it could not be read, and will
        be later; `late`: not within the time that was waited.
    result : object or None
        What reading it gave, where it was read here.
    """

    delivery: str
    turn: int
    how: Literal["read", "over", "failed", "late"] = "late"
    result: T | None = None


class Reader(Generic[T]):
    """Reads deliveries whenever one is asked for.

    Parameters
    ----------
    read : callable
        Reads all that is kept and not yet read, giving each one's name and result as it is done.
    again_after_s : float
        Seconds after which it is called again where it raised, unless it is asked for before.
    """

    def __init__(
        self,
        read: Callable[[], Iterator[tuple[str, T | None]]],
        again_after_s: float = AGAIN_AFTER_S,
    ) -> None:
        self._read = read
        self._again_after_s = again_after_s
        self._change = threading.Condition()
        self._asked = self._done = 0  # turns: a turn reads all that was kept when it began
        self._waiting: list[Outcome[T]] = []
        self._closed = False
        self._thread: threading.Thread | None = None

    def wait(self, delivery: str, within_s: float) -> Outcome[T]:
        """Have all read that is kept, and wait up to `within_s` seconds for what comes of one of them."""
        with self._change:
            self._asked += 1
            mine: Outcome[T] = Outcome(delivery, self._asked)
            self._waiting.append(mine)
            self._start()
            self._change.notify_all()
            self._change.wait_for(lambda: mine.how != "late" or self._closed, within_s)
            self._waiting.remove(mine)
        return mine

    def close(self, within_s: float) -> None:
        """Read no other delivery, and wait at the most so many seconds for the one that is read."""
        with self._change:
            self._closed = True
            self._change.notify_all()
        if self._thread is not None:
            self._thread.join(within_s)

    def _start(self) -> None:
        if self._thread is None and not self._closed:
            # A daemon: what it has not read is kept, and read at the next start.
            self._thread = threading.Thread(target=self._run, name="read", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._closed or self._asked > self._done)
                if self._closed:
                    return
                turn = self._asked
            how = self._turn()
            with self._change:
                self._done = turn
                for one in self._waiting:
                    if one.how == "late" and one.turn <= turn:
                        one.how = how
                self._change.notify_all()
                # Who asks meanwhile is not held up by what failed before.
                if how == "failed" and not self._change.wait_for(
                    lambda: self._closed or self._asked > self._done, self._again_after_s
                ):
                    self._asked += 1

    def _turn(self) -> Literal["over", "failed"]:
        try:
            for name, result in self._read():
                with self._change:
                    for one in self._waiting:
                        if one.delivery == name:
                            one.how, one.result = "read", result
                    self._change.notify_all()
                    if self._closed:
                        return "failed"  # the rest is kept for the next start
        except Exception as error:  # noqa: BLE001 - they are kept, whatever the database says
            _log.warning("deliveries_not_read_yet", error=getattr(error, "message", str(error)))
            return "failed"
        return "over"
