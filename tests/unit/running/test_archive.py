"""Archives: what is long over goes into one file, and comes back whole, whatever comes between."""

from __future__ import annotations

import gzip
import json
import threading
import zipfile
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from triagebook.core.errors import NotFoundError
from triagebook.core.models import Alert, IncidentType
from triagebook.core.settings import Settings
from triagebook.core.times import now_utc
from triagebook.incidents.lifecycle import apply_delivery, open_incident
from triagebook.incidents.routes import Route
from triagebook.incidents.store import Store
from triagebook.incidents.tables import incidents
from triagebook.running.archive import Archive, ArchiveError, Archivist

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from triagebook.core.paths import Home

YEAR_S = 365 * 86_400.0
FILES = {
    "investigation.ipynb": b'{"cells": []}',
    "evidence/tables/rows.parquet": bytes(range(256)) * 40,
    "attempts/1/progress.jsonl": b"{}\n",
    "figures/ein Bild \xc3\xa4.png".encode().decode("utf-8"): b"\x89PNG",
}


@pytest.fixture
def store(home: Home) -> Iterator[Store]:
    with Store.open(home) as opened:
        # Two years ago, so that the incidents made here are over for long.
        opened.clock = lambda: now_utc() - timedelta(days=730)
        yield opened


@pytest.fixture
def archive(home: Home, store: Store) -> Archive:
    return Archive(home, Settings(retention={"archive_after": "365d"}), store)


def over(home: Home, store: Store, title: str = "drift") -> str:
    route = Route(IncidentType.DRIFT, None, "drift", title)
    name = open_incident(store, Alert(title=title, fingerprint=title), route)
    store.set_run_state(name, "published")
    with store.database.write() as connection:
        connection.execute(incidents.update().values(state="resolved", refresh_at=None))
    for path, content in FILES.items():
        file = home.run_dir(name) / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return name


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def later(store: Store) -> None:
    store.clock = now_utc  # type: ignore[method-assign]


def test_out_and_back_with_every_file(home: Home, store: Store, archive: Archive):
    name = over(home, store)
    assert archive.due() == []  # it changed just now, by its own clock
    later(store)
    before = store.incident(name)
    assert archive.due() == [name]
    done = archive.put_away(name)
    assert done is not None
    assert store.incident(name) is None
    assert not home.run_dir(name).exists()
    assert [one.incident_id for one in archive.all()] == [name]
    assert archive.find(name) == done.file
    assert done.size == done.file.stat().st_size
    archive.bring_back(name)
    assert files(home.run_dir(name)) == FILES
    after = store.incident(name)
    assert before is not None
    assert after is not None
    assert after.model_copy(update={"updated_at": before.updated_at}) == before
    assert [entry.kind for entry in store.timeline(name)][-1] == "unarchived"
    # It is not taken away again at once.
    assert archive.due() == []
    assert [path.name for path in home.runs.iterdir()] == [name]


def test_a_link_out_of_the_folder_is_not_followed(
    home: Home, store: Store, archive: Archive, tmp_path: Path
):
    name = over(home, store)
    (tmp_path / "secret").write_text("sesame")
    (home.run_dir(name) / "link").symlink_to(tmp_path / "secret")
    later(store)
    done = archive.put_away(name)
    assert done is not None
    assert b"sesame" not in done.file.read_bytes()
    with zipfile.ZipFile(done.file) as content:
        assert "run/link" not in content.namelist()
    assert (tmp_path / "secret").read_text() == "sesame"


def test_a_file_in_the_way_removes_nothing(home: Home, store: Store, archive: Archive):
    name = over(home, store)
    archive.folder.write_text("no folder")
    with pytest.raises(ArchiveError, match="nothing was removed"):
        archive.put_away(name)
    assert store.incident(name) is not None
    assert files(home.run_dir(name)) == FILES


def test_an_incident_that_changes_while_it_is_packed_stays(
    home: Home, store: Store, archive: Archive, monkeypatch: pytest.MonkeyPatch
):
    name = over(home, store)
    real = zipfile.ZipFile.testzip

    def and_meanwhile(self: zipfile.ZipFile) -> str | None:
        store.add_note(name, "doubted", "seen again")
        return real(self)

    monkeypatch.setattr(zipfile.ZipFile, "testzip", and_meanwhile)
    assert archive.put_away(name) is None
    assert store.incident(name) is not None
    assert files(home.run_dir(name)) == FILES
    assert list(archive.all()) == []
    assert list(archive.folder.rglob("*.part")) == []


def test_a_crash_before_the_folder_is_gone_is_made_good(
    home: Home, store: Store, archive: Archive, monkeypatch: pytest.MonkeyPatch
):
    name = over(home, store)
    other = over(home, store, "another")
    later(store)
    with monkeypatch.context() as patched:
        patched.setattr("shutil.rmtree", lambda *_, **__: None)
        archive.put_away(name)
    assert files(home.run_dir(name)) == FILES
    # Brought back from there, it is the file that counts; cleared, it is gone.
    (home.run_dir(name) / "attempts/1/progress.jsonl").unlink()
    archive.bring_back(name)
    assert files(home.run_dir(name)) == FILES
    assert archive.clear() == []
    with monkeypatch.context() as patched:
        patched.setattr("shutil.rmtree", lambda *_, **__: None)
        archive.put_away(name)
    assert archive.clear() == [name]
    assert not home.run_dir(name).exists()
    assert home.run_dir(other).exists()


@pytest.mark.parametrize("name", ["inc-none", "../inc-1", "*", "", "inc-[1]"])
def test_what_is_not_archived_is_not_found(archive: Archive, name: str):
    assert archive.find(name) is None
    with pytest.raises(NotFoundError, match="is not in"):
        archive.bring_back(name)


def test_a_damaged_file_is_told_and_changes_nothing(home: Home, store: Store, archive: Archive):
    name = over(home, store)
    done = archive.put_away(name)
    assert done is not None
    whole = done.file.read_bytes()
    done.file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ArchiveError, match="cannot be read"):
        archive.bring_back(name)
    assert store.incident(name) is None
    assert list(home.runs.iterdir()) == []
    done.file.write_bytes(whole)
    archive.bring_back(name)
    assert files(home.run_dir(name)) == FILES


@pytest.mark.parametrize("entry", ["run/../../outside", "run//etc/outside"])
def test_a_file_that_would_leave_the_folder_is_refused(
    home: Home, store: Store, archive: Archive, entry: str
):
    name = over(home, store)
    done = archive.put_away(name)
    assert done is not None
    with zipfile.ZipFile(done.file, "a") as content:
        content.writestr(entry, "x")
    with pytest.raises(ArchiveError, match="outside"):
        archive.bring_back(name)
    assert not (home.root / "outside").exists()
    assert store.incident(name) is None


def test_an_archive_of_a_newer_format_is_refused(home: Home, store: Store, archive: Archive):
    name = over(home, store)
    done = archive.put_away(name)
    assert done is not None
    with zipfile.ZipFile(done.file) as content:
        head = json.loads(content.read("incident.json"))
    with zipfile.ZipFile(done.file, "w") as content:
        content.writestr("incident.json", json.dumps({**head, "format": 2, "triagebook": "9.0"}))
    with pytest.raises(ArchiveError, match=r"triagebook 9\.0, which is newer"):
        archive.bring_back(name)


def test_the_archivist_does_what_is_due_and_forgets_their_runs(
    home: Home, store: Store, archive: Archive
):
    old, young = over(home, store, "old"), over(home, store, "young")
    later(store)
    store.add_note(young, "doubted", "seen again")
    delivery = store.deliveries.add("generic", {}, b"{}")
    apply_delivery(store, delivery, [], lambda _: Route(IncidentType.DRIFT, None, "drift", "d"))
    forgotten: list[str] = []
    archivist = Archivist(archive, forgotten.extend)
    assert archivist.round(threading.Event()) == [old]
    assert forgotten == [old]
    assert store.incident(young) is not None
    assert store.deliveries.get(delivery) is not None
    stopping = threading.Event()
    stopping.set()
    over(home, store, "old")
    assert archivist.round(stopping) == []


def test_deliveries_of_no_incident_are_kept_as_lines(store: Store, archive: Archive):
    delivery = store.deliveries.add("generic", {}, b"{}")
    apply_delivery(store, delivery, [], lambda _: Route(IncidentType.DRIFT, None, "drift", "d"))
    assert archive.put_away_loose() == 0  # it came just now
    later(store)
    assert archive.put_away_loose(0.0) == 1
    assert store.deliveries.get(delivery) is None
    [path] = archive.folder.glob("*.jsonl.gz")
    [line] = [json.loads(text) for text in gzip.decompress(path.read_bytes()).splitlines()]
    assert (line["table"], line["id"], line["body"]) == ("deliveries", delivery, "e30=")


def test_without_a_setting_nothing_is_due(home: Home, store: Store):
    archive = Archive(home, Settings(), store)
    over(home, store)
    later(store)
    assert archive.due() == []
    assert archive.put_away_loose() == 0
    assert len(archive.due(YEAR_S)) == 1
