"""Real `triagebook worker` processes, each with a home of its own, on one Postgres and one runs folder."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

import psycopg

from triagebook.core.models import Alert, IncidentType
from triagebook.core.paths import Home
from triagebook.core.settings import load_settings
from triagebook.core.times import now_utc
from triagebook.incidents.lifecycle import open_incident
from triagebook.incidents.routes import Route
from triagebook.incidents.store import Store
from triagebook.running.attempt import Attempt
from triagebook.running.progress import read_progress

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.live.postgres import Postgres

LIMIT_S = 90

# Every execution leaves a line in the incident's folder. The first one stays in the middle for
# ever, the later ones pass.
STUCK_ONCE = (
    "import os, pathlib, time\n"
    "told = pathlib.Path.cwd().parent / 'told'\n"
    "first = not told.exists()\n"
    "with told.open('a') as f: f.write(f'{pathlib.Path.cwd().name}\\n')\n"
    "while first: time.sleep(0.05)"
)


def make_notebook(*sources: str) -> str:
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
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def wait_until(what: str, condition: Callable[[], Any], within_s: float = LIMIT_S) -> Any:
    deadline = time.monotonic() + within_s
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        time.sleep(0.02)
    return answer


@dataclass
class Worker:
    """A worker's process and its home."""

    name: str
    home: Path
    process: subprocess.Popen[str]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def log(self) -> str:
        return (self.home / "worker.log").read_text(errors="replace")


class Site:
    """A database, a folder of runs, a runbook `probe`, and as many workers as are started."""

    def __init__(self, root: Path, server: Postgres, *cells: str) -> None:
        self.root = root
        self.server = server
        self.url = server.database()
        self.shared = root / "shared"
        self.cells = cells
        self._leave = ExitStack()
        self.workers: list[Worker] = []
        self.home = Home(self.make_home("client"), self.shared)
        self.settings = load_settings(self.home.config)
        self.store = self._leave.enter_context(Store.open(self.home, self.settings))
        # What is opened here waits for a while already, so that the workers queue it at once.
        self.store.clock = lambda: now_utc() - timedelta(minutes=1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            worker.thaw()
            worker.kill()
        self._leave.close()

    def start(self, name: str, *more: str, url: str | None = None, wait: bool = True) -> Worker:
        home = self.make_home(name, url)
        command = [sys.executable, "-m", "triagebook", "worker", "--home", str(home)]
        command += ["--id", name, "--json", "--until-stdin-closes", *more]
        with (home / "worker.log").open("ab") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )
        worker = Worker(name, home, process)
        self.workers.append(worker)
        self._leave.callback(lambda: [pipe.close() for pipe in (process.stdin, process.stdout)])
        if wait:
            line = process.stdout.readline()
            assert line, worker.log()
            assert json.loads(line) == {"worker": name, "pid": process.pid}
        return worker

    def open_run(self) -> str:
        alert = Alert(title="drift", labels={"alertname": "Drift"})
        route = Route(IncidentType.DRIFT, None, "probe", "probe", {})
        return open_incident(self.store, alert, route)

    def attempt(self, incident: str, number: int = 1) -> Attempt:
        return Attempt(self.home.attempt_dir(incident, number))

    def told(self, incident: str) -> list[str]:
        """Return which attempts got to the middle, in order."""
        path = self.home.run_dir(incident) / "attempts" / "told"
        return path.read_text().split() if path.exists() else []

    def in_the_middle(self, incident: str, number: int = 1) -> bool:
        lines = read_progress(self.attempt(incident, number).folder)
        at_it = any(line.cell == "c1" and line.status == "running" for line in lines)
        return at_it and str(number) in self.told(incident)

    def executor(self, incident: str, number: int = 1) -> Worker:
        """Return who executes a run."""
        names = self.ask(
            "SELECT executor_id FROM triagebook_queue.workflow_status WHERE workflow_uuid = %s",
            f"run:{incident}:{number}",
        )
        name = names[0][0].partition(":")[0]
        return next(worker for worker in self.workers if worker.name == name)

    def queue_state(self, incident: str, number: int) -> str | None:
        rows = self.ask(
            "SELECT status FROM triagebook_queue.workflow_status WHERE workflow_uuid = %s",
            f"run:{incident}:{number}",
        )
        return rows[0][0] if rows else None

    def ask(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url) as connection:
            return connection.execute(query, values).fetchall()

    def state(self, incident: str) -> tuple[str, int]:
        view = self.store.incident(incident)
        assert view is not None
        return view.run_state, view.attempt

    def published_once(self, incident: str, attempt: int) -> None:
        """Look at all that says that a run was published, and that it was once."""
        kinds = [entry.kind for entry in self.store.timeline(incident)]
        assert kinds.count("published") == 1, kinds
        states = [run.state for run in self.store.runs(incident)]
        assert states == ["failed"] * (attempt - 1) + ["published"]
        run_dir = self.home.run_dir(incident)
        content = json.loads((run_dir / "investigation.ipynb").read_bytes())
        assert content["metadata"]["triagebook"]["status"] == "complete"
        assert content["metadata"]["triagebook"]["attempt"] == attempt
        events = [line.event for line in read_progress(self.attempt(incident, attempt).folder)]
        assert (events.count("executed"), events.count("published")) == (1, 1)
        assert not list(run_dir.glob("attempts/*-replaced"))

    @staticmethod
    def notebook(*sources: str) -> str:
        """Return a runbook of code cells c0, c1, …"""
        return make_notebook(*sources)

    def make_home(self, name: str, url: str | None = None) -> Path:
        home = self.root / name
        if not home.exists():
            (home / "runbooks").mkdir(parents=True)
            for name_ in ("probe", "drift"):
                (home / "runbooks" / f"{name_}.ipynb").write_text(self.notebook(*self.cells))
            (home / "triagebook.toml").write_text(
                "[server]\n"
                "warm = 0\n"
                'database = { file = "database-url" }\n'
                f'runs = "{self.shared}"\n'
                'notebooks = "runbooks"\n'
                "deadline = 120\n"
            )
            (home / "database-url").write_text(url or self.url)
            (home / "database-url").chmod(0o600)
        return home
