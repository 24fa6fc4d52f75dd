"""A storm of alerts against a real service: is all stored, what is run first, do the pages still answer.

The alerts are made up, so no folder is needed. The service is a process of its own on a free port, with
its own queue and real kernels; the notebook is a short one of its own folder (`server.notebooks`): a
storm is about the service around it. Alerts come as Alertmanager sends them, some of a service in one
POST.
"""

from __future__ import annotations

import json
import os
import platform
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from tests.payloads.alertmanager import build
from triagebook.cli.service_process import ServiceProcess
from triagebook.core.paths import Home

NEEDS_FOLDER = False
SERVICES = 300
IN_ONE_POST = 10
CRITICAL_SHARE = 0.01
POSTERS = 8
PAGES = ("/", "/api/incidents")
LOOK_EVERY_S = 0.25
CRITICAL_LIMIT_S = 1_800
REACH_PAGE_MS = 200
CHOICE = timedelta(seconds=1)
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Size:
    """How many alerts, and in how many seconds they are posted."""

    alerts: int
    within_s: float


SMALL, FULL = Size(1_000, 6), Size(10_000, 60)


def run(folder: Path | None = None, *, full: bool = False) -> dict[str, Any]:
    """Measure.

    Parameters
    ----------
    folder : Path or None
        Where the service's home may lie for a while, about 200 MB; None takes the system's.
    full : bool
        10,000 alerts in 60 s, which takes up to half an hour; else 1,000 in 6 s.
    """
    size = FULL if full else SMALL
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        home = Path(scratch)
        write_home(home)
        with ServiceProcess(Home(home), 0) as service:
            idle = Looks(service.url)
            idle.for_seconds(5)
            before = os.getloadavg()[0]
            posts, storm = play(service.url, size)
            loads = [round(load, 1) for load in (before, os.getloadavg()[0])]
            read_after_s = seconds_until_read(home)
            after = Looks(service.url)
            with after.meanwhile():
                wait_for_critical(home)
        found = stored(home)
    cases = [
        {"case": "machine", **machine(), "load_before_and_after_posting": loads},
        {
            "case": "size",
            **posts.said(),
            "read_after_s": read_after_s,
            "critical_alerts": round(size.alerts * CRITICAL_SHARE),
        },
        {"case": "stored", **found},
        *(
            {"case": f"pages, {when}", "page": page, **looks.said(page)}
            for when, looks in (("before", idle), ("in the storm", storm), ("after", after))
            for page in PAGES
        ),
    ]
    return {"score": score(cases, size), "cases": cases}


def score(cases: list[dict[str, Any]], size: Size) -> dict[str, Any]:
    """Return the figures that count."""
    kept = next(case for case in cases if case["case"] == "stored")
    posted = next(case for case in cases if case["case"] == "size")
    looks = [case for case in cases if case["case"] == "pages, in the storm"]
    return {
        "alerts_posted": size.alerts,
        "alerts_stored": kept["alerts"],
        "posted_in_s": posted["posted_in_s"],
        "read_after_s": posted["read_after_s"],
        "post_ms": posted["post_ms"],
        "critical_runs": kept["critical_done"],
        "runs_ahead_of_a_critical_one": kept["ahead_of_a_critical_one"],
        "pages_ms": {case["page"]: case["ms"] for case in looks},
        "pages_within_200_ms": all(case["ms"]["max"] <= REACH_PAGE_MS for case in looks),
    }


# --- the home ------------------------------------------------------------------------------------


def write_home(home: Path) -> None:
    """Write a home with its services and a short runbook."""
    services = "".join(f'[[service]]\nname = "s{n:03d}"\n' for n in range(SERVICES))
    server = '[server]\nport = 0\nnotebooks = "runbooks"\ndeadline = "120s"\n'
    (home / "triagebook.toml").write_text(server + services, encoding="utf-8")
    sources = [
        "import json",
        "request = json.load(open('request.json'))",
        "print(request['service'])",
    ]
    cells = [
        {
            "id": f"c{number}",
            "cell_type": "code",
            "source": source,
            "metadata": {},
            "outputs": [],
            "execution_count": None,
        }
        for number, source in enumerate(sources)
    ]
    notebook = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (home / "runbooks").mkdir()
    for name in ("generic", "drift"):
        (home / "runbooks" / f"{name}.ipynb").write_text(json.dumps(notebook), encoding="utf-8")


# --- the storm -----------------------------------------------------------------------------------


class Posts:
    """What became of the deliveries."""

    def __init__(self) -> None:
        self.took_ms: list[float] = []
        self.refused: list[str] = []
        self.tried_again = 0
        self.began = self.ended = time.monotonic()

    def said(self) -> dict[str, Any]:
        return {
            "deliveries": len(self.took_ms),
            "refused": len(self.refused),
            "tried_again": self.tried_again,
            "posted_in_s": round(self.ended - self.began, 1),
            "post_ms": quantiles(self.took_ms),
        }


def bodies(size: Size) -> list[bytes]:
    """Return the deliveries: each some alerts of one service, all different; 1 % are critical."""
    draw = random.Random(20130604)  # noqa: S311 - the same storm each time
    critical = set(draw.sample(range(size.alerts), round(size.alerts * CRITICAL_SHARE)))
    found = []
    for start in range(0, size.alerts, IN_ONE_POST):
        name = f"s{draw.randrange(SERVICES):03d}"
        alerts = [
            build.alert(
                service=name,
                severity="critical" if number in critical else draw.choice(["warning", "info"]),
                instance=f"i{number}",
                # Alerts of one type and service in one delivery are one incident.
                incident_type="drift" if number % 2 else "",
            )
            for number in range(start, min(start + IN_ONE_POST, size.alerts))
        ]
        found.append(build.body(*alerts))
    return found


def play(url: str, size: Size) -> tuple[Posts, Looks]:
    """Post everything, evenly over the time; look at the pages meanwhile."""
    posts, looks = Posts(), Looks(url)
    every = bodies(size)
    turn = iter(enumerate(every))
    lock = threading.Lock()
    posts.began = time.monotonic()

    def work() -> None:
        with httpx.Client(base_url=url, timeout=120) as client:
            while True:
                with lock:
                    number, body = next(turn, (None, b""))
                if number is None:
                    return
                due = posts.began + number * size.within_s / len(every)
                time.sleep(max(0.0, due - time.monotonic()))  # the storm's own pace
                _post(client, body, posts)

    with looks.meanwhile(), ThreadPoolExecutor(POSTERS) as pool:
        for done in [pool.submit(work) for _ in range(POSTERS)]:
            done.result()
        posts.ended = time.monotonic()
    return posts, looks


def _post(client: httpx.Client, body: bytes, posts: Posts) -> None:
    """Post as a sender does: again where it was not kept."""
    while True:
        began = time.perf_counter()
        answer = client.post("/intake/alertmanager", content=body)
        took = (time.perf_counter() - began) * 1_000
        if answer.status_code == 202:
            posts.took_ms.append(took)
            return
        posts.refused.append(answer.text)
        if answer.status_code != 503:
            return
        posts.tried_again += 1


class Looks:
    """How long pages take, asked from a process of its own, so that posting costs them nothing."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._took: dict[str, list[float]] = {page: [] for page in PAGES}

    def for_seconds(self, seconds: float) -> None:
        with self.meanwhile():
            time.sleep(seconds)  # what is measured is how it is in this time

    def meanwhile(self) -> _Looking:
        return _Looking(self._url, self._took)

    def said(self, page: str) -> dict[str, Any]:
        took = self._took[page]
        over = sum(one > REACH_PAGE_MS for one in took)
        return {"asked": len(took), "over_200_ms": over, "ms": quantiles(took)}


class _Looking:
    def __init__(self, url: str, took: dict[str, list[float]]) -> None:
        self._url, self._took = url, took

    def __enter__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.storm", self._url],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT / "lib")},
        )
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def __exit__(self, *_: object) -> None:
        said, _ = self._process.communicate()
        for page, took in json.loads(said).items():
            self._took[page] += took


def look(url: str) -> None:
    """Ask for the pages in turn until the standard input closes; print what each took, in ms."""
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    took: dict[str, list[float]] = {page: [] for page in PAGES}
    with httpx.Client(base_url=url, timeout=120) as client:
        client.get("/healthz")
        print(flush=True)  # noqa: T201 - the one who started us waits for it
        while not ended.wait(LOOK_EVERY_S):
            for page in PAGES:
                began = time.perf_counter()
                client.get(page).raise_for_status()
                took[page].append((time.perf_counter() - began) * 1_000)
    print(json.dumps(took))  # noqa: T201 - read by the one who started us


# --- what came of it -----------------------------------------------------------------------------


def ask(home: Path, query: str) -> list[Any]:
    """Ask the service's database, beside the service."""
    connection = sqlite3.connect(home / "state" / "triagebook.db", timeout=30)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


_UNREAD = "SELECT COUNT(*) FROM deliveries WHERE status = 'stored'"
_LEFT = (
    "SELECT COUNT(*) FROM incidents WHERE priority BETWEEN 110 AND 119 "
    "AND run_state IN ('queued', 'running')"
)
# An incident that a critical alert joined later is critical since then.
_RUNS = (
    "SELECT i.priority BETWEEN 110 AND 119, r.state, r.started_at, COALESCE((SELECT MAX(t.ts) FROM "
    "timeline t WHERE t.incident_id = i.id AND t.kind = 'raised'), i.queued_at) "
    "FROM incidents i JOIN runs r ON r.incident_id = i.id AND r.attempt = 1"
)


def seconds_until_read(home: Path) -> float:
    """Return how long after the last post the last body was read."""
    began = time.monotonic()
    while ask(home, _UNREAD) != [(0,)] and time.monotonic() < began + CRITICAL_LIMIT_S:
        time.sleep(0.1)  # between two looks
    return round(time.monotonic() - began, 1)


def wait_for_critical(home: Path) -> None:
    """Return when every critical incident's run has ended, or the limit is reached."""
    deadline = time.monotonic() + CRITICAL_LIMIT_S
    while ask(home, _LEFT) != [(0,)] and time.monotonic() < deadline:
        time.sleep(1)  # between two looks


def stored(home: Path) -> dict[str, Any]:
    """Count what is kept, and the runs that went ahead of a critical one that waited."""
    [(alerts,)] = ask(home, "SELECT COUNT(*) FROM alerts")
    deliveries = dict(ask(home, "SELECT status, COUNT(*) FROM deliveries GROUP BY status"))
    states = dict(ask(home, "SELECT run_state, COUNT(*) FROM incidents GROUP BY run_state"))
    rows = ask(home, _RUNS)
    critical = [(moment(since), moment(start), state) for is_, state, start, since in rows if is_]
    others = [found for is_, _, start, _ in rows if not is_ and (found := moment(start))]
    ahead = [start for start in others if any(_waited(one, start) for one in critical)]
    return {
        "alerts": alerts,
        "deliveries": deliveries,
        "incidents": sum(states.values()),
        "runs_by_state": states,
        "critical_incidents": len(critical),
        "critical_done": sum(state == "published" for *_, state in critical),
        "others_started": len(others),
        "ahead_of_a_critical_one": len(ahead),
    }


def _waited(critical: tuple[datetime | None, datetime | None, str], at: datetime) -> bool:
    """Tell whether a critical run waited when another started.

    Between the queue's choice and the moment that is written down as the start lies less than a
    second, in which a critical one may have come in.
    """
    since, start, _ = critical
    return since is not None and since < at - CHOICE and (start is None or start > at)


def moment(text: str | None) -> datetime | None:
    """Read a time as SQLite keeps it."""
    return datetime.fromisoformat(text) if text else None


def quantiles(took_ms: list[float]) -> dict[str, float]:
    """Return median, 99th percentile and maximum, in ms."""
    if not took_ms:
        return {"p50": 0.0, "p99": 0.0, "max": 0.0}
    every = sorted(took_ms)
    at99 = every[min(len(every) - 1, int(len(every) * 0.99))]
    return {
        name: round(value, 1)
        for name, value in (("p50", statistics.median(every)), ("p99", at99), ("max", every[-1]))
    }


def machine() -> dict[str, Any]:
    """Say what it ran on."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
    }


if __name__ == "__main__":
    look(sys.argv[1])
