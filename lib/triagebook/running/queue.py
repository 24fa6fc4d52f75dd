"""The durable queue of runs: DBOS on an SQLite file of the home, or on a Postgres for many."""

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
from triagebook.incidents.database import postgres_engine
from triagebook.running.lease import Lease, default_worker_id
from triagebook.running.line import in_line, put_in_line
from triagebook.running.live.server import LabServer
from triagebook.running.lock import HomeLock
from triagebook.running.takeover import Lookout, run_name
from triagebook.running.warm.pool import WarmPool
from triagebook.running.workflow import Surroundings, check_idle, run_incident, work_in

if TYPE_CHECKING:
    from dbos._queue import Queue as DBOSQueue
    from sqlalchemy import Engine

    from triagebook.core.paths import Home
    from triagebook.core.settings import Settings
    from triagebook.incidents.store import Store
    from triagebook.incidents.views import IncidentView

QUEUE = "runs"
POLL_EVERY_S = 0.1
POLL_CUT_OFF_EVERY_S = 1.0  # each time is a warning in the log
_BEGUN = 1
"""DBOS' most urgent: what was cut off is taken up before anything else begins."""
_APPLICATION = "triagebook"
# DBOS would take a hash of our source, and leave runs of an older one lying for ever. Raise it only
# when the steps of `workflow.run_incident` change so that a run that has begun cannot go on.
_VERSION = "1"
_EXECUTOR = "service"
_SCHEMA = (
    "triagebook_queue"  # on Postgres; the store's tables are where the role's search path says
)
_ENDED = {"SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"}

log = structlog.get_logger(__name__)


class RunQueue:
    """Runs of incidents, as many at once as `server.concurrency` says; survives kill -9.

    The most urgent starts first, and among equals the one that waits longest. One a process (DBOS
    is one). On SQLite one a home (a lock file); on Postgres any number, each with a worker's id of
    its own, and what one leaves another takes over.

    Parameters
    ----------
    home : Home
        State and runs.
    settings : Settings
        `server.concurrency`, `server.runs_per_minute`, `server.deadline`, `server.notebooks`,
        `server.database`, `server.worker_id`.
    store : Store
        Open; asked for incidents and told how their runs stand. Not closed here.
    """

    def __init__(self, home: Home, settings: Settings, store: Store) -> None:
        self.home = home
        self.settings = settings
        self.store = store
        self.pool = WarmPool(
            settings.server.warm if settings.server.concurrency else 0,
            [home.root / "triagebook.toml"],
            home.state / "template.log",
        )
        self.lab = LabServer(home, settings.lab) if settings.lab.enabled else None
        self._lock = HomeLock(home)
        self._url = settings.server.database_url(home.root)
        self._lease: Lease | None = None
        self._lookout: Lookout | None = None
        self._engine: Engine | None = None
        self._queue: DBOSQueue | None = None
        self._launched = self._closing = False
        self._worked_in: list[Surroundings] = []  # the last is the present one

    def launch(self) -> None:
        """Start working: take up runs that were cut off, and enqueue those that wait.

        Raises
        ------
        RunError
            Another service works on this home, or another process under this worker's id.
        """
        try:
            if self._url is None:
                self._lock.take()
                self._begin()
                self._start(_EXECUTOR)
                self._take_up()
            else:
                self._launch_among_others(self._url)
        except BaseException:
            self.close()
            raise

    def _take_up(self) -> None:
        """Enqueue what waits and is not in line yet; thousands may be in it already."""
        known = in_line(QUEUE)
        for incident in self.store.unfinished():
            name = run_name(incident.id, max(incident.attempt, 1))
            if name not in known:
                self.enqueue(incident.id)
            elif known[name] != _urgency(incident):
                put_in_line(name, _urgency(incident))

    def _launch_among_others(self, url: str) -> None:
        worker = self.settings.server.worker_id or default_worker_id(self.home.root)
        self._lease = Lease(url, worker, on_lost=self._pause, on_back=self._work)
        self._lease.take()
        self._begin()
        self._engine = postgres_engine(url)
        self._start(self._lease.executor)
        self._lookout = Lookout(
            self.home,
            self.store,
            self._lease,
            enqueue=self.enqueue,
            working_on=self._works_on,
            older=[str(number) for number in range(1, int(_VERSION))],
        )
        self._lookout.start()
        log.info("worker started", worker=worker, at_once=self.settings.server.concurrency)

    @property
    def warm(self) -> str:
        """Whether runs start warm by now: off, starting or ready."""
        return self.pool.state

    @property
    def trouble(self) -> str:
        """What keeps this process from executing runs; empty where nothing does."""
        if self._lease is not None and not self._lease.held:
            return f"the worker {self._lease.worker} is cut off from its database"
        return ""

    def _begin(self) -> None:
        self.pool.open()
        if self.lab is not None:
            self.lab.open(self.pool.address)
        self._work()

    def _work(self) -> None:
        lease = self._lease
        if self._closing:
            return
        here = Surroundings(self.home, self.settings, self.store, self.pool.start, self._live_file)
        if lease is not None:
            here.may_work = lambda: lease.held
        self._worked_in = [one for one in self._worked_in if not one.wait_idle(0)] + [here]
        work_in(here)
        self._poll_every(POLL_EVERY_S)

    def _poll_every(self, seconds: float) -> None:
        if self._queue is not None:
            self._queue._polling_interval_sec = seconds  # noqa: SLF001

    def _pause(self) -> None:
        self._stop_working(for_now=True)
        self._poll_every(POLL_CUT_OFF_EVERY_S)

    def _stop_working(self, *, for_now: bool = False) -> None:
        if self._worked_in:  # else another queue of this process may be at work
            work_in(None, for_now=for_now)
        for surroundings in self._worked_in:
            surroundings.stop.set()

    def _works_on(self, incident_id: str, number: int) -> bool:
        return any(one.works_on(incident_id, number) for one in self._worked_in)

    def _start(self, executor: str) -> None:
        config: DBOSConfig = {
            "name": _APPLICATION,
            "application_version": _VERSION,
            "executor_id": executor,
            "serializer": DBOSPortableJSONSerializer(),
            "enable_otlp": False,
            "log_level": "WARNING",
            "notification_listener_polling_interval_sec": 0.25,
        }
        if self._engine is None:
            config["system_database_url"] = self._sqlite()
        else:
            config["system_database_url"] = self._url
            config["system_database_engine"] = self._engine
            config["dbos_system_schema"] = _SCHEMA
        dbos = DBOS(config=config)
        # Not DBOS.register_queue: that one lies in the database, with one concurrency for all who
        # work on it. As there, a second launch of this process finds the queue of the first.
        self._queue = dbos._registry._register_internal_queue(QUEUE)  # noqa: SLF001
        self._queue._worker_concurrency = self.settings.server.concurrency  # noqa: SLF001
        self._queue._limiter = _limiter(self.settings.server.runs_per_minute)  # noqa: SLF001
        self._poll_every(POLL_EVERY_S)
        self._launched = True
        DBOS.launch()

    def _sqlite(self) -> str:
        path = self.home.state.resolve() / "queue.db"
        with sqlite3.connect(path) as connection:
            # Stays with the file. Without it a write takes several times as long.
            connection.execute("PRAGMA journal_mode=WAL")
        connection.close()
        return f"sqlite:///{path}"

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
        name = run_name(incident_id, number)
        if incident.run_state == "held":
            return name
        status = DBOS.get_workflow_status(name)
        if status is not None and status.status in _ENDED and self._unfinished(incident_id, number):
            # It ended without a word to the store (its database was gone): once more, from new.
            number += 1
            name = run_name(incident_id, number)
            self.store.set_run_state(incident_id, "queued", attempt=number)
        elif status is not None:
            waits = status.status not in _ENDED
            if waits and status.priority != _urgency(incident):
                put_in_line(name, _urgency(incident))
            return name
        with SetWorkflowID(name), SetEnqueueOptions(priority=_urgency(incident)):
            DBOS.enqueue_workflow(QUEUE, run_incident, incident_id, number)
        log.info("run queued", incident=incident_id, attempt=number)
        self.pool.look()  # while the queue has not chosen it yet
        return name

    def _unfinished(self, incident_id: str, number: int) -> bool:
        """Tell whether the store, asked after the queue, still waits for that attempt."""
        incident = self.store.incident(incident_id)
        return (
            incident is not None
            and incident.run_state in {"queued", "running"}
            and incident.attempt <= number
        )

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

    def forget(self, incidents: list[str]) -> None:
        """Forget all runs of incidents that the store no longer has."""
        if not incidents:
            return
        prefixes: list[str] = [run_name(name, 1).removesuffix("1") for name in incidents]
        known = DBOS.list_workflows(
            workflow_id_prefix=prefixes, load_input=False, load_output=False
        )
        DBOS.delete_workflows([one.workflow_id for one in known if one.status in _ENDED])

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
        self._closing = True
        self._stop_working()
        try:
            if self._lookout is not None:
                self._lookout.close(within_s)
            for surroundings in self._worked_in:
                check_idle(surroundings, within_s)
        finally:
            if self._launched:
                DBOS.destroy()
            if self._engine is not None:
                self._engine.dispose()
            if self.lab is not None:
                self.lab.close()
            self.pool.close()
            # Only now others may take over: nothing is worked on here any more.
            if self._lease is not None:
                self._lease.close()
            self._lock.release()
            self._launched = self._closing = False
            self._worked_in = []
            self._lease = self._lookout = self._engine = None

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
