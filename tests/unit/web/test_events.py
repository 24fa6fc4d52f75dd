"""The stream of a run's progress, over a real connection."""

from __future__ import annotations

import json
import threading
import time

import pytest

from tests.unit.web.samples import write_progress
from triagebook.web import events as module


def _read(service, incident, *, stop=lambda _events: False, **headers):
    """Read events until the stream ends or `stop` says so."""
    events, name, identity = [], None, None
    with service.client.stream(
        "GET", f"/api/incidents/{incident}/events", headers=headers
    ) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        for line in answer.iter_lines():
            key, _, value = line.partition(": ")
            if key == "event":
                name = value
            elif key == "id":
                identity = value
            elif key == "data":
                events.append((name, json.loads(value), identity))
                identity = None
                if stop(events):
                    break
    return events


@pytest.fixture
def incident(service):
    found = service.incident()
    service.here.store.set_run_state(found, "running")
    return found


def test_a_finished_run_is_told_from_its_first_line_to_its_end(service, incident):
    write_progress(service.home, incident, cells=3)
    service.here.store.set_run_state(incident, "published")
    events = _read(service, incident)
    assert [name for name, _, _ in events] == ["progress"] * 4 + ["state", "end"]
    assert events[-1][1] == {"run_state": "published", "attempt": 1}
    assert [identity for _, _, identity in events][:4] == ["1:1", "1:2", "1:3", "1:4"]


def test_a_run_is_followed_while_it_grows(service, incident):
    write_progress(service.home, incident, cells=1)

    def go_on():
        write_progress(service.home, incident, cells=2)
        service.here.store.set_run_state(incident, "failed", message="the kernel died")

    events = []

    def stop(seen):
        if len(seen) == 3:  # both lines and the state: only now does the run go on
            threading.Thread(target=go_on).start()
        return False

    events = _read(service, incident, stop=stop)
    assert events[-1] == ("end", {"run_state": "failed", "attempt": 1}, None)
    assert sum(name == "progress" for name, _, _ in events) == 5


def test_who_connects_again_is_told_only_what_is_new(service, incident):
    write_progress(service.home, incident, cells=3)
    service.here.store.set_run_state(incident, "published")
    events = _read(service, incident, **{"Last-Event-ID": "1:3"})
    assert [identity for name, _, identity in events if name == "progress"] == ["1:4"]


@pytest.mark.parametrize("last", ["", "x", "1", "1:x", ":", "-1:2", "٣:٣", "7:1"])
def test_a_nonsense_event_id_starts_from_the_beginning(service, incident, last):
    write_progress(service.home, incident, cells=1)
    service.here.store.set_run_state(incident, "published")
    events = _read(service, incident, **{"Last-Event-ID": last.encode()})
    assert [identity for name, _, identity in events if name == "progress"] == ["1:1", "1:2"]


def test_a_torn_last_line_is_left_for_later(service, incident):
    write_progress(service.home, incident, cells=1)
    with (service.home.attempt_dir(incident, 1) / "progress.jsonl").open("a") as stream:
        stream.write('{"ts": "2026-01-01T00:0')
    service.here.store.set_run_state(incident, "published")
    assert sum(name == "progress" for name, _, _ in _read(service, incident)) == 2


def test_a_quiet_run_keeps_its_connection_alive(service, incident, monkeypatch):
    monkeypatch.setattr(module, "KEEPALIVE_S", 0.3)
    with service.client.stream("GET", f"/api/incidents/{incident}/events") as answer:
        for line in answer.iter_lines():
            if line.startswith(":"):
                return
    pytest.fail("the stream ended without a sign of life")


def test_an_unknown_incident_has_no_stream(service):
    assert service.client.get("/api/incidents/inc-none/events").status_code == 404


def test_a_stop_ends_an_open_stream_at_once(service, incident):
    ended = threading.Event()

    def listen():
        _read(service, incident)
        ended.set()

    thread = threading.Thread(target=listen)
    thread.start()
    write_progress(service.home, incident, cells=1)
    began = time.monotonic()
    service.server.stop()
    assert ended.wait(10)
    assert time.monotonic() - began < 2.0
    thread.join()
