"""The queue starts the most urgent first, takes over a priority that changes, and keeps to its rate.

Real store, intake and DBOS; what a run does is cut short, so that hundreds fit into seconds.
"""

from __future__ import annotations

import json
import shutil
import threading
import time
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from dbos import DBOS

from tests.payloads.alertmanager import build
from tests.unit.running.conftest import code
from tests.unit.running.test_queue import wait_until
from triagebook.core.settings import ServerSettings, Settings
from triagebook.incidents.store import Store
from triagebook.intake.receive import Intake
from triagebook.running import workflow
from triagebook.running.attempt import RunResult
from triagebook.running.line import in_line, put_in_line
from triagebook.running.queue import QUEUE, RunQueue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.running.conftest import WriteRunbook
    from triagebook.core.paths import Home
    from triagebook.running.attempt import Attempt

LIMIT_S = 120.0


class Gate:
    """In place of kernels: remembers which runs start and when, and lets them end once it is open."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.started: list[tuple[str, float]] = []

    def execute(self, attempt: Attempt, *, stop: threading.Event, start: object) -> RunResult:
        del start
        request = json.loads((attempt.folder / "request.json").read_text("utf-8"))
        self.started.append((request["incident_id"], time.monotonic()))
        while not self.open.wait(0.05):
            if stop.is_set():
                return RunResult("stopped")
        shutil.copy(attempt.folder / "request.json", attempt.notebook)
        return RunResult("executed", cells=1)

    @property
    def order(self) -> list[str]:
        return [name for name, _ in self.started]


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch, write_runbook: WriteRunbook) -> Gate:
    write_runbook(code("1"), name="generic")
    made = Gate()
    monkeypatch.setattr(workflow, "execute_attempt", made.execute)
    return made


@pytest.fixture
def store(home: Home) -> Iterator[Store]:
    with Store.open(home) as opened:
        yield opened


def chosen() -> dict[str, int]:
    """Return when the queue chose each incident's run, in ms; two may be chosen at one look."""
    found = DBOS.list_workflows(queue_name=QUEUE, load_input=False, load_output=False)
    return {one.workflow_id.split(":")[1]: one.dequeued_at or 0 for one in found}


class Service:
    """The intake and the queue of one home, one run at once."""

    def __init__(self, home: Home, store: Store, **server: object) -> None:
        known = {"notebooks": "runbooks", "deadline": 60, "concurrency": 1, "warm": 0, **server}
        self.settings = Settings(server=ServerSettings(**known))
        self.store = store
        self.queue = RunQueue(home, self.settings, store)
        self.intake = Intake(store, self.settings, home.root, self.queue.enqueue)

    def post(self, *alerts: dict[str, object]) -> list[str]:
        opened = self.intake.accept("alertmanager", {}, build.body(*alerts)).opened
        assert self.intake.wait_told(LIMIT_S)
        return opened

    def alert(self, service: str, severity: str, **labels: str) -> str:
        one = build.alert(service=service, severity=severity, incident_type="", **labels)
        [name] = self.post(one)
        return name

    def done(self) -> bool:
        return self.store.unfinished() == []


def test_the_most_urgent_starts_first(home: Home, store: Store, gate: Gate):
    service = Service(home, store)
    with service.queue:
        begun = service.alert("a", "info")
        wait_until(lambda: gate.order == [begun])
        names = {
            severity: service.alert(severity, severity)
            for severity in ("info", "warning", "critical", "error", "page")
        }
        order = [names[one] for one in ("critical", "page", "error", "warning", "info")]
        assert [one.id for one in store.line.standing().waiting] == order
        gate.open.set()
        wait_until(service.done, LIMIT_S)
    assert gate.order == [begun, *order]


def test_a_priority_that_rises_while_waiting_is_taken_over(home: Home, store: Store, gate: Gate):
    service = Service(home, store)
    with service.queue:
        begun = service.alert("a", "info")
        wait_until(lambda: gate.order == [begun])
        first, second, third = (service.alert(one, "warning") for one in ("b", "c", "d"))
        known = build.alert(service="d", severity="warning", incident_type="")
        joins = build.alert(service="d", severity="critical", incident_type="", instance="x")
        assert service.post(known, joins) == []
        store.line.hasten(second)
        service.queue.enqueue(second)
        gate.open.set()
        wait_until(service.done, LIMIT_S)
    assert gate.order == [begun, second, third, first]
    assert [len(store.runs(one)) for one in (first, second, third)] == [1, 1, 1]


def test_order_and_raised_priorities_survive_a_restart(home: Home, store: Store, gate: Gate):
    service = Service(home, store)
    with service.queue:
        begun = service.alert("a", "info")
        wait_until(lambda: gate.order == [begun])
        first, second = service.alert("b", "warning"), service.alert("c", "critical")
    # Told while no queue works: it is found at the next start.
    store.line.hasten(first)
    late = service.post(build.alert(service="z", severity="error", incident_type=""))
    assert service.intake.close(LIMIT_S)  # it would tell the queue of another test again
    gate.started.clear()
    gate.open.set()
    again = Service(home, store)
    with again.queue:
        wait_until(again.done, LIMIT_S)
    # What was begun goes on before anything else begins.
    assert gate.order == [begun, first, second, *late]
    assert len(gate.order) == len(set(gate.order))


def test_a_run_that_is_held_is_not_queued(home: Home, store: Store, gate: Gate):
    service = Service(home, store)
    window = {"from": "00:00", "to": "24:00", "reason": "planned"}
    service.settings.maintenance.extend(Settings(maintenance=[window]).maintenance)
    with service.queue:
        held = service.alert("a", "critical")
        service.queue.enqueue(held)
        service.queue.run_again(held)
        assert in_line(QUEUE) == {}
        gate.open.set()
        store.line.hasten(held)
        service.queue.enqueue(held)
        wait_until(service.done, LIMIT_S)
    assert gate.order == [held]


def test_runs_start_no_faster_than_the_rate(home: Home, store: Store, gate: Gate):
    gate.open.set()
    service = Service(home, store, concurrency=4, runs_per_minute=60)
    with service.queue:
        for name in ("a", "b", "c", "d"):
            service.alert(name, "critical")
        wait_until(service.done, LIMIT_S)
        moments = sorted(chosen().values())
    # Milliseconds are cut off, and the clock that counts is the database's.
    assert all(later - first >= 990 for first, later in pairwise(moments))
    assert len(moments) == 4


def test_without_a_rate_nothing_waits_for_it(home: Home, store: Store, gate: Gate):
    service = Service(home, store, concurrency=4)
    with service.queue:
        for name in ("a", "b", "c", "d"):
            service.alert(name, "info")
        wait_until(lambda: len(gate.started) == 4)
        gate.open.set()
        wait_until(service.done)


def test_a_run_that_nobody_knows_has_no_place(home: Home, store: Store, gate: Gate):
    service = Service(home, store)
    with service.queue:
        put_in_line("run:inc-none:1", 1)
        assert in_line(QUEUE) == {}
    assert gate.started == []


def test_a_storm_is_run_critical_first_and_nothing_is_lost(home: Home, store: Store, gate: Gate):
    """300 alerts of 60 services in 100 deliveries; one delivery in twenty is critical.

    Alerts of one service are one incident, and one critical alert makes it critical.
    """
    service = Service(home, store, concurrency=2)
    with service.queue:
        begun = [service.alert("first", "info"), service.alert("second", "info")]
        wait_until(lambda: sorted(gate.order) == sorted(begun))
        for number in range(100):
            severity = "critical" if number % 20 == 7 else ("warning", "info", "error")[number % 3]
            service.post(
                *(
                    build.alert(
                        service=f"s{number % 60}",
                        severity=severity,
                        incident_type="",
                        instance=f"{number}-{part}",
                    )
                    for part in range(3)
                )
            )
        everything = store.incidents(limit=1_000)
        assert len(store.alerts(limit=1_000)) == 302
        assert store.line.sizes().model_dump() == {
            "waiting": 60,
            "running": 2,
            "held": 0,
            "unread": 0,
        }
        expected = [one.id for one in store.line.standing(limit=1_000).waiting]
        gate.open.set()
        wait_until(service.done, LIMIT_S)
        moments = chosen()
    critical = [moments[one.id] for one in everything if one.level == "critical"]
    others = [moments[name] for name in expected[3:]]
    assert len(critical) == 3
    # The third and the first of the others may be chosen at one look, as two run at once.
    assert max(critical) <= min(others)
    assert sorted(gate.order[2:]) == sorted(expected)
    assert {one.run_state for one in store.incidents(limit=1_000)} == {"published"}
