"""Bodies as they were posted: kept before anything else is done with them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, func, insert, select, update

from triagebook.core.errors import NotFoundError
from triagebook.incidents.ids import delivery_id
from triagebook.incidents.tables import deliveries
from triagebook.incidents.views import DeliveryView

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from sqlalchemy import Connection

    from triagebook.incidents.database import Database

PREVIEW_BYTES = 4_096
"""How much of a body a view shows."""

# Prefixes and parts of header names whose values prove something; they are never kept.
_SECRET = ("auth", "cookie", "token", "secret", "password", "signature", "api-key", "apikey")


class Deliveries:
    """The deliveries of one database.

    Parameters
    ----------
    database : Database
    clock : callable
        Gives now, aware UTC.
    tail : callable
        Gives so many random base32 characters.
    """

    def __init__(
        self, database: Database, clock: Callable[[], datetime], tail: Callable[[int], str]
    ) -> None:
        self._database = database
        self._clock = clock
        self._tail = tail

    def add(self, sender: str, headers: Mapping[str, str], body: bytes) -> str:
        """Keep a body; once this returns its id, a crash or a power cut cannot lose it.

        Headers that carry secrets are left out.
        """
        at = self._clock()
        name = delivery_id(at, self._tail(8))
        row = {
            "id": name,
            "sender": sender,
            "received_at": at,
            "headers": harmless(headers),
            "body": body,
            "body_bytes": len(body),
            "body_sha256": hashlib.sha256(body).hexdigest(),
            "status": "stored",
        }
        with self._database.write() as connection:
            connection.execute(insert(deliveries), row)
        return name

    def stored(self) -> list[str]:
        """Return the ids of what was kept and not yet read, in the order of arrival."""
        query = (
            select(deliveries.c.id)
            .where(deliveries.c.status == "stored")
            .order_by(deliveries.c.seq)
        )
        with self._database.read() as connection:
            return list(connection.scalars(query))

    def get(self, name: str) -> DeliveryView | None:
        """Return one delivery."""
        return next(iter(self._views(deliveries.c.id == name, limit=1)), None)

    def body(self, name: str) -> bytes:
        """Return a body, byte for byte; NotFoundError where there is none."""
        with self._database.read() as connection:
            found = connection.scalar(select(deliveries.c.body).where(deliveries.c.id == name))
        if found is None:
            raise NotFoundError(f"no delivery {name!r}")
        return bytes(found)

    def quarantined(self, limit: int = 100) -> list[DeliveryView]:
        """Return what was authenticated but not understood, newest first."""
        return self._views(deliveries.c.status == "quarantined", limit=limit)

    def quarantine(self, name: str, why: str) -> None:
        """Put a stored delivery aside, with the reason; one already processed stays so."""
        with self._database.write() as connection:
            settle(connection, name, "quarantined", why)

    def _views(self, condition: ColumnElement[bool], *, limit: int) -> list[DeliveryView]:
        kept = [c for c in deliveries.c if c.name not in {"seq", "body"}]
        start = func.substr(deliveries.c.body, 1, PREVIEW_BYTES).label("preview")
        query = select(*kept, start).where(condition).order_by(deliveries.c.seq.desc()).limit(limit)
        with self._database.read() as connection:
            return [_view(dict(row)) for row in connection.execute(query).mappings()]


def settle(connection: Connection, name: str, status: str, why: str | None = None) -> bool:
    """Give a stored delivery its final status; False where somebody else already did."""
    done = connection.execute(
        update(deliveries)
        .where(deliveries.c.id == name, deliveries.c.status == "stored")
        .values(status=status, why=why)
    )
    return done.rowcount == 1


def harmless(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers worth keeping: lower-case names, no secrets, text any database takes."""
    return {
        _plain(name).lower(): _plain(value)
        for name, value in headers.items()
        if not any(part in name.lower() for part in _SECRET)
    }


def _plain(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")


def _view(row: dict[str, Any]) -> DeliveryView:
    preview = bytes(row.pop("preview") or b"").decode("utf-8", "replace")
    return DeliveryView(**row, preview=preview)
