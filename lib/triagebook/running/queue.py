"""The durable queue of runs: DBOS on an SQLite file of the home."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any, Self

import structlog
from dbos import (
    DBOS,
    DBOSConfig,
    DBOSPortableJSONSerializer,
    SetEnqueueOptions,
    SetWorkflowID,
)

from triagebook.core.errors import NotFoundError
from triagebook.running.line import in_line, put_in_line
from triagebook.running.live.server import LabServer
from triagebook.running.lock import HomeLock
from triagebook.running.warm.pool import WarmPool
from triagebook.running.workflow import Surroundings, check_idle, run_incident, work_in

if TYPE_CHECKING:
    from triagebook.core.paths import Home
    from triagebook.core.settings import Settings
    from triagebook.incidents.store import Store
    from triagebook.incidents.views import IncidentView

QUEUE = "runs"
POLL_EVERY_S = 0.1
_BEGUN = 1
"""DBOS' most urgent: what was cut off is taken up before anything else begins."""
_APPLICATION = "triagebook"
# DBOS would take a hash of our source, and leave runs of an older one lying for ever. Raise it only
# when the steps of `workflow.run_incident` change so that a run that has begun cannot go on.
_VERSION = "1"
_EXECUTOR = "service"
_ENDED = {"SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"}

log = structlog.get_logger(__name__)


class RunQueue:
    """Runs of incidents, as many at once as `server.concurrency` says; survives kill -9.

    The most urgent starts first, and among equals the one that waits longest. One a process (DBOS is one), and one a home (a lock file).

    Parameters
    ----------
    home : Home
        State and runs.
    settings : Settings
        `server.concurrency`, `server.runs_per_minute`, `server.deadline`, `server.notebooks`.
    store : Store
        Open; asked for incidents and told how their runs stand. Not closed here.
    """

    def __init__(self, home: Home, settings: Settings, store: Store) -> None:
        self.home = home
        self.settings = settings
        self.store = store
        self.pool = WarmPool(
            settings.server.warm,
            [home.root / "triagebook.toml"],
            home.state / "template.log",
        )
        self.lab = LabServer(home, settings.lab) if settings.lab.enabled else None
        self._lock = HomeLock(home)
        self._surroundings: Surroundings | None = None

    def launch(self) -> None:
        """Start working: take up runs that were cut off, and enqueue those that wait.

        Raises
        ------
        RunError
            Another service works on this home.
        """
        self._lock.take()
        try:
            self.pool.open()
            if self.lab is not None:
                self.lab.open(self.pool.address)
            surroundings = Surroundings(
                self.home, self.settings, self.store, self.pool.start, self._live_file
            )
            work_in(surroundings)
            self._surroundings = surroundings
            self._start()
            self._take_up()
        except BaseException:
            self.close()
            raise

    def _take_up(self) -> None:
        """Enqueue what waits and is not in line yet; thousands may be in it already."""
        known = in_line(QUEUE)
        for incident in self.store.unfinished():
            name = _name(incident.id, max(incident.attempt, 1))
            if name not in known:
                self.enqueue(incident.id)
            elif known[name] != _urgency(incident):
                put_in_line(name, _urgency(incident))

    def _start(self) -> None:
        path = self.home.state.resolve() / "queue.db"
        with sqlite3.connect(path) as connection:
            # Stays with the file. Without it a write takes several times as long.
            connection.execute("PRAGMA journal_mode=WAL")
        connection.close()
        config: DBOSConfig = {
            "name": _APPLICATION,
            "system_database_url": f"sqlite:///{path}",
            "application_version": _VERSION,
            "executor_id": _EXECUTOR,
            "serializer": DBOSPortableJSONSerializer(),
            "enable_otlp": False,
            "log_level": "WARNING",
            "notification_listener_polling_interval_sec": 0.25,
        }
        DBOS(config=config)
        DBOS.launch()
        DBOS.register_queue(
            QUEUE,
            worker_concurrency=self.settings.server.concurrency,
            limiter=_limiter(self.settings.server.runs_per_minute),
            polling_interval_sec=POLL_EVERY_S,
            on_conflict="always_update",
        )

    def enqueue(self, incident_id: str) -> str:
        """Ask for the incident's run; asking again, from any thread, is one run.

        Asking again moves it to the place in line that the incident's priority has by now. A run
        that a maintenance window holds back is left alone.

        Returns
        -------
        str
            The name of the run: `run:<incident>:<attempt>`.

        Raises
        ------
        NotFoundError
            No such incident.
        """
        incident = self.store.incident(incident_id)
        if incident is None:
            raise NotFoundError(f"no incident {incident_id!r}", "list them: triagebook incidents")
        number = max(incident.attempt, 1)
        name = _name(incident_id, number)
        if incident.run_state == "held":
            return name
        status = DBOS.get_workflow_status(name)
        unfinished = incident.run_state in {"queued", "running"}
        if status is not None and status.status in _ENDED and unfinished:
            # It ended without a word to the store (its database was gone): once more, from new.
            number += 1
            name = _name(incident_id, number)
            self.store.set_run_state(incident_id, "queued", attempt=number)
        elif status is not None:
            if unfinished and status.priority != _urgency(incident):
                put_in_line(name, _urgency(incident))
            return name
        with SetWorkflowID(name), SetEnqueueOptions(priority=_urgency(incident)):
            DBOS.enqueue_workflow(QUEUE, run_incident, incident_id, number)
        log.info("run queued", incident=incident_id, attempt=number)
        return name

    def run_again(self, incident_id: str) -> str:
        """Ask for a new attempt at an incident whose run has ended; its files are kept aside.

        A run that a maintenance window holds back is left alone: `Store.line.hasten` releases it.

        Returns
        -------
        str
            The name of the run; of the one that is under way, where there is one.
        """
        incident = self.store.incident(incident_id)
        if incident is not None and incident.run_state not in {"held", "queued", "running"}:
            self.store.set_run_state(incident_id, "queued", attempt=incident.attempt + 1)
        return self.enqueue(incident_id)

    def _live_file(self) -> str | None:
        """Make room for one more live kernel, and say where the Jupyter server is."""
        if self.lab is None or not self.lab.make_room():
            return None
        return str(self.lab.file.resolve())

    def close(self, within_s: float = 10.0) -> None:
        """Stop working. Runs under way are ended; the next launch takes them up from the start.

        Raises
        ------
        RunError
            A run did not end within `within_s` seconds; everything else is closed all the same.
        """
        surroundings, self._surroundings = self._surroundings, None
        try:
            if surroundings is not None:
                surroundings.stop.set()
                check_idle(surroundings, within_s)
        finally:
            if surroundings is not None:
                DBOS.destroy()
                work_in(None)
            if self.lab is not None:
                self.lab.close()
            self.pool.close()
            self._lock.release()

    def __enter__(self) -> Self:
        self.launch()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _urgency(incident: IncidentView) -> int:
    return _BEGUN if incident.run_state == "running" else incident.priority


def _limiter(runs_per_minute: float | None) -> Any:
    """Return DBOS' limit: one run in so many seconds, so that a critical one waits no longer."""
    return {"limit": 1, "period": 60 / runs_per_minute} if runs_per_minute else None


def _name(incident_id: str, number: int) -> str:
    return f"run:{incident_id}:{number}"
