"""Task runs of the two pipelines: the batches are real, their timings are simulated."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd

from triagebook.core.times import iso
from triagebook.drills.worlds.flight_delay.world import (
    LABEL_PIPELINE,
    NOW,
    PIPELINE,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

_CHAIN = (("ingest", 9.0, 0.05), ("build_features", 5.0, 0.04), ("score", 3.0, 0.02))
"""Task, median seconds of an empty batch, and further seconds a flight."""
_FEED_TIMEOUTS = (-301, -707)
"""Batches, counted back from the last, whose first try at the feed timed out, a harmless thing."""


@dataclass(frozen=True)
class Run:
    """One try of one task."""

    pipeline: str
    run: str
    task: str
    state: str
    start: datetime
    end: datetime
    attempt: int
    upstream: tuple[str, ...]
    error: str | None
    batch: datetime
    rows: int

    def as_row(self) -> dict[str, Any]:
        """Return the row of tasks.jsonl."""
        return {
            "pipeline": self.pipeline,
            "run": self.run,
            "task": self.task,
            "state": self.state,
            "start": iso(self.start),
            "end": iso(self.end),
            "try": self.attempt,
            "upstream": list(self.upstream),
            "error": self.error,
            "log": [iso(self.start), iso(self.end)],
        }


def task_runs(
    rows: pd.Series[int], labels_a_day: pd.Series[int], rng: np.random.Generator
) -> list[Run]:
    """Return the runs of the kept days, by start.

    Parameters
    ----------
    rows : Series of int
        Flights in each batch, by the batch's start.
    labels_a_day : Series of int
        Labels that arrived with each daily run, by its time.
    rng : Generator
        For the timings: log-normal, as task durations are.
    """
    runs: list[Run] = []
    retried = {rows.index[position] for position in _FEED_TIMEOUTS}
    for batch, count in _by_time(rows):
        started = batch.to_pydatetime()
        clock = started + timedelta(seconds=round(2.0 + float(rng.exponential(1.5)), 3))
        upstream: tuple[str, ...] = ()
        for task, base_s, each_s in _CHAIN:
            attempt = 1
            if task == "ingest" and batch in retried:
                failed = clock + timedelta(seconds=30)
                error = "ReadTimeout: schedule-feed did not answer in 30 s"
                runs.append(_run(PIPELINE, started, task, clock, failed, 1, upstream, count, error))
                clock, attempt = failed + timedelta(seconds=10), 2
            took_s = (base_s + each_s * count) * float(rng.lognormal(0.0, 0.2))
            end = clock + timedelta(seconds=round(took_s, 3))
            runs.append(_run(PIPELINE, started, task, clock, end, attempt, upstream, count))
            clock = end + timedelta(seconds=round(0.4 + float(rng.exponential(0.3)), 3))
            upstream = (task,)
    for moment, count in _by_time(labels_a_day):
        started = moment.to_pydatetime()
        start = started + timedelta(seconds=round(1.0 + float(rng.exponential(1.0)), 3))
        took_s = (20.0 + 0.03 * count) * float(rng.lognormal(0.0, 0.15))
        end = start + timedelta(seconds=round(took_s, 3))
        runs.append(_run(LABEL_PIPELINE, started, "label_join", start, end, 1, (), count))
    return sorted((run for run in runs if run.end <= NOW), key=lambda run: (run.start, run.task))


def _by_time(counts: pd.Series[int]) -> Iterator[tuple[pd.Timestamp, int]]:
    return zip(pd.DatetimeIndex(counts.index), counts.to_list(), strict=True)


def _run(pipeline: str, batch: datetime, task: str, start: datetime, end: datetime, attempt: int,
         upstream: tuple[str, ...], rows: int, error: str | None = None) -> Run:  # fmt: skip
    return Run(
        pipeline=pipeline, run=f"scheduled__{iso(batch)}", task=task,
        state="failed" if error else "success", start=start, end=end, attempt=attempt,
        upstream=upstream, error=error, batch=batch, rows=rows,
    )  # fmt: skip
