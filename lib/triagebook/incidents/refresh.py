"""When an incident's notebook is executed again: planned with what happens, taken once it is due."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, Self

from sqlalchemy import insert, or_, select, update

from triagebook.core.errors import NotFoundError, RunUnderWayError
from triagebook.incidents.notes import note
from triagebook.incidents.tables import incidents, runs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from sqlalchemy import Connection, RowMapping

    from triagebook.core.settings import RefreshSettings
    from triagebook.incidents.database import Database
    from triagebook.incidents.views import RefreshWhy, TimelineKind

LONGEST_WAITS = 10
"""However many alerts join, the run waits no longer than so many times the wait after one."""

WORDS: dict[RefreshWhy, str] = {
    "joined": "alerts joined",
    "reopened": "it fires again",
    "resolved": "it is over",
    "scheduled": "it still goes on",
    "asked": "asked for",
}
"""Why a notebook is executed again, for people."""

_UNFINISHED = ("queued", "running")
_OVER = ("resolved", "reviewed")
_READ = [
    incidents.c[name]
    for name in (
        "id",
        "state",
        "run_state",
        "attempt",
        "runbook",
        "parameters",
        "refresh_at",
        "refresh_why",
        "refresh_by",
        "refreshes",
    )
]
_NONE: dict[str, Any] = {"refresh_at": None, "refresh_why": None, "refresh_by": None}


@dataclass(frozen=True)
class Refreshing:
    """`[refresh]`: how long to wait after an alert, and how often while it goes on.

    `every` zero: never by the clock alone.
    """

    after_join: timedelta = timedelta(0)
    on_resolve: bool = False
    every: timedelta = timedelta(0)
    at_most: int = 0
    after_any: bool = True

    @classmethod
    def of(cls, settings: RefreshSettings) -> Self:
        """Read the settings."""
        return cls(
            after_join=timedelta(seconds=settings.after_join),
            on_resolve=settings.on_resolve,
            every=timedelta(seconds=settings.every),
            at_most=settings.at_most,
        )

    @classmethod
    def never(cls) -> Self:
        """Refresh nothing."""
        return cls(after_any=False)

    def scheduled(self, state: str, done: int, now: datetime) -> dict[str, Any]:
        """Return the columns that plan the next run by the clock alone, or none."""
        if state in _OVER or not self.every or done >= self.at_most:
            return dict(_NONE)
        return {"refresh_at": now + self.every, "refresh_why": "scheduled", "refresh_by": None}


def plan(
    connection: Connection, incident_id: str, why: RefreshWhy, now: datetime, policy: Refreshing
) -> None:
    """Plan a run for what just happened to an incident, in the caller's transaction.

    Each further alert moves it on, but no further than `LONGEST_WAITS` times the wait. A run that
    has not begun will see everything anyway.
    """
    row = _locked(connection, incident_id)
    pending = row["refresh_why"]
    values: dict[str, Any] = {}
    unseen = row["run_state"] != "queued" and pending != "asked"
    if why == "resolved" and not policy.on_resolve:
        unseen = False
    if unseen and policy.after_any:
        latest = row["refresh_by"] or now + LONGEST_WAITS * policy.after_join
        at = min(now + policy.after_join, latest)
        values = {"refresh_at": at, "refresh_why": why, "refresh_by": latest}
    elif why == "resolved" and pending == "scheduled":
        values = _NONE
    elif why == "reopened" and pending is None:
        values = policy.scheduled("open", row["refreshes"] or 0, now)
    if values:
        _change(connection, incident_id, **values)


class Refreshes:
    """The plans of one database.

    Parameters
    ----------
    database : Database
    clock : callable
        Gives now, aware UTC.
    """

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    def due(self, limit: int = 100) -> list[str]:
        """Return the incidents to be run again now, the longest due first."""
        query = (
            select(incidents.c.id)
            .where(
                incidents.c.refresh_at <= self._clock(),
                incidents.c.run_state.not_in(_UNFINISHED),
                # What a maintenance window holds back is run when it is over, or when asked for.
                or_(incidents.c.run_state != "held", incidents.c.refresh_why == "asked"),
            )
            .order_by(incidents.c.refresh_at)
            .limit(limit)
        )
        with self._database.read() as connection:
            return list(connection.scalars(query))

    def take(self, incident_id: str, policy: Refreshing) -> int | None:
        """Make a due run out of its plan: queued, with the next attempt's number.

        Returns
        -------
        int or None
            None where nothing is due, a run is under way, or somebody else took it.
        """
        now = self._clock()
        with self._database.write() as connection:
            row = _locked(connection, incident_id)
            at, why = row["refresh_at"], row["refresh_why"]
            if at is None or at > now or row["run_state"] in _UNFINISHED:
                return None
            if row["run_state"] == "held" and why != "asked":
                return None
            done = row["refreshes"] or 0
            if why == "scheduled":
                if not policy.scheduled(row["state"], done, now)["refresh_at"]:
                    # Over since, or the settings were changed.
                    _change(connection, incident_id, **_NONE)
                    return None
                done += 1
            attempt = int(row["attempt"]) + 1
            values = policy.scheduled(row["state"], done, now) | {"refreshes": done}
            self._begin(connection, row, attempt, "queued", why, values)
            return attempt

    def ask(self, incident_id: str, parameters: Mapping[str, Any] | None = None) -> int:
        """Plan a run for now; where one is under way, right after it.

        Parameters
        ----------
        parameters : mapping, optional
            For this run and those after it, on top of what the incident has. Not checked here.

        Returns
        -------
        int
            The attempt's number.

        Raises
        ------
        NotFoundError
            No such incident.
        """
        with self._database.write() as connection:
            row = _locked(connection, incident_id)
            _change(
                connection,
                incident_id,
                refresh_at=self._clock(),
                refresh_why="asked",
                refresh_by=None,
                parameters={**row["parameters"], **(parameters or {})},
            )
            return int(row["attempt"]) + 1

    def begin_here(
        self, incident_id: str, parameters: Mapping[str, Any] | None = None, at_least: int = 1
    ) -> int:
        """Begin a further run that the caller executes itself; returns its attempt's number.

        Parameters
        ----------
        parameters : mapping, optional
            As in `ask`.
        at_least : int
            The smallest number that is free among the attempts' folders.

        Raises
        ------
        NotFoundError
            No such incident.
        RunUnderWayError
            A run of it is queued or running.
        """
        with self._database.write() as connection:
            row = _locked(connection, incident_id)
            if row["run_state"] in _UNFINISHED:
                raise RunUnderWayError(
                    f"run {row['attempt']} of {incident_id} is {row['run_state']}",
                    "wait for its end: triagebook show " + incident_id,
                )
            attempt = max(int(row["attempt"]) + 1, at_least)
            merged = {**row["parameters"], **(parameters or {})}
            self._begin(connection, row, attempt, "running", "asked", {"parameters": merged})
            return attempt

    def _begin(
        self,
        connection: Connection,
        row: RowMapping,
        attempt: int,
        state: Literal["queued", "running"],
        why: RefreshWhy,
        values: dict[str, Any],
    ) -> None:
        now = self._clock()
        name = row["id"]
        # It waits behind those that wait already, as urgent as its incident.
        told = {"attempt": attempt, "run_state": state, "updated_at": now, "queued_at": now}
        _change(connection, name, **told, **values)
        run = {"incident_id": name, "attempt": attempt, "state": state, "queued_at": now}
        started = {"started_at": now} if state == "running" else {}
        connection.execute(insert(runs), run | started)
        word: TimelineKind = "queued" if state == "queued" else "started"
        text = f"run {attempt} of {row['runbook']} {word}: {WORDS[why]}"
        note(connection, name, now, word, text, attempt=attempt, why=why)


def _locked(connection: Connection, incident_id: str) -> RowMapping:
    query = select(*_READ).where(incidents.c.id == incident_id).with_for_update()
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFoundError(f"no incident {incident_id!r}", "list them: triagebook incidents")
    return row


def _change(connection: Connection, incident_id: str, **values: Any) -> None:
    connection.execute(update(incidents).where(incidents.c.id == incident_id).values(**values))
