"""What happens to one incident's run, step by step; DBOS keeps what is done through a crash."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog
from dbos import DBOS

from triagebook.core.errors import NotFoundError, RunError
from triagebook.core.models import RunRequest
from triagebook.running.attempt import Attempt, RunResult, read_json
from triagebook.running.limits import memory_bytes
from triagebook.running.progress import ProgressLog
from triagebook.running.publish import publish
from triagebook.running.runbook import own_runbooks
from triagebook.running.supervise import execute_attempt, start_runner

if TYPE_CHECKING:
    from collections.abc import Callable

    from triagebook.core.paths import Home
    from triagebook.core.settings import Settings
    from triagebook.incidents.store import Store
    from triagebook.running.supervise import RunnerProcess

log = structlog.get_logger(__name__)


class RunStoppedError(BaseException):
    """The service is ending; the run is to be taken up again at the next start.

    Not an Exception on purpose: DBOS records those as a step's outcome, and would not run it again.
    """


@dataclass
class Surroundings:
    """What the steps work with. DBOS calls plain functions by name, so it is kept in this module."""

    home: Home
    settings: Settings
    store: Store
    start: Callable[[Attempt], RunnerProcess] = start_runner
    live: Callable[[], str | None] = lambda: None
    stop: threading.Event = field(default_factory=threading.Event)
    idle: threading.Condition = field(default_factory=threading.Condition)
    active: int = 0

    def attempt(self, incident_id: str, number: int) -> Attempt:
        """Return the folder of one execution."""
        return Attempt(self.home.attempt_dir(incident_id, number))

    def __enter__(self) -> None:
        with self.idle:
            self.active += 1

    def __exit__(self, *_: object) -> None:
        with self.idle:
            self.active -= 1
            self.idle.notify_all()

    def wait_idle(self, within_s: float) -> bool:
        """Wait until no run is being worked on; return whether that is so."""
        with self.idle:
            return self.idle.wait_for(lambda: self.active == 0, within_s)


_HERE: list[Surroundings] = []


def work_in(surroundings: Surroundings | None) -> None:
    """Say what the steps work with from now on; None when the queue is closed."""
    _HERE.clear()
    if surroundings is not None:
        _HERE.append(surroundings)


def _here() -> Surroundings:
    if not _HERE or _HERE[0].stop.is_set():
        raise RunStoppedError
    return _HERE[0]


@DBOS.workflow(name="triagebook.run", max_recovery_attempts=None)
def run_incident(incident_id: str, number: int) -> str:
    """Run an incident's runbook: prepare, execute, publish, record.

    Returns
    -------
    str
        "published" or "failed"; the store says the same. A failed run is kept, with its reason.
    """
    with _here():
        try:
            prepare(incident_id, number)
            result = execute(incident_id, number)
            if result["status"] == "executed":
                publish_files(incident_id, number)
                record(incident_id, number, result)
                return "published"
            message = str(result["message"])
        except Exception as error:  # noqa: BLE001 - whatever it is, the incident keeps its reason
            log.warning("run failed", incident=incident_id, attempt=number, error=str(error))
            message = str(error) or type(error).__name__
        fail(incident_id, number, message)
        return "failed"


@DBOS.step(name="triagebook.prepare")
def prepare(incident_id: str, number: int) -> None:
    """Write the request and a copy of the runbook into the attempt's folder."""
    here = _here()
    incident = here.store.incident(incident_id)
    if incident is None:
        raise NotFoundError(f"no incident {incident_id!r}", "list them: triagebook incidents")
    # First this, then the alerts: one that joins in between is in both, or has it run again.
    here.store.set_run_state(incident_id, "running", attempt=number)
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


@DBOS.step(name="triagebook.publish")
def publish_files(incident_id: str, number: int) -> None:
    """Move the finished files up into the run's folder."""
    publish(_here().home.run_dir(incident_id), number)


@DBOS.step(name="triagebook.record", retries_allowed=True, interval_seconds=0.5, max_attempts=4)
def record(incident_id: str, number: int, result: dict[str, Any]) -> None:
    """Tell the store what the notebook found, then that it is published."""
    here = _here()
    answer = read_json(here.home.run_dir(incident_id) / "diagnosis.json")
    if answer is not None:
        found = outcome(answer)
        here.store.set_outcome(
            incident_id,
            severity=found.severity,
            verdict=found.verdict,
            headline=found.headline,
        )
    here.store.set_run_state(
        incident_id, "published", attempt=number, message=published_words(RunResult(**result))
    )
    ProgressLog(here.attempt(incident_id, number).folder).add("published")


@DBOS.step(name="triagebook.fail", retries_allowed=True, interval_seconds=0.5, max_attempts=4)
def fail(incident_id: str, number: int, message: str) -> None:
    """Tell the store, and whoever watches the progress, that there is no notebook, and why."""
    here = _here()
    here.store.set_run_state(incident_id, "failed", attempt=number, message=message)
    folder = here.attempt(incident_id, number).folder
    if folder.is_dir():
        ProgressLog(folder).add("failed", message=message)


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
            f"{surroundings.active} run(s) did not end within {within_s:g} s",
            "end the runner processes by hand; the runs are taken up again at the next start",
        )
