"""Structured log lines of the tasks and the web app; what they count is real, the lines are simulated."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd

from triagebook.core.times import iso, to_utc
from triagebook.drills.worlds.flight_delay.changes import LOG_LEVEL_AT, RESTARTED_AT
from triagebook.drills.worlds.flight_delay.world import (
    DEPLOYED_AT,
    MODEL_VERSION,
    NOW,
    SERVICE,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    import numpy as np

    from triagebook.drills.worlds.flight_delay.tasks import Run

_WEB_A_FLIGHT = 0.12
"""Logged page views of the web app for each flight that departs."""
_SLOW_PAGE_MS = 150.0


def log_rows(
    runs: Iterable[Run],
    flights: pd.DataFrame,
    no_pressure: pd.Series[int],
    rng: np.random.Generator,
) -> list[dict[str, Any]]:
    """Return the rows of logs.jsonl, oldest first.

    Parameters
    ----------
    runs : iterable of Run
        The task runs to speak of.
    flights : DataFrame
        flight_id and scheduled_at, of the kept days: what people look up on the web page.
    no_pressure : Series of int
        Flights of each batch whose weather has no pressure, by the batch's start: real gaps.
    rng : Generator
        For moments and timings.
    """
    rows: list[dict[str, Any]] = []
    for run in runs:
        rows += _task_lines(run, no_pressure)
    rows += _web_lines(flights, rng)
    rows += _restart_lines()
    return sorted(
        (row for row in rows if row["ts"] < iso(NOW)), key=lambda row: (row["ts"], row["source"])
    )


def _line(
    ts: datetime, severity: str, source: str, message: str, **attributes: object
) -> dict[str, Any]:
    millis = ts.replace(microsecond=ts.microsecond // 1000 * 1000)
    return {
        "ts": millis.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "severity": severity,
        "source": source,
        "message": message,
        "attributes": attributes,
    }


def _task_lines(run: Run, no_pressure: pd.Series[int]) -> Iterator[dict[str, Any]]:
    took = run.end - run.start
    about = {"run": run.run, "try": run.attempt}
    rows = {"rows": run.rows}
    for part, severity, message, more in _said(run, took.total_seconds(), rows, no_pressure):
        yield _line(run.start + took * part, severity, run.task, message, **about, **more)


def _said(
    run: Run, took_s: float, rows: dict[str, int], no_pressure: pd.Series[int]
) -> Iterator[tuple[float, str, str, dict[str, Any]]]:
    """Give what a task says: when (as a share of its run), severity, message, attributes."""
    n = run.rows
    if run.task == "ingest":
        version = "v42" if run.start >= DEPLOYED_AT else "v41"
        yield 0.0, "INFO", f"ingest {version} started", {"version": version}
        if run.error:
            yield 1.0, "WARN", "schedule-feed did not answer in 30 s, will try again in 10 s", {}
            return
        yield 0.5, "INFO", f"read {n} rows from schedule-feed", rows
        yield 0.7, "INFO", "schema check passed", {"columns": 9}
        yield 1.0, "INFO", f"wrote {n} rows to flights in {took_s:.1f} s", rows
    elif run.task == "build_features":
        gaps = int(no_pressure.get(run.batch, 0))
        if gaps:
            message = f"{gaps} of {n} rows have no pressure, passed on as null"
            yield 0.6, "WARN", message, {"rows": gaps}
        yield 1.0, "INFO", f"built 11 features for {n} rows", rows
    elif run.task == "score":
        message = f"scored {n} rows with {SERVICE} {MODEL_VERSION} in {took_s:.1f} s"
        yield 1.0, "INFO", message, {**rows, "model_version": MODEL_VERSION}
    else:
        yield 1.0, "INFO", f"joined {n} labels in {took_s:.1f} s", rows


def _web_lines(flights: pd.DataFrame, rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    debug_from = to_utc(LOG_LEVEL_AT)
    looked_up = flights[rng.random(len(flights)) < _WEB_A_FLIGHT]
    ahead = pd.to_timedelta(rng.exponential(60.0, len(looked_up)), unit="m")
    took_ms = 40.0 * rng.lognormal(0.0, 0.5, len(looked_up))
    moments = pd.DatetimeIndex(looked_up["scheduled_at"]) - ahead
    for flight, moment, took in zip(looked_up["flight_id"], moments, took_ms, strict=True):
        ts = moment.to_pydatetime(warn=False)
        timing = {"took_ms": round(float(took), 1)}
        message = f"GET /flights/{flight} 200 in {took:.0f} ms"
        yield _line(ts, "INFO", "web", message, status=200, **timing)
        if took > _SLOW_PAGE_MS:
            yield _line(ts, "WARN", "web", f"slow page: {took:.0f} ms", **timing)
        if ts >= debug_from:
            yield _line(ts, "DEBUG", "web", f"cache hit for {flight}", key=flight)


def _restart_lines() -> Iterator[dict[str, Any]]:
    restarted = to_utc(RESTARTED_AT)
    yield _line(restarted, "INFO", "scorer", "scorer-1 stopping: host patch", instance="scorer-1")
    ready = restarted + timedelta(minutes=9)
    yield _line(
        ready,
        "INFO",
        "scorer",
        f"scorer-1 ready, model {SERVICE} {MODEL_VERSION} loaded",
        instance="scorer-1",
        model_version=MODEL_VERSION,
    )
