from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from triagebook.core.errors import NotFoundError
from triagebook.core.models import IncidentType


@pytest.fixture
def name(deliver, drift):
    return deliver(drift()).opened[0]


def kinds(store, name):
    return [entry.kind for entry in store.timeline(name)]


def test_incidents_come_newest_first(store, deliver, drift, clock):
    names = []
    for number in range(3):
        clock.go_on(-10)  # whatever the clock says
        names += deliver(drift(fingerprint=f"f{number}")).opened
    assert [view.id for view in store.incidents()] == names[::-1]
    assert [view.id for view in store.incidents(limit=2)] == names[:0:-1]
    assert [view.id for view in store.incidents(limit=2, offset=2)] == names[:1]


def test_incidents_are_filtered(store, deliver, drift):
    deliver(drift(fingerprint="a"), drift(fingerprint="b", service="churn"))
    deliver(drift(fingerprint="c", incident_type="latency"))
    deliver(drift("resolved", fingerprint="c"))
    assert [view.service for view in store.incidents(service="churn")] == ["churn"]
    assert len(store.incidents(incident_type=IncidentType.DRIFT)) == 2
    assert len(store.incidents(incident_type="latency", state="resolved")) == 1
    assert store.incidents(incident_type="latency", state="open") == []


@pytest.mark.parametrize(
    ("text", "hits"), [("DRIFT F", 1), ("flight", 1), ("inc-2013", 1), ("%", 0), ("_", 0), ("", 1)]
)
def test_text_is_looked_for_as_it_stands(store, deliver, drift, text, hits):
    deliver(drift())
    assert len(store.incidents(text=text)) == hits


def test_text_is_looked_for_in_the_headline(store, name):
    store.set_outcome(name, severity="SEV2", verdict="cause_found", headline="Kilometres!")
    assert len(store.incidents(text="kilometres")) == 1


def test_a_run_s_states_are_in_the_timeline(store, name, clock):
    clock.go_on(1)
    store.set_run_state(name, "running")
    clock.go_on(9)
    store.set_run_state(name, "published", message="answer after 10 s")
    assert kinds(store, name) == ["received", "queued", "started", "published"]
    assert [entry.text for entry in store.timeline(name)[-2:]] == [
        "run 1 started",
        "answer after 10 s",
    ]
    (run,) = store.runs(name)
    assert (run.state, run.message) == ("published", "answer after 10 s")
    assert (run.started_at - run.queued_at).total_seconds() == 1
    assert (run.ended_at - run.queued_at).total_seconds() == 10
    assert store.incident(name).run_state == "published"


@pytest.mark.parametrize("state", ["queued", "published", "failed"])
def test_saying_the_same_again_changes_nothing(store, name, state):
    store.set_run_state(name, state)
    before = store.timeline(name)
    store.set_run_state(name, state)
    assert store.timeline(name) == before


def test_an_interrupted_run_starts_again(store, name):
    store.set_run_state(name, "running")
    store.set_run_state(name, "running")
    assert [entry.text for entry in store.timeline(name)[2:]] == [
        "run 1 started",
        "run 1 started again",
    ]


def test_a_further_attempt_is_a_further_run(store, name):
    store.set_run_state(name, "failed", message="the kernel died")
    store.set_run_state(name, "queued", attempt=2)
    assert [run.state for run in store.runs(name)] == ["failed", "queued"]
    incident = store.incident(name)
    assert (incident.attempt, incident.run_state) == (2, "queued")


def test_an_older_attempt_does_not_change_the_incident(store, name):
    store.set_run_state(name, "queued", attempt=2)
    store.set_run_state(name, "published", attempt=2)
    store.set_run_state(name, "failed", attempt=1)
    incident = store.incident(name)
    assert (incident.attempt, incident.run_state) == (2, "published")
    assert store.timeline(name)[-1].data == {"attempt": 1}


def test_runs_to_do_are_those_not_ended(store, deliver, drift):
    names = [deliver(drift(fingerprint=f"f{n}")).opened[0] for n in range(4)]
    store.set_run_state(names[1], "running")
    store.set_run_state(names[2], "published")
    store.set_run_state(names[3], "failed")
    assert store.runs_to_do() == names[:2]


def test_an_outcome_is_told_once(store, name):
    for _ in range(2):
        store.set_outcome(
            name,
            severity="SEV2",
            verdict="cause_found",
            headline="distance is in km",
            incident_type=IncidentType.DATA_QUALITY,
        )
    incident = store.incident(name)
    assert (incident.severity, incident.verdict) == ("SEV2", "cause_found")
    assert incident.incident_type is IncidentType.DATA_QUALITY
    assert kinds(store, name) == ["received", "queued", "diagnosed"]
    assert store.timeline(name)[-1].text == "SEV2: distance is in km"


def test_an_outcome_without_an_answer(store, name):
    store.set_outcome(name, severity=None, verdict="inconclusive", headline=None)
    assert store.timeline(name)[-1].text == "inconclusive"


def test_an_unknown_incident(store):
    with pytest.raises(NotFoundError, match="inc-none"):
        store.set_run_state("inc-none", "running")
    with pytest.raises(NotFoundError, match="inc-none"):
        store.set_outcome("inc-none", severity=None, verdict=None, headline=None)
    assert store.incident("inc-none") is None
    assert store.timeline("inc-none") == []


def test_counts(store, deliver, drift):
    assert store.counts().as_json() == {
        "incidents_by_state": {},
        "runs_by_state": {},
        "deliveries_by_status": {},
    }
    deliver(drift(fingerprint="a"))
    deliver(drift(fingerprint="b"))
    deliver(drift("resolved", fingerprint="b"))
    store.deliveries.add("a", {}, b"")
    counts = store.counts()
    assert counts.incidents_by_state == {"open": 1, "resolved": 1}
    assert counts.runs_by_state == {"queued": 2}
    assert counts.deliveries_by_status == {"processed": 3, "stored": 1}


def test_views_are_json_with_utc_times(store, name):
    views = [store.incident(name), *store.timeline(name), *store.alerts(), *store.runs(name)]
    text = json.dumps([view.as_json() for view in views])
    assert '"opened_at": "2013-06-04T12:00:00Z"' in text
    assert store.incident(name).opened_at.utcoffset().total_seconds() == 0


def test_alerts_come_newest_first(store, deliver, drift, name):
    deliver(drift(fingerprint="other"))
    deliver(drift("resolved"))
    assert [view.alert.status for view in store.alerts(name)] == ["resolved", "firing"]
    assert len(store.alerts()) == 3
    assert len(store.alerts(limit=1)) == 1


def test_many_threads_read_and_write_at_once(store, name):
    def work(attempt):
        store.set_run_state(name, "queued", attempt=attempt)
        store.set_run_state(name, "running", attempt=attempt)
        return store.incident(name).attempt

    with ThreadPoolExecutor(16) as pool:
        seen = list(pool.map(work, range(2, 34)))
    assert max(seen) == 33
    assert len(store.runs(name)) == 33
    assert len(store.timeline(name)) == 2 + 2 * 32
