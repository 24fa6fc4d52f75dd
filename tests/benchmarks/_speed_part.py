"""One part of the speed benchmark in a process of its own: python -m tests.benchmarks._speed_part PART ...

A process of its own, since what is asked is the highest memory it ever held.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.benchmarks import _speed_rows as made

if TYPE_CHECKING:
    from collections.abc import Callable


def peak_bytes() -> int:
    """Return the most memory that this process ever held, in bytes.

    Linux counts into `ru_maxrss` what the parent held when it forked; its VmHWM starts with the program.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def seconds(call: Callable[[], object], times: int) -> list[float]:
    """Time a call so many times, after one that is not counted."""
    took = []
    for _ in range(times + 1):
        start = time.perf_counter()
        call()
        took.append(time.perf_counter() - start)
    return took[1:]


def replay(folder: str) -> dict[str, Any]:
    """Diagnose a bundle from its files."""
    from triagebook.diagnosis import diagnose  # noqa: PLC0415 - each part pays for its own imports

    took = seconds(lambda: diagnose.replay(Path(folder)), 3)
    return {"seconds": took, "peak_bytes": peak_bytes()}


def describe(folder: str) -> dict[str, Any]:
    """Read the same two files with pandas and describe every column."""
    import pandas as pd  # noqa: PLC0415

    files = sorted((Path(folder) / "tables" / "rows").glob("*.parquet"))

    def call() -> None:
        for file in files:
            pd.read_parquet(file).describe(include="all")

    return {"seconds": seconds(call, 3), "peak_bytes": peak_bytes()}


def movements(count: str) -> dict[str, Any]:
    """Time the movement of each column, ours and Evidently's, on the same two frames in memory."""
    from triagebook.analysis.columns import kind_of  # noqa: PLC0415
    from triagebook.analysis.movement import table_movements  # noqa: PLC0415
    from triagebook.core.models import Alert, BundleManifest, Service, TableSpec  # noqa: PLC0415
    from triagebook.diagnosis.context import Context  # noqa: PLC0415
    from triagebook.evidence.bundle import Bundle, Table  # noqa: PLC0415

    rows = int(count)
    old, new = made.rows(rows, 0), made.rows(rows, 1, 0.3)

    def every_row() -> list[Any]:
        kinds = [(name, kind_of(old[name], new[name])) for name in old]
        return table_movements(kinds, old, new, columns=len(kinds))

    manifest = BundleManifest(
        alert=Alert(), service=Service(name="s"), windows=made.WINDOWS, ledger=[]
    )

    def in_a_run() -> list[Any]:
        bundle = Bundle(Path("/nowhere"), manifest, [])
        bundle.__dict__["tables"] = {"rows": Table("rows", TableSpec(role="features"), old, new)}
        return [column.movement for column in Context(bundle).columns]

    moved = sorted(m.column for m in every_row() if m.moved)
    numeric = [m.column for m in every_row() if m.kind == "number"]
    return {
        "every_row": min(seconds(every_row, 3)),
        "in_a_run": min(seconds(in_a_run, 3)),
        "evidently": evidently(old, new, numeric),
        "moved": moved,
        "peak_bytes": peak_bytes(),
    }


def evidently(old: Any, new: Any, numeric: list[str]) -> float:
    """Time one run of Evidently's DataDriftPreset; its data sets are made, and it is warmed up, before."""
    os.environ["DO_NOT_TRACK"] = "1"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from evidently import DataDefinition, Dataset, Report  # noqa: PLC0415
        from evidently.presets import DataDriftPreset  # noqa: PLC0415

        told = DataDefinition(
            numerical_columns=numeric,
            categorical_columns=[name for name in old if name not in numeric],
        )

        def call(first: int) -> float:
            before, now = (
                Dataset.from_pandas(part.iloc[:first].copy(), data_definition=told)
                for part in (old, new)
            )
            start = time.perf_counter()
            Report([DataDriftPreset()]).run(now, before).dict()
            return time.perf_counter() - start

        call(5_000)
        return call(len(old))


def collect(file: str) -> dict[str, Any]:
    """Collect evidence of a file, as a run does, twice; both bundles must hold the same bytes."""
    from triagebook.core.models import Alert  # noqa: PLC0415
    from triagebook.core.settings import Settings  # noqa: PLC0415
    from triagebook.evidence.collect import collect as gather  # noqa: PLC0415

    table = {"source": "files", "path": file, "time_column": "at"}
    settings = Settings.model_validate({"service": [{"name": "s", "tables": {"rows": table}}]})
    took, entries = [], []
    for number in range(2):
        into = Path(file).parent / f"bundle-{number}"
        start = time.perf_counter()
        bundle = gather(
            settings,
            settings.services[0],
            Alert(starts_at=made.END),
            made.WINDOWS,
            root=Path(file).parent,
            incident_id=None,
            into=into,
            budget_s=600.0,
        )
        took.append(time.perf_counter() - start)
        entries.append([e for e in bundle.ledger if e.kind == "tables"])
        shutil.rmtree(into)
    first, second = ([entry.sha256 for entry in found] for found in entries)
    return {
        "seconds": took,
        "rows": [entry.rows for entry in entries[0]],
        "rows_total": [(entry.model_extra or {}).get("rows_total") for entry in entries[0]],
        "same_bytes": first == second and None not in first,
        "peak_bytes": peak_bytes(),
    }


PARTS = {part.__name__: part for part in (replay, describe, movements, collect)}

if __name__ == "__main__":
    sys.stdout.write(json.dumps(PARTS[sys.argv[1]](*sys.argv[2:])) + "\n")
