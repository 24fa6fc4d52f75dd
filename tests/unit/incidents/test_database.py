from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, insert, inspect, select, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

import triagebook
from triagebook.core.errors import StoreError
from triagebook.core.models import Change
from triagebook.core.paths import Home
from triagebook.incidents.changes import Announced
from triagebook.incidents.database import _MIGRATIONS, Database, _config, head
from triagebook.incidents.lifecycle import apply_delivery
from triagebook.incidents.store import Store
from triagebook.incidents.tables import deliveries, episodes, metadata


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'store.db'}"


def revision(database):
    with database.read() as connection:
        return connection.scalar(text("SELECT version_num FROM alembic_version"))


def test_a_fresh_database_gets_the_newest_schema(url):
    database = Database(url)
    assert revision(database) == head()
    with database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        assert set(inspect(connection).get_table_names()) == {*metadata.tables, "alembic_version"}
    database.close()


def test_a_database_at_the_newest_schema_is_left_as_it_is(tmp_path):
    home = Home(tmp_path)
    with Store.open(home) as store:
        kept = store.deliveries.add("alertmanager", {}, b"{}")
    with Store.open(home) as store:
        assert [one.id for one in store.deliveries.unread()] == [kept]
        assert revision(store.database) == head()
    assert (tmp_path / "state" / "triagebook.db").is_file()


def test_a_database_of_a_newer_triagebook_is_refused(url, tmp_path):
    Database(url).close()
    with sqlite3.connect(tmp_path / "store.db") as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    raw.close()
    with pytest.raises(StoreError, match=rf"newer triagebook.*'9999'.*knows up to '{head()}'"):
        Database(url)
    with sqlite3.connect(tmp_path / "store.db") as raw:
        assert raw.execute("SELECT version_num FROM alembic_version").fetchone() == ("9999",)
    raw.close()


def test_a_migration_that_fails_leaves_nothing_half_made(url, tmp_path):
    with sqlite3.connect(tmp_path / "store.db") as raw:
        raw.execute("CREATE TABLE runs (x)")  # the last table the migration makes
    raw.close()
    with pytest.raises(StoreError, match="runs already exists"):
        Database(url)
    with sqlite3.connect(tmp_path / "store.db") as raw:
        names = [row[0] for row in raw.execute("SELECT name FROM sqlite_master WHERE type='table'")]
    raw.close()
    assert names == ["runs"]


def test_runs_that_wait_keep_their_order_when_the_line_is_added(url):
    config, engine = _config(), create_engine(url)
    with engine.connect() as connection, connection.begin():
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        for number in (1, 2):
            connection.execute(
                text(
                    "INSERT INTO incidents (id, incident_type, title, state, opened_at, updated_at, "
                    "run_state, attempt, runbook, parameters, alert) VALUES (:id, 'drift', 'x', 'open', "
                    ":at, :at, 'queued', 1, 'drift', '{}', '{}')"
                ),
                {"id": f"inc-{number}", "at": f"2013-06-04 12:00:0{number}.000000"},
            )
    engine.dispose()
    with Store(url) as store:
        assert [one.id for one in store.line.standing().waiting] == ["inc-1", "inc-2"]
        found = store.incident("inc-1")
        assert (found.level, found.queued_at) == ("normal", found.opened_at)
        assert store.line.place("inc-2") == 2
        # What was there before a search had a table of its own is found as well.
        assert [one.id for one in store.incidents(text="INC-2")] == ["inc-2"]


def test_a_store_of_before_gets_a_feed_and_keeps_what_it_has(url):
    config, engine = _config(), create_engine(url)
    with engine.connect() as connection, connection.begin():
        config.attributes["connection"] = connection
        command.upgrade(config, "0004")
        connection.execute(
            text(
                "INSERT INTO deliveries (id, sender, received_at, headers, body, body_bytes, "
                "body_sha256, status) VALUES ('dlv-1', 'mlflow', '2013-06-04 12:00:00.000000', '{}', "
                "x'7b7d', 2, 'x', 'stored')"
            )
        )
    engine.dispose()
    with Store(url) as store:
        assert ([one.id for one in store.deliveries.unread()], store.changes.latest()) == (
            ["dlv-1"],
            [],
        )
        told = Announced("m", Change(ts="2013-06-04T11:00:00Z", to="1"), "champion")
        apply_delivery(store, "dlv-1", [], lambda _: None, announced=[told])
        assert [view.change.to for view in store.changes.latest()] == ["1"]


def test_services_that_start_together_all_find_it_ready(url):
    program = "import sys; from triagebook.incidents.database import Database as D; D(sys.argv[1])"
    together = [
        subprocess.Popen([sys.executable, "-c", program, url], stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    answers = [process.communicate(timeout=60)[1] for process in together]
    assert [process.returncode for process in together] == [0, 0, 0], answers


def test_the_migrations_are_part_of_the_package():
    assert _MIGRATIONS.is_relative_to(Path(triagebook.__file__).parent)
    assert (_MIGRATIONS / "env.py").is_file()


def test_a_commit_is_on_the_disk_and_rules_are_kept(url):
    database = Database(url)
    with database.read() as connection:
        found = [
            connection.scalar(text(f"PRAGMA {name}"))
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        ]
    database.close()
    assert found == ["wal", 2, 1, 30_000]  # 2 is FULL


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("not a url", "no database URL"),
        ("sqlite://", "in-memory"),
        ("sqlite:///:memory:", "in-memory"),
        ("mysql://host/name", "cannot live in 'mysql'"),
        ("sqlite:////no/such/folder/store.db", "cannot be opened"),
    ],
)
def test_a_url_that_cannot_work_is_refused(wrong, says):
    with pytest.raises(StoreError, match=says):
        Database(wrong)


def test_a_server_that_cannot_be_used_is_named_without_its_password():
    with pytest.raises(StoreError, match="incident store postgresql") as caught:
        Database("postgresql+psycopg://me:s3cret@127.0.0.1:1/name")
    assert "s3cret" not in str(caught.value)


def test_a_file_that_is_no_database_is_refused(url, tmp_path):
    (tmp_path / "store.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreError, match="not a database"):
        Database(url)


def test_a_database_that_fails_says_so_and_works_again(url, tmp_path, monkeypatch):
    monkeypatch.setattr("triagebook.incidents.database.BUSY_TIMEOUT_S", 0.05)
    database = Database(url)
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked"), database.write():
        pass
    other.execute("ROLLBACK")
    other.close()
    with database.write() as connection:
        assert connection.scalar(text("SELECT 1")) == 1
    database.close()


def test_a_reader_sees_one_moment_while_others_write(store):
    store.deliveries.add("a", {}, b"1")
    with store.database.read() as connection:
        count = text("SELECT count(*) FROM deliveries")
        before = connection.scalar(count)
        store.deliveries.add("a", {}, b"2")
        assert connection.scalar(count) == before
    assert len(store.deliveries.unread()) == 2


def test_what_raises_is_not_kept(store):
    def break_off():
        with store.database.write() as connection:
            connection.execute(text("DELETE FROM alembic_version"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    assert revision(store.database) == head()


def test_times_without_a_zone_are_refused(store, clock):
    clock.now = clock.now.replace(tzinfo=None)
    with pytest.raises(Exception, match="without a zone"):
        store.deliveries.add("a", {}, b"")


def test_the_tables_and_the_searches_are_postgres_too():
    dialect = postgresql.dialect()
    made = [str(CreateTable(table).compile(dialect=dialect)) for table in metadata.sorted_tables]
    timeless = [one for one in made if "TIMESTAMP WITH TIME ZONE" not in one]
    assert len(timeless) == 1
    assert "incident_words" in timeless[0]
    (rule,) = [index for index in episodes.indexes if index.unique]
    assert "WHERE closed_at IS NULL" in str(CreateIndex(rule).compile(dialect=dialect))
    assert "RETURNING" in str(insert(episodes).returning(episodes.c.id).compile(dialect=dialect))
    found = select(deliveries).where(deliveries.c.sender.icontains("a%", autoescape=True))
    assert "LIKE" in str(found.compile(dialect=dialect))
