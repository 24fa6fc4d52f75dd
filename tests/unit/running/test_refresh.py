"""Notebooks executed again: the real store, the real queue, real kernels."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import pytest

from tests.unit.running.conftest import code
from tests.unit.running.test_queue import WRITE_ANSWER, wait_until
from triagebook.core.errors import StoreError
from triagebook.core.models import Alert, RunRequest
from triagebook.core.settings import ServerSettings, Settings
from triagebook.incidents.applying import Over
from triagebook.incidents.lifecycle import apply_delivery
from triagebook.incidents.refresh import Refreshing
from triagebook.incidents.routes import route
from triagebook.incidents.store import Store
from triagebook.running import refresh
from triagebook.running.queue import RunQueue
from triagebook.running.refresh import Refresher

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.running.conftest import WriteRunbook
    from triagebook.core.paths import Home


@pytest.fixture
def settings() -> Settings:
    return Settings(
        server=ServerSettings(notebooks="runbooks", deadline=60, warm=0),
        service=[{"name": "shop"}],
        refresh={"after_join": 0},
    )


@pytest.fixture
def store(home: Home) -> Iterator[Store]:
    with Store.open(home) as opened:
        yield opened


def post(store: Store, settings: Settings, home: Home, name: str, status: str = "firing") -> str:
    labels = {"alertname": name, "service": "shop", "incident_type": "drift"}
    alert = Alert(sender="generic", title=name, status=status, labels=labels)
    delivery = store.deliveries.add("generic", {}, b"")
    applied = apply_delivery(
        store, delivery, [alert], lambda a: route(a, settings, home.root), Over.of(settings)
    )
    assert applied is not None
    return applied.incidents[0]


def published(store: Store, incident_id: str, attempt: int) -> bool:
    incident = store.incident(incident_id)
    assert incident is not None
    return (incident.run_state, incident.attempt) == ("published", attempt)


@pytest.mark.slow
def test_what_joins_and_what_ends_is_in_the_next_run(
    home: Home, settings: Settings, store: Store, write_runbook: WriteRunbook
):
    write_runbook(code(WRITE_ANSWER), name="drift")
    name = post(store, settings, home, "Slow")
    run_dir = home.run_dir(name)
    stop = threading.Event()
    with RunQueue(home, settings, store) as queue:
        refresher = Refresher(store, Refreshing.of(settings.refresh), queue.enqueue)
        looking = threading.Thread(target=refresher.run, args=(stop,))
        looking.start()
        try:
            wait_until(lambda: published(store, name, 1))
            assert post(store, settings, home, "Empty") == name
            wait_until(lambda: published(store, name, 2))
            post(store, settings, home, "Slow", "resolved")
            post(store, settings, home, "Empty", "resolved")
            wait_until(lambda: published(store, name, 3))
        finally:
            stop.set()
            looking.join()

    def told(attempt: int) -> list[tuple[str | None, str]]:
        text = (run_dir / "attempts" / str(attempt) / "request.json").read_bytes()
        return [(one.title, one.status) for one in RunRequest.model_validate_json(text).alerts]

    assert told(1) == [("Slow", "firing")]
    assert told(2) == [("Slow", "firing"), ("Empty", "firing")]
    assert told(3) == [("Slow", "resolved"), ("Empty", "resolved")]
    kept = [
        json.loads((run_dir / "attempts" / f"{n}-replaced" / "investigation.ipynb").read_text())
        for n in (1, 2)
    ]
    assert [one["metadata"]["triagebook"]["attempt"] for one in kept] == [1, 2]
    whys = [e.data.get("why") for e in store.timeline(name) if e.kind == "queued"]
    assert whys == [None, "joined", "resolved"]


def test_a_store_that_is_away_for_a_while_ends_nothing(
    store: Store, settings: Settings, home: Home, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(refresh, "POLL_EVERY_S", 0.01)
    name = post(store, settings, home, "Slow")
    store.set_run_state(name, "published")
    store.refreshes.ask(name)
    due, failures = store.refreshes.due, [StoreError("away"), ZeroDivisionError()]

    def flaky(limit: int = 100) -> list[str]:
        if failures:
            raise failures.pop()
        return due(limit)

    monkeypatch.setattr(store.refreshes, "due", flaky)
    asked: list[str] = []
    stop = threading.Event()
    refresher = Refresher(store, Refreshing.of(settings.refresh), asked.append)
    looking = threading.Thread(target=refresher.run, args=(stop,))
    looking.start()
    wait_until(lambda: asked == [name])
    stop.set()
    looking.join()
    assert failures == []


def test_what_is_taken_and_not_queued_is_left_for_the_next_start(
    store: Store, settings: Settings, home: Home
):
    name = post(store, settings, home, "Slow")
    store.set_run_state(name, "published")
    store.refreshes.ask(name)

    def fail(_: str) -> None:
        message = "the queue is away"
        raise StoreError(message)

    with pytest.raises(StoreError):
        Refresher(store, Refreshing.never(), fail).round()
    assert store.runs_to_do() == [name]
