"""Every executor looks for runs whose executor is gone, and queues them anew; for Postgres only."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog
from dbos import DBOS

from triagebook.incidents.takeover import queued_before, take_over
from triagebook.running.attempt import hand_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from triagebook.core.paths import Home
    from triagebook.incidents.store import Store
    from triagebook.running.lease import Lease

LOOK_EVERY_S = 2.0
SWEEP_EVERY = 5
"""Every so many looks the queue is held against the store."""
_QUEUED_FOR = timedelta(seconds=10)
_SWEPT = 200

log = structlog.get_logger(__name__)


def run_name(incident_id: str, number: int) -> str:
    """Return the name of a run in the queue."""
    return f"run:{incident_id}:{number}"


class Lookout:
    """Looks every `LOOK_EVERY_S` seconds, in a thread, while the lease is held.

    Any number of executors may look at once: who raises the attempt's number in the store has
    taken the run over, and the rest find it done.

    Parameters
    ----------
    home, store : Home, Store
        The shared ones.
    lease : Lease
        Taken; knows who lives.
    enqueue : callable
        Queues the present attempt of an incident; again is one.
    working_on : callable
        Tells whether this process works on an attempt of an incident.
    older : sequence of str
        Application versions whose waiting runs are to become ours.
    """

    def __init__(
        self,
        home: Home,
        store: Store,
        lease: Lease,
        *,
        enqueue: Callable[[str], object],
        working_on: Callable[[str, int], bool],
        older: Iterable[str] = (),
    ) -> None:
        self._home, self._store, self._lease = home, store, lease
        self._enqueue = enqueue
        self._working_on = working_on
        self._older = list(older)
        self._strays: set[str] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lookout", daemon=True)

    def start(self) -> None:
        """Look now, and again and again."""
        self._thread.start()

    def close(self, within_s: float) -> None:
        """Look no more."""
        self._over.set()
        self._thread.join(within_s)

    def _run(self) -> None:
        looks = 0
        while not self._over.is_set():
            try:
                if self._lease.held:
                    self.look()
                    if looks % SWEEP_EVERY == 0:
                        self.sweep()
                    looks += 1
            except Exception as error:  # noqa: BLE001 - the database may be away; it comes back
                log.warning("could not look for runs that were cut off", error=str(error))
            self._over.wait(LOOK_EVERY_S)

    def look(self) -> list[str]:
        """Take over what executors left that are gone; returns the names of those runs."""
        pending = {
            status.workflow_id: str(status.executor_id)
            for status in DBOS.list_workflows(
                status="PENDING", name="triagebook.run", load_input=False, load_output=False
            )
        }
        others = set(pending.values()) - {self._lease.executor}
        gone = others - self._lease.living(others)
        left = [name for name, executor in pending.items() if executor in gone]
        for name in left:
            self._take_over(name, f"{pending[name].partition(':')[0]} is gone")
        # Our own that nobody works on: we were cut off for a while. Seen twice, because between
        # its leaving the queue and its first step nobody works on a run either.
        mine = {name for name, executor in pending.items() if executor == self._lease.executor}
        strays = {name for name in mine if not self._working_on(*_parts(name))}
        for name in strays & self._strays:
            self._take_over(name, f"{self._lease.worker} was cut off")
            left.append(name)
        self._strays = strays - set(left)
        if self._older:
            left += self._renew()
        return left

    def sweep(self) -> None:
        """Queue what the store says is queued for a while and the queue does not know.

        A service may end between the two; alone, it does this when it starts.
        """
        queued = queued_before(self._store, self._store.clock() - _QUEUED_FOR, _SWEPT)
        if not queued:
            return
        names = {run_name(one, number): one for one, number in queued.items()}
        found = DBOS.list_workflows(workflow_ids=list(names), load_input=False, load_output=False)
        for name in set(names) - {status.workflow_id for status in found}:
            self._enqueue(names[name])

    def _renew(self) -> list[str]:
        """Take over what waits for a worker of an older version: there may be none any more."""
        waiting = DBOS.list_workflows(
            status="ENQUEUED",
            name="triagebook.run",
            app_version=self._older,
            load_input=False,
            load_output=False,
        )
        names = [status.workflow_id for status in waiting]
        for name in names:
            self._take_over(name, "it waited for a worker of an older version")
        return names

    def _take_over(self, name: str, why: str) -> None:
        incident_id, number = _parts(name)
        # In this order: killed in between, the next look finds the run again and goes on.
        following = take_over(self._store, incident_id, number, why)
        if isinstance(following, int):
            hand_on(self._home.run_dir(incident_id), number, following)
            self._enqueue(incident_id)
        DBOS.cancel_workflow(name)
        log.warning("run taken over", run=name, why=why, by=self._lease.worker, attempt=following)


def _parts(name: str) -> tuple[str, int]:
    _, incident_id, number = name.split(":")
    return incident_id, int(number)
