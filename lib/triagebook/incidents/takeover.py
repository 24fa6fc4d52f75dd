"""Fence runs by their attempt's number: who takes a run over raises it, and the older one is void."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from sqlalchemy import func, insert, select, update

from triagebook.incidents.notes import note
from triagebook.incidents.store import superseded
from triagebook.incidents.tables import incidents, runs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sqlalchemy import Connection

    from triagebook.incidents.store import Store

MOST_TAKEOVERS = 5
"""So often a run is taken over; one that ends every worker it meets must not end them all for ever."""

_CUT_OFF = "cut off: "
_UNFINISHED = ("queued", "running")


@contextmanager
def current(store: Store, incident_id: str, attempt: int) -> Iterator[None]:
    """Let the block run while `attempt` is the one that counts; nobody takes it over meanwhile.

    On SQLite, where one process works, only the beginning is looked at.

    Raises
    ------
    SupersededError
        A later attempt counts.
    """
    if not store.database.shared:
        with store.database.read() as connection:
            _check(_row(connection, incident_id), incident_id, attempt)
        yield
        return
    with store.database.write() as connection:
        _check(_row(connection, incident_id, lock=True), incident_id, attempt)
        yield


def take_over(
    store: Store, incident_id: str, attempt: int, why: str
) -> int | Literal["ended", "given up"]:
    """Make the attempt of an executor that is gone void, and queue the next one.

    Saying it again, from any process, changes nothing.

    Parameters
    ----------
    attempt : int
        The one that was cut off.
    why : str
        For people: who was cut off.

    Returns
    -------
    int or str
        The number of the attempt that counts from now on; "ended" where the run had ended, so that
        nothing is left to do; "given up" after `MOST_TAKEOVERS` in a row, now or before: the run
        has failed.
    """
    now = store.clock()
    with store.database.write() as connection:
        row = _row(connection, incident_id, lock=True)
        if row is None:
            return "ended"
        present, state = row
        if present > attempt:
            return present
        if state not in _UNFINISHED:
            return "ended"
        give_up = _cut_off_in_a_row(connection, incident_id, attempt) >= MOST_TAKEOVERS
        words = f"{_CUT_OFF}{why}"
        if give_up:
            words += f"; this run was cut off {MOST_TAKEOVERS + 1} times in a row and is given up"
        key = {"incident_id": incident_id, "attempt": attempt}
        done = connection.execute(
            update(runs)
            .where(runs.c.incident_id == incident_id, runs.c.attempt == attempt)
            .values(state="failed", ended_at=now, message=words)
        )
        if done.rowcount == 0:
            row_ = {**key, "state": "failed", "queued_at": now, "ended_at": now, "message": words}
            connection.execute(insert(runs), row_)
        note(connection, incident_id, now, "failed", words, attempt=attempt)
        change = {"updated_at": now, "run_state": "failed"}
        if not give_up:
            following = attempt + 1
            change |= {"run_state": "queued", "attempt": following}
            first = {"incident_id": incident_id, "attempt": following, "state": "queued"}
            connection.execute(insert(runs), {**first, "queued_at": now})
            text = f"run {following} queued, to finish it"
            note(connection, incident_id, now, "queued", text, attempt=following)
        connection.execute(update(incidents).where(incidents.c.id == incident_id).values(**change))
    return "given up" if give_up else attempt + 1


def queued_before(store: Store, moment: datetime, limit: int) -> dict[str, int]:
    """Return incidents whose run waits since before a moment, oldest first, with its attempt."""
    query = (
        select(incidents.c.id, incidents.c.attempt)
        .join(
            runs, (runs.c.incident_id == incidents.c.id) & (runs.c.attempt == incidents.c.attempt)
        )
        .where(incidents.c.run_state == "queued", runs.c.queued_at < moment)
        .order_by(incidents.c.seq)
        .limit(limit)
    )
    with store.database.read() as connection:
        return {row.id: int(row.attempt) for row in connection.execute(query)}


def _row(connection: Connection, incident_id: str, *, lock: bool = False) -> tuple[int, str] | None:
    query = select(incidents.c.attempt, incidents.c.run_state).where(incidents.c.id == incident_id)
    found = connection.execute(query.with_for_update() if lock else query).one_or_none()
    return None if found is None else (int(found.attempt), str(found.run_state))


def _check(row: tuple[int, str] | None, incident_id: str, attempt: int) -> None:
    present = 0 if row is None else row[0]
    if present != attempt:
        raise superseded(incident_id, attempt, present)


def _cut_off_in_a_row(connection: Connection, incident_id: str, attempt: int) -> int:
    """Count the attempts before this one, back to the last that ended by itself."""
    by_itself = (
        select(func.coalesce(func.max(runs.c.attempt), 0))
        .where(
            runs.c.incident_id == incident_id,
            runs.c.attempt < attempt,
            runs.c.message.is_(None) | ~runs.c.message.startswith(_CUT_OFF, autoescape=True),
        )
        .scalar_subquery()
    )
    query = select(func.count()).where(
        runs.c.incident_id == incident_id,
        runs.c.attempt < attempt,
        runs.c.attempt > by_itself,
    )
    return int(connection.scalar(query) or 0)
