"""A real PostgreSQL that is frozen: a question ends in time, nothing is kept by halves, and it goes on after."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from tests.live.postgres import Postgres
from triagebook.core.errors import StoreError
from triagebook.incidents import patience
from triagebook.incidents.patience import taking_long
from triagebook.incidents.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.live, pytest.mark.slow]


@pytest.fixture
def server() -> Iterator[Postgres]:
    made = Postgres()  # of its own: it is frozen
    yield made
    made.close()


def test_a_question_to_a_frozen_server_ends_and_what_is_sent_again_is_there_once(server: Postgres):
    with Store(server.store()) as store:
        store.deliveries.add("alertmanager", {}, b"before")
        with server.frozen():
            began = time.monotonic()
            with pytest.raises(StoreError, match=r"did not answer|timeout"):
                store.deliveries.add("alertmanager", {}, b"meanwhile")
            # The old connection is asked, then a new one tried.
            assert time.monotonic() - began < patience.SILENT_S + 5 + 10
        again = store.deliveries.add("alertmanager", {}, b"meanwhile")
        assert [one.body for one in store.deliveries.unread()] == [
            b"before",
            b"meanwhile",
        ]
        assert store.deliveries.unread()[-1].id == again


def test_only_what_may_take_long_does(postgres: Postgres):
    with Store(postgres.store()) as store:
        with store.database.read() as connection:
            connection.connection.driver_connection.silent_s = 0.5
            with taking_long(connection):
                connection.execute(text("SELECT pg_sleep(1)"))
        with pytest.raises(StoreError, match=r"did not answer within 0\.5 s"):
            ask(store, "SELECT pg_sleep(5)", 0.5)


def ask(store: Store, question: str, silent_s: float) -> None:
    with store.database.read() as connection:
        connection.connection.driver_connection.silent_s = silent_s
        connection.execute(text(question))
