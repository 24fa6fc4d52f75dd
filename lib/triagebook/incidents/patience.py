"""A connection to Postgres that does not wait for ever: a frozen server says nothing, and hangs up on nobody."""

from __future__ import annotations

import time
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import event

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from sqlalchemy import Connection, Engine

SILENT_S = 6.0
"""How long a question to Postgres may stay without an answer, in seconds.

Its host answers for it on the wire, so no keep-alive notices that the server itself is stopped.
"""

LONG_S = 3_600.0
"""The same for what may take long with many incidents, such as a change of the schema."""


def lose_patience(engine: Engine) -> None:
    """Let every connection of an engine give up, and close, where an answer takes longer than `SILENT_S`."""

    @event.listens_for(engine, "do_connect")
    def _connect(_dialect: Any, _record: Any, arguments: list[Any], named: dict[str, Any]) -> Any:
        return _class().connect(*arguments, **named)


@contextmanager
def taking_long(connection: Connection) -> Iterator[None]:
    """Let questions of one connection take up to `LONG_S` while the block lasts."""
    driver: Any = connection.connection.driver_connection
    driver.silent_s = LONG_S
    try:
        yield
    finally:
        driver.silent_s = SILENT_S


@cache
def _class() -> Any:
    import psycopg  # noqa: PLC0415 - an extra: only who has a Postgres has its driver

    class Impatient(psycopg.Connection[Any]):
        """A connection that closes itself where the server does not answer."""

        silent_s = SILENT_S

        def wait(self, gen: Any, *arguments: Any, **named: Any) -> Any:
            """Wait as usual, but no longer than `silent_s`."""
            try:
                return super().wait(_within(gen, self.silent_s), *arguments, **named)
            except _SilenceError as error:
                # What was asked may still be done once the server wakes; the connection knows no more.
                self.pgconn.finish()
                message = f"the server did not answer within {self.silent_s:g} s"
                raise psycopg.OperationalError(message) from error

    return Impatient


class _SilenceError(Exception):
    pass


def _within(gen: Generator[Any, Any, Any], limit_s: float) -> Generator[Any, Any, Any]:
    """Do as `gen` does; psycopg looks in every tenth of a second, also where nothing has come."""
    until = time.monotonic() + limit_s
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() >= until:
                raise _SilenceError
            wanted = gen.send(ready)
    except StopIteration as end:
        return end.value
