"""The fence: whoever works on an attempt that is not the one that counts records nothing."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from triagebook.core.errors import SupersededError
from triagebook.core.models import Alert, IncidentType
from triagebook.incidents.lifecycle import open_incident
from triagebook.incidents.routes import Route
from triagebook.incidents.takeover import MOST_TAKEOVERS, current, queued_before, take_over


@pytest.fixture
def incident(store):
    route = Route(IncidentType.DRIFT, None, "drift", "drift", {})
    return open_incident(store, Alert(title="drift"), route)


def state(store, incident):
    view = store.incident(incident)
    return view.run_state, view.attempt


def test_the_next_attempt_is_queued_and_the_old_one_says_why(store, incident):
    store.set_run_state(incident, "running", attempt=1)
    assert take_over(store, incident, 1, "w1 is gone") == 2
    assert state(store, incident) == ("queued", 2)
    first, second = store.runs(incident)
    assert (first.state, first.message) == ("failed", "cut off: w1 is gone")
    assert first.ended_at is not None
    assert second.state == "queued"
    kinds = [entry.kind for entry in store.timeline(incident)]
    assert kinds == ["received", "queued", "started", "failed", "queued"]


def test_again_and_from_others_it_is_one(store, incident):
    assert [take_over(store, incident, 1, "gone") for _ in range(3)] == [2, 2, 2]
    assert len(store.runs(incident)) == 2


@pytest.mark.parametrize("ended", ["published", "failed"])
def test_what_has_ended_is_left_as_it_is(store, incident, ended):
    store.set_run_state(incident, ended, attempt=1)
    before = store.timeline(incident)
    assert take_over(store, incident, 1, "gone") == "ended"
    assert store.timeline(incident) == before


def test_an_incident_that_is_not_there_has_nothing_to_take_over(store):
    assert take_over(store, "inc-none", 1, "gone") == "ended"


def test_the_old_owner_records_nothing_any_more(store, incident):
    store.set_run_state(incident, "running", attempt=1, current_only=True)
    take_over(store, incident, 1, "gone")
    before = store.timeline(incident)
    for told in ("running", "published", "failed"):
        with pytest.raises(SupersededError, match="run 2 is the one that counts"):
            store.set_run_state(incident, told, attempt=1, current_only=True)
    with pytest.raises(SupersededError), current(store, incident, 1):
        pytest.fail("it must not get in")
    assert store.timeline(incident) == before
    store.set_run_state(incident, "running", attempt=2, current_only=True)
    with current(store, incident, 2):
        pass


def test_nobody_takes_over_what_is_just_being_published(store, incident):
    if not store.database.shared:
        with current(store, incident, 1):  # one process: nobody else is there
            store.add_note(incident, "started", "a write is not held up")
        return
    inside, taken = threading.Event(), threading.Event()

    def take() -> None:
        assert inside.wait(60)
        take_over(store, incident, 1, "gone")
        taken.set()

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    with current(store, incident, 1):
        inside.set()
        assert not taken.wait(0.5)
    thread.join()
    assert state(store, incident) == ("queued", 2)


def test_a_run_that_ends_every_worker_is_given_up(store, incident):
    for number in range(1, MOST_TAKEOVERS + 1):
        assert take_over(store, incident, number, "gone") == number + 1
    assert take_over(store, incident, MOST_TAKEOVERS + 1, "gone") == "given up"
    assert state(store, incident) == ("failed", MOST_TAKEOVERS + 1)
    last = store.runs(incident)[-1]
    assert "6 times in a row and is given up" in last.message


def test_only_those_in_a_row_count(store, incident):
    for number in range(1, MOST_TAKEOVERS + 1):
        take_over(store, incident, number, "gone")
    last = MOST_TAKEOVERS + 1
    store.set_run_state(incident, "published", attempt=last)
    store.set_run_state(incident, "queued", attempt=last + 1)
    assert take_over(store, incident, last + 1, "gone") == last + 2


def test_only_what_waits_since_before_is_listed(store, incident, clock):
    clock.go_on(1)
    later = open_incident(
        store, Alert(title="x"), Route(IncidentType.DRIFT, None, "drift", "drift", {})
    )
    now = clock.now
    assert queued_before(store, now, 10) == {incident: 1}
    assert queued_before(store, now - timedelta(seconds=1), 10) == {}
    assert queued_before(store, now + timedelta(seconds=1), 10) == {incident: 1, later: 1}
    assert queued_before(store, now + timedelta(seconds=1), 1) == {incident: 1}
    store.set_run_state(incident, "running")
    assert queued_before(store, now, 10) == {}
