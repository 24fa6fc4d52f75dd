"""Open the store's database: SQLite or Postgres, durable, brought to the newest schema under a lock."""

from __future__ import annotations

import fcntl
import threading
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from triagebook.core.errors import StoreError
from triagebook.incidents.patience import lose_patience, taking_long

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import URL

BUSY_TIMEOUT_S = 30.0
"""How long a writer waits for another process before it gives up, in seconds."""

CONNECT_WITHIN_S = 5
"""How long a connection to Postgres may take to be made, in seconds."""
ANSWER_WITHIN_S = 15
"""How long Postgres' host may stay silent before a connection to it counts as dead, in seconds."""
POSTGRES = {
    "connect_timeout": CONNECT_WITHIN_S,
    # A cable that is pulled out says nothing: without these a request would wait for a quarter of an hour.
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 5,
    "tcp_user_timeout": 1000 * ANSWER_WITHIN_S,
    # A process that is frozen in the middle of a transaction must not hold up all the others.
    "options": "-c idle_in_transaction_session_timeout=10s",
}
"""libpq's settings for every connection of ours."""

_MIGRATIONS = Path(__file__).with_name("migrations")
# Numbers of our own among Postgres' advisory locks.
_MIGRATION_LOCK = 0x7472_6961
_ORDER_LOCK = 0x7472_6962


class Database:
    """A database at the newest schema.

    Parameters
    ----------
    url : str
        SQLAlchemy's form, such as `sqlite:////var/lib/triagebook/triagebook.db` or
        `postgresql+psycopg://host/name`. The SQLite file is made where it is missing, its folder
        is not.

    Raises
    ------
    StoreError
        A wrong URL, a missing driver, no database, or one that a newer triagebook wrote.
    """

    def __init__(self, url: str) -> None:
        self.url = _checked(url)
        self._sqlite = self.url.get_backend_name() == "sqlite"
        self.shared = not self._sqlite
        """Whether several processes may work on it."""
        # SQLite has one writer at a time; queueing here is fairer and quicker than its busy wait.
        self._one_writer = threading.Lock() if self._sqlite else nullcontext()
        try:
            self._engine = _engine(self.url)
        except (ImportError, SQLAlchemyError) as error:
            raise StoreError(
                f"the incident store {self._shown} cannot be used: {error}",
                "install the database's driver, such as psycopg for Postgres",
            ) from error
        try:
            self._migrate()
        except BaseException:
            self._engine.dispose()
            raise

    @property
    def _shown(self) -> str:
        return self.url.render_as_string(hide_password=True)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection that sees one moment; StoreError where the database fails."""
        with self._errors(), self._engine.connect() as connection:
            if self.shared:
                # By default Postgres shows each query its own moment.
                connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Yield a connection whose work is kept, on disk, once the block ends; or not at all.

        IntegrityError and DataError pass through: not the database failed, but what it was given.
        """
        with (
            self._errors(),
            self._one_writer,
            self._engine.connect().execution_options(triagebook_write=True) as connection,
            connection.begin(),
        ):
            yield connection

    def in_order(self, connection: Connection) -> None:
        """Wait until no other process is in such a transaction; within one process a lock does.

        Two that change several rows each, in whatever order, would otherwise end in a deadlock.
        """
        if self.shared:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ORDER_LOCK})

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (IntegrityError, DataError):
            raise
        except (DBAPIError, PoolTimeoutError) as error:
            cause = getattr(error, "orig", None) or error
            raise StoreError(
                f"the incident store {self._shown} failed: {cause}",
                "check that its disk has room and that the database can be reached",
            ) from error

    def _migrate(self) -> None:
        with self._errors(), self._start_lock():
            if self._sqlite:
                self._write_ahead()
            with self.write() as connection:
                if self._sqlite:
                    upgrade(connection, self._shown)
                    return
                with taking_long(connection):
                    connection.execute(
                        text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK}
                    )
                    upgrade(connection, self._shown)

    def _write_ahead(self) -> None:
        # WAL is a property of the file; it is set outside a transaction and with nobody else in.
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("PRAGMA journal_mode=WAL"))

    @contextmanager
    def _start_lock(self) -> Iterator[None]:
        """Let one process at a time open the file: a switch to WAL does not wait by itself."""
        if not self._sqlite:
            yield
            return
        path = Path(f"{self.url.database}.lock")
        try:
            handle = path.open("a")
        except OSError as error:
            raise StoreError(
                f"the incident store {self._shown} cannot be opened: {error}",
                "make its folder, and let this user write in it",
            ) from error
        with handle:
            fcntl.flock(handle, fcntl.LOCK_EX)  # ends with the handle, and with the process
            yield


def head() -> str:
    """Return the schema revision that this triagebook writes."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    if revision is None:
        raise StoreError("triagebook was installed without its migrations", "install it again")
    return str(revision)


def upgrade(connection: Connection, shown: str) -> None:
    """Bring the schema to `head()` inside the caller's transaction; StoreError where it is newer."""
    config = _config()
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    current = MigrationContext.configure(connection).get_current_revision()
    if current is not None and current not in known:
        raise StoreError(
            f"the incident store {shown} was written by a newer triagebook (its schema is "
            f"{current!r}, this one knows up to {head()!r}); a schema is never taken back",
            "start the newer triagebook, or restore the backup made before it was installed",
        )
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _config() -> Config:
    config = Config()
    # A percent sign in a path would read as interpolation.
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config


def _checked(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StoreError(
            f"the incident store has no database URL: {error}",
            "write it as sqlite:////path/to/file.db",
        ) from error
    if parsed.get_backend_name() not in {"sqlite", "postgresql"}:
        raise StoreError(
            f"the incident store cannot live in {parsed.get_backend_name()!r}",
            "use sqlite:////path/to/file.db or postgresql+psycopg://host/name",
        )
    if parsed.get_backend_name() == "sqlite" and parsed.database in {None, "", ":memory:"}:
        raise StoreError(
            "an in-memory incident store would lose what it promised to keep",
            "name a file: sqlite:////path/to/file.db",
        )
    return parsed


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        return postgres_engine(url)
    engine = create_engine(
        url, connect_args={"timeout": BUSY_TIMEOUT_S}, pool_timeout=BUSY_TIMEOUT_S
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def postgres_engine(url: URL | str) -> Engine:
    """Return an engine that notices soon where the server, or the way to it, is gone."""
    engine = create_engine(
        url, connect_args=POSTGRES, pool_pre_ping=True, pool_size=10, pool_timeout=ANSWER_WITHIN_S
    )
    lose_patience(engine)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver's own BEGIN comes late and never for a read; ours is in _begin_sqlite.
    connection.isolation_level = None
    cursor = connection.cursor()
    # FULL: what was answered 202 is on the disk, not only in the write-ahead log's page cache.
    for pragma in ("synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get("isolation_level") == "AUTOCOMMIT":
        return
    # A write that begins as a read can be refused at its first write, however long it would wait.
    write = options.get("triagebook_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
