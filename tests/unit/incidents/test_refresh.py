"""When a notebook is executed again: planned, moved on, taken once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from triagebook.core.errors import NotFoundError, RunUnderWayError
from triagebook.core.settings import Settings
from triagebook.incidents.applying import Over
from triagebook.incidents.lifecycle import apply_delivery
from triagebook.incidents.refresh import LONGEST_WAITS, Refreshing
from triagebook.incidents.routes import route
from triagebook.incidents.store import Store

WAIT_S, EVERY_S = 30, 1_800


class World:
    """A store with a clock, settings, and what alerts and runs do to an incident."""

    def __init__(self, store, root, clock, drift, **refresh):
        self.store, self.root, self.clock, self.drift = store, root, clock, drift
        self.settings = Settings(service=[{"name": "flight-delay"}], refresh=refresh)
        self.policy = Refreshing.of(self.settings.refresh)

    def post(self, status="firing", fingerprint="f1", **labels):
        name = self.store.deliveries.add("alertmanager", {}, b"{}")
        applied = apply_delivery(
            self.store,
            name,
            [self.drift(status, fingerprint=fingerprint, **labels)],
            lambda alert: route(alert, self.settings, self.root),
            Over.of(self.settings),
        )
        return applied.incidents[0]

    def run(self, name, *states):
        for state in states or ("running", "published"):
            self.store.set_run_state(name, state)

    def plan(self, name):
        """Return how long until the next run, in seconds, and why."""
        incident = self.store.incident(name)
        if incident.refresh_at is None:
            return None
        return (incident.refresh_at - self.clock.now).total_seconds(), incident.refresh_why

    def take(self, name):
        return self.store.refreshes.take(name, self.policy)


@pytest.fixture
def make(store, tmp_path, clock, drift):
    return lambda **refresh: World(store, tmp_path, clock, drift, **refresh)


@pytest.fixture
def world(make):
    return make()


def test_an_alert_that_joins_after_the_run_began_has_it_run_again(world, store, clock):
    name = world.post()
    world.run(name, "running")
    clock.go_on(5)
    world.post(fingerprint="f2")
    assert world.plan(name) == (WAIT_S, "joined")
    clock.go_on(WAIT_S)
    assert store.refreshes.due() == []  # a run is under way
    assert world.take(name) is None
    world.run(name, "published")
    assert store.refreshes.due() == [name]
    assert world.take(name) == 2
    incident = store.incident(name)
    assert (incident.run_state, incident.attempt) == ("queued", 2)
    assert [run.state for run in store.runs(name)] == ["published", "queued"]
    assert store.timeline(name)[-1].text == "run 2 of drift queued: alerts joined"
    assert store.runs_to_do() == [name]


def test_an_alert_that_joins_before_the_run_began_is_in_it_anyway(world, store):
    name = world.post()
    world.post(fingerprint="f2")
    assert world.plan(name) == (EVERY_S, "scheduled")
    assert len(store.told(name)) == 2


@pytest.mark.parametrize(("later_s", "due"), [(-0.001, False), (0, True), (0.001, True)])
def test_it_waits_for_those_that_join_after(world, store, clock, later_s, due):
    name = world.post()
    world.run(name)
    for number in range(2, 5):
        clock.go_on(WAIT_S - 1)
        world.post(fingerprint=f"f{number}")
    clock.go_on(WAIT_S + later_s)
    assert (store.refreshes.due() == [name]) is due
    assert (world.take(name) == 2) is due


def test_it_does_not_wait_for_ever(world, store, clock):
    name = world.post()
    world.run(name)
    began = clock.now
    number = 1
    while not store.refreshes.due():
        number += 1
        world.post(fingerprint=f"f{number}")
        clock.go_on(WAIT_S - 1)
    assert clock.now - began <= timedelta(seconds=(LONGEST_WAITS + 1) * WAIT_S)


@pytest.mark.parametrize("on", [True, False])
def test_the_end_is_looked_at_as_well(make, clock, on):
    world = make(on_resolve=on)
    name = world.post()
    world.run(name)
    world.post("resolved")
    assert world.plan(name) == ((WAIT_S, "resolved") if on else None)
    if on:
        clock.go_on(WAIT_S)
        assert world.take(name) == 2
        assert world.plan(name) is None  # over: nothing is repeated


def test_an_end_without_a_look_leaves_what_joined_planned(make):
    world = make(on_resolve=False)
    name = world.post()
    world.run(name)
    world.post(fingerprint="f2")
    world.post("resolved")
    world.post("resolved", fingerprint="f2")
    assert world.plan(name) == (WAIT_S, "joined")


def test_an_end_before_the_run_began_needs_no_other(world):
    name = world.post()
    world.post("resolved")
    assert world.plan(name) is None


def test_firing_again_plans_anew(world, clock):
    name = world.post()
    world.run(name)
    world.post("resolved")
    clock.go_on(5)
    world.post()
    assert world.plan(name) == (WAIT_S, "reopened")
    clock.go_on(WAIT_S)
    assert world.take(name) == 2
    assert world.plan(name) == (EVERY_S, "scheduled")


def test_over_and_firing_before_the_run_began_keeps_the_schedule(world):
    name = world.post()
    world.post("resolved")
    world.post()
    assert world.plan(name) == (EVERY_S, "scheduled")


@pytest.mark.parametrize("at_most", [0, 1, 3])
def test_while_it_goes_on_it_is_run_by_the_clock_but_not_for_ever(make, store, clock, at_most):
    world = make(every=60, at_most=at_most)
    name = world.post()
    world.run(name)
    taken = []
    for _ in range(6):
        clock.go_on(60)
        taken += [world.take(one) for one in store.refreshes.due()]
        if store.incident(name).run_state == "queued":
            world.run(name)
    assert taken == list(range(2, 2 + at_most))
    assert world.plan(name) is None


def test_runs_for_other_reasons_do_not_count(make, store, clock):
    world = make(every=60, at_most=1)
    name = world.post()
    world.run(name)
    for _ in range(3):
        store.refreshes.ask(name)
        world.take(name)
        world.run(name)
    assert world.plan(name) == (60, "scheduled")
    clock.go_on(60)
    assert world.take(name) == 5
    assert world.plan(name) is None


def test_never_by_the_clock(make, clock):
    world = make(every=0)
    name = world.post()
    assert world.plan(name) is None
    world.run(name)
    clock.go_on(10 * EVERY_S)
    assert world.take(name) is None


def test_settings_that_were_changed_count_for_what_is_planned(make, store, clock):
    name = make(every=60).post()
    later = make(every=0)
    later.run(name)
    clock.go_on(60)
    assert later.take(name) is None
    assert store.incident(name).refresh_at is None


def test_a_run_that_failed_is_tried_again_by_the_clock(world, clock):
    name = world.post()
    world.run(name, "running", "failed")
    clock.go_on(EVERY_S)
    assert world.take(name) == 2


def test_a_run_that_is_asked_for_comes_at_once_and_keeps_its_parameters(world, store):
    name = world.post()
    world.run(name)
    assert store.refreshes.ask(name, {"window_h": 6}) == 2
    assert world.plan(name) == (0, "asked")
    assert world.take(name) == 2
    assert world.take(name) is None  # once
    world.run(name)
    store.refreshes.ask(name, {"at": "x"})
    assert world.take(name) == 3
    assert store.incident(name).parameters == {"window_h": 6, "at": "x"}


def test_what_joins_does_not_put_off_what_is_asked_for(world, store):
    name = world.post()
    world.run(name, "running")
    store.refreshes.ask(name)
    world.post(fingerprint="f2")
    assert world.plan(name) == (0, "asked")


def test_nobody_s_incident_is_not_found(store, world):
    for act in (store.refreshes.ask, store.refreshes.begin_here, world.take):
        with pytest.raises(NotFoundError, match="inc-none"):
            act("inc-none")


@pytest.mark.parametrize("state", ["queued", "running", "published", "failed"])
def test_a_run_here_begins_once_the_last_one_has_ended(world, store, state):
    name = world.post()
    if state != "queued":
        world.run(name, state)
    if state in {"queued", "running"}:
        with pytest.raises(RunUnderWayError, match=f"run 1 of {name} is {state}"):
            store.refreshes.begin_here(name)
        return
    assert store.refreshes.begin_here(name, {"window_h": 6}, at_least=4) == 4
    incident = store.incident(name)
    assert (incident.run_state, incident.attempt) == ("running", 4)
    assert incident.parameters == {"window_h": 6}
    assert store.runs(name)[-1].started_at == world.clock.now
    with pytest.raises(RunUnderWayError):
        store.refreshes.begin_here(name)


def test_plans_survive_a_restart_and_are_taken_once_by_many(world, store, clock):
    name = world.post()
    world.run(name)
    world.post(fingerprint="f2")
    store.close()
    clock.go_on(WAIT_S)
    url = store.database.url.render_as_string(hide_password=False)
    several = [Store(url, clock=clock) for _ in range(4)]
    try:
        with ThreadPoolExecutor(4) as pool:
            taken = list(pool.map(lambda one: one.refreshes.take(name, world.policy), several))
    finally:
        for one in several:
            one.close()
    assert sorted(taken, key=bool) == [None, None, None, 2]
