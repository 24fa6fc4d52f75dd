"""A real service: how long an alert's 202 takes, when its notebook's first cell begins, what idling costs.

`post_ms` is measured while two notebooks compute, which is all that the machine has cores for, and
each post opens another incident; `post_idle_ms` while nothing runs; `first_cell_ms` from the post to
the first cell where a slot is free.
"""

from __future__ import annotations

import http.client
import json
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.benchmarks.storm import quantiles
from tests.chaos.serving import Serving, alert
from tests.live.workers import wait_until
from triagebook.running.progress import read_progress

NEEDS_FOLDER = False
POSTS, POSTS_FULL = 100, 500
IDLE_POSTS = 20  # each has its notebook executed before the next part begins
RUNS, RUNS_FULL = 5, 20
APART_S = 0.05
REFILL_S = 3.0
# Computes until the home says that it is enough; the first cell is there to be begun.
CELLS = (
    "import json, pathlib\nhome = pathlib.Path(json.load(open('request.json'))['home'])",
    (
        "import pandas\nwhile (home / 'busy').exists():\n"
        "    pandas.DataFrame({'a': range(20_000)}).sample(frac=1).sort_values('a').a.std()"
    ),
)


def run(folder: Path | None = None, *, full: bool = False) -> dict[str, Any]:
    """Measure; `full` takes 500 posts and 20 runs instead of 100 and 5."""
    posts, runs = (POSTS_FULL, RUNS_FULL) if full else (POSTS, RUNS)
    with (
        tempfile.TemporaryDirectory(dir=folder) as scratch,
        Serving(Path(scratch) / "h", CELLS) as site,
    ):
        site.start()
        wait_until("runs start warm", lambda: warm(site))
        time.sleep(REFILL_S)  # its children are forked
        memory = {"idle": pss(site)}
        cases = [first_cell(site, number) for number in range(runs)]
        idle = [posted_ms(site, runs + number) for number in range(IDLE_POSTS)]
        wait_until("nothing runs", lambda: left(site) == 0, 600)
        (site.home.root / "busy").touch()
        for number in range(2):
            posted_ms(site, 10_000 + number)
        site.wait_opened(runs + IDLE_POSTS + 2)
        wait_until("two notebooks run", lambda: running(site) == 2)
        busy = []
        for number in range(posts):
            time.sleep(APART_S)  # the pace of what is measured
            busy.append(posted_ms(site, 20_000 + number))
        at_the_end = running(site)
        (site.home.root / "busy").unlink()
    return {
        "score": {
            "post_ms": quantiles(busy),
            "post_idle_ms": quantiles(idle),
            "first_cell_ms": quantiles([case["first_cell_ms"] for case in cases]),
            "idle_pss_mb": round(memory["idle"]["all"] / 1e6),
            "notebooks_running_meanwhile": at_the_end,
        },
        "cases": [*cases, memory],
    }


def warm(site: Serving) -> bool:
    return bool(asked(site, "/readyz")["warm"] == "ready")


def asked(site: Serving, path: str) -> Any:
    at = urlsplit(site.url)
    connection = http.client.HTTPConnection(str(at.hostname), at.port, timeout=60)
    try:
        connection.request("GET", path)
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def posted_ms(site: Serving, number: int) -> float:
    """Post one alert over a connection of its own, as Alertmanager's first does."""
    at, body = urlsplit(site.url), alert(number)
    connection = http.client.HTTPConnection(str(at.hostname), at.port, timeout=60)
    began = time.perf_counter()
    try:
        connection.request("POST", "/intake/alertmanager", body)
        answer = connection.getresponse()
        answer.read()
        if answer.status != http.HTTPStatus.ACCEPTED:
            raise RuntimeError(answer.status)
        return (time.perf_counter() - began) * 1_000
    finally:
        connection.close()


def first_cell(site: Serving, number: int) -> dict[str, Any]:
    """Post, wait for the run, return when its first cell began; both are told by one clock."""
    began = time.time()
    posted_ms(site, number)
    incident = site.wait_opened(number + 1)
    wait_until("it is published", lambda: left(site) == 0, 120)
    lines = read_progress(site.home.attempt_dir(incident, 1))
    first = next(line for line in lines if line.event == "cell" and line.status == "running")
    kind = json.loads((site.home.run_dir(incident) / "investigation.ipynb").read_text())
    time.sleep(REFILL_S)
    return {
        "first_cell_ms": round((first.ts.timestamp() - began) * 1_000, 1),
        "kernel": kind["metadata"]["triagebook"]["kernel"],
    }


def left(site: Serving) -> int:
    query = "SELECT COUNT(*) FROM incidents WHERE run_state IN ('queued', 'running')"
    return int(site.ask(query)[0][0])


def running(site: Serving) -> int:
    return int(site.ask("SELECT COUNT(*) FROM incidents WHERE run_state = 'running'")[0][0])


def pss(site: Serving) -> dict[str, Any]:
    """Return the bytes of the service, its template and its children: shared pages by their share."""
    each = {}
    for pid in site.left():
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        each[pid] = sum(int(line.split()[1]) * 1_024 for line in lines if line.startswith("Pss:"))
    return {"all": sum(each.values()), "each_mb": [round(one / 1e6) for one in each.values()]}
