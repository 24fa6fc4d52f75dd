"""An incident's rows, out of the store and back, on both databases."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from triagebook.core.errors import StoreError
from triagebook.core.models import Change
from triagebook.incidents import shelf
from triagebook.incidents.changes import Announced
from triagebook.incidents.lifecycle import apply_delivery
from triagebook.incidents.routes import route
from triagebook.incidents.tables import (
    alerts,
    deliveries,
    episodes,
    incident_words,
    incidents,
    runs,
    timeline,
)

ALL = (incidents, incident_words, episodes, alerts, runs, timeline, deliveries)
DAY_S = 86_400


def counts(store):
    with store.database.read() as connection:
        return {t.name: connection.scalar(select(func.count()).select_from(t)) for t in ALL}


def pictures(store, name):
    return (
        store.incident(name),
        [row.model_copy(update={"id": 0}) for row in store.alerts(name)],
        store.episodes(name),
        store.runs(name),
        store.timeline(name),
    )


def over(store, deliver, drift, clock, **labels):
    """Open an incident, publish its run, end it."""
    (name,) = deliver(drift(**labels)).opened
    store.set_run_state(name, "running")
    store.set_outcome(name, severity="SEV2", verdict="cause_found", headline="Größe: 漢字 'x' %")
    store.set_run_state(name, "published")
    clock.go_on(60)
    deliver(drift("resolved", **labels))
    with store.database.write() as connection:
        connection.execute(incidents.update().values(refresh_at=None, refresh_why=None))
    return name


@pytest.fixture
def ended(store, deliver, drift, clock):
    return over(store, deliver, drift, clock)


def test_out_and_back_is_the_same_in_every_row(store, deliver, drift, clock, ended):
    clock.go_on(DAY_S)
    other = over(store, deliver, drift, clock, fingerprint="f2", service="churn")
    before, all_before, others = pictures(store, ended), counts(store), pictures(store, other)
    content = shelf.rows_of(store, ended)
    body = store.deliveries.body(content["deliveries"][0]["id"])
    assert shelf.remove(store, ended, content, lambda: None)
    assert store.incident(ended) is None
    assert pictures(store, other) == others
    assert sum(counts(store).values()) < sum(all_before.values())
    # As a file keeps it.
    assert shelf.put_back(store, json.loads(json.dumps(content))) == ended
    assert pictures(store, ended) == before
    assert counts(store) == all_before
    assert store.deliveries.body(content["deliveries"][0]["id"]) == body
    assert [view.id for view in store.incidents()] == [other, ended]
    # All of it can be taken out again.
    assert shelf.remove(store, ended, shelf.rows_of(store, ended), lambda: None)


def test_what_is_there_is_not_put_back_twice(store, ended):
    content = shelf.rows_of(store, ended)
    before = counts(store)
    with pytest.raises(StoreError, match="in the store already"):
        shelf.put_back(store, content)
    assert counts(store) == before


def test_rows_that_are_none_are_refused_whole(store, ended):
    content = shelf.rows_of(store, ended)
    shelf.remove(store, ended, content, lambda: None)
    before = counts(store)
    broken = json.loads(json.dumps(content))
    broken["timeline"][-1]["ts"] = "yesterday"
    with pytest.raises(StoreError, match="cannot be put back"):
        shelf.put_back(store, broken)
    assert counts(store) == before


def test_an_incident_that_changed_meanwhile_stays(store, ended):
    content = shelf.rows_of(store, ended)
    store.add_note(ended, "doubted", "seen again")
    asked = []
    assert not shelf.remove(store, ended, content, lambda: asked.append(1))
    assert asked == []
    assert store.incident(ended) is not None


def test_what_fails_just_before_keeps_every_row(store, ended):
    content, before = shelf.rows_of(store, ended), counts(store)

    def no_room():
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        shelf.remove(store, ended, content, no_room)
    assert counts(store) == before


def test_a_delivery_of_two_incidents_goes_with_the_last(store, deliver, drift):
    opened = deliver(drift(), drift(fingerprint="f2", service="churn")).opened
    first, second = opened
    content = shelf.rows_of(store, first)
    shelf.remove(store, first, content, lambda: None)
    assert counts(store)["deliveries"] == 1
    kept = shelf.rows_of(store, second)
    shelf.remove(store, second, kept, lambda: None)
    assert counts(store) == dict.fromkeys(counts(store), 0)
    for one in (content, kept):
        shelf.put_back(store, one)
    assert counts(store)["deliveries"] == 1
    assert len(store.alerts(first)) == len(store.alerts(second)) == 1


def test_its_place_in_the_order_may_be_taken_by_now(store, deliver, drift, ended):
    content = shelf.rows_of(store, ended)
    shelf.remove(store, ended, content, lambda: None)
    # An empty SQLite counts from 1 again.
    (new,) = deliver(drift(fingerprint="f9", service="churn")).opened
    shelf.put_back(store, content)
    assert {view.id for view in store.incidents()} == {new, ended}
    assert len(store.episodes(ended)) == 1


def test_due_is_what_is_over_since_long_enough(store, deliver, drift, clock, ended):
    at = store.incident(ended).updated_at
    assert shelf.due(store, at) == []
    assert shelf.due(store, at + timedelta(microseconds=1)) == [ended]
    (still,) = deliver(drift(fingerprint="f2", service="churn")).opened
    assert shelf.due(store, clock.now + timedelta(days=9)) == [ended]
    assert store.incident(still).state == "open"


@pytest.mark.parametrize("state", ["queued", "running"])
def test_what_is_to_run_is_not_due(store, clock, ended, state):
    store.set_run_state(ended, state, attempt=2)
    assert shelf.due(store, clock.now + timedelta(days=9)) == []


@pytest.mark.usefixtures("ended")
def test_what_is_to_be_refreshed_is_not_due(store, clock):
    with store.database.write() as connection:
        connection.execute(incidents.update().values(refresh_at=clock.now))
    assert shelf.due(store, clock.now + timedelta(days=9)) == []


def test_deliveries_of_no_incident_are_loose(store, deliver, drift, clock, ended):
    deliver(drift("resolved", fingerprint="unknown"))
    odd = store.deliveries.add("generic", {}, b"\x00\xff{")
    store.deliveries.quarantine(odd, "no JSON")
    unread = store.deliveries.add("generic", {}, b"{}")
    content = shelf.loose(store, clock.now, 10)
    assert content["deliveries"] == []
    clock.go_on(1)
    content = shelf.loose(store, clock.now, 10)
    assert len(content["deliveries"]) == 2
    assert odd in {row["id"] for row in content["deliveries"]}
    assert len(content["alerts"]) == 1
    assert shelf.remove_loose(store, content, clock.now) == 2
    assert shelf.remove_loose(store, content, clock.now) == 0
    assert store.deliveries.get(unread) is not None
    assert len(store.alerts(ended)) == 2


def test_deliveries_that_told_of_changes_stay(store, settings, drift, clock, tmp_path):
    told = Announced("churn-model", Change(ts=clock.now, to="2"), "champion")
    alone = store.deliveries.add("mlflow", {}, b"{}")
    apply_delivery(store, alone, [], lambda _: None, announced=[told])
    both = store.deliveries.add("another", {}, b"{}")
    way = route(drift(), settings, tmp_path)
    (name,) = apply_delivery(store, both, [drift()], lambda _: way, announced=[told]).opened
    clock.go_on(DAY_S)
    assert shelf.loose(store, clock.now, 10)["deliveries"] == []
    assert shelf.remove(store, name, shelf.rows_of(store, name), lambda: None)
    assert store.incident(name) is None
    assert [view.delivery_id for view in store.changes.latest()] == [both, alone]
    assert store.deliveries.body(both) == b"{}"
