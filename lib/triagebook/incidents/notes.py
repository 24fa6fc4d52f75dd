"""Write one line into an incident's timeline, inside a transaction of the caller."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import insert

from triagebook.incidents.tables import timeline

if TYPE_CHECKING:
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
    row = {"incident_id": incident_id, "ts": ts, "kind": kind, "text": text, "data": data}
    connection.execute(insert(timeline), row)
