"""From a prepared run to its finished notebook: warm, plain, papermill's command, and the floor.

The floor is the same code cells in an interpreter that has imported and done everything once before. All four
execute the runbook `drift` on made-up evidence of 100,000 rows a window, one after the other in each round, so
that what the machine does meanwhile meets all of them.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.benchmarks import _speed_rows as made
from triagebook.core.models import Alert, IncidentType, RunRequest
from triagebook.core.paths import runbook_path
from triagebook.running.attempt import Attempt
from triagebook.running.supervise import execute_attempt, start_runner
from triagebook.running.warm.pool import WarmPool

if TYPE_CHECKING:
    from collections.abc import Callable

NEEDS_FOLDER = False
ROWS = 100_000
ROUNDS, ROUNDS_FULL = 3, 9
ROOT = Path(__file__).parents[2]


def run(folder: Path | None = None, *, full: bool = False) -> dict[str, Any]:
    """Measure; `full` takes nine rounds instead of three."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        return measured(Path(scratch), ROUNDS_FULL if full else ROUNDS)


def measured(scratch: Path, rounds: int) -> dict[str, Any]:
    bundle = made.bundle(scratch / "bundle", ROWS, timed=True)
    pool = WarmPool(1, [], scratch / "template.log")
    pool.open()
    floor = Floor(scratch)
    try:
        while pool.socket is None or not pool.socket.exists():
            time.sleep(0.1)
        cases = []
        for number in range(rounds + 1):
            case: dict[str, Any] = {}
            for name, way in (
                ("floor", floor.seconds),
                ("warm", lambda folder: executed(folder, pool.start)),
                ("plain", lambda folder: executed(folder, start_runner)),
                ("papermill", papermill),
            ):
                time.sleep(2)  # the template forks its next children; nobody is waited for
                attempt = prepared(scratch / f"{name}-{number}", bundle)
                case[name] = round(way(attempt.folder), 3)
                shutil.rmtree(scratch / f"{name}-{number}")
            case["warm_starts"] = pool.warm_starts
            cases.append(case)
        memory = pss_of(pool)
    finally:
        floor.close()
        pool.close()
    kept = cases[1:]  # the first round fills the disk's cache
    return {"score": score(kept, memory), "cases": kept}


def score(cases: list[dict[str, Any]], memory: int) -> dict[str, Any]:
    medians = {
        name: statistics.median(case[name] for case in cases)
        for name in ("floor", "warm", "plain", "papermill")
    }
    return {
        **{f"{name}_s": round(value, 2) for name, value in medians.items()},
        "warm_over_floor_s": round(
            statistics.median(case["warm"] - case["floor"] for case in cases), 2
        ),
        "papermill_times_warm": round(
            statistics.median(case["papermill"] / case["warm"] for case in cases), 2
        ),
        "template_with_one_idle_run_pss_mb": round(memory / 1e6),
        "rounds": len(cases),
    }


def prepared(run_dir: Path, bundle: Path) -> Attempt:
    attempt = Attempt(run_dir / "attempts" / "1")
    alert = Alert.model_validate(json.loads((bundle / "bundle.json").read_text())["alert"])
    request = RunRequest(
        incident_id="inc-1",
        incident_type=IncidentType.DRIFT,
        service="s",
        runbook="drift",
        alert=alert,
        home=str(run_dir),
        attempt=1,
        deadline_s=600,
    )
    attempt.prepare(request, bundle=bundle)
    return attempt


def executed(folder: Path, start: Callable[[Attempt], Any]) -> float:
    """Return seconds until the notebook is finished and saved; its report comes after it."""
    attempt = Attempt(folder)
    seen: list[float] = []
    ended = threading.Event()

    def watch() -> None:
        while not attempt.result_file.exists() and not ended.is_set():
            time.sleep(0.005)
        seen.append(time.perf_counter())

    watching = threading.Thread(target=watch)
    began = time.perf_counter()
    watching.start()
    result = execute_attempt(attempt, start=start)
    ended.set()
    watching.join()
    if result.status != "executed" or result.failed_cells:
        raise RuntimeError(result)
    return seen[0] - began


def papermill(folder: Path) -> float:
    """Return seconds of papermill's own command, with its own engine."""
    runbook = runbook_path("drift")
    given = {"incident_id": "inc-1", "incident_type": "drift", "service": "s"}
    options = [part for name, value in given.items() for part in ("-p", name, value)]
    command = [sys.executable, "-m", "papermill", str(runbook), str(folder / "out.ipynb"), *options]
    began = time.perf_counter()
    subprocess.run(
        [*command, "-k", "python3", "--cwd", str(folder), "--no-progress-bar"],
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "lib")},
    )
    return time.perf_counter() - began


class Floor:
    """An interpreter that has done everything once, and does the same cells again when asked."""

    def __init__(self, scratch: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks._warm_part"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(scratch / "floor.log").open("wb"),
            text=True,
            cwd=ROOT,
        )

    def seconds(self, folder: Path) -> float:
        """Execute the code cells of the runbook in `folder`."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError
        self._process.stdin.write(f"{folder}\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate()


def pss_of(pool: WarmPool) -> int:
    """Return the bytes that the template and its idle children use, shared pages by their share."""
    template = pool.process_id
    if template is None:
        raise RuntimeError
    children = Path(f"/proc/{template}/task/{template}/children").read_text().split()
    total = 0
    for pid in [str(template), *children]:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        total += sum(int(line.split()[1]) * 1_024 for line in lines if line.startswith("Pss:"))
    return total
