"""Run a runbook now, in the foreground, without a queue: what `triagebook run` does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from triagebook.core.errors import RunError
from triagebook.core.models import Alert, IncidentType, RunRequest
from triagebook.core.paths import Home, runbook_path
from triagebook.running.attempt import Attempt, RunResult, attempts
from triagebook.running.limits import memory_bytes
from triagebook.running.parameters import check_declared
from triagebook.running.progress import ProgressLog
from triagebook.running.publish import publish
from triagebook.running.runbook import own_runbooks
from triagebook.running.supervise import execute_attempt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from triagebook.core.models import ChangeFeed, Progress
    from triagebook.core.settings import Settings


@dataclass(frozen=True)
class ForegroundRun:
    """A finished run: its folder, the attempt's number, and what came of it."""

    folder: Path
    attempt: int
    result: RunResult


def run_now(
    home: Home,
    settings: Settings,
    *,
    incident_id: str,
    alert: Alert,
    incident_type: IncidentType | None = None,
    service: str | None = None,
    runbook: str | None = None,
    parameters: dict[str, Any] | None = None,
    bundle: Path | None = None,
    alerts: Sequence[Alert] = (),
    number: int | None = None,
    feed: ChangeFeed | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> ForegroundRun:
    """Execute a runbook and publish it in `runs/<incident_id>/`.

    Parameters
    ----------
    home : Home
        Where runs lie.
    settings : Settings
        `server.deadline` and `server.notebooks` count.
    incident_id : str
        Names the run's folder; an earlier run of that name is kept aside.
    alert : Alert
        What the investigation is about.
    incident_type, service : optional
        By default the alert's.
    runbook : str, optional
        By default the one of the incident type, else `generic`.
    parameters : dict, optional
        Only what the runbook declares.
    bundle : Path, optional
        An evidence folder, copied into the run before it starts.
    alerts : sequence of Alert
        All that belong to the incident, where it has more than one.
    number : int, optional
        The attempt's; by default the next after those whose folders are there.
    feed : ChangeFeed, optional
        What was posted about changes: `running.feed.feed_for`, where there is a store.
    on_progress : callable, optional
        Gets each line of progress while the notebook runs.

    Raises
    ------
    BadParameterError
        A name that the runbook does not declare, or a value that cannot be passed.
    RunbookNotFoundError
        No such runbook.
    RunError
        There is no notebook to publish; the message says why.
    """
    kind = incident_type or alert.incident_type
    notebooks = own_runbooks(home, settings)
    name = runbook or (kind.value if runbook_path(kind.value, notebooks) else "generic")
    run_dir = home.run_dir(incident_id)
    number = number or next_number(home, incident_id)
    attempt = Attempt(home.attempt_dir(incident_id, number))
    request = RunRequest(
        incident_id=incident_id,
        incident_type=kind,
        service=service or alert.service,
        runbook=name,
        alert=alert,
        alerts=list(alerts),
        home=str(home.root.resolve()),
        attempt=number,
        parameters=parameters or {},
        deadline_s=settings.server.deadline,
        memory_bytes=memory_bytes(settings.server),
        feed=feed,
    )
    check_declared(request.runbook, request.parameters, notebooks)
    attempt.prepare(request, notebooks=notebooks, bundle=bundle)
    result = execute_attempt(attempt, on_progress=on_progress)
    if result.status != "executed":
        raise RunError(
            f"the runbook {name!r} gave no notebook: {result.message}",
            f"see the logs in {attempt.folder}",
            folder=str(attempt.folder),
        )
    publish(run_dir, number)
    line = ProgressLog(attempt.folder).add("published")
    if on_progress is not None:
        on_progress(line)
    return ForegroundRun(run_dir, number, result)


def next_number(home: Home, incident_id: str) -> int:
    """Return the number of an incident's next attempt, by the folders that are there."""
    return max(attempts(home.run_dir(incident_id)), default=0) + 1
