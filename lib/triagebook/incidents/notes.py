"""Write lines into incidents' timelines, inside a transaction of the caller."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import insert

from triagebook.incidents.tables import timeline

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from triagebook.incidents.views import TimelineKind


def note(
    connection: Connection,
    incident_id: str,
    ts: datetime,
    kind: TimelineKind,
    text: str,
    **data: Any,
) -> None:
    """Write one line into an incident's timeline; `data` is what JSON can hold."""
    write(connection, [line(incident_id, ts, kind, text, **data)])


def line(
    incident_id: str, ts: datetime, kind: TimelineKind, text: str, **data: Any
) -> dict[str, Any]:
    """Make one line, to be written with others."""
    return {"incident_id": incident_id, "ts": ts, "kind": kind, "text": text, "data": data}


def write(connection: Connection, lines: Sequence[dict[str, Any]]) -> None:
    """Write lines in their order."""
    if lines:
        connection.execute(insert(timeline), lines)
