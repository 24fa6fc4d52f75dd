"""The line of runs: its order, places, and what moves a run in it."""

from __future__ import annotations

import threading
import time

import pytest
from sqlalchemy import insert

from triagebook.core.errors import NotFoundError
from triagebook.incidents.tables import incidents

SEVERITIES = ("info", "warning", "critical", "error", "critical", "info")


@pytest.fixture
def six(deliver, drift, clock):
    """Make incidents of six severities, a second apart."""
    names = []
    for number, severity in enumerate(SEVERITIES):
        clock.go_on(1)
        names += deliver(drift(fingerprint=f"f{number}", severity=severity)).opened
    return names


def test_the_most_urgent_goes_first_and_among_equals_the_oldest(store, six):
    order = [six[number] for number in (2, 4, 3, 1, 0, 5)]
    assert [one.id for one in store.line.standing().waiting] == order
    assert store.line.places(six) == {name: n for n, name in enumerate(order, 1)}
    assert [store.line.place(name) for name in order] == [1, 2, 3, 4, 5, 6]
    assert store.line.sizes().model_dump() == {"waiting": 6, "running": 0, "held": 0, "unread": 0}
    assert [one.id for one in store.line.standing(limit=2).waiting] == order[:2]


def test_only_what_waits_has_a_place(store, six):
    store.set_run_state(six[2], "running")
    store.set_run_state(six[3], "published")
    assert store.line.place(six[2]) is store.line.place(six[3]) is None
    assert store.line.place("inc-none") is None
    assert store.line.places([six[2], six[4], "inc-none"]) == {six[4]: 1}
    assert store.line.places([]) == {}
    assert [one.id for one in store.line.standing().running] == [six[2]]
    assert store.line.sizes().model_dump() == {"waiting": 4, "running": 1, "held": 0, "unread": 0}


def test_the_line_is_told_as_it_is_at_one_moment(store, six):
    """Runs that begin between two questions would be listed twice, or counted and not listed."""
    going = threading.Event()

    def begin_and_end():
        while not going.is_set():
            for name in six:
                store.set_run_state(name, "running")
                store.set_run_state(name, "queued")

    mover = threading.Thread(target=begin_and_end)
    mover.start()
    try:
        for _ in range(200):
            now = store.line.standing()
            names = [one.id for one in (*now.running, *now.waiting)]
            assert sorted(names) == sorted(six)
            assert (now.sizes.running, now.sizes.waiting) == (len(now.running), len(now.waiting))
    finally:
        going.set()
        mover.join()


def test_the_services_criticality_decides_among_equals(store, settings, deliver, drift):
    settings.services[1].criticality = "high"
    (first,) = deliver(drift()).opened
    (second,) = deliver(drift(fingerprint="f2", service="churn")).opened
    (third,) = deliver(drift(fingerprint="f3", service="nobody-knows-it")).opened
    assert [one.id for one in store.line.standing().waiting] == [second, first, third]


def test_a_more_severe_alert_that_joins_makes_it_more_urgent(store, deliver, drift):
    (first,) = deliver(drift(severity="warning")).opened
    (second,) = deliver(drift(fingerprint="g", service="churn", severity="error")).opened
    joined = deliver(drift(severity="warning"), drift(fingerprint="f2", severity="critical"))
    assert (joined.opened, joined.to_run) == ([], [first])
    assert [one.id for one in store.line.standing().waiting] == [first, second]
    assert [e.text for e in store.timeline(first) if e.kind == "raised"] == [
        "from normal to critical: drift f2"
    ]


def test_an_alert_that_gets_more_severe_itself_does_too(store, deliver, drift):
    (name,) = deliver(drift(severity="warning")).opened
    assert deliver(drift(severity="critical")).to_run == [name]
    assert store.incident(name).level == "critical"


def test_nothing_makes_it_less_urgent(store, deliver, drift):
    (name,) = deliver(drift(severity="critical")).opened
    assert (
        deliver(drift(severity="critical"), drift(fingerprint="f2", severity="info")).to_run == []
    )
    assert store.incident(name).level == "critical"


def test_a_run_that_is_done_is_remembered_as_more_urgent_and_not_told(store, deliver, drift):
    (name,) = deliver(drift(severity="warning")).opened
    store.set_run_state(name, "running")
    assert deliver(drift(severity="critical")).to_run == []
    assert store.incident(name).level == "critical"


def test_who_is_asked_for_goes_before_all_once(store, six, clock):
    assert store.line.hasten(six[0]) == "queued"
    assert store.line.place(six[0]) == 1
    assert store.line.hasten(six[2]) == "queued"
    assert [store.line.place(name) for name in (six[2], six[0])] == [1, 2]
    assert store.line.hasten(six[0]) == "queued"
    assert [e.kind for e in store.timeline(six[0])].count("raised") == 1
    assert store.incident(six[0]).level == "low"
    for state in ("running", "published"):
        store.set_run_state(six[0], state)
        assert store.line.hasten(six[0]) == state
    clock.go_on(1)
    store.set_run_state(six[0], "queued", attempt=2)
    assert store.line.place(six[0]) == 6


def test_nobody_asks_for_what_is_not_there(store):
    with pytest.raises(NotFoundError, match="inc-none"):
        store.line.hasten("inc-none")


def test_a_run_that_is_queued_again_waits_at_the_end_of_its_equals(store, six, clock):
    store.set_run_state(six[2], "published")
    clock.go_on(1)
    store.set_run_state(six[2], "queued", attempt=2)
    assert [one.id for one in store.line.standing().waiting][:2] == [six[4], six[2]]


def test_places_among_ten_thousand_are_found_at_once(store, deliver, drift, clock):
    (name,) = deliver(drift(severity="info")).opened
    row = {
        "incident_type": "drift",
        "title": "x",
        "state": "open",
        "opened_at": clock.now,
        "updated_at": clock.now,
        "run_state": "queued",
        "attempt": 1,
        "runbook": "drift",
        "parameters": {},
        "alert": {},
        "queued_at": clock.now,
    }
    with store.database.write() as connection:
        rows = [{**row, "id": f"inc-{n}", "priority": 110 + n % 30} for n in range(10_000)]
        connection.execute(insert(incidents), rows)
    began = time.process_time()
    for _ in range(5):
        assert store.line.places([name]) == {name: 10_001}
        assert store.line.place(name) == 10_001
        assert store.line.sizes().waiting == 10_001
        assert len(store.line.standing().waiting) == 100
    assert (time.process_time() - began) / 5 < 0.2
