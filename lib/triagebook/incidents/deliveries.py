"""Bodies as they were posted: kept before anything else is done with them."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import ColumnElement, func, insert, select, update

from triagebook.core.errors import NotFoundError, StoreError
from triagebook.incidents.ids import delivery_id
from triagebook.incidents.tables import deliveries
from triagebook.incidents.views import DeliveryView

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from sqlalchemy import Connection, RowMapping

    from triagebook.incidents.database import Database
    from triagebook.incidents.views import DeliveryStatus

LONGEST_KEY = 128
"""A longer id of the sender's is none: what it sends again is then told by its alerts alone."""
MOST_DOUBTED = 10_000
PREVIEW_BYTES = 4_096
"""How much of a body a view shows."""

# Prefixes and parts of header names whose values prove something; they are never kept.
_SECRET = ("auth", "cookie", "token", "secret", "password", "signature", "api-key", "apikey")


class Waiting:
    """Somebody who posted a delivery and waits for the answer, for as long as they do."""

    def __init__(self) -> None:
        self.left = False
        self._kept: str | None = None
        self._turn = threading.Lock()

    def tell(self, delivery: str) -> bool:
        """Say that it is kept; False where nobody waits any more."""
        with self._turn:
            self._kept = delivery
            return not self.left

    def leave(self) -> str | None:
        """Wait no longer; return the delivery's id where it is kept by now."""
        with self._turn:
            self.left = True
            return self._kept


class Unread(NamedTuple):
    """A body that is kept and was not read yet."""

    id: str
    sender: str
    body: bytes


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
        # Names of deliveries of which the sender was not told that they are kept, and that may be.
        self._doubted: OrderedDict[tuple[str, str | None, str], str] = OrderedDict()
        self._turn = threading.Lock()

    def add(
        self,
        sender: str,
        headers: Mapping[str, str],
        body: bytes,
        key: str | None = None,
        waiting: Waiting | None = None,
    ) -> str:
        """Keep a body; once this returns its id, a crash or a power cut cannot lose it.

        Headers that carry secrets are left out. The same body under the same key is one delivery,
        however often it is posted: its first id is returned. So is one that failed here before,
        where it turns out to be kept all the same: a database that goes away in the middle of a
        commit does not say whether it did it.

        Parameters
        ----------
        key : str, optional
            The sender's own id of the delivery.
        waiting : Waiting, optional
            Who posted it: where nobody waits any more, nothing is kept.

        Raises
        ------
        StoreError
            The database failed, or nobody waits any more; the sender has to send again.
        """
        at = self._clock()
        same = (sender, key, hashlib.sha256(body).hexdigest())
        with self._turn:
            before = self._doubted.pop(same, None)
        name = before or delivery_id(at, self._tail(8))
        waiting = waiting or Waiting()
        try:
            kept = self._add(self._row(name, at, sender, headers, body, key), before, waiting)
        except BaseException:
            self._doubt(same, name)
            raise
        if not waiting.tell(kept):
            self._doubt(same, kept)
        return kept

    def _doubt(self, same: tuple[str, str | None, str], name: str) -> None:
        with self._turn:
            self._doubted[same] = name
            if len(self._doubted) > MOST_DOUBTED:
                self._doubted.popitem(last=False)

    @staticmethod
    def _row(
        name: str,
        at: datetime,
        sender: str,
        headers: Mapping[str, str],
        body: bytes,
        key: str | None,
    ) -> dict[str, Any]:
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
        if key is not None and len(key) <= LONGEST_KEY:
            row["sender_key"] = _plain(key)
        return row

    def _add(self, row: dict[str, Any], before: str | None, waiting: Waiting) -> str:
        with self._database.write() as connection:
            if before is not None and self._is_there(connection, before):
                return before
            known = self._known(connection, row) if "sender_key" in row else None
            if known is not None and known["body_sha256"] == row["body_sha256"]:
                return str(known["id"])
            if known is not None:
                # Another body under a used key is kept as it is: better twice than lost.
                del row["sender_key"]
            connection.execute(insert(deliveries), row)
            if waiting.left:
                raise StoreError("it took so long that nobody waits for it any more")
        return str(row["id"])

    @staticmethod
    def _is_there(connection: Connection, name: str) -> bool:
        query = select(func.count()).where(deliveries.c.id == name)
        return bool(connection.scalar(query))

    def _known(self, connection: Connection, row: Mapping[str, Any]) -> RowMapping | None:
        if connection.dialect.name == "postgresql":
            # Two services may get the first and its retry at once; one of them has to wait.
            lock = func.pg_advisory_xact_lock(func.hashtext(f"{row['sender']}/{row['sender_key']}"))
            connection.execute(select(lock))
        query = select(deliveries.c.id, deliveries.c.body_sha256).where(
            deliveries.c.sender == row["sender"], deliveries.c.sender_key == row["sender_key"]
        )
        return connection.execute(query).mappings().one_or_none()

    def unread(self, most: int = 20) -> list[Unread]:
        """Return what is kept and not yet read, in the order of arrival."""
        query = (
            select(deliveries.c.id, deliveries.c.sender, deliveries.c.body)
            .where(deliveries.c.status == "stored")
            .order_by(deliveries.c.seq)
            .limit(most)
        )
        with self._database.read() as connection:
            return [
                Unread(name, sender, bytes(body))
                for name, sender, body in connection.execute(query)
            ]

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

    def count(self, status: DeliveryStatus) -> int:
        """Return how many deliveries are in a state."""
        query = select(func.count()).where(deliveries.c.status == status)
        with self._database.read() as connection:
            return connection.scalar(query) or 0

    def quarantine(self, name: str, why: str) -> None:
        """Put a stored delivery aside, with the reason; one already processed stays so."""
        with self._database.write() as connection:
            settle(connection, name, "quarantined", why)

    def _views(self, condition: ColumnElement[bool], *, limit: int) -> list[DeliveryView]:
        kept = [c for c in deliveries.c if c.name not in {"seq", "body", "sender_key"}]
        start = func.substr(deliveries.c.body, 1, PREVIEW_BYTES).label("preview")
        query = select(*kept, start).where(condition).order_by(deliveries.c.seq.desc()).limit(limit)
        with self._database.read() as connection:
            return [_view(dict(row)) for row in connection.execute(query).mappings()]


def settle(
    connection: Connection, name: str, status: str, why: str | None = None
) -> tuple[str, datetime] | None:
    """Give a stored delivery its final status.

    Returns
    -------
    (str, datetime) or None
        Its sender, and when it came; None where somebody else already did.
    """
    done = connection.execute(
        update(deliveries)
        .where(deliveries.c.id == name, deliveries.c.status == "stored")
        .values(status=status, why=why)
        .returning(deliveries.c.sender, deliveries.c.received_at)
    ).one_or_none()
    return None if done is None else (done.sender, done.received_at)


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
