"""What waits, at which place; what is held for maintenance; and a person who asks for a run now."""

from __future__ import annotations

import json
import time
from datetime import timedelta

import pytest

from tests.unit.web.samples import webhook
from tests.unit.web.service import running
from tests.unit.web.test_pages import _text
from triagebook.core.times import now_utc

WINDOW = {"reason": "planned reload of the warehouse"}


@pytest.fixture
def maintained(tmp_path):
    """A service in a window that began an hour ago and ends in an hour."""
    now = now_utc()
    span = {"from": now - timedelta(hours=1), "to": now + timedelta(hours=1)}
    with running(tmp_path, maintenance=[{**WINDOW, **span}]) as service:
        yield service


def api(service, path="/api/queue"):
    answer = service.client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_queue_lists_what_runs_and_what_waits_in_order(service):
    low = service.incident(webhook("a", severity="info"))
    high = service.incident(webhook("b", severity="critical"))
    begun = service.incident(webhook("c"))
    service.here.store.set_run_state(begun, "running")
    found = api(service)
    assert [(one["id"], one["place"]) for one in found["waiting"]] == [(high, 1), (low, 2)]
    assert [(one["id"], one["place"]) for one in found["running"]] == [(begun, None)]
    assert found["sizes"] == {"waiting": 2, "running": 1, "held": 0, "unread": 0}
    assert (found["concurrency"], found["runs_per_minute"], found["held"]) == (2, None, [])
    assert found["waiting"][0]["level"] == "critical"
    assert len(api(service, "/api/queue?limit=1")["waiting"]) == 1
    text = _text(service.client.get("/queue").text)
    assert "Running (1)" in text
    assert "Waiting (2)" in text
    assert text.index("critical") < text.index("low")
    assert "The next 1 are shown" in _text(service.client.get("/queue?limit=1").text)


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (1, "1 delivery came in and is not read yet; what it tells of is not listed here so far."),
        (2, "2 deliveries came in and are not read yet; what they tell of is not listed here"),
    ],
)
def test_what_is_kept_and_not_read_yet_is_told(service, count, said):
    assert "not read yet" not in service.client.get("/").text + service.client.get("/queue").text
    for number in range(count):
        service.here.store.deliveries.add("alertmanager", {}, webhook(f"a{number}"))
    assert api(service)["sizes"]["unread"] == count
    assert api(service, "/api/incidents")["sizes"]["unread"] == count
    for page in ("/", "/queue"):
        assert said in _text(service.client.get(page).text)
    service.incident(webhook("b"))  # what comes next has all read
    assert api(service)["sizes"] == {"waiting": count + 1, "running": 0, "held": 0, "unread": 0}
    assert "not read yet" not in service.client.get("/").text


def test_an_empty_queue_says_so(service):
    assert "Running (0) Nothing. Waiting (0) Nothing." in _text(service.client.get("/queue").text)


def test_places_are_told_with_each_incident(service):
    low = service.incident(webhook("a", severity="info"))
    high = service.incident(webhook("b", severity="critical"))
    found = api(service, "/api/incidents")
    assert {one["id"]: one["place"] for one in found["incidents"]} == {low: 2, high: 1}
    assert found["sizes"]["waiting"] == 2
    one = api(service, f"/api/incidents/{low}")
    assert (one["place"], one["sizes"]["waiting"], one["sizes"]["running"]) == (2, 2, 0)
    service.here.store.set_run_state(high, "running")
    assert "Waiting: place 1 of 1 (1 running)." in _text(
        service.client.get(f"/incidents/{low}").text
    )
    listed = _text(service.client.get("/").text)
    assert "waiting: place 1 of 1" in listed
    assert "1 waiting, 1 running" in listed


def test_a_person_lets_a_run_go_first(service):
    first = service.incident(webhook("a", severity="critical"))
    second = service.incident(webhook("b", severity="info"))
    assert 'data-run="' not in service.client.get(f"/incidents/{first}").text
    assert (
        f'data-run="/api/incidents/{second}/run"' in service.client.get(f"/incidents/{second}").text
    )
    answer = service.client.post(f"/api/incidents/{second}/run", json={})
    assert (answer.status_code, answer.json()) == (202, {"incident_id": second, "place": 1})
    assert service.queue.asked == [first, second, second]


@pytest.mark.parametrize("state", ["running", "published", "failed"])
def test_what_does_not_wait_cannot_go_first(service, state):
    found = service.incident()
    service.here.store.set_run_state(found, state)
    answer = service.client.post(f"/api/incidents/{found}/run", json={})
    assert answer.status_code == 409
    assert state in answer.json()["error"]
    assert service.queue.asked == [found]


def test_a_page_of_another_origin_cannot_start_a_run(service):
    found = service.incident(webhook("a", severity="info"))
    service.incident(webhook("b", severity="critical"))
    for site in ("cross-site", "same-site"):
        answer = service.client.post(
            f"/api/incidents/{found}/run", headers={"Sec-Fetch-Site": site}
        )
        assert answer.status_code == 403
    assert service.here.store.line.place(found) == 2
    assert service.client.post("/api/incidents/inc-none/run", json={}).status_code == 404


def test_an_incident_in_a_maintenance_window_says_until_when_and_why(maintained):
    found = maintained.incident()
    assert maintained.queue.asked == []
    one = api(maintained, f"/api/incidents/{found}")
    assert (one["run_state"], one["held_because"], one["place"]) == ("held", WINDOW["reason"], None)
    assert one["held_until"] > one["opened_at"]
    page = maintained.client.get(f"/incidents/{found}").text
    text = _text(page)
    assert "Held for maintenance Until" in text
    assert "planned reload of the warehouse. The investigation starts then" in text
    assert f'data-run="/api/incidents/{found}/run"' in page
    assert "held for maintenance until" in _text(maintained.client.get("/").text)
    assert "0 waiting, 0 running, 1 held for maintenance" in _text(maintained.client.get("/").text)
    assert [held["id"] for held in api(maintained)["held"]] == [found]
    assert "Held for maintenance (1)" in _text(maintained.client.get("/queue").text)
    metrics = maintained.client.get("/metrics").text
    assert 'triagebook_runs{state="held"} 1.0' in metrics


def test_an_incident_that_was_over_before_the_end_says_that_nothing_was_run(maintained):
    found = maintained.incident()
    over = json.loads(webhook())
    over["alerts"][0]["status"] = "resolved"
    assert maintained.post(json.dumps(over).encode()).status_code == 202
    text = _text(maintained.client.get(f"/incidents/{found}").text)
    assert "Nothing was investigated The alerts were over before the maintenance window" in text
    assert "not investigated: maintenance" in _text(maintained.client.get("/").text)
    assert "Held for maintenance" not in _text(maintained.client.get("/queue").text)


def test_a_person_starts_a_run_in_a_maintenance_window(maintained):
    found = maintained.incident()
    answer = maintained.client.post(f"/api/incidents/{found}/run", json={})
    assert (answer.status_code, answer.json()["place"]) == (202, 1)
    assert maintained.queue.asked == [found]
    assert maintained.here.store.incident(found).run_state == "queued"


@pytest.mark.parametrize("gone", [False, True])
def test_what_was_held_is_released_after_a_restart(tmp_path, gone):
    now = now_utc()
    begin = now - timedelta(hours=2)
    window = {**WINDOW, "from": begin, "to": now + timedelta(hours=1)}
    with running(tmp_path, maintenance=[window]) as service:
        found = service.incident()
    # The file says another end now, or has the window no more: what it says now counts.
    left = [] if gone else [{**window, "to": begin + timedelta(hours=1)}]
    with running(tmp_path, maintenance=left) as service:
        deadline = time.monotonic() + 60
        while found not in service.queue.asked:
            assert time.monotonic() < deadline, "the run was not released"
            time.sleep(0.02)
        assert service.here.store.incident(found).run_state == "queued"


def test_a_silenced_incident_is_shown_as_such(service):
    found = service.incident()
    store = service.here.store
    (episode,) = store.open_episodes("alertmanager")
    assert store.set_silenced("alertmanager", episode.fingerprint, "s1", "drift: silenced by s1")
    assert "silenced in Alertmanager" in _text(service.client.get(f"/incidents/{found}").text)
    assert "silenced" in _text(service.client.get("/").text)
    assert api(service, f"/api/incidents/{found}")["silenced"] is True
    store.set_silenced("alertmanager", episode.fingerprint, None, "drift: no longer silenced")
    assert "silenced in Alertmanager" not in service.client.get(f"/incidents/{found}").text
    assert api(service, "/api/incidents")["incidents"][0]["silenced"] is False


def test_followers_hear_of_the_place_in_line(service):
    service.incident(webhook("a", severity="critical"))
    found = service.incident(webhook("b"))
    events = []
    with service.client.stream("GET", f"/api/incidents/{found}/events") as stream:
        lines = stream.iter_lines()
        for line in lines:
            if line.startswith("event: place"):
                events.append(json.loads(next(lines).removeprefix("data: ")))
                if len(events) == 2:
                    break
                service.client.post(f"/api/incidents/{found}/run", json={})
    assert [(one["place"], one["waiting"], one["running"]) for one in events] == [
        (2, 2, 0),
        (1, 2, 0),
    ]
