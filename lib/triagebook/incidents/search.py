"""Search incidents by their words: a narrow table beside them, so that a search reads little."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, Select, delete, false, insert, select

from triagebook.incidents.tables import incident_words, incidents

if TYPE_CHECKING:
    from sqlalchemy import Connection

_SEARCHED = (incidents.c.id, incidents.c.title, incidents.c.service, incidents.c.headline)


def note_words(connection: Connection, incident_id: str) -> None:
    """Write down by what an incident is found; called where any of it is written."""
    found = connection.execute(
        select(incidents.c.seq, *_SEARCHED).where(incidents.c.id == incident_id)
    ).one()
    connection.execute(delete(incident_words).where(incident_words.c.seq == found.seq))
    words = as_words(*found[1:])
    connection.execute(insert(incident_words), {"seq": found.seq, "words": words})


def as_words(*parts: str | None) -> str:
    """Return texts as they are searched: each on a line, in one case (German ß is ss)."""
    return "\n".join(" ".join(part.casefold().split()) for part in parts if part)


def with_text(
    text: str, conditions: list[ColumnElement[bool]], limit: int, offset: int
) -> ColumnElement[bool]:
    """Return the condition that incidents have a text, the newest so many that meet the others too.

    An incident's row is large, most of it its alert: 100,000 of them are not read for a few words.
    """
    words = incident_words.c
    wanted = " ".join(text.casefold().split())
    if "\x00" in wanted:
        return false()  # no text has it, and SQLite would take it for the end of what is asked
    query: Select[tuple[int]] = select(words.seq).where(
        words.words.contains(wanted, autoescape=True)
    )
    if conditions:
        # The sum keeps SQLite from walking through all that meet the others, one by one.
        query = query.where((words.seq + 0).in_(select(incidents.c.seq).where(*conditions)))
    query = query.order_by(words.seq.desc()).limit(limit).offset(offset)
    return incidents.c.seq.in_(query)
