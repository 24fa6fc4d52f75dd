"""What happens to one incident's run, step by step; DBOS keeps what is done through a crash."""

from __future__ import annotations

import errno
import threading
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog
from dbos import DBOS

from triagebook.core.errors import NotFoundError, RunError, StoreError, SupersededError
from triagebook.core.models import RunRequest
from triagebook.incidents.takeover import current
from triagebook.running.attempt import Attempt, RunResult, read_json
from triagebook.running.feed import feed_for
from triagebook.running.limits import memory_bytes
from triagebook.running.progress import ProgressLog
from triagebook.running.publish import publish
from triagebook.running.runbook import own_runbooks
from triagebook.running.supervise import execute_attempt, start_runner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from triagebook.core.paths import Home
    from triagebook.core.settings import Settings
    from triagebook.incidents.store import Store
    from triagebook.running.supervise import RunnerProcess

log = structlog.get_logger(__name__)


class RunStoppedError(BaseException):
    """The service is ending, or was cut off; the run is to be taken up again, here or elsewhere.

    Not an Exception on purpose: DBOS records those as a step's outcome, and would not run it again.
    """


@dataclass
class Surroundings:
    """What the steps work with. DBOS calls plain functions by name, so it is kept in this module.

    `may_work` is asked before each step: an executor that was cut off must not touch a run any more.
    """

    home: Home
    settings: Settings
    store: Store
    start: Callable[[Attempt], RunnerProcess] = start_runner
    live: Callable[[], str | None] = lambda: None
    may_work: Callable[[], bool] = lambda: True
    stop: threading.Event = field(default_factory=threading.Event)
    idle: threading.Condition = field(default_factory=threading.Condition)
    active: set[tuple[str, int]] = field(default_factory=set)

    def attempt(self, incident_id: str, number: int) -> Attempt:
        """Return the folder of one execution."""
        return Attempt(self.home.attempt_dir(incident_id, number))

    @contextmanager
    def working_on(self, incident_id: str, number: int) -> Iterator[None]:
        """Count a run as worked on while the block lasts; its steps work with these."""
        with self.idle:
            self.active.add((incident_id, number))
        token = _MINE.set(self)
        try:
            yield
        finally:
            _MINE.reset(token)
            with self.idle:
                self.active.discard((incident_id, number))
                self.idle.notify_all()

    def works_on(self, incident_id: str, number: int) -> bool:
        """Tell whether a run is being worked on."""
        with self.idle:
            return (incident_id, number) in self.active

    def wait_idle(self, within_s: float) -> bool:
        """Wait until no run is being worked on; return whether that is so."""
        with self.idle:
            return self.idle.wait_for(lambda: not self.active, within_s)


AGAIN_EVERY_S = 1.0
"""How often it is tried again what a full disk or a failing store refuses, in seconds."""
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})

_PAUSE_S = 30.0
"""So long a run that left the queue just when this process was cut off waits before its first step."""

_HERE: list[Surroundings] = []
_PAUSED = threading.Event()
_CHANGED = threading.Condition()
# A run keeps what it began with: one that was stopped must not go on with what came after.
_MINE: ContextVar[Surroundings] = ContextVar("surroundings")


def work_in(surroundings: Surroundings | None, *, for_now: bool = False) -> None:
    """Say what runs begin to work with from now on.

    None when the queue is closed, or, with `for_now`, when this process is cut off.
    """
    with _CHANGED:
        _HERE[:] = [] if surroundings is None else [surroundings]
        if for_now:
            _PAUSED.set()
        else:
            _PAUSED.clear()
        _CHANGED.notify_all()


def _present() -> Surroundings:
    with _CHANGED:
        # Otherwise a process that is cut off for a second would take from the queue, and leave, one
        # run after the other.
        _CHANGED.wait_for(lambda: _HERE or not _PAUSED.is_set(), _PAUSE_S)
        if not _HERE:
            raise RunStoppedError
        return _HERE[0]


def _here() -> Surroundings:
    here = _MINE.get()
    if here.stop.is_set() or not here.may_work():
        raise RunStoppedError
    return here


@contextmanager
def _unless_superseded() -> Iterator[None]:
    """End a run in which another has overtaken us, without a word: it is theirs to report."""
    try:
        yield
    except SupersededError as error:
        log.warning("run superseded", error=error.message)
        raise RunStoppedError from error


def _once_there_is_room(here: Surroundings, do: Callable[[], None]) -> None:
    """Do it; again and again while the disk is full or the store fails, until the service ends.

    Given up, nobody would ever hear how the run ended: the store has to be told, and cannot be.
    """
    said = ""
    while True:
        try:
            do()
        except (StoreError, OSError) as error:
            if isinstance(error, OSError) and error.errno not in _FULL:
                raise
            if said != (said := str(error)):
                log.warning("run waits for room or for its database", error=said)
        else:
            return
        if here.stop.wait(AGAIN_EVERY_S) or not here.may_work():
            raise RunStoppedError


def _why(error: BaseException) -> str:
    """Say why a run failed; what the disk said first, where the queue then could not even note that."""
    one: BaseException | None = error
    while one is not None:
        if isinstance(one, OSError) and one.errno in _FULL:
            return f"the disk is full: {one}"
        one = one.__cause__ or one.__context__
    return str(error) or type(error).__name__


@DBOS.workflow(name="triagebook.run", max_recovery_attempts=None)
def run_incident(incident_id: str, number: int) -> str:
    """Run an incident's runbook: prepare, execute, publish, record.

    Returns
    -------
    str
        "published" or "failed"; the store says the same. A failed run is kept, with its reason.
    """
    with _present().working_on(incident_id, number):
        try:
            prepare(incident_id, number)
            result = execute(incident_id, number)
            if result["status"] == "executed":
                publish_files(incident_id, number)
                record(incident_id, number, result)
                return "published"
            message = str(result["message"])
        except Exception as error:  # noqa: BLE001 - whatever it is, the incident keeps its reason
            message = _why(error)
            log.warning("run failed", incident=incident_id, attempt=number, error=message)
        fail(incident_id, number, message)
        return "failed"


@DBOS.step(name="triagebook.prepare")
def prepare(incident_id: str, number: int) -> None:
    """Write the request and a copy of the runbook into the attempt's folder."""
    here = _here()
    _once_there_is_room(here, lambda: _prepare(here, incident_id, number))


def _prepare(here: Surroundings, incident_id: str, number: int) -> None:
    incident = here.store.incident(incident_id)
    if incident is None:
        raise NotFoundError(f"no incident {incident_id!r}", "list them: triagebook incidents")
    # First this, then the alerts: one that joins in between is in both, or has it run again.
    with _unless_superseded():
        here.store.set_run_state(incident_id, "running", attempt=number, current_only=True)
    request = RunRequest(
        incident_id=incident_id,
        incident_type=incident.incident_type,
        service=incident.service,
        runbook=incident.runbook,
        alert=incident.alert,
        alerts=here.store.told(incident_id),
        home=str(here.home.root.resolve()),
        attempt=number,
        parameters=dict(incident.parameters),
        deadline_s=here.settings.server.deadline,
        memory_bytes=memory_bytes(here.settings.server),
        live=here.live(),
        feed=feed_for(here.store, here.settings, incident.service),
    )
    here.attempt(incident_id, number).prepare(
        request, notebooks=own_runbooks(here.home, here.settings)
    )


@DBOS.step(name="triagebook.execute")
def execute(incident_id: str, number: int) -> dict[str, Any]:
    """Execute the notebook; the result as plain values."""
    here = _here()
    result = execute_attempt(here.attempt(incident_id, number), stop=here.stop, start=here.start)
    if result.status == "stopped":
        raise RunStoppedError
    return result.as_json()


@DBOS.step(name="triagebook.publish", retries_allowed=True, interval_seconds=0.5, max_attempts=4)
def publish_files(incident_id: str, number: int) -> None:
    """Move the finished files up into the run's folder."""
    here = _here()

    def move() -> None:
        with _unless_superseded(), current(here.store, incident_id, number):
            publish(here.home.run_dir(incident_id), number)

    _once_there_is_room(here, move)


@DBOS.step(name="triagebook.record", retries_allowed=True, interval_seconds=0.5, max_attempts=4)
def record(incident_id: str, number: int, result: dict[str, Any]) -> None:
    """Tell the store what the notebook found, then that it is published."""
    here = _here()
    _once_there_is_room(here, lambda: _record(here, incident_id, number, result))


def _record(here: Surroundings, incident_id: str, number: int, result: dict[str, Any]) -> None:
    answer = read_json(here.home.run_dir(incident_id) / "diagnosis.json")
    if answer is not None:
        found = outcome(answer)
        here.store.set_outcome(
            incident_id,
            severity=found.severity,
            verdict=found.verdict,
            headline=found.headline,
        )
    words = published_words(RunResult(**result))
    with _unless_superseded():
        here.store.set_run_state(
            incident_id, "published", attempt=number, message=words, current_only=True
        )
    ProgressLog(here.attempt(incident_id, number).folder).add("published")


@DBOS.step(name="triagebook.fail", retries_allowed=True, interval_seconds=0.5, max_attempts=4)
def fail(incident_id: str, number: int, message: str) -> None:
    """Tell the store, and whoever watches the progress, that there is no notebook, and why."""
    here = _here()

    def tell() -> None:
        with _unless_superseded():
            here.store.set_run_state(
                incident_id, "failed", attempt=number, message=message, current_only=True
            )

    _once_there_is_room(here, tell)
    folder = here.attempt(incident_id, number).folder
    if folder.is_dir():
        try:
            ProgressLog(folder).add("failed", message=message)
        except OSError as error:  # the store has it; the runs may lie on another disk, still full
            log.warning("progress not written", incident=incident_id, error=str(error))


@dataclass(frozen=True)
class Outcome:
    """What the list of incidents shows of a diagnosis."""

    severity: str | None
    verdict: str | None
    headline: str | None


def outcome(answer: dict[str, Any]) -> Outcome:
    """Read severity, verdict and headline from a diagnosis, whoever wrote it.

    A notebook of somebody's own may write other things beside these: what is not as DESIGN says
    is left out, and costs nothing else.
    """
    severity = answer.get("severity")
    level = severity.get("level") if isinstance(severity, dict) else None
    ranked = answer.get("hypotheses")
    first = ranked[0] if isinstance(ranked, list) and ranked else None
    headline = first.get("headline") if isinstance(first, dict) else None
    return Outcome(
        severity=_text(level),
        verdict=_text(answer.get("verdict")),
        headline=_text(headline) or _text(answer.get("summary")),
    )


def published_words(result: RunResult) -> str:
    """Say in a sentence what is published, and what is missing in it; "" where nothing is."""
    parts = [
        f"{len(ids)} {word}"
        for ids, word in (
            (result.failed_cells, "failed"),
            (result.timed_out_cells, "ran out of time"),
            (result.not_run_cells, "not run"),
        )
        if ids
    ]
    if not parts:
        return ""
    why = f" ({result.message.splitlines()[0]})" if result.message else ""
    return f"published; of {result.cells} cells {', '.join(parts)}{why}"


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def check_idle(surroundings: Surroundings, within_s: float) -> None:
    """Wait for the runs to end after `stop`; RunError where one does not."""
    if not surroundings.wait_idle(within_s):
        raise RunError(
            f"{len(surroundings.active)} run(s) did not end within {within_s:g} s",
            "end the runner processes by hand; the runs are taken up again at the next start",
        )
