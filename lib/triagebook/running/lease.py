"""An executor's sign of life among others on one Postgres: advisory locks that end with its session.

The server ends the session of who is silent for `LET_GO_S`: killed, cut off, or frozen. Who is cut
off notices it `STALE_S` after the last answer, which is earlier, and stops its work by itself.
"""

from __future__ import annotations

import hashlib
import os
import select
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
import structlog
from sqlalchemy import make_url

from triagebook.core.errors import RunError
from triagebook.incidents.database import CONNECT_WITHIN_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

PING_EVERY_S = 1.0
STALE_S = 4.5
LET_GO_S = 6
_WATCH_EVERY_S = 0.2
_SAY_AGAIN_AFTER_S = 60.0
_SERVER = 140_000  # idle_session_timeout came with version 14

log = structlog.get_logger(__name__)


def default_worker_id(root: Path) -> str:
    """Return a name that stays: the host's, and a few letters that stand for the home."""
    host = "".join(c if c.isalnum() or c in "._-" else "-" for c in socket.gethostname())
    home = hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:4]
    return f"{host[:58].strip('._-') or 'host'}-{home}"


class Lease:
    """Two locks of one session: the worker's id, which is there once, and this very executor.

    Parameters
    ----------
    url : str
        Of the database, in SQLAlchemy's form. Straight to the server: through a pooler that
        hands out connections by transaction, session locks mean nothing.
    worker : str
        The worker's id.
    on_lost, on_back : callable
        Called from a thread of the lease, quick and without raising: work must stop, may go on.

    Attributes
    ----------
    executor : str
        Names this executor for ever: the worker's id and a part that no other start has.
    """

    def __init__(
        self, url: str, worker: str, on_lost: Callable[[], None], on_back: Callable[[], None]
    ) -> None:
        self.worker = worker
        self.executor = f"{worker}:{uuid4().hex[:12]}"
        parts = make_url(url).set(drivername="postgresql")
        self._dsn = parts.render_as_string(hide_password=False)
        self._shown = parts.render_as_string(hide_password=True)
        self._on_lost, self._on_back = on_lost, on_back
        self._connection: psycopg.Connection | None = None
        self._answered = 0.0  # when the last question that was answered was asked
        self._held = False
        self._turn = threading.Lock()
        self._closed = threading.Event()
        self._threads: list[threading.Thread] = []
        self._said = 0.0

    @property
    def held(self) -> bool:
        """Whether the server certainly holds the locks for us, at this moment."""
        return self._held and time.monotonic() - self._answered < STALE_S

    def take(self) -> None:
        """Take the locks and keep them.

        Raises
        ------
        RunError
            Another process has this id, or the server cannot be asked.
        """
        try:
            self._ask()
        except psycopg.Error as error:
            raise RunError(
                f"{self._shown} cannot be used: {str(error).strip()}",
                "check server.database, and that the server can be reached from here",
            ) from error
        self._held = True
        for target in (self._keep, self._watch):
            thread = threading.Thread(target=target, name=f"lease {target.__name__}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def close(self) -> None:
        """Let go; again is harmless. Nothing is called any more after this returns."""
        self._closed.set()
        for thread in self._threads:
            thread.join(CONNECT_WITHIN_S + STALE_S)
        self._threads.clear()
        self._held = False
        self._drop()

    def living(self, executors: Iterable[str]) -> set[str]:
        """Return those of these executors whose sessions live.

        Raises
        ------
        psycopg.Error
            The server cannot be asked.
        """
        keys = {_key("executor", one): one for one in executors}
        if not keys:
            return set()
        query = (
            "SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks"
            " WHERE locktype = 'advisory' AND objsubid = 1 AND granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        # A connection of its own: the lease's must not wait for anything else.
        with psycopg.connect(self._dsn, **_LIBPQ) as connection:
            return {keys[key] for (key,) in connection.execute(query) if key in keys}

    def _ask(self) -> None:
        """Ask the server for an answer; connect and lock first where there is no connection."""
        asked = time.monotonic()
        if self._connection is None:
            self._connection = self._connect()
        else:
            self._connection.execute("SELECT 1")
        self._answered = asked

    def _connect(self) -> psycopg.Connection:
        name = f"triagebook {self.worker}"
        connection = psycopg.connect(self._dsn, autocommit=True, application_name=name, **_LIBPQ)
        try:
            self._lock(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _lock(self, connection: psycopg.Connection) -> None:
        version = connection.info.server_version
        if version < _SERVER:
            raise RunError(
                f"{self._shown} is Postgres {version // 10_000}",
                "14 or newer is needed: older ones do not end the session of a frozen worker",
            )
        connection.execute(f"SET idle_session_timeout = '{LET_GO_S}s'")
        query = "SELECT pg_try_advisory_lock(%s)"
        for kind, what in (("worker", self.worker), ("executor", self.executor)):
            if connection.execute(query, [_key(kind, what)]).fetchone() != (True,):
                raise RunError(
                    f"another process works as {self.worker!r} on {self._shown}",
                    "stop it first, or name this one with --id; one that was just cut off is "
                    f"let go of within {LET_GO_S} s",
                    worker=self.worker,
                )

    def _keep(self) -> None:
        while self._rest():
            try:
                self._ask()
            except (psycopg.Error, RunError) as error:
                # The session is gone, or may be: others may have what was ours.
                self._drop()
                self._lose(str(error).strip().splitlines()[0] if str(error) else repr(error))
            else:
                self._regain()

    def _rest(self) -> bool:
        """Wait until it is time to ask again, or the server says good-bye; False when closed."""
        until = time.monotonic() + PING_EVERY_S
        while time.monotonic() < until:
            if self._closed.wait(_WATCH_EVERY_S):
                return False
            if self._connection is not None:
                told = select.poll()
                told.register(self._connection.fileno(), select.POLLIN)
                if told.poll(0):  # it has nothing to say to us but that
                    break
        return True

    def _watch(self) -> None:
        """Notice in time where a question stays without an answer, which `_keep` waits for."""
        while not self._closed.wait(_WATCH_EVERY_S):
            if self._held and not self.held:
                self._lose(f"no answer for {STALE_S:g} s")
                self._hang_up()

    def _lose(self, why: str) -> None:
        with self._turn:
            lost, self._held = self._held, False
            if lost and not self._closed.is_set():
                log.error("worker cut off", worker=self.worker, why=why)
                self._said = time.monotonic()
                self._on_lost()
            elif time.monotonic() - self._said > _SAY_AGAIN_AFTER_S:
                log.error("worker still cut off", worker=self.worker, why=why)
                self._said = time.monotonic()

    def _regain(self) -> None:
        with self._turn:
            # An answer that came too late is none.
            if self._held or self._closed.is_set() or time.monotonic() - self._answered >= STALE_S:
                return
            self._held = True
            log.info("worker is back", worker=self.worker)
            self._on_back()

    def _hang_up(self) -> None:
        """End the wait for an answer that does not come; `_keep` then connects anew."""
        connection = self._connection
        with suppress(OSError, psycopg.Error):
            if connection is not None:
                with socket.socket(fileno=os.dup(connection.fileno())) as line:
                    line.shutdown(socket.SHUT_RDWR)

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


_LIBPQ: dict[str, Any] = {
    "connect_timeout": CONNECT_WITHIN_S,
    "keepalives": 1,
    "keepalives_idle": 2,
    "keepalives_interval": 1,
    "keepalives_count": 3,
    "tcp_user_timeout": int(1000 * STALE_S),
}


def _key(kind: str, what: str) -> int:
    digest = hashlib.sha256(f"triagebook {kind} {what}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
