"""Make every file of the world's data folder, once a seed and fault."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from threadpoolctl import threadpool_limits  # it has no types

from triagebook.drills.worlds.flight_delay.changes import changes
from triagebook.drills.worlds.flight_delay.config import toml
from triagebook.drills.worlds.flight_delay.drift import WATCHED, watch
from triagebook.drills.worlds.flight_delay.logs import log_rows
from triagebook.drills.worlds.flight_delay.metrics import META, metrics
from triagebook.drills.worlds.flight_delay.tables import Tables, make_tables
from triagebook.drills.worlds.flight_delay.tasks import task_runs
from triagebook.drills.worlds.flight_delay.world import (
    BATCH,
    NOTES,
    NOW,
    ONSET,
    PSI_THRESHOLD,
    SERVICE,
    TELEMETRY_START,
    Fault,
    Truth,
    World,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    import pandas as pd

    from triagebook.drills.worlds.flight_delay.drift import Monitor

_ROW_GROUP = 8_192


def make(folder: Path, fault: Fault, seed: int, progress: Callable[[str], None]) -> None:
    """Write `triagebook.toml` and `data/` into a folder."""
    # One thread: OpenMP's threads wait for each other, which on a busy machine costs five times
    # what a second core gains.
    with threadpool_limits(1):
        tables = make_tables(fault, seed, progress)
    progress("computing the drift monitor, simulating metrics, logs and task runs")
    monitor = watch(tables.predictions)
    # Separate streams, so that a change to one part leaves the others as they were.
    timings, scrapes, lines = np.random.default_rng(seed).spawn(3)
    runs = task_runs(monitor.rows, _labels_a_day(tables), timings)

    data = folder / "data"
    (data / "tables").mkdir(parents=True)
    for name, frame in tables.named().items():
        _write_parquet(frame, data / "tables" / f"{name}.parquet")
    _write_parquet(metrics(monitor, runs, scrapes), data / "metrics.parquet")
    _write_json(META, data / "metrics.json")
    recent = tables.flights[tables.flights["scheduled_at"] >= TELEMETRY_START]
    logs = log_rows(runs, recent[["flight_id", "scheduled_at"]], _no_pressure(tables), lines)
    _write_lines(logs, data / "logs.jsonl")
    _write_lines((run.as_row() for run in runs), data / "tasks.jsonl")
    _write_lines(changes(), data / "changes.jsonl")
    (folder / "triagebook.toml").write_text(toml(tables.model.importance), encoding="utf-8")
    world = _world(folder, fault, seed, tables, monitor)
    _write_json(world.to_json(), data / "world.json")


def _world(folder: Path, fault: Fault, seed: int, tables: Tables, monitor: Monitor) -> World:
    value = float(monitor.psi[list(WATCHED)].iloc[-1].max())
    faulty = fault is not None
    return World(
        root=folder,
        service=SERVICE,
        fault=fault,
        seed=seed,
        at=NOW,
        alert_at=monitor.fired_at() or NOW,
        labels={
            "alertname": "ModelInputDrift",
            "incident_type": "drift",
            "service": SERVICE,
            "severity": "page",
        },
        annotations={
            "summary": f"An input of {SERVICE} moved: PSI {value:.2f} over the last 6 h "
            f"(threshold {PSI_THRESHOLD})",
            "description": "The highest PSI of the inputs that come from the schedule feed, "
            "against the same hours of the day in the eight weeks before.",
            "value": f"{value:.4f}",
            "threshold": f"{PSI_THRESHOLD}",
        },
        value=value,
        threshold=PSI_THRESHOLD,
        truth=Truth(
            cause="data.unit_change" if faulty else "none",
            locus="column:flights.distance" if faulty else f"service:{SERVICE}",
            onset=ONSET if faulty else None,
            rows_bad=tables.rows_bad,
            predictions_changed=tables.predictions_changed,
            predictions_made=tables.predictions_made,
        ),
        model={"decision_threshold": tables.model.threshold, **tables.model.measured},
        notes=NOTES,
    )


def _labels_a_day(tables: Tables) -> pd.Series[int]:
    arrived = tables.labels["labelled_at"]
    counts: pd.Series[int] = arrived[arrived >= TELEMETRY_START].value_counts().sort_index()
    return counts


def _no_pressure(tables: Tables) -> pd.Series[int]:
    features = tables.features
    batches = features.loc[features["pressure"].isna(), "scheduled_at"].dt.floor(BATCH)
    counts: pd.Series[int] = batches.value_counts()
    return counts


def _write_parquet(frame: pd.DataFrame, path: Path) -> None:
    # Small row groups, sorted by time: a reader that asks for two days skips the rest.
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    pq.write_table(table, path, row_group_size=_ROW_GROUP, compression="zstd")


def _write_json(content: object, path: Path) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _write_lines(rows: Iterable[dict[str, Any]], path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
