"""Take an incident's rows out of the store as JSON, and put them back; every row, nothing else."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, exists, insert, select

from triagebook.core.errors import StoreError
from triagebook.core.times import iso, to_utc
from triagebook.incidents.line import OVER
from triagebook.incidents.search import note_words
from triagebook.incidents.tables import (
    UtcTime,
    alerts,
    changes,
    deliveries,
    episodes,
    incident_words,
    incidents,
    runs,
    timeline,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import ColumnElement, Connection, Select, Table

    from triagebook.incidents.store import Store

FORMAT = 1
"""Of the content; raised when an older triagebook could not put it back."""

Content = dict[str, list[dict[str, Any]]]
"""Rows by table."""

_OWN = (episodes, alerts, runs, timeline)  # by `incident_id`, in the order they are put back
_ENDED = ("published", "failed", "held")


def due(store: Store, before: datetime, limit: int | None = None) -> list[str]:
    """Return the incidents that are over, wait for nothing, and last changed before a moment.

    Oldest first. A run that is held back belongs to an incident that is over: it never starts.
    """
    query = (
        select(incidents.c.id)
        .where(
            incidents.c.state.in_(OVER),
            incidents.c.run_state.in_(_ENDED),
            incidents.c.refresh_at.is_(None),
            incidents.c.updated_at < before,
        )
        .order_by(incidents.c.seq)
        .limit(limit)
    )
    with store.database.read() as connection:
        return list(connection.scalars(query))


def rows_of(store: Store, incident_id: str) -> Content | None:
    """Return all rows of an incident, with the deliveries that its alerts came in; None for none."""
    with store.database.read() as connection:
        return _rows_of(connection, incident_id)


def remove(
    store: Store, incident_id: str, content: Content, just_before: Callable[[], None]
) -> bool:
    """Delete an incident's rows, unless they are no longer what `content` says.

    Parameters
    ----------
    content : Content
        As `rows_of` gave it.
    just_before : callable
        Called once it is sure that the rows are still those, while nobody else can change them. What
        it raises keeps the rows.

    Returns
    -------
    bool
        False where the incident has changed meanwhile, or is gone; then nothing was done.
    """
    with store.database.write() as connection:
        store.database.in_order(connection)
        lock = select(incidents.c.id).where(incidents.c.id == incident_id).with_for_update()
        connection.execute(lock)
        if _rows_of(connection, incident_id) != content:
            return False
        just_before()
        for table in reversed(_OWN):
            connection.execute(delete(table).where(table.c.incident_id == incident_id))
        own = select(incidents.c.seq).where(incidents.c.id == incident_id).scalar_subquery()
        connection.execute(delete(incident_words).where(incident_words.c.seq == own))
        connection.execute(delete(incidents).where(incidents.c.id == incident_id))
        names = [row["id"] for row in content[deliveries.name]]
        connection.execute(
            delete(deliveries).where(
                deliveries.c.id.in_(names),
                # One delivery may have opened several incidents.
                deliveries.c.id.not_in(_referred(alerts.c.delivery_id)),
                deliveries.c.id.not_in(_referred(incidents.c.delivery_id)),
                deliveries.c.id.not_in(_referred(changes.c.delivery_id)),
            )
        )
        return True


def put_back(store: Store, content: Content) -> str:
    """Put an incident's rows back; return its id.

    Raises
    ------
    StoreError
        The incident is there already, or the rows are of another kind of store.
    """
    try:
        [incident] = content[incidents.name]
        name = str(incident["id"])
        with store.database.write() as connection:
            store.database.in_order(connection)
            if connection.scalar(select(incidents.c.id).where(incidents.c.id == name)):
                raise StoreError(f"{name} is in the store already", "see it: triagebook show")
            for row in content[deliveries.name]:
                _put_delivery(connection, row)
            _put(connection, incidents, incident, keep=_free(connection, incidents, incident))
            note_words(connection, name)
            numbers: dict[Any, Any] = {None: None}
            for row in content[episodes.name]:
                numbers[row["id"]] = _put(connection, episodes, row)
            for row in content[alerts.name]:
                _put(connection, alerts, row | {"episode_id": numbers[row["episode_id"]]})
            for table in (runs, timeline):
                for row in content[table.name]:
                    _put(connection, table, row)
    except (KeyError, ValueError, TypeError) as error:
        raise StoreError(f"the rows cannot be put back: {type(error).__name__}: {error}") from error
    return name


def loose(store: Store, before: datetime, limit: int) -> Content:
    """Return deliveries that came before a moment and belong to no incident, with their alerts.

    An end that nothing waited for, a test, the watchdog, what was never understood. Oldest first.
    What told of changes stays: the feed looks back on it.
    """
    with store.database.read() as connection:
        query = select(deliveries).where(_loose(before)).order_by(deliveries.c.seq).limit(limit)
        found = _read(connection, query)
        theirs = alerts.c.delivery_id.in_([row["id"] for row in found])
        rows = _read(connection, select(alerts).where(theirs).order_by(alerts.c.id))
    return {deliveries.name: found, alerts.name: rows}


def remove_loose(store: Store, content: Content, before: datetime) -> int:
    """Delete what `loose` gave, where it still is so; return how many deliveries."""
    names = [row["id"] for row in content[deliveries.name]]
    with store.database.write() as connection:
        store.database.in_order(connection)
        still = list(
            connection.scalars(
                select(deliveries.c.id).where(deliveries.c.id.in_(names), _loose(before))
            )
        )
        connection.execute(delete(alerts).where(alerts.c.delivery_id.in_(still)))
        connection.execute(delete(deliveries).where(deliveries.c.id.in_(still)))
        return len(still)


def _loose(before: datetime) -> ColumnElement[bool]:
    of_an_incident = exists().where(
        alerts.c.delivery_id == deliveries.c.id, alerts.c.incident_id.is_not(None)
    )
    opened_one = exists().where(incidents.c.delivery_id == deliveries.c.id)
    told_changes = exists().where(changes.c.delivery_id == deliveries.c.id)
    return and_(
        deliveries.c.received_at < before,
        deliveries.c.status.in_(("processed", "quarantined")),
        ~of_an_incident,
        ~opened_one,
        ~told_changes,
    )


def _rows_of(connection: Connection, incident_id: str) -> Content | None:
    own = _read(connection, select(incidents).where(incidents.c.id == incident_id))
    if not own:
        return None
    content = {incidents.name: own}
    for table in _OWN:
        order = table.c.id if "id" in table.c else table.c.attempt
        query = select(table).where(table.c.incident_id == incident_id).order_by(order)
        content[table.name] = _read(connection, query)
    names = {row["delivery_id"] for row in content[alerts.name]} | {own[0]["delivery_id"]}
    named = deliveries.c.id.in_(sorted(names - {None}))
    content[deliveries.name] = _read(
        connection, select(deliveries).where(named).order_by(deliveries.c.seq)
    )
    return content


def _read(connection: Connection, query: Select[Any]) -> list[dict[str, Any]]:
    return [
        {name: _plain(value) for name, value in row.items()}
        for row in connection.execute(query).mappings()
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, bytes | memoryview):
        return base64.b64encode(bytes(value)).decode("ascii")
    return value


def _put(connection: Connection, table: Table, row: dict[str, Any], *, keep: bool = False) -> Any:
    """Insert a row as it was read; its number is the database's own unless it is kept."""
    values = {}
    for column in table.c:
        number = column.primary_key and column.name in {"id", "seq"}
        # A column that this row's triagebook did not know has its default.
        if column.name not in row or (number and not keep):
            continue
        value = row[column.name]
        if value is not None and isinstance(column.type, UtcTime):
            value = to_utc(value)
        elif value is not None and column.name == "body":
            value = base64.b64decode(value)
        values[column.name] = value
    done = connection.execute(insert(table), values)
    return done.inserted_primary_key[0] if done.inserted_primary_key else None


def _put_delivery(connection: Connection, row: dict[str, Any]) -> None:
    known = select(deliveries.c.id).where(deliveries.c.id == row["id"])
    if connection.scalar(known) is not None:
        return  # it is another incident's too
    again = select(deliveries.c.id).where(
        deliveries.c.sender == row["sender"], deliveries.c.sender_key == row.get("sender_key")
    )
    if row.get("sender_key") is not None and connection.scalar(again) is not None:
        row = row | {"sender_key": None}  # it was sent again since
    _put(connection, deliveries, row, keep=_free(connection, deliveries, row))


def _free(connection: Connection, table: Table, row: dict[str, Any]) -> bool:
    """Tell whether a row's place in the order of arrival is not another's by now."""
    return connection.scalar(select(table.c.seq).where(table.c.seq == row["seq"])) is None


def _referred(column: ColumnElement[Any]) -> Select[Any]:
    return select(column).where(column.is_not(None))
