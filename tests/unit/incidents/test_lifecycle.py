from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from triagebook.core.models import Alert, IncidentType
from triagebook.incidents.applying import LONGEST_TITLE
from triagebook.incidents.lifecycle import apply_delivery, open_incident, outcome_of
from triagebook.incidents.routes import Route
from triagebook.incidents.tables import episodes


def kinds(store, name):
    return [entry.kind for entry in store.timeline(name)]


def episode_rows(store):
    with store.database.read() as connection:
        return [
            dict(row)
            for row in connection.execute(select(episodes).order_by(episodes.c.id)).mappings()
        ]


def test_a_new_alert_opens_an_incident_and_queues_its_run(store, deliver, drift, clock):
    (name,) = deliver(drift()).opened
    incident = store.incident(name)
    assert name == "inc-20130604-120000-00001"
    assert (incident.state, incident.run_state, incident.attempt) == ("open", "queued", 1)
    assert (incident.incident_type, incident.service) == (IncidentType.DRIFT, "flight-delay")
    assert incident.title == "drift f1"
    assert incident.opened_at == clock.now
    assert incident.alert.service == "flight-delay"
    assert incident.alert.incident_type is IncidentType.DRIFT
    assert kinds(store, name) == ["received", "queued"]
    assert store.runs_to_do() == [name]
    assert [run.state for run in store.runs(name)] == ["queued"]


def test_the_same_alert_again_opens_nothing(store, deliver, drift, clock):
    (name,) = deliver(drift()).opened
    clock.go_on(60)
    again = deliver(drift())
    assert (again.opened, again.incidents) == ([], [name])
    assert len(store.incidents()) == 1
    assert len(store.runs(name)) == 1
    assert len(store.alerts(name)) == 2
    (row,) = episode_rows(store)
    assert (row["alerts"], row["seen_at"]) == (2, clock.now)
    assert store.incident(name).updated_at == clock.now


def test_the_same_alert_with_another_start_is_the_same_episode(store, deliver, drift):
    deliver(drift())
    later = drift().model_copy(update={"starts_at": drift().starts_at + timedelta(hours=1)})
    assert deliver(later).opened == []
    (row,) = episode_rows(store)
    assert row["starts_at"] == later.starts_at


def test_resolved_closes_the_episode_and_the_incident(store, deliver, drift, clock):
    (name,) = deliver(drift()).opened
    clock.go_on(300)
    over = drift("resolved")
    assert deliver(over).incidents == [name]
    incident = store.incident(name)
    assert (incident.state, incident.resolved_at) == ("resolved", clock.now)
    (row,) = episode_rows(store)
    assert (row["closed_at"], row["ends_at"]) == (clock.now, over.ends_at)
    assert kinds(store, name) == ["received", "queued", "resolved"]


def test_resolved_with_another_start_closes_it_too(store, deliver, drift):
    (name,) = deliver(drift()).opened
    other = drift("resolved").model_copy(update={"starts_at": None})
    deliver(other)
    assert store.incident(name).state == "resolved"


def test_resolved_without_an_end_ends_now(store, deliver, drift, clock):
    deliver(drift())
    clock.go_on(5)
    deliver(drift("resolved").model_copy(update={"ends_at": None}))
    assert episode_rows(store)[0]["ends_at"] == clock.now


def test_resolved_that_nothing_waited_for_is_recorded_only(store, deliver, drift):
    applied = deliver(drift("resolved"))
    assert (applied.opened, applied.incidents) == ([], [])
    assert store.incidents() == []
    assert episode_rows(store) == []
    (kept,) = store.alerts()
    assert (kept.incident_id, kept.alert.status) == (None, "resolved")


def test_resolved_told_twice_changes_nothing(store, deliver, drift):
    (name,) = deliver(drift()).opened
    deliver(drift("resolved"))
    before = store.incident(name), store.timeline(name)
    deliver(drift("resolved"))
    assert (store.incident(name), store.timeline(name)) == before


def test_firing_after_the_end_is_a_new_incident(store, deliver, drift):
    (first,) = deliver(drift()).opened
    deliver(drift("resolved"))
    (second,) = deliver(drift()).opened
    assert first != second
    assert store.incident(first).state == "resolved"
    assert store.incident(second).state == "open"


def test_an_incident_ends_with_its_last_episode(store, deliver, drift):
    pair = drift(fingerprint="f1"), drift(fingerprint="f2")
    (name,) = deliver(*pair).opened
    deliver(drift("resolved", fingerprint="f1"))
    assert store.incident(name).state == "open"
    deliver(drift("resolved", fingerprint="f2"))
    assert store.incident(name).state == "resolved"
    assert kinds(store, name) == ["received", "queued", "joined", "cleared", "resolved"]


def test_alerts_of_one_delivery_share_an_incident_per_service_and_type(store, deliver, drift):
    applied = deliver(
        drift(fingerprint="a"),
        drift(fingerprint="b"),
        drift(fingerprint="c", service="churn"),
        drift(fingerprint="d", incident_type="latency"),
    )
    assert len(applied.opened) == 3
    assert {(i.service, i.incident_type.value) for i in store.incidents()} == {
        ("flight-delay", "drift"),
        ("churn", "drift"),
        ("flight-delay", "latency"),
    }
    assert len(store.runs_to_do()) == 3


def test_alerts_of_two_deliveries_do_not(deliver, drift):
    (first,) = deliver(drift(fingerprint="a")).opened
    (second,) = deliver(drift(fingerprint="b")).opened
    assert first != second


def test_an_alert_that_comes_to_a_firing_group_joins_its_incident(store, deliver, drift):
    (name,) = deliver(drift(fingerprint="a")).opened
    applied = deliver(drift(fingerprint="b"), drift(fingerprint="a"))
    assert (applied.opened, applied.incidents) == ([], [name])
    assert store.runs_to_do() == [name]


def test_an_alert_does_not_join_what_is_over(store, deliver, drift):
    (name,) = deliver(drift(fingerprint="a")).opened
    (second,) = deliver(drift("resolved", fingerprint="a"), drift(fingerprint="b")).opened
    assert store.incident(name).state == "resolved"
    assert store.incident(second).state == "open"


def test_over_and_firing_again_in_one_delivery_is_two_incidents(store, deliver, drift):
    (name,) = deliver(drift()).opened
    (second,) = deliver(drift("resolved"), drift()).opened
    assert [i.id for i in store.incidents()] == [second, name]


def test_unknown_services_are_correlated_by_what_they_are_called(deliver, drift):
    applied = deliver(
        drift(fingerprint="a", service="who"),
        drift(fingerprint="b", service="who"),
        drift(fingerprint="c", service="else"),
    )
    assert len(applied.opened) == 2


def test_one_fingerprint_of_two_senders_is_two_episodes(deliver, drift):
    (first,) = deliver(drift(), sender="alertmanager").opened
    (second,) = deliver(drift(), sender="grafana").opened
    assert first != second


def test_a_delivery_is_applied_once(store, drift):
    name = store.deliveries.add("alertmanager", {}, b"{}")
    go = Route(IncidentType.DRIFT, None, "generic", "x")
    first = apply_delivery(store, name, [drift()], lambda _: go)
    assert apply_delivery(store, name, [drift()], lambda _: go) is None
    assert len(store.alerts()) == 1
    assert outcome_of(store, name) == first


def test_what_breaks_halfway_leaves_nothing(store, drift):
    name = store.deliveries.add("alertmanager", {}, b"{}")
    go = Route(IncidentType.DRIFT, None, "generic", "x")
    bad = drift(fingerprint="b")
    bad.annotations["x"] = object()  # JSON cannot hold it
    with pytest.raises(Exception, match="serialize"):
        apply_delivery(store, name, [drift(), bad], lambda _: go)
    assert store.incidents() == []
    assert store.alerts() == []
    assert [one.id for one in store.deliveries.unread()] == [name]


def test_the_database_itself_refuses_a_second_open_episode(store, deliver, drift):
    deliver(drift())
    (row,) = episode_rows(store)
    del row["id"]
    with pytest.raises(IntegrityError), store.database.write() as connection:
        connection.execute(insert(episodes), row)


def test_an_alert_without_fingerprint_is_known_by_its_labels(store, deliver, drift):
    nameless = drift().model_copy(update={"fingerprint": None})
    assert len(deliver(nameless).opened) == 1
    assert deliver(nameless).opened == []
    assert len(episode_rows(store)[0]["fingerprint"]) == 16


@pytest.mark.parametrize("length", [LONGEST_TITLE - 1, LONGEST_TITLE, LONGEST_TITLE + 1])
def test_a_long_title_is_cut(store, deliver, drift, length):
    title = "x" * length
    (name,) = deliver(drift().model_copy(update={"title": title})).opened
    kept = store.incident(name)
    assert (kept.title == title) is (length <= LONGEST_TITLE)
    assert len(kept.title) == min(length, LONGEST_TITLE)
    assert kept.alert.title == title


def test_a_name_that_is_taken_is_not_given_again(store, deliver, drift, monkeypatch):
    tails = iter(["d0000001", "same2", "d0000002", "same2", "other"])
    monkeypatch.setattr(store, "tail", lambda _: next(tails))
    monkeypatch.setattr(store.deliveries, "_tail", lambda _: next(tails))
    (first,) = deliver(drift(fingerprint="a")).opened
    (second,) = deliver(drift(fingerprint="b")).opened
    assert (first[-5:], second[-5:]) == ("same2", "other")


def test_an_incident_opened_by_hand_is_queued_like_any_other(store):
    go = Route(IncidentType.LATENCY, "flight-delay", "generic", "x", {"window_s": 60.0})
    name = open_incident(store, Alert(sender="hand"), go)
    incident = store.incident(name)
    assert (incident.title, incident.delivery_id) == ("an alert without a name", None)
    assert incident.parameters == {"window_s": 60.0}
    assert store.runs_to_do() == [name]
    assert len(store.alerts(name)) == 1
