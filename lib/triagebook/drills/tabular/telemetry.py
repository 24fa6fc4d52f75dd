"""The metrics of runs, hosts, dependencies and a neighbour: heavy tails, daily shape, gaps, resets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from triagebook.drills.tabular.monitors import Series
from triagebook.drills.tabular.runs import task_name
from triagebook.drills.tabular.setting import DAY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from triagebook.drills.tabular.runs import Run, Runs
    from triagebook.drills.tabular.stage import Stage

GIB = 2.0**30


def telemetry(stage: Stage, runs: Runs) -> list[Series]:
    """Return the series of everything but the tables and the model."""
    setting = stage.setting
    scrape = pd.Timedelta(minutes=int(stage.rng.choice([10, 15])))
    since = setting.start + 7 * DAY
    grid = pd.date_range(since.ceil("h"), setting.now, freq=scrape, inclusive="left")
    found = [*_tasks(stage, runs, grid), *_ages(stage, runs, grid), *_hosts(stage, runs, grid)]
    found += [*_dependencies(stage, grid), *_neighbour(stage, grid)]
    return [_lossy(stage, series) for series in found]


def _lossy(stage: Stage, series: Series) -> Series:
    """Lose a few points one by one, now and then an hour of them, and the last where it is late."""
    rng = stage.rng
    values = series.points.astype("float64", copy=True)
    if len(values) > 50:
        values[rng.random(len(values)) < 0.003] = np.nan
        if rng.random() < 0.3:
            start = int(rng.integers(0, len(values) * 3 // 4))
            values[start : start + int(rng.integers(3, 8))] = np.nan
        if rng.random() < 0.1:
            values[-1] = np.nan
    series.points = values
    return series


def _by_task(runs: Runs) -> Iterator[tuple[str, list[Run]]]:
    tasks: dict[str, list[Run]] = {}
    for run in runs.all:
        tasks.setdefault(run.task, []).append(run)
    yield from sorted(tasks.items())


def _tasks(stage: Stage, runs: Runs, grid: pd.DatetimeIndex) -> list[Series]:
    """Duration at each end, failures as a counter that a restart resets, time of the last success."""
    found = []
    seconds = grid.as_unit("us").asi8 / 1e6
    for word, done in _by_task(runs):
        name = task_name(stage, word)
        ended = [run for run in done if run.end is not None and run.end >= grid[0]]
        if not ended or word.startswith("export"):
            continue
        where = {"pipeline": ended[0].pipeline}
        moments = pd.DatetimeIndex([run.end for run in ended])
        order = np.argsort(moments.asi8, kind="stable")
        took = np.array([run.took_s for run in ended])[order]
        found.append(Series("duration", "task", name, moments[order], took, dict(where)))
        ends = moments.as_unit("us").asi8 / 1e6
        failed = np.sort(ends[[run.state == "failed" for run in ended]])
        total = np.searchsorted(failed, seconds, side="right").astype("float64")
        total += float(stage.rng.integers(0, 9))
        if stage.rng.random() < 0.5:
            reset = int(len(total) * stage.rng.uniform(0.1, 0.7))
            total[reset:] -= total[reset]
        found.append(Series("failures", "task", name, grid, total, dict(where)))
        good = np.sort([run.end.timestamp() for run in done if run.state == "success" and run.end])
        at = np.searchsorted(good, seconds, side="right") - 1
        last = (
            np.where(at >= 0, good[np.maximum(at, 0)], np.nan)
            if len(good)
            else np.full(len(grid), np.nan)
        )
        found.append(Series("success", "task", name, grid, last, dict(where)))
    queued = np.array([0.0] * len(grid))
    for run in runs.all:
        if run.state == "queued" or (
            run.start is not None and run.start - run.due > pd.Timedelta(minutes=3)
        ):
            until = run.start if run.start is not None else grid[-1]
            queued += (
                ((grid >= run.due) & (grid <= until)).astype("float64")
                if run.task == "ingest"
                else 0.0
            )
    found.append(Series("queue", "pipeline", stage.company.pipeline["main"], grid, queued))
    return found


def _ages(stage: Stage, runs: Runs, grid: pd.DatetimeIndex) -> list[Series]:
    """Seconds since the newest row of each table that was there at the time."""
    company = stage.company
    found = []
    seconds = grid.as_unit("us").asi8 / 1e6
    landed = stage.setting.done(stage.main[company.ts]).map(runs.landed)
    times = {
        "main": (stage.main[company.ts], landed),
        "side": (stage.side[company.loaded], stage.side[company.loaded]),
        "predictions": (stage.predictions[company.predicted], stage.predictions[company.predicted]),
        "labels": (stage.labels[company.labelled], stage.labels[company.labelled]),
    }
    for table, (rows, written) in times.items():
        known = pd.DataFrame({"row": rows, "at": written}).dropna().sort_values("at")
        if known.empty:
            continue
        there = pd.DatetimeIndex(known["at"]).as_unit("us").asi8 / 1e6
        newest = np.maximum.accumulate(pd.DatetimeIndex(known["row"]).as_unit("us").asi8 / 1e6)
        at = np.searchsorted(there, seconds, side="right") - 1
        age = np.where(at >= 0, seconds - newest[np.maximum(at, 0)], np.nan)
        found.append(Series("age", "table", company.table[table], grid, np.round(age)))
    return found


def _wave(grid: pd.DatetimeIndex, peak: float) -> NDArray[np.float64]:
    hour = (grid.hour + grid.minute / 60).to_numpy(dtype="float64")
    return 0.5 + 0.5 * np.cos(2 * np.pi * (hour - peak) / 24)


def _noise(n: int, size: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return noise that wanders and comes back, shape (n,)."""
    shocks = rng.normal(0, size, n)
    found = np.empty(n)
    level = 0.0
    for at in range(n):
        level = 0.93 * level + shocks[at]
        found[at] = level
    return found


def _hosts(stage: Stage, runs: Runs, grid: pd.DatetimeIndex) -> list[Series]:
    company, rng = stage.company, stage.rng
    found = []
    full = stage.facts.get("disk")
    for host in company.hosts:
        busy = np.full(len(grid), 0.06) + 0.05 * _wave(grid, rng.uniform(8, 20))
        there = [
            (run.start, run.end if run.end is not None else grid[-1])
            for run in runs.all
            if run.start is not None and company.host_of.get(task_name(stage, run.task)) == host
        ]
        edges = np.zeros(len(grid) + 2)
        first, last = (
            grid.searchsorted(pd.DatetimeIndex(times)) for times in zip(*there, strict=True)
        )
        np.add.at(edges, first, 0.25)
        np.add.at(edges, last + 1, -0.25)
        busy += np.cumsum(edges)[: len(grid)]
        busy = np.clip(busy * rng.lognormal(0, 0.2, len(grid)), 0.01, 0.98)
        found.append(Series("cpu", "host", host, grid, busy.round(4)))
        memory = (18 - 6 * busy) * GIB + _noise(len(grid), 0.1 * GIB, rng)
        found.append(Series("memory", "host", host, grid, np.round(np.clip(memory, GIB, None))))
        size = 200 * GIB
        # Fills through the day, cleaned at night.
        clean = (grid - grid.normalize()).total_seconds().to_numpy() / 86_400
        free = size * (0.45 - 0.05 * clean) + _noise(len(grid), 0.3 * GIB, rng)
        if full is not None and full[0] == host:
            onset = full[1]
            start = onset - pd.Timedelta(minutes=int(rng.integers(840, 2400)))
            along = np.clip((grid - start) / (onset - start), 0, None).to_numpy(dtype="float64")
            free = np.where(along > 0, free * np.clip(1 - along, 0, 1), free)
            free = np.where(along >= 1, rng.uniform(0, 4e6, len(grid)), free)
        found.append(Series("disk", "host", host, grid, np.round(np.clip(free, 0, None))))
    found += _task_memory(stage, runs, grid)
    return found


def _task_memory(stage: Stage, runs: Runs, grid: pd.DatetimeIndex) -> list[Series]:
    """Peak memory of each run of the main tasks, and the limit it had."""
    rng = stage.rng
    dying, onset = stage.facts.get("memory", ("", None))
    found = []
    for word in ("ingest", "build", "score"):
        limit = float(rng.choice([2, 4, 8])) * GIB
        ended = [r for r in runs.all if r.task == word and r.end is not None and r.end >= grid[0]]
        if not ended:
            continue
        moments = pd.DatetimeIndex([run.end for run in ended])
        rows = np.array([run.rows for run in ended], dtype="float64")
        peak = (
            limit * (0.35 + 0.15 * rows / max(rows.mean(), 1)) * rng.lognormal(0, 0.05, len(ended))
        )
        if word == dying and onset is not None:
            climb = np.clip(1 - (onset - moments) / pd.Timedelta(hours=30), 0, 1).to_numpy(
                dtype="float64"
            )
            peak = np.where(
                moments >= onset,
                limit * rng.uniform(0.985, 1.0, len(ended)),
                peak + (0.9 * limit - peak) * climb,
            )
        peak = np.minimum(peak, limit)
        order = np.argsort(moments.asi8, kind="stable")
        name = task_name(stage, word)
        found.append(Series("task_memory", "task", name, moments[order], np.round(peak[order])))
        found.append(Series("task_limit", "task", name, grid[::6], np.full(len(grid[::6]), limit)))
    return found


def _dependencies(stage: Stage, grid: pd.DatetimeIndex) -> list[Series]:
    """Count calls and failed calls to each dependency."""
    company, rng = stage.company, stage.rng
    down, onset, _ = stage.facts.get("down", ("", None, ""))
    found = []
    for word, name in company.dependency.items():
        if word == "registry":
            continue
        calls = rng.poisson((20 + 60 * _wave(grid, 14)) * rng.lognormal(0, 0.15, len(grid))).astype(
            "float64"
        )
        failed = rng.binomial(calls.astype("int64"), 0.002).astype("float64")
        if name == down and onset is not None:
            hit = np.asarray(grid >= onset)
            failed = np.where(hit, np.round(calls * rng.uniform(0.8, 1.0, len(grid))), failed)
        found.append(Series("calls", "dependency", name, grid, _counter(calls, rng)))
        found.append(Series("call_errors", "dependency", name, grid, _counter(failed, rng)))
    return found


def _counter(increments: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Add up, from zero again at a restart in three of ten."""
    total = np.cumsum(increments) + float(rng.integers(0, 10_000))
    if rng.random() < 0.3:
        reset = int(len(total) * rng.uniform(0.1, 0.8))
        total[reset:] -= total[reset]
    return total


def _neighbour(stage: Stage, grid: pd.DatetimeIndex) -> list[Series]:
    """Watch a web page beside it all, with traffic and latency of its own."""
    rng, name = stage.rng, stage.company.neighbour
    rate = (30 + 200 * _wave(grid, 15)) * rng.lognormal(0, 0.12, len(grid))
    slow = 0.12 * (1 + 0.3 * _wave(grid, 15)) * rng.lognormal(0, 0.2, len(grid))
    spikes = rng.random(len(grid)) < 0.004
    slow = np.where(spikes, slow * rng.uniform(3, 9, len(grid)), slow)
    return [
        Series(
            "requests", "service", name, grid, _counter(rng.poisson(rate).astype("float64"), rng)
        ),
        Series("latency", "service", name, grid, slow.round(4)),
    ]
