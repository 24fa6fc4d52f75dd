"""What monitoring sees of the batch: durations, failures, rows, memory and queues, and the load on its hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from triagebook.drills.worlds.served.render import Entity, Renderer, Signal

if TYPE_CHECKING:
    from triagebook.drills.worlds.served.batch import Task, Try
    from triagebook.drills.worlds.served.clock import Array, Clock
    from triagebook.drills.worlds.served.naming import Style
    from triagebook.drills.worlds.served.stage import Stage

_CORES = {"features": 2.0, "train": 3.0, "ingest": 0.8}
_MEASURED = ("ingest", "features", "train")


def host_load(stage: Stage, tries: list[Try]) -> None:
    """Put the work of tasks on their hosts, as work of others there."""
    for item in tries:
        if item.start is None or (item.end or stage.clock.end) < stage.clock.start:
            continue
        cores = min(_CORES.get(item.task.step, 0.2), 0.4 * stage.plant.hosts[item.task.host].cores)
        stage.levers.tenant[item.task.host] += cores * _during(stage.clock, item)


def emit_jobs(stage: Stage, tries: list[Try], style: Style, out: Renderer) -> None:
    """Emit the metrics of all tasks and pipelines."""
    clock = stage.clock
    for task in stage.batch.tasks():
        own = [t for t in tries if t.task is task]
        labels = {"pipeline": task.pipeline, "task": task.name}
        entity = Entity("task", task.path)
        ended = sorted(
            (t for t in own if t.end is not None and t.start is not None and t.state != "running"),
            key=lambda t: t.end or 0,
        )
        took = _last(
            clock,
            [(t.end or 0, (t.end or 0) - (t.start or 0)) for t in ended if t.state == "success"],
        )
        out.add(Signal("task_duration", entity, took, "gauge", labels))
        failed = clock.zeros() + float(stage.rng.integers(0, 40))
        for t in ended:
            if t.state != "success":
                failed = failed + (clock.at >= (t.end or 0))
        out.add(Signal("task_failures", entity, failed, "gauge", labels))
        rows = _last(clock, [(t.end or 0, t.rows) for t in ended if t.state == "success"])
        if task.step != "wait":
            out.add(Signal("task_rows", entity, rows, "gauge", labels))
        if task.step in _MEASURED:
            _memory(stage, task, own, entity, style, out)
    for pipeline in stage.batch.pipelines:
        last = pipeline.tasks[4].name if len(pipeline.tasks) > 4 else pipeline.tasks[-1].name
        done = sorted(
            (t.end, t.end)
            for t in tries
            if t.task.pipeline == pipeline.name
            and t.task.name == last
            and t.state == "success"
            and t.end
        )
        labels = {"pipeline": pipeline.name}
        out.add(
            Signal("pushed", Entity("pipeline", pipeline.name), _last(clock, done), "gauge", labels)
        )
        waiting = clock.zeros() + stage.rng.poisson(0.05, clock.size)
        for t in tries:
            if t.task.pipeline == pipeline.name and not t.task.upstream:
                until = t.start if t.start is not None else clock.end
                waiting = waiting + ((clock.at >= t.scheduled) & (clock.at < until))
        out.add(Signal("waiting", Entity("pipeline", pipeline.name), waiting, "gauge", labels))


def _memory(stage: Stage, task: Task, own: list[Try], entity: Entity, style: Style, out: Renderer) -> None:  # fmt: skip
    clock = stage.clock
    used = np.full(clock.size, np.nan)
    hungry = stage.batch.hungry.get(task.path)
    for t in own:
        if t.start is None:
            continue
        end = t.end if t.end is not None else clock.end
        inside = (clock.at >= t.start) & (clock.at < end)
        grown = 0.3 + 0.7 * np.clip((clock.at - t.start) / max(0.35 * task.median_s, 1), 0, 1)
        want = (
            task.memory
            * (hungry(t.start) if hungry is not None else 1.0)
            * (t.rows / task.rows) ** 0.5
            * grown
        )
        used = np.where(inside, np.minimum(want, task.mem_limit * 0.997), used)
    # Between its runs there is no process to measure.
    labels = {"pipeline": task.pipeline, "task": task.name}
    out.add(Signal("task_memory", entity, used, "gauge", labels))
    more = {"resource": "memory"} if "resource_limits" in style.chosen["task_limit"] else {}
    limit = np.where(np.isnan(used), np.nan, task.mem_limit)
    out.add(Signal("task_limit", entity, limit, "gauge", {**labels, **more}))


def _during(clock: Clock, item: Try) -> Array:
    end = item.end if item.end is not None else clock.end
    return ((clock.at >= (item.start or 0)) & (clock.at < end)).astype(np.float64)


def _last(clock: Clock, steps: list[tuple[float, float]]) -> Array:
    """Return the value of the latest step before each sample; NaN before the first."""
    if not steps:
        return np.full(clock.size, np.nan)
    times, values = np.array([s[0] for s in steps]), np.array([s[1] for s in steps])
    position = np.searchsorted(times, clock.at, side="right") - 1
    return np.where(position >= 0, values[np.maximum(position, 0)], np.nan)
