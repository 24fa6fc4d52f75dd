"""The contract of a source: its settings, one question about a window of time, one answer."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from datetime import datetime  # noqa: TC003 - named in the types that plug-ins read
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


class OwnSettings(BaseModel):
    """Base of a plug-in's settings: the keys of a pull that are the plug-in's own."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True, protected_namespaces=())


class Stop:
    """Tells a pull that nobody waits for it any more."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._calls: list[Callable[[], None]] = []

    @property
    def stopped(self) -> bool:
        """Whether the budget has ended."""
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """Sleep so many seconds, or until the budget ends; return whether it has ended."""
        return self._event.wait(max(seconds, 0.0))

    def on_stop(self, call: Callable[[], None]) -> None:
        """Have `call` called once when the budget ends; at once if it already has."""
        with self._lock:
            if not self._event.is_set():
                self._calls.append(call)
                return
        call()

    def stop(self) -> None:
        """End it. Called by the collector, from another thread."""
        with self._lock:
            self._event.set()
            calls, self._calls = self._calls, []
        for call in calls:
            call()


@dataclass(frozen=True)
class Question:
    """What a source is asked.

    Parameters
    ----------
    window : (datetime, datetime)
        Aware UTC; the start belongs to it, the end does not.
    time_column : str or None
        Of a table: the column the window applies to (labels: when they arrived).
    stop : Stop
        Register there what ends a query that takes too long.
    within_s : float
        Seconds after which nobody waits for the answer any more, from when it is asked.
    since : datetime or None
        Where the current window begins, in a window that spans reference and current; a source may
        give what lies before it at a coarser step.
    labels : mapping
        The alert's labels, to narrow the question by. Anybody who can raise an alert chose their
        values: they are bound or escaped, never made part of a query's text.
    """

    window: tuple[datetime, datetime]
    time_column: str | None = None
    stop: Stop = field(default_factory=Stop)
    within_s: float = 10.0
    since: datetime | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Answer:
    """What a source gave.

    Parameters
    ----------
    rows : DataFrame, pyarrow.Table or list of dict
        Metrics and logs: a frame with the columns of DESIGN 5.1. Tables: rows as they were,
        as Arrow or a frame. Changes and pipeline: one dict a row, with the keys of DESIGN 5.1.
    query : str
        What was asked, as a reader can ask it again.
    total_rows : int or None
        Rows in the window, where `rows` holds fewer of them; None where it holds all.
    newest : datetime or None
        The latest time in the window, aware UTC.
    notes : list of str
        What a reader must know: what was left out and why.
    partial : bool
        Whether some of what was asked is missing (`notes` say what).
    meta : dict
        Of metrics: type, unit and entity by name, as in metrics.json.
    """

    rows: Any
    query: str
    total_rows: int | None = None
    newest: datetime | None = None
    notes: list[str] = field(default_factory=list)
    partial: bool = False
    meta: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Glance:
    """The answer to a cheap question, for `doctor`.

    Parameters
    ----------
    rows : int or None
        Rows the source holds, whatever their time; None where it cannot tell cheaply.
    oldest, newest : datetime or None
        The times they span.
    says : str
        What else there is to tell, such as how many of the metrics asked for are there.
    """

    rows: int | None = None
    oldest: datetime | None = None
    newest: datetime | None = None
    says: str = ""


class Source(ABC):
    """A system that evidence comes from.

    A plug-in is a class registered in the registry of its kind (`sources.metrics.METRICS` and so
    on). Optional third-party imports wait for its constructor, so that a source that nobody uses
    costs nothing. An instance serves one pull, in a thread of its own.

    Parameters
    ----------
    settings : OwnSettings
        An instance of `Settings`.
    root : Path
        The home; relative paths start there.
    """

    Settings: ClassVar[type[OwnSettings]]

    def __init__(self, settings: Any, root: Path) -> None:
        self.settings = settings
        self.root = root

    @abstractmethod
    def pull(self, question: Question) -> Answer:
        """Return what lies in the window.

        Raises
        ------
        SourceError
            With what failed, on what, and what to do next.
        """

    @abstractmethod
    def glance(self, question: Question) -> Glance:
        """Answer a cheap question that shows whether `pull` would work.

        The window is that of the last day, on a replay of its clock; a source that can tell cheaply
        of all it holds does not keep to it.

        Raises
        ------
        SourceError
            As `pull` would.
        """
