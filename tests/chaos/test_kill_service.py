"""kill -9 of the service in the middle of a notebook: the run finishes once, nothing is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from triagebook.core.models import Alert, IncidentType
from triagebook.core.paths import Home
from triagebook.incidents.lifecycle import open_incident
from triagebook.incidents.routes import Route
from triagebook.incidents.store import Store
from triagebook.running.attempt import Attempt
from triagebook.running.processes import Identity, end, family, identify, is_alive
from triagebook.running.progress import read_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SERVICE = Path(__file__).with_name("service.py")

# A cell that is in the middle for ever the first time, and passes when it is executed again. The
# second kind is one long call into C, in which the kernel hears nothing, with a child beside it.
FIRST_TIME = (
    "import json, pathlib, subprocess, time\n"
    "mark = pathlib.Path(json.load(open('request.json'))['home']) / 'mark'\n"
    "again = mark.exists(); mark.touch()\n"
)
STUCK = {
    "sleeping": "time.sleep(0 if again else 300)",
    "busy in C": "again or subprocess.Popen(['sleep', '300'])\nagain or sum(range(10**12))",
}


def notebook(middle: str) -> dict[str, Any]:
    sources = ["print('first')", FIRST_TIME + middle, "print('last')"]
    cells = [
        {
            "id": f"c{n}",
            "cell_type": "code",
            "source": source,
            "metadata": {},
            "outputs": [],
            "execution_count": None,
        }
        for n, source in enumerate(sources)
    ]
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def open_run(home: Home, middle: str) -> str:
    runbooks = home.root / "runbooks"
    runbooks.mkdir(parents=True)
    (runbooks / "probe.ipynb").write_text(json.dumps(notebook(middle)))
    with Store.open(home) as store:
        alert = Alert(title="drift", labels={"alertname": "Drift"})
        return open_incident(store, alert, Route(IncidentType.DRIFT, None, "probe", "probe", {}))


@contextmanager
def service(home: Home) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, str(SERVICE), str(home.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        process.stdout.close()
        process.wait(30)


def wait_until(condition: Callable[[], bool], within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.02)


def run_state(home: Home, incident_id: str) -> str:
    with Store.open(home) as store:
        incident = store.incident(incident_id)
    assert incident is not None
    return incident.run_state


@contextmanager
def watched(path: Path, torn: list[str]) -> Iterator[None]:
    """Read the notebook all the time; whatever is no JSON goes to `torn`."""
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            try:
                json.loads(path.read_bytes())
            except FileNotFoundError:
                continue
            except ValueError as error:
                torn.append(str(error))

    reader = threading.Thread(target=look)
    reader.start()
    try:
        yield
    finally:
        over.set()
        reader.join()


def in_the_middle(home: Home, attempt: Attempt) -> bool:
    running = [line.cell for line in read_progress(attempt.folder) if line.status == "running"]
    return "c1" in running and (home.root / "mark").exists()


def noted(attempt: Attempt) -> list[Identity]:
    return [who for who, _ in attempt.processes()]


def finishes(home: Home, incident_id: str) -> None:
    """Start the service again and look at what it makes of the run."""
    attempt = Attempt(home.attempt_dir(incident_id, 1))
    with service(home):
        wait_until(lambda: run_state(home, incident_id) == "published", 60)
    found = list(home.run_dir(incident_id).rglob("investigation.ipynb"))
    assert found == [home.run_dir(incident_id) / "investigation.ipynb"]
    published = json.loads(found[0].read_bytes())
    assert [cell["metadata"]["papermill"]["status"] for cell in published["cells"]] == [
        "completed"
    ] * 3
    assert published["metadata"]["triagebook"]["status"] == "complete"
    with Store.open(home) as store:
        kinds = [entry.kind for entry in store.timeline(incident_id)]
        assert kinds.count("published") == 1
        assert [run.attempt for run in store.runs(incident_id)] == [1]
    # The lines of the execution that was cut short are gone, those of the whole one are there once.
    events = [line.event for line in read_progress(attempt.folder)]
    assert (events.count("executed"), events.count("published")) == (1, 1)
    assert family(noted(attempt)) == []


@pytest.mark.slow
@pytest.mark.parametrize("middle", STUCK.values(), ids=STUCK.keys())
def test_the_run_finishes_after_a_restart_and_no_process_is_left(home: Home, middle: str):
    incident_id = open_run(home, middle)
    attempt = Attempt(home.attempt_dir(incident_id, 1))
    torn: list[str] = []
    with watched(attempt.notebook, torn):
        with service(home) as running:
            wait_until(lambda: in_the_middle(home, attempt), 60)
            left = noted(attempt)
            assert len(left) == 2
            assert all(is_alive(who) for who in left)
            running.kill()
            running.wait()
            # By themselves, without a service to end them.
            wait_until(lambda: not any(is_alive(who) for who in left), 5)
            wait_until(lambda: family(left) == [], 5)
        assert run_state(home, incident_id) == "running"
        finishes(home, incident_id)
    assert torn == []


@pytest.mark.slow
def test_processes_that_outlived_the_service_are_ended_before_the_run_is_repeated(home: Home):
    incident_id = open_run(home, STUCK["sleeping"])
    attempt = Attempt(home.attempt_dir(incident_id, 1))
    with service(home) as running:
        wait_until(lambda: in_the_middle(home, attempt), 60)
        running.kill()
        running.wait()
        wait_until(lambda: family(noted(attempt)) == [], 5)

    # Stands for a runner that did not hear that its service is gone.
    stray = subprocess.Popen(["sleep", "300"], start_new_session=True)
    try:
        who = identify(stray.pid)
        assert who is not None
        attempt.note_process("kernel", who)
        finishes(home, incident_id)
        assert stray.wait(5) == -signal.SIGKILL
    finally:
        stray.kill()
        stray.wait()


@pytest.mark.slow
def test_all_killed_at_once_the_run_still_finishes(home: Home):
    incident_id = open_run(home, STUCK["sleeping"])
    attempt = Attempt(home.attempt_dir(incident_id, 1))
    with service(home) as running:
        wait_until(lambda: in_the_middle(home, attempt), 60)
        left = noted(attempt)
        os.kill(running.pid, signal.SIGKILL)
        end(left)
        running.wait()
    finishes(home, incident_id)
