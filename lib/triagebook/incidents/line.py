"""The line of runs: what waits, in which order, at which place; what is held back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy import func, select, tuple_, update

from triagebook.core.errors import NotFoundError
from triagebook.incidents import priority
from triagebook.incidents.notes import note
from triagebook.incidents.tables import deliveries, incidents, runs
from triagebook.incidents.views import IncidentView

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection

    from triagebook.incidents.database import Database

OVER = ("resolved", "reviewed")
"""States of an incident in which nothing fires any more."""

_ORDER = (incidents.c.priority, incidents.c.queued_at, incidents.c.seq)
_VIEW = [column for column in incidents.c if column.name in IncidentView.model_fields]


class Sizes(BaseModel):
    """How many runs wait, run, and are held back for maintenance of incidents not yet over.

    `unread` counts the deliveries that are kept and not read yet: what they tell of has no place
    in line so far.
    """

    model_config = ConfigDict(frozen=True)

    waiting: int = 0
    running: int = 0
    held: int = 0
    unread: int = 0


class Standing(BaseModel):
    """The line at one moment: its sizes, and the first of what runs, waits and is held."""

    model_config = ConfigDict(frozen=True)

    sizes: Sizes
    running: list[IncidentView]
    waiting: list[IncidentView]
    held: list[IncidentView]


class Line:
    """The runs that are not done yet, of one database: most urgent first, then who waits longest.

    Parameters
    ----------
    database : Database
    clock : callable
        Gives now, aware UTC.
    """

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    # --- reading ---------------------------------------------------------------------------------

    def sizes(self) -> Sizes:
        """Count what waits, runs, is held, and is not read yet."""
        with self._database.read() as connection:
            return _sizes(connection)

    def standing(self, limit: int = 100) -> Standing:
        """Return the line as it is at one moment, at most so many of each.

        What waits comes the next first, what runs the earliest queued first, what is held the next
        due first.
        """
        with self._database.read() as connection:
            return Standing(
                sizes=_sizes(connection),
                running=_views(
                    connection,
                    incidents.c.run_state == "running",
                    order=(incidents.c.queued_at, incidents.c.seq),
                    limit=limit,
                ),
                waiting=_views(
                    connection, incidents.c.run_state == "queued", order=_ORDER, limit=limit
                ),
                held=_views(
                    connection,
                    *_held(),
                    order=(incidents.c.held_until, incidents.c.seq),
                    limit=limit,
                ),
            )

    def place(self, incident_id: str) -> int | None:
        """Return an incident's place in line, 1 for the next; None where its run does not wait."""
        own = select(*_ORDER).where(
            incidents.c.id == incident_id, incidents.c.run_state == "queued"
        )
        with self._database.read() as connection:
            key = connection.execute(own).one_or_none()
            if key is None:
                return None
            before = select(func.count()).where(
                incidents.c.run_state == "queued", tuple_(*_ORDER) <= tuple_(*key)
            )
            return connection.scalar(before)

    def places(self, names: Iterable[str]) -> dict[str, int]:
        """Return the places in line of those incidents whose runs wait, all in one question."""
        wanted = set(names)
        if not wanted:
            return {}
        numbered = (
            select(incidents.c.id, func.row_number().over(order_by=_ORDER).label("place"))
            .where(incidents.c.run_state == "queued")
            .subquery()
        )
        query = select(numbered).where(numbered.c.id.in_(wanted))
        with self._database.read() as connection:
            return dict(connection.execute(query).all())

    def held_back(self, due: datetime | None = None) -> list[str]:
        """Return the incidents, not yet over, that are held back: until `due` at the latest, or all."""
        query = select(incidents.c.id).where(*_held()).order_by(incidents.c.held_until)
        if due is not None:
            query = query.where(incidents.c.held_until <= due)
        with self._database.read() as connection:
            return list(connection.scalars(query))

    # --- changing --------------------------------------------------------------------------------

    def release(
        self, names: Sequence[str], why: str = "the maintenance window is over"
    ) -> list[str]:
        """Queue runs that were held back, all in one transaction.

        Returns
        -------
        list of str
            Those that were held back, and whose alerts still fire.
        """
        now = self._clock()
        with self._database.write() as connection:
            query = select(incidents.c.id, incidents.c.attempt)
            query = query.where(incidents.c.id.in_(names), *_held()).with_for_update()
            found = dict(connection.execute(query).all())
            for name, attempt in found.items():
                release(connection, name, attempt, now, why)
        return [name for name in names if name in found]

    def hold_longer(self, held: Iterable[tuple[str, datetime, str]]) -> None:
        """Record a new end, and its reason, of runs that are still held back."""
        now = self._clock()
        changed = list(held)
        if not changed:
            return
        with self._database.write() as connection:
            for name, until, reason in changed:
                done = connection.execute(
                    update(incidents)
                    .where(
                        incidents.c.id == name,
                        incidents.c.run_state == "held",
                        incidents.c.held_until != until,
                    )
                    .values(held_until=until, held_because=reason, updated_at=now)
                )
                if done.rowcount:
                    note(connection, name, now, "held", held_words(until, reason))

    def hasten(self, incident_id: str) -> str:
        """Put an incident's run before all others because a person asks; release it where it is held.

        Returns
        -------
        str
            The run's state: "queued" where that changed something or was so before, else what it is.

        Raises
        ------
        NotFoundError
            No such incident.
        """
        now = self._clock()
        with self._database.write() as connection:
            query = select(incidents.c.run_state, incidents.c.attempt, incidents.c.priority)
            query = query.where(incidents.c.id == incident_id).with_for_update()
            found = connection.execute(query).one_or_none()
            if found is None:
                raise NotFoundError(
                    f"no incident {incident_id!r}", "list them: triagebook incidents"
                )
            state, attempt, rank = found
            if state not in {"held", "queued"}:
                return str(state)
            if not priority.is_asked(rank):
                change = {"priority": priority.asked(rank), "updated_at": now}
                connection.execute(
                    update(incidents).where(incidents.c.id == incident_id).values(**change)
                )
            if state == "held":
                release(connection, incident_id, attempt, now, "asked for by a person")
            elif not priority.is_asked(rank):
                note(connection, incident_id, now, "raised", "asked for by a person: goes first")
        return "queued"


def release(connection: Connection, name: str, attempt: int, now: datetime, why: str) -> None:
    """Queue a run that is held back, inside the caller's transaction."""
    connection.execute(
        update(incidents)
        .where(incidents.c.id == name)
        .values(run_state="queued", queued_at=now, updated_at=now)
    )
    connection.execute(
        update(runs)
        .where(runs.c.incident_id == name, runs.c.attempt == attempt)
        .values(state="queued", queued_at=now)
    )
    note(connection, name, now, "queued", f"run {attempt} queued: {why}", attempt=attempt)


def hurry(
    connection: Connection, name: str, rank: int, now: datetime, title: str, *, free: bool
) -> bool:
    """Let an alert that fires make its incident's runs more urgent, or end their being held back.

    Inside the caller's transaction. Nothing makes them less urgent.

    Parameters
    ----------
    rank : int
        The alert's own.
    title : str
        The alert's, for the timeline.
    free : bool
        Whether no maintenance window holds this alert.

    Returns
    -------
    bool
        Whether the queue is to be told: a run that waits got more urgent, or waits from now on.
    """
    columns = (incidents.c.priority, incidents.c.run_state, incidents.c.attempt)
    before, state, attempt = connection.execute(
        select(*columns).where(incidents.c.id == name)
    ).one()
    new = min(before, priority.asked(rank) if priority.is_asked(before) else rank)
    if new != before:
        connection.execute(
            update(incidents).where(incidents.c.id == name).values(priority=new, updated_at=now)
        )
        was, is_ = priority.level(before), priority.level(new)
        if was != is_:
            note(connection, name, now, "raised", f"from {was} to {is_}: {title}")
    if state == "held" and free:
        release(connection, name, attempt, now, f"no maintenance window holds {title}")
        return True
    return bool(new != before and state == "queued")


def held_words(until: datetime, reason: str) -> str:
    """Say until when a run is held back, and why."""
    return f"held until {until:%Y-%m-%d %H:%M} UTC: {reason}"


def _sizes(connection: Connection) -> Sizes:
    runs_now = (
        select(incidents.c.run_state, func.count())
        .where(incidents.c.run_state.in_(["queued", "running"]))
        .group_by(incidents.c.run_state)
    )
    found: dict[str, int] = dict(connection.execute(runs_now).all())
    held = select(func.count()).where(*_held())
    unread = select(func.count()).where(deliveries.c.status == "stored")
    return Sizes(
        waiting=found.get("queued", 0),
        running=found.get("running", 0),
        held=connection.scalar(held) or 0,
        unread=connection.scalar(unread) or 0,
    )


def _views(
    connection: Connection,
    *conditions: ColumnElement[bool],
    order: Sequence[ColumnElement[Any]],
    limit: int,
) -> list[IncidentView]:
    query = select(*_VIEW).where(*conditions).order_by(*order).limit(limit)
    return [IncidentView(**row) for row in connection.execute(query).mappings()]


def _held() -> tuple[ColumnElement[bool], ...]:
    return incidents.c.run_state == "held", incidents.c.state.not_in(OVER)
