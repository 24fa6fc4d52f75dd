"""The metrics: what the monitor computed, and what a scoring service would expose, simulated."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import lognorm

from triagebook.core.times import to_utc
from triagebook.drills.worlds.flight_delay.changes import RESTARTED_AT
from triagebook.drills.worlds.flight_delay.world import NOW, SERVICE, TELEMETRY_START

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from triagebook.drills.worlds.flight_delay.drift import Monitor
    from triagebook.drills.worlds.flight_delay.tasks import Run

SCRAPE = pd.Timedelta(minutes=5)
INSTANCES = ("scorer-1", "scorer-2")
_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, np.inf)
_MEANS_S = (0.008, 0.017, 0.034, 0.07, 0.15, 0.34, 0.7, 1.5, 4.0)
"""Of the requests in each bucket, for the histogram's sum."""
_ROUTE = {"http_route": "/predict", "http_request_method": "POST"}
_PUSHED_AFTER = pd.Timedelta(minutes=1)
"""The monitor's gauges are pushed when the batch is scored, about a minute after its start."""

_SCORER = {"kind": "service", "name": "scorer"}
_MODEL = {"kind": "service", "name": SERVICE}
_TASK = {"kind": "task", "name": "pipeline"}
DURATION = "http_server_request_duration_seconds"

META: dict[str, dict[str, Any]] = {
    DURATION: {"type": "histogram", "unit": "seconds", "entity": _SCORER},
    f"{DURATION}_bucket": {"type": "counter", "unit": "requests", "entity": _SCORER},
    f"{DURATION}_count": {"type": "counter", "unit": "requests", "entity": _SCORER},
    f"{DURATION}_sum": {"type": "counter", "unit": "seconds", "entity": _SCORER},
    "process_cpu_seconds_total": {"type": "counter", "unit": "seconds", "entity": _SCORER},
    "process_resident_memory_bytes": {"type": "gauge", "unit": "bytes", "entity": _SCORER},
    "model_feature_psi": {"type": "gauge", "unit": "PSI", "entity": _MODEL},
    "model_predicted_positive_share": {"type": "gauge", "unit": "share", "entity": _MODEL},
    "batch_rows": {"type": "gauge", "unit": "rows", "entity": _MODEL},
    "pipeline_last_success_timestamp_seconds": {
        "type": "gauge", "unit": "seconds since 1970", "entity": _TASK,
    },
}  # fmt: skip


def metrics(monitor: Monitor, runs: Iterable[Run], rng: np.random.Generator) -> pd.DataFrame:
    """Return the rows of metrics.parquet: ts, name, labels, value; sorted by time.

    Real are model_feature_psi, model_predicted_positive_share and batch_rows. The rest is
    simulated: its daily shape follows the real flights an hour.
    """
    grid = pd.date_range(TELEMETRY_START, NOW, freq=SCRAPE, inclusive="left")
    parts = [*_monitor(monitor), *_last_success(runs, grid)]
    hourly = monitor.rows.rolling(4, min_periods=1).sum()
    flights_an_hour = np.interp(
        grid.as_unit("us").asi8,
        monitor.batches.as_unit("us").asi8,
        hourly.to_numpy(dtype="float64"),
    )
    for instance in INSTANCES:
        parts += _scorer(instance, grid, flights_an_hour, rng)
    frame = pd.concat(parts, ignore_index=True)
    return frame.sort_values(["ts", "name", "labels"], ignore_index=True, kind="stable")


def _series(
    ts: pd.DatetimeIndex, name: str, labels: dict[str, str], values: NDArray[np.float64]
) -> pd.DataFrame:
    known = ~np.isnan(values)
    text = json.dumps(labels, sort_keys=True)
    return pd.DataFrame(
        {"ts": ts[known].as_unit("us"), "name": name, "labels": text, "value": values[known]}
    )


def _monitor(monitor: Monitor) -> list[pd.DataFrame]:
    ts = monitor.batches + _PUSHED_AFTER
    service = {"service": SERVICE}
    parts = [
        _series(
            ts,
            "model_feature_psi",
            {**service, "feature": name},
            monitor.psi[name].to_numpy("float64"),
        )
        for name in monitor.psi.columns
    ]
    share, rows = monitor.positive_share, monitor.rows
    parts.append(
        _series(ts, "model_predicted_positive_share", service, np.asarray(share, dtype="float64"))
    )
    parts.append(_series(ts, "batch_rows", service, np.asarray(rows, dtype="float64")))
    return parts


def _last_success(runs: Iterable[Run], grid: pd.DatetimeIndex) -> list[pd.DataFrame]:
    ends: dict[tuple[str, str], list[float]] = {}
    for run in runs:
        if run.state == "success":
            ends.setdefault((run.pipeline, run.task), []).append(run.end.timestamp())
    seconds = grid.as_unit("us").asi8 / 1e6
    parts = []
    for (pipeline, task), found in sorted(ends.items()):
        done = np.sort(np.array(found))
        position = np.searchsorted(done, seconds, side="right") - 1
        values = np.where(position >= 0, done[np.maximum(position, 0)], np.nan)
        labels = {"pipeline": pipeline, "task": task}
        parts.append(_series(grid, "pipeline_last_success_timestamp_seconds", labels, values))
    return parts


def _scorer(
    instance: str,
    grid: pd.DatetimeIndex,
    flights_an_hour: NDArray[np.float64],
    rng: np.random.Generator,
) -> list[pd.DataFrame]:
    """Simulate one replica: requests with a heavy tail, CPU, memory, scrape gaps, one restart."""
    step_s = SCRAPE.total_seconds()
    rate = (0.05 + 0.02 * flights_an_hour) * rng.lognormal(0.0, 0.15, len(grid))
    load = flights_an_hour / 60.0
    # Most requests are quick and a little slower under load; two in a hundred wait for something.
    quick_s = 0.018 * (1.0 + 0.25 * load) * rng.lognormal(0.0, 0.08, len(grid))
    slow_s = 0.15 * rng.lognormal(0.0, 0.35, len(grid))
    slow_share = np.clip(0.02 * rng.lognormal(0.0, 0.4, len(grid)), 0.0, 0.2)
    bounds = np.array(_BUCKETS_S)
    below = (1.0 - slow_share[:, None]) * lognorm.cdf(bounds, 0.45, scale=quick_s[:, None])
    below += slow_share[:, None] * lognorm.cdf(bounds, 1.0, scale=slow_s[:, None])
    shares = np.diff(below, axis=1, prepend=0.0)
    uptime = _uptime_start(instance, grid)
    seen = _scraped(instance, grid, rng)
    parts = []
    # No request failed, so there is no series of another status: that is how Prometheus shows it.
    labels = {**_ROUTE, "instance": instance, "http_response_status_code": "200"}
    hits = rng.multinomial(rng.poisson(rate * step_s), shares)
    cumulative = _counter(hits.cumsum(axis=1), uptime)
    for position, bound in enumerate(_BUCKETS_S):
        le = "+Inf" if np.isinf(bound) else f"{bound:g}"
        values = np.where(seen, cumulative[:, position], np.nan)
        parts.append(_series(grid, f"{DURATION}_bucket", {**labels, "le": le}, values))
    spent_s = (hits * _MEANS_S).sum(axis=1) * rng.lognormal(0.0, 0.02, len(grid))
    total_s = np.where(seen, _counter(spent_s[:, None], uptime)[:, 0], np.nan)
    total = np.where(seen, cumulative[:, -1], np.nan)
    parts.append(_series(grid, f"{DURATION}_sum", labels, total_s))
    parts.append(_series(grid, f"{DURATION}_count", labels, total))

    busy_s = (0.03 + 0.015 * rate) * step_s * rng.gamma(40.0, 1 / 40.0, len(grid))
    cpu = np.where(seen, _counter(busy_s[:, None], uptime)[:, 0], np.nan)
    memory = _memory(load, uptime, rng)
    where = {"instance": instance}
    parts.append(_series(grid, "process_cpu_seconds_total", where, cpu))
    resident = np.where(seen, memory, np.nan)
    parts.append(_series(grid, "process_resident_memory_bytes", where, resident))
    return parts


def _uptime_start(instance: str, grid: pd.DatetimeIndex) -> int:
    """Return the position of the first scrape after the replica's restart; 0 where it had none."""
    restarted = instance == INSTANCES[0]
    return int(grid.searchsorted(pd.Timestamp(to_utc(RESTARTED_AT)), "right")) if restarted else 0


def _counter(increments: NDArray[Any], restart: int) -> NDArray[np.float64]:
    """Add up increments, from zero again at the restart."""
    total = increments.cumsum(axis=0).astype("float64")
    if restart:
        total[restart:] -= total[restart - 1].copy()
    return total


def _memory(
    load: NDArray[np.float64], restart: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return resident bytes: a level, a little of the load, and noise that wanders and comes back."""
    noise = np.empty(len(load))
    level = 0.0
    for position, shock in enumerate(rng.normal(0.0, 1.5e6, len(load))):
        level = 0.97 * level + shock
        noise[position] = level
    resident = 420e6 + 15e6 * load + noise
    if restart:
        # Caches are cold after a restart; they fill within some hours.
        age = np.arange(len(load) - restart)
        resident[restart:] -= 60e6 * np.exp(-age / 36.0)
    return np.round(resident)


def _scraped(instance: str, grid: pd.DatetimeIndex, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Tell which scrapes arrived: a few are lost one by one, and three times for 10 to 25 minutes."""
    seen = rng.random(len(grid)) > 0.002
    for start in rng.integers(0, len(grid), 3):
        seen[start : start + int(rng.integers(2, 6))] = False
    restart = _uptime_start(instance, grid)
    if restart:
        seen[restart : restart + 2] = False
    return seen
