"""The durable queue with the real store and real kernels."""

from __future__ import annotations

import json
import sqlite3
import time
from typing import TYPE_CHECKING, Any

import pytest
from dbos import DBOS

from tests.unit.running.conftest import code
from triagebook.core.errors import NotFoundError, RunError
from triagebook.core.models import Alert, IncidentType
from triagebook.core.settings import ServerSettings, Settings
from triagebook.incidents.lifecycle import open_incident
from triagebook.incidents.routes import Route
from triagebook.incidents.store import Store
from triagebook.running.attempt import RunResult
from triagebook.running.processes import family
from triagebook.running.progress import read_progress
from triagebook.running.queue import RunQueue
from triagebook.running.workflow import outcome, published_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.unit.running.conftest import WriteRunbook
    from triagebook.core.paths import Home

ANSWER = {
    "verdict": "cause_found",
    "severity": {"level": "SEV2", "because": ["x"]},
    "summary": "distance arrives in kilometres",
    "hypotheses": [{"headline": "unit change in features.distance"}],
}
WRITE_ANSWER = (
    f"import json, pathlib; pathlib.Path('diagnosis.json').write_text('''{json.dumps(ANSWER)}''')"
)


@pytest.fixture
def store(home: Home) -> Iterator[Store]:
    with Store.open(home) as opened:
        yield opened


def open_one(store: Store, runbook: str = "probe") -> str:
    alert = Alert(title="drift", labels={"alertname": "Drift"})
    route = Route(IncidentType.DRIFT, None, runbook, "probe", {})
    return open_incident(store, alert, route)


def wait_until(condition: Callable[[], bool], within_s: float = 60.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.02)


def state_of(store: Store, incident_id: str) -> str:
    incident = store.incident(incident_id)
    assert incident is not None
    return incident.run_state


def test_a_run_is_executed_published_and_recorded(
    home: Home, settings: Settings, store: Store, write_runbook: WriteRunbook
):
    write_runbook(code(WRITE_ANSWER), code("print('more')"))
    incident_id = open_one(store)
    with RunQueue(home, settings, store) as queue:
        name = queue.enqueue(incident_id)
        assert [queue.enqueue(incident_id) for _ in range(5)] == [name] * 5
        wait_until(lambda: state_of(store, incident_id) == "published")
        queue.enqueue(incident_id)

    incident = store.incident(incident_id)
    assert incident is not None
    assert (incident.severity, incident.verdict) == ("SEV2", "cause_found")
    assert incident.headline == "unit change in features.distance"
    kinds = [entry.kind for entry in store.timeline(incident_id)]
    assert [kinds.count(kind) for kind in ("started", "diagnosed", "published")] == [1, 1, 1]
    assert kinds.index("started") < kinds.index("diagnosed") < kinds.index("published")
    run_dir = home.run_dir(incident_id)
    assert json.loads((run_dir / "diagnosis.json").read_text()) == ANSWER
    json.loads((run_dir / "investigation.ipynb").read_text())
    assert read_progress(run_dir / "attempts" / "1")[-1].event == "published"
    assert name == f"run:{incident_id}:1"


def test_a_run_without_a_notebook_is_failed_with_its_reason(
    home: Home, settings: Settings, store: Store, write_runbook: WriteRunbook
):
    write_runbook(code("1"), name="broken").write_text("no JSON")
    broken = open_one(store, "broken")
    missing = open_one(store, "no-such-runbook")
    with RunQueue(home, settings, store):  # both are found by the look at the start
        wait_until(lambda: {state_of(store, broken), state_of(store, missing)} == {"failed"})

    said = {one: store.runs(one)[0].message or "" for one in (broken, missing)}
    assert "no notebook" in said[broken]
    assert "no runbook is called 'no-such-runbook'" in said[missing]
    assert read_progress(home.attempt_dir(broken, 1))[-1].event == "failed"


def test_a_partly_failed_notebook_is_published_and_says_so(
    home: Home, settings: Settings, store: Store, write_runbook: WriteRunbook
):
    write_runbook(code("1 / 0"), code("import os; os._exit(3)"), code("3"))
    incident_id = open_one(store)
    with RunQueue(home, settings, store):
        wait_until(lambda: state_of(store, incident_id) == "published")

    message = store.runs(incident_id)[0].message or ""
    assert "of 3 cells 2 failed, 1 not run" in message
    assert "exited with status 3" in message


def test_a_run_cut_off_by_close_is_taken_up_at_the_next_launch(
    home: Home, settings: Settings, store: Store, write_runbook: WriteRunbook
):
    # The first time it waits for ever; the second time the file is there, and it goes on.
    hang = (
        "import pathlib, time\n"
        "mark = pathlib.Path(json.load(open('request.json'))['home']) / 'mark'\n"
        "again = mark.exists(); mark.touch()\n"
        "time.sleep(0 if again else 300)"
    )
    write_runbook(code("import json"), code(hang))
    incident_id = open_one(store)
    with RunQueue(home, settings, store):
        wait_until((home.root / "mark").exists)
        began = time.monotonic()
    assert time.monotonic() - began < 8
    assert state_of(store, incident_id) == "running"

    with RunQueue(home, settings, store):
        wait_until(lambda: state_of(store, incident_id) == "published")
    assert [run.attempt for run in store.runs(incident_id)] == [1]


def test_the_runs_of_an_archived_incident_are_forgotten_and_no_others(
    home: Home, settings: Settings, store: Store, write_runbook: WriteRunbook
):
    write_runbook(code("1"))
    first, second = open_one(store), open_one(store)
    with RunQueue(home, settings, store) as queue:
        names = [queue.enqueue(first), queue.enqueue(second)]
        wait_until(lambda: all(state_of(store, one) == "published" for one in (first, second)))
        # Published is said before the run's last step is kept.
        wait_until(lambda: all(ended(name) for name in names))
        queue.forget([])
        queue.forget([first, "inc-never-was"])
        assert DBOS.get_workflow_status(names[0]) is None
        assert ended(names[1])


def ended(name: str) -> bool:
    status = DBOS.get_workflow_status(name)
    return status is not None and status.status == "SUCCESS"


def test_again_makes_a_new_attempt_and_keeps_the_old_one(
    home: Home, settings: Settings, store: Store, write_runbook: WriteRunbook
):
    write_runbook(code(WRITE_ANSWER))
    incident_id = open_one(store)
    with RunQueue(home, settings, store) as queue:
        wait_until(lambda: state_of(store, incident_id) == "published")
        assert queue.run_again(incident_id) == f"run:{incident_id}:2"
        wait_until(lambda: state_of(store, incident_id) == "published")

    run_dir = home.run_dir(incident_id)
    assert (run_dir / "attempts" / "1-replaced" / "investigation.ipynb").exists()
    notebook = json.loads((run_dir / "investigation.ipynb").read_text())
    assert notebook["metadata"]["triagebook"]["attempt"] == 2


def test_no_more_notebooks_at_once_than_configured(
    home: Home, store: Store, write_runbook: WriteRunbook
):
    write_runbook(code("import time; time.sleep(0.3)"))
    settings = Settings(
        server=ServerSettings(notebooks="runbooks", deadline=60, concurrency=1, warm=0)
    )
    incidents = [open_one(store) for _ in range(2)]
    most = 0

    def all_done() -> bool:
        nonlocal most
        states = [state_of(store, one) for one in incidents]
        most = max(most, states.count("running"))
        return states == ["published"] * 2

    with RunQueue(home, settings, store):
        wait_until(all_done)
    assert most == 1


def test_a_second_queue_on_one_home_is_refused(home: Home, settings: Settings, store: Store):
    with (
        RunQueue(home, settings, store) as first,
        pytest.raises(RunError, match="another triagebook service"),
    ):
        RunQueue(home, settings, store).launch()
    first.close()  # again is harmless


def test_an_unknown_incident_is_refused(home: Home, settings: Settings, store: Store):
    with RunQueue(home, settings, store) as queue, pytest.raises(NotFoundError, match="inc-none"):
        queue.enqueue("inc-none")


def test_nothing_in_the_queues_file_is_pickled(
    home: Home, settings: Settings, store: Store, write_runbook: WriteRunbook
):
    write_runbook(code("1"))
    incident_id = open_one(store)
    with RunQueue(home, settings, store):
        wait_until(lambda: state_of(store, incident_id) == "published")
    connection = sqlite3.connect(home.state / "queue.db")
    try:
        content = "\n".join(connection.iterdump())
        mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
    finally:
        connection.close()
    assert f'"positionalArgs":["{incident_id}",1]' in content
    assert "portable_json" in content
    assert "py_pickle" not in content
    assert mode == "wal"


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"severity": "SEV1", "verdict": 3, "hypotheses": {}, "summary": ["x"]},
        {"severity": None, "verdict": None, "hypotheses": [None]},
    ],
)
def test_an_answer_of_another_shape_costs_nothing_else(answer: dict[str, Any]):
    found = outcome(answer)
    assert (found.severity, found.verdict, found.headline) == (None, None, None)


def test_words_say_what_is_missing_in_a_published_notebook():
    assert published_words(RunResult("executed", cells=3)) == ""
    partial = RunResult("executed", "time was up", 5, ["a"], ["b"], ["c", "d"])
    assert published_words(partial) == (
        "published; of 5 cells 1 failed, 1 ran out of time, 2 not run (time was up)"
    )


def test_no_process_is_left(
    home: Home, settings: Settings, store: Store, write_runbook: WriteRunbook
):
    write_runbook(code("import time; time.sleep(300)"))
    incident_id = open_one(store)
    with RunQueue(home, settings, store) as queue:
        attempt = home.attempt_dir(incident_id, 1)
        wait_until(lambda: any(line.status == "running" for line in read_progress(attempt)))
        noted = [who for who, _ in queue._worked_in[-1].attempt(incident_id, 1).processes()]
        assert len(family(noted)) >= 2
    assert family(noted) == []
