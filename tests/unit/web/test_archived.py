"""An incident that was archived: its address says so, and how it comes back."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from tests.unit.web.samples import publish
from tests.unit.web.service import running
from triagebook.incidents.tables import incidents
from triagebook.running.archive import Archivist

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("tail", ["", "/report", "/files/diagnosis.json", "/lab"])
def test_its_address_says_how_it_comes_back(tmp_path: Path, tail: str):
    with running(tmp_path, retention={"archive_after": "1d"}) as service:
        name = service.incident()
        publish(service.home, name)
        store = service.here.store
        store.set_run_state(name, "published")
        with store.database.write() as connection:
            connection.execute(incidents.update().values(state="resolved", refresh_at=None))
        done = service.here.archive.put_away(name)
        assert done is not None
        answer = service.client.get(f"/incidents/{name}{tail}")
        assert answer.status_code == 404
        assert f"triagebook unarchive {name}" in answer.text
        service.here.archive.bring_back(name)
        assert service.client.get(f"/incidents/{name}").status_code == 200


def test_the_queue_forgets_what_was_archived(tmp_path: Path):
    with running(tmp_path, retention={"archive_after": "1d"}) as service:
        name = service.incident()
        store = service.here.store
        store.set_run_state(name, "published")
        with store.database.write() as connection:
            connection.execute(
                incidents.update().values(
                    state="resolved",
                    refresh_at=None,
                    updated_at=store.incident(name).opened_at.replace(year=2020),
                )
            )
        assert Archivist(service.here.archive, service.queue.forget).round(threading.Event()) == [
            name
        ]
        assert service.queue.forgotten == [name]
        # The page still answers.
        assert service.client.get("/").status_code == 200
