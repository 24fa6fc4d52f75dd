"""The incident store: what the page, the queue and the commands read, and what runs report back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import ColumnElement, func, insert, select, update

from triagebook.core.errors import NotFoundError, SupersededError
from triagebook.core.times import now_utc
from triagebook.incidents.changes import Changes
from triagebook.incidents.database import Database
from triagebook.incidents.deliveries import Deliveries
from triagebook.incidents.ids import random_tail
from triagebook.incidents.line import Line
from triagebook.incidents.notes import note
from triagebook.incidents.priority import not_asked
from triagebook.incidents.refresh import Refreshes
from triagebook.incidents.search import note_words, with_text
from triagebook.incidents.tables import alerts, deliveries, episodes, incidents, runs, timeline
from triagebook.incidents.views import (
    AlertView,
    Counts,
    DeliveryView,
    EpisodeView,
    IncidentView,
    RunView,
    TimelineEntry,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime
    from types import TracebackType

    from sqlalchemy import Column, Connection, Executable

    from triagebook.core.models import Alert, IncidentType
    from triagebook.core.paths import Home
    from triagebook.core.settings import Settings
    from triagebook.incidents.views import IncidentState, RunState, TimelineKind

DATABASE_NAME = "triagebook.db"

_INCIDENT = [column for column in incidents.c if column.name in IncidentView.model_fields]
_ALERT = [alerts.c[name] for name in ("id", "delivery_id", "incident_id", "received_at", "alert")]
_EPISODE = [episodes.c[name] for name in EpisodeView.model_fields if name != "alert"]
_KIND: dict[RunState, TimelineKind] = {
    "held": "held",
    "queued": "queued",
    "running": "started",
    "published": "published",
    "failed": "failed",
}


class Store:
    """Incidents and all that belongs to them. Safe to use from many threads.

    Parameters
    ----------
    url : str
        SQLAlchemy's form: `sqlite:////path/file.db` or `postgresql+psycopg://host/name`. The
        schema is made, or brought up to date, before this returns.
    clock : callable
        Gives now, aware UTC.
    tail : callable
        Gives so many random base32 characters, for names.

    Attributes
    ----------
    deliveries : Deliveries
        Bodies as they were posted.
    line : Line
        Runs that wait or are held back.
    refreshes : Refreshes
        When notebooks are executed again.
    changes : Changes
        What senders of changes posted.

    Raises
    ------
    StoreError
        From every method, where the database cannot be used; here also where a newer triagebook
        wrote it.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Callable[[], datetime] = now_utc,
        tail: Callable[[int], str] = random_tail,
    ) -> None:
        self.database = Database(url)
        self.clock = clock
        self.tail = tail
        self.deliveries = Deliveries(self.database, clock, tail)
        self.line = Line(self.database, clock)
        self.refreshes = Refreshes(self.database, clock)
        self.changes = Changes(self.database, clock)

    @classmethod
    def open(cls, home: Home, settings: Settings | None = None) -> Self:
        """Open the store: `server.database`, else `state/triagebook.db`, made where it is missing."""
        shared = None if settings is None else settings.server.database_url(home.root)
        return cls(shared or f"sqlite:///{home.state.resolve() / DATABASE_NAME}")

    def close(self) -> None:
        """Close every connection."""
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # --- reading ---------------------------------------------------------------------------------

    def incident(self, incident_id: str) -> IncidentView | None:
        """Return one incident."""
        query = select(*_INCIDENT).where(incidents.c.id == incident_id)
        return next((IncidentView(**row) for row in self._rows(query)), None)

    def incidents(
        self,
        *,
        state: IncidentState | None = None,
        incident_type: IncidentType | str | None = None,
        service: str | None = None,
        text: str | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> list[IncidentView]:
        """Return incidents, newest first.

        `text` is looked for, whatever its case, in id, title, service and headline.
        """
        conditions = _conditions(state, incident_type, service)
        query = select(*_INCIDENT).order_by(incidents.c.seq.desc())
        if text and text.strip():
            query = query.where(with_text(text, conditions, limit, offset))
        else:
            query = query.where(*conditions).limit(limit).offset(offset)
        return [IncidentView(**row) for row in self._rows(query)]

    def timeline(self, incident_id: str) -> list[TimelineEntry]:
        """Return an incident's timeline, oldest first."""
        columns = [column for column in timeline.c if column.name != "id"]
        query = (
            select(*columns).where(timeline.c.incident_id == incident_id).order_by(timeline.c.id)
        )
        return [TimelineEntry(**row) for row in self._rows(query)]

    def alerts(self, incident_id: str | None = None, limit: int = 100) -> list[AlertView]:
        """Return alerts, newest first: an incident's, or all."""
        query = select(*_ALERT).order_by(alerts.c.id.desc()).limit(limit)
        if incident_id is not None:
            query = query.where(alerts.c.incident_id == incident_id)
        return [AlertView(**row) for row in self._rows(query)]

    def episodes(self, incident_id: str) -> list[EpisodeView]:
        """Return an incident's alerts, each from its firing to its end, oldest first."""
        return self._episodes(episodes.c.incident_id == incident_id)

    def told(self, incident_id: str) -> list[Alert]:
        """Return an incident's alerts as wholes, oldest first; empty for one opened by hand."""
        return [episode.as_alert() for episode in self.episodes(incident_id)]

    def open_episodes(self, sender: str) -> list[EpisodeView]:
        """Return a sender's alerts that are not told to be over, oldest first."""
        return self._episodes(episodes.c.sender == sender, episodes.c.closed_at.is_(None))

    def closed_episodes(self, sender: str, since: datetime) -> list[EpisodeView]:
        """Return a sender's alerts that were told to be over since a moment, oldest first."""
        return self._episodes(episodes.c.sender == sender, episodes.c.closed_at >= since)

    def firing_alerts(self, incident_id: str) -> list[Alert]:
        """Return how each alert of an incident that is not over was told last."""
        own = episodes.c.incident_id == incident_id
        found = self._episodes(own, episodes.c.closed_at.is_(None))
        return [one.alert for one in found if one.alert is not None]

    def silenced(self, names: Iterable[str]) -> set[str]:
        """Return those incidents that fire, and whose firing alerts are all silenced."""
        query = (
            select(episodes.c.incident_id)
            .where(episodes.c.incident_id.in_(list(names)), episodes.c.closed_at.is_(None))
            .group_by(episodes.c.incident_id)
            .having(func.count() == func.count(episodes.c.silenced_by))
        )
        with self.database.read() as connection:
            return set(connection.scalars(query))

    def set_silenced(self, sender: str, fingerprint: str, by: str | None, text: str) -> bool:
        """Record who silences an open episode, None for nobody; a change is told in the timeline.

        Returns
        -------
        bool
            Whether it changed.
        """
        now = self.clock()
        with self.database.write() as connection:
            found = connection.execute(
                update(episodes)
                .where(
                    episodes.c.sender == sender,
                    episodes.c.fingerprint == fingerprint,
                    episodes.c.closed_at.is_(None),
                    episodes.c.silenced_by.is_distinct_from(by),
                )
                .values(silenced_by=by)
                .returning(episodes.c.incident_id)
            ).scalar_one_or_none()
            if found is None:
                return False
            kind: TimelineKind = "silenced" if by is not None else "unsilenced"
            note(connection, found, now, kind, text)
            _change(connection, found, updated_at=now)
        return True

    def _episodes(self, *conditions: ColumnElement[bool]) -> list[EpisodeView]:
        last = (
            select(func.max(alerts.c.id))
            .where(
                # The incident's own alerts: for these there is an index.
                alerts.c.incident_id == episodes.c.incident_id,
                alerts.c.episode_id == episodes.c.id,
            )
            .correlate(episodes)
            .scalar_subquery()
        )
        query = (
            select(*_EPISODE, alerts.c.alert)
            .outerjoin(alerts, alerts.c.id == last)
            .where(*conditions)
            .order_by(episodes.c.id)
        )
        return [EpisodeView(**row) for row in self._rows(query)]

    def add_note(self, incident_id: str, kind: TimelineKind, text: str, **data: Any) -> None:
        """Write one line into an incident's timeline; NotFoundError where there is no such incident."""
        now = self.clock()
        with self.database.write() as connection:
            _attempt(connection, incident_id)
            note(connection, incident_id, now, kind, text, **data)
            _change(connection, incident_id, updated_at=now)

    def runs(self, incident_id: str) -> list[RunView]:
        """Return an incident's runs, by attempt."""
        query = select(runs).where(runs.c.incident_id == incident_id).order_by(runs.c.attempt)
        return [RunView(**row) for row in self._rows(query)]

    def runs_to_do(self) -> list[str]:
        """Return the incidents whose run is queued or running, oldest first."""
        return [incident.id for incident in self.unfinished()]

    def unfinished(self) -> list[IncidentView]:
        """Return the incidents whose run is queued or running, the longest in line first."""
        query = (
            select(*_INCIDENT)
            .where(incidents.c.run_state.in_(["queued", "running"]))
            .order_by(incidents.c.queued_at, incidents.c.seq)
        )
        return [IncidentView(**row) for row in self._rows(query)]

    def quarantined(self, limit: int = 100) -> list[DeliveryView]:
        """Return deliveries that were authenticated but not understood, newest first."""
        return self.deliveries.quarantined(limit)

    def counts(self) -> Counts:
        """Return how many incidents, runs and deliveries there are in each state."""
        return Counts(
            incidents_by_state=self._count(incidents.c.state),
            runs_by_state=self._count(incidents.c.run_state),
            deliveries_by_status=self._count(deliveries.c.status),
        )

    def _count(self, column: Column[str]) -> dict[str, int]:
        query = select(column.label("key"), func.count().label("n")).group_by(column)
        return {row["key"]: row["n"] for row in self._rows(query)}

    def _rows(self, query: Executable) -> list[dict[str, Any]]:
        with self.database.read() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    # --- what runs report back -------------------------------------------------------------------

    def set_run_state(
        self,
        incident_id: str,
        state: RunState,
        *,
        attempt: int | None = None,
        message: str = "",
        current_only: bool = False,
    ) -> None:
        """Record how a run stands, with an entry in the timeline.

        Saying the same again changes nothing, but for `running`: a run that was interrupted did
        start again. An attempt older than the incident's is recorded and does not change it.

        Parameters
        ----------
        attempt : int, optional
            Counted from 1; the incident's present one by default.
        message : str
            For people; a sentence is made up where it is empty.
        current_only : bool
            Record nothing where the incident has gone on to a later attempt.

        Raises
        ------
        NotFoundError
            No such incident.
        SupersededError
            With `current_only`: there is a later attempt.
        """
        now = self.clock()
        with self.database.write() as connection:
            current = _attempt(connection, incident_id)
            if current_only and attempt is not None and attempt < current:
                raise superseded(incident_id, attempt, current)
            attempt = current if attempt is None else attempt
            before = _run_state(connection, incident_id, attempt)
            if before == state and state != "running":
                return
            _save_run(connection, incident_id, attempt, state, now, message, new=before is None)
            if attempt >= current:
                change: dict[str, Any] = {"run_state": state, "attempt": attempt, "updated_at": now}
                if state == "queued":
                    change["queued_at"] = now
                elif state in {"published", "failed"}:
                    _forget_asked(connection, incident_id)
                _change(connection, incident_id, **change)
            again = " again" if before == state else ""
            note(
                connection,
                incident_id,
                now,
                _KIND[state],
                message or f"run {attempt} {_KIND[state]}{again}",
                attempt=attempt,
            )

    def set_outcome(
        self,
        incident_id: str,
        *,
        severity: str | None,
        verdict: str | None,
        headline: str | None,
        incident_type: IncidentType | None = None,
    ) -> None:
        """Record a diagnosis' answer; with an entry in the timeline where it is a new one.

        Parameters
        ----------
        severity, verdict, headline : str or None
            As in diagnosis.json: SEV1 to SEV4, the verdict, the answer as one sentence.
        incident_type : IncidentType, optional
            Where the investigation found it to be another than the alert said.

        Raises
        ------
        NotFoundError
            No such incident.
        """
        outcome = {"severity": severity, "verdict": verdict, "headline": headline}
        if incident_type is not None:
            outcome["incident_type"] = incident_type.value
        now = self.clock()
        with self.database.write() as connection:
            columns = [incidents.c[name] for name in outcome]
            query = select(*columns).where(incidents.c.id == incident_id).with_for_update()
            before = connection.execute(query).mappings().one_or_none()
            if before is None:
                raise _no_incident(incident_id)
            if dict(before) == outcome:
                return
            _change(connection, incident_id, updated_at=now, **outcome)
            note_words(connection, incident_id)
            words = headline or verdict or "no answer"
            text = f"{severity}: {words}" if severity else words
            note(connection, incident_id, now, "diagnosed", text, **outcome)


def _conditions(
    state: str | None, incident_type: str | None, service: str | None
) -> list[ColumnElement[bool]]:
    exact = {"state": state, "incident_type": incident_type, "service": service}
    return [incidents.c[name] == str(value) for name, value in exact.items() if value is not None]


def _attempt(connection: Connection, incident_id: str) -> int:
    # Locked, so that two services do not both decide on what they read (SQLite has one writer).
    found = connection.scalar(
        select(incidents.c.attempt).where(incidents.c.id == incident_id).with_for_update()
    )
    if found is None:
        raise _no_incident(incident_id)
    return int(found)


def _no_incident(incident_id: str) -> NotFoundError:
    return NotFoundError(f"no incident {incident_id!r}", "list them: triagebook incidents")


def superseded(incident_id: str, attempt: int, current: int) -> SupersededError:
    """Return the error of who works on an attempt that another has taken over."""
    return SupersededError(
        f"run {attempt} of {incident_id} was taken over; run {current} is the one that counts",
        "nothing is lost: this one ends here",
    )


def _run_state(connection: Connection, incident_id: str, attempt: int) -> str | None:
    return connection.scalar(
        select(runs.c.state).where(runs.c.incident_id == incident_id, runs.c.attempt == attempt)
    )


def _save_run(
    connection: Connection,
    incident_id: str,
    attempt: int,
    state: RunState,
    now: datetime,
    message: str,
    *,
    new: bool,
) -> None:
    if new:
        first = {"incident_id": incident_id, "attempt": attempt, "state": state, "queued_at": now}
        connection.execute(insert(runs), first)
    values: dict[str, Any] = {"state": state, "message": message or None}
    if state == "running":
        values |= {"started_at": now, "ended_at": None}
    elif state in {"published", "failed"}:
        values["ended_at"] = now
    connection.execute(
        update(runs)
        .where(runs.c.incident_id == incident_id, runs.c.attempt == attempt)
        .values(**values)
    )


def _forget_asked(connection: Connection, incident_id: str) -> None:
    """Give the next run its own rank: what a person asked for is done."""
    rank = connection.scalar(select(incidents.c.priority).where(incidents.c.id == incident_id))
    if rank is not None and rank != not_asked(rank):
        _change(connection, incident_id, priority=not_asked(rank))


def _change(connection: Connection, incident_id: str, **values: Any) -> None:
    connection.execute(update(incidents).where(incidents.c.id == incident_id).values(**values))
