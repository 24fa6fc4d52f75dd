"""How long and how much memory: a replay, the movement of columns, a table larger than memory.

The tables are made up, so no folder is needed. Seconds depend on the machine; the ratios, taken in one
run, depend on it far less.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks import _speed_rows as made

NEEDS_FOLDER = False
REPLAYED_ROWS = 100_000
COMPARED_ROWS, COMPARED_ROWS_FULL = 100_000, 1_000_000
BIG_ROWS = 100_000_000
MB = 1_000_000
ROOT = Path(__file__).parents[2]


def run(folder: Path | None = None, *, full: bool = False) -> dict[str, Any]:
    """Measure.

    Parameters
    ----------
    folder : Path or None
        Where large files may lie for a while, 3 GB; None takes the system's.
    full : bool
        Also a million rows against Evidently (two minutes) and a hundred million (two minutes).
    """
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        cases = [
            replayed(Path(scratch), timed=False),
            replayed(Path(scratch), timed=True),
            compared(COMPARED_ROWS_FULL if full else COMPARED_ROWS),
        ]
        if full:
            file = Path(scratch) / "rows.parquet"
            made.big_file(file, BIG_ROWS)
            cases.append({"case": "larger than memory", **collected(part("collect", file))})
    return {"score": score(cases), "cases": cases}


def replayed(scratch: Path, *, timed: bool) -> dict[str, Any]:
    name = "timed" if timed else "untimed"
    folder = made.bundle(scratch / name, REPLAYED_ROWS, timed=timed)
    return {
        "case": f"replay, {name}",
        "rows": REPLAYED_ROWS,
        **against_describe(part("replay", folder), part("describe", folder)),
    }


def compared(rows: int) -> dict[str, Any]:
    return {"case": "movements", "rows": rows, **against_evidently(part("movements", rows))}


def part(name: str, *arguments: object) -> dict[str, Any]:
    """Run one part in a process of its own and return what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks._speed_part", name, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


def against_describe(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    """Median seconds of both, their ratio, and our peak in MB (of 1,000,000 bytes)."""
    took, described = (statistics.median(one["seconds"]) for one in (ours, theirs))
    return {
        "seconds": round(took, 2),
        "describe_seconds": round(described, 2),
        "times_describe": round(took / described, 2),
        "peak_mb": round(ours["peak_bytes"] / MB),
    }


def against_evidently(said: dict[str, Any]) -> dict[str, Any]:
    """How many times faster than Evidently: on every row, and as a run does it."""
    return {
        "seconds": round(said["every_row"], 2),
        "run_seconds": round(said["in_a_run"], 2),
        "evidently_seconds": round(said["evidently"], 2),
        "times_faster": round(said["evidently"] / said["every_row"], 1),
        "times_faster_in_a_run": round(said["evidently"] / said["in_a_run"], 1),
        "moved": said["moved"],
    }


def collected(said: dict[str, Any]) -> dict[str, Any]:
    """Slower of two pulls in seconds, peak in MB, rows there and rows kept of both windows together."""
    return {
        "seconds": round(max(said["seconds"]), 1),
        "peak_mb": round(said["peak_bytes"] / MB),
        "rows": sum(said["rows_total"]),
        "kept": sum(said["rows"]),
        "same_bytes": said["same_bytes"],
    }


def score(cases: list[dict[str, Any]]) -> dict[str, Any]:
    """The figures that are held against what is to be reached, by case."""
    told = ("seconds", "peak_mb", "times_describe", "times_faster", "times_faster_in_a_run")
    return {
        f"{case['case']}, {case['rows']:,} rows": {key: case[key] for key in told if key in case}
        for case in cases
    }
