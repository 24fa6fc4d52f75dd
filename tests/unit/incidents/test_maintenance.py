"""Runs held back in a maintenance window: opened, released, never run, and asked for by a person."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.unit.incidents.conftest import NOON
from triagebook.core.maintenance import MaintenanceSettings
from triagebook.core.settings import Settings
from triagebook.incidents.maintenance import Hold, Releaser, hold

HOUR = timedelta(hours=1)


def dated(begin, end, **more):
    span = {"from": NOON + begin * HOUR, "to": NOON + end * HOUR}
    return {**span, "reason": "planned reload of the warehouse", **more}


def windows(*given):
    return tuple(MaintenanceSettings(**one) for one in given)


def kinds(store, name):
    return [entry.kind for entry in store.timeline(name)]


@pytest.fixture
def settings():
    maintenance = [dated(-1, 2, services=["flight-delay"])]
    return Settings(service=[{"name": "flight-delay"}, {"name": "churn"}], maintenance=maintenance)


@pytest.fixture
def queued():
    return []


@pytest.fixture
def releaser(store, settings, tmp_path, queued):
    return Releaser(store, settings, tmp_path, queued.append)


def test_outside_all_windows_nothing_is_held():
    assert hold((), NOON) is None
    assert hold(windows(dated(1, 2)), NOON) is None


def test_windows_without_a_gap_are_one():
    one = hold(windows(dated(-1, 1, reason="a"), dated(-1, 2, reason="b"), dated(2, 3)), NOON)
    assert one == Hold(NOON + 3 * HOUR, "b")
    assert hold(windows(dated(-1, 1), dated(1.5, 3)), NOON).until == NOON + HOUR


def test_a_window_that_never_ends_holds_to_some_day():
    always = {"from": "00:00", "to": "24:00", "reason": "frozen"}
    assert hold(windows(always), NOON).until > NOON + 50 * 24 * HOUR


def test_an_alert_in_a_window_opens_an_incident_whose_run_is_held(store, deliver, drift):
    applied = deliver(drift())
    (name,) = applied.opened
    assert applied.to_run == []
    found = store.incident(name)
    assert (found.state, found.run_state, found.attempt) == ("open", "held", 1)
    assert (found.held_until, found.held_because) == (
        NOON + 2 * HOUR,
        "planned reload of the warehouse",
    )
    last = store.timeline(name)[-1]
    assert (last.kind, last.text) == (
        "held",
        "held until 2013-06-04 14:00 UTC: planned reload of the warehouse",
    )
    assert store.runs_to_do() == []
    assert [run.state for run in store.runs(name)] == ["held"]
    assert [one.id for one in store.line.standing().held] == [name]
    assert store.line.sizes().held == 1


def test_another_service_is_not_held(store, deliver, drift):
    applied = deliver(drift(service="churn"))
    assert applied.to_run == applied.opened
    assert store.incident(applied.opened[0]).run_state == "queued"


@pytest.mark.parametrize(("except_critical", "state"), [(False, "held"), (True, "queued")])
def test_a_critical_alert_is_held_unless_the_window_says_otherwise(
    store, settings, deliver, drift, except_critical, state
):
    settings.maintenance[0].except_critical = except_critical
    (name,) = deliver(drift(severity="critical")).opened
    assert store.incident(name).run_state == state
    (other,) = deliver(drift(fingerprint="f2", severity="warning")).opened
    assert store.incident(other).run_state == "held"


def test_a_run_is_released_at_the_end_of_its_window_not_before(
    store, deliver, drift, clock, releaser, queued
):
    (name,) = deliver(drift()).opened
    assert releaser.round() == []
    clock.go_on(2 * 3600 - 1)
    assert releaser.round() == []
    clock.go_on(1)
    assert releaser.round() == [name] == queued
    found = store.incident(name)
    assert (found.run_state, found.queued_at) == ("queued", clock.now)
    assert store.timeline(name)[-1].text == "run 1 queued: the maintenance window is over"
    assert [(run.state, run.queued_at) for run in store.runs(name)] == [("queued", clock.now)]
    assert releaser.round() == []
    assert store.runs_to_do() == [name]


def test_what_is_over_before_the_end_is_never_run(store, deliver, drift, clock, releaser, queued):
    (name,) = deliver(drift()).opened
    deliver(drift("resolved"))
    assert store.line.sizes().held == 0
    clock.go_on(3 * 3600)
    assert releaser.round() == queued == []
    assert (store.incident(name).state, store.incident(name).run_state) == ("resolved", "held")
    assert kinds(store, name) == ["received", "held", "resolved"]


def test_one_of_two_that_still_fires_is_enough(store, deliver, drift, clock, releaser):
    (name,) = deliver(drift(), drift(fingerprint="f2")).opened
    deliver(drift("resolved"))
    clock.go_on(2 * 3600)
    assert releaser.round() == [name]
    assert store.incident(name).run_state == "queued"


def test_an_alert_that_no_window_holds_ends_the_hold(store, settings, deliver, drift):
    settings.maintenance[0].except_critical = True
    (name,) = deliver(drift()).opened
    joined = deliver(drift(), drift(fingerprint="f2", severity="critical"))
    assert (joined.opened, joined.to_run) == ([], [name])
    found = store.incident(name)
    assert (found.run_state, found.level) == ("queued", "critical")
    assert kinds(store, name) == ["received", "held", "joined", "raised", "queued"]


def test_after_a_restart_what_the_file_says_now_counts(
    store, deliver, drift, clock, tmp_path, queued
):
    (name,) = deliver(drift()).opened
    longer = Settings(service=[{"name": "flight-delay"}], maintenance=[dated(-1, 5, reason="more")])
    assert Releaser(store, longer, tmp_path, queued.append).round() == []
    assert store.incident(name).held_until == NOON + 5 * HOUR
    assert store.timeline(name)[-1].text == "held until 2013-06-04 17:00 UTC: more"
    clock.go_on(2 * 3600)
    assert Releaser(store, longer, tmp_path, queued.append).round() == []
    assert len(kinds(store, name)) == 3  # said once
    without = Settings(service=[{"name": "flight-delay"}])
    assert Releaser(store, without, tmp_path, queued.append).round() == [name]


def test_a_window_that_begins_as_another_ends_holds_on(
    store, settings, deliver, drift, clock, releaser
):
    settings.maintenance.append(MaintenanceSettings(**dated(1.5, 4, services=["flight-delay"])))
    (name,) = deliver(drift()).opened
    assert store.incident(name).held_until == NOON + 4 * HOUR
    clock.go_on(2 * 3600)
    assert releaser.round() == []


def test_a_person_can_start_it_at_once_even_when_it_is_over(store, deliver, drift):
    (name,) = deliver(drift()).opened
    deliver(drift("resolved"))
    assert store.line.hasten(name) == "queued"
    found = store.incident(name)
    assert (found.run_state, found.priority < 100) == ("queued", True)
    assert store.timeline(name)[-1].text == "run 1 queued: asked for by a person"
    assert store.runs_to_do() == [name]


def test_many_are_released_together(store, deliver, drift, clock, releaser, queued):
    names = [deliver(drift(fingerprint=f"f{n}")).opened[0] for n in range(450)]
    clock.go_on(2 * 3600)
    assert releaser.round() == names == queued
    assert store.line.sizes().model_dump() == {"waiting": 450, "running": 0, "held": 0, "unread": 0}
