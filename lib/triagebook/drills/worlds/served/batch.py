"""The batch side: pipelines, their tasks, tables and schedules, and weeks of runs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from triagebook.core.models import TaskRun
from triagebook.drills.worlds.served.clock import DAY_S, HOUR_S, moment

if TYPE_CHECKING:
    from collections.abc import Callable

    from triagebook.drills.worlds.served.clock import Clock
    from triagebook.drills.worlds.served.plant import Plant
    from triagebook.drills.worlds.served.words import Namer

HISTORY_S = 21 * DAY_S


@dataclass(frozen=True)
class Task:
    """One task of a pipeline.

    `uses` names the systems it talks to, `host` is where it runs, and `every_s` is how far apart its
    runs are, at most six hours.
    """

    pipeline: str
    step: str
    name: str
    upstream: tuple[str, ...]
    median_s: float
    rows: float
    host: int
    uses: tuple[str, ...]
    retries: int
    retry_s: float
    memory: float
    mem_limit: float
    every_s: float

    @property
    def path(self) -> str:
        """Return PIPELINE.TASK."""
        return f"{self.pipeline}.{self.name}"


@dataclass(frozen=True)
class Pipeline:
    """Tasks in the order they run, every so many seconds, the first run at `phase`."""

    name: str
    tasks: tuple[Task, ...]
    every_s: float
    phase: float


@dataclass
class Trouble:
    """What befalls tasks.

    Attributes
    ----------
    tasks : frozenset of str
        Paths.
    since, until : float
        Unix seconds; tries that start in between are hit.
    kind : "fail", "wait" or "slow"
        Fails after a part of its time; waits for input until its time-out; takes longer.
    error : callable
        From a task and the moment to the text of the error.
    after : float
        Share of the usual time after which it fails.
    often : float
        Share of tries hit.
    factor : callable or None
        Of "slow": from the moment to a factor of the duration.
    """

    tasks: frozenset[str]
    since: float
    kind: Literal["fail", "wait", "slow"]
    error: Callable[[Task, float], str] | None = None
    until: float = float("inf")
    after: float = 0.4
    often: float = 1.0
    factor: Callable[[float], float] | None = None
    once: bool = False
    """Whether only first tries are hit."""


@dataclass(frozen=True)
class Try:
    """One try of a task, as it happened; `start` is None where it never began."""

    task: Task
    run: str
    scheduled: float
    state: str
    start: float | None
    end: float | None
    number: int
    error: str | None
    rows: float
    hit: bool = False

    def as_run(self) -> TaskRun:
        """Return it as pipeline.json has it."""
        times = None if self.start is None else moment(self.start)
        ended = None if self.end is None else moment(self.end)
        return TaskRun.model_validate(
            {"pipeline": self.task.pipeline, "run": self.run, "task": self.task.name,
             "state": self.state, "start": times, "end": ended, "try": self.number,
             "upstream": list(self.task.upstream), "error": self.error,
             "log": None if times is None or ended is None else (times, ended)}
        )  # fmt: skip


@dataclass
class Batch:
    """All pipelines, their tables and the systems they use.

    Attributes
    ----------
    tables : dict of "source", "raw", "clean", "features", "online" to name
    systems : dict of "warehouse", "objects", "registry", "vendor", "scheduler" to name
    growth : list of callables
        Factors of rows, from the moment; faults and herrings add to it.
    hungry : dict of path to callable
        Factors of the memory a task takes, from the moment.
    supplier_late : float or None
        Since when what others deliver does not come.
    """

    pipelines: tuple[Pipeline, ...]
    tables: dict[str, str]
    systems: dict[str, str]
    troubles: list[Trouble] = field(default_factory=list)
    growth: list[Callable[[float], float]] = field(default_factory=list)
    hungry: dict[str, Callable[[float], float]] = field(default_factory=dict)
    supplier_late: float | None = None

    def task(self, step: str) -> Task:
        """Return the first task of a step; KeyError where there is none."""
        for pipeline in self.pipelines:
            for task in pipeline.tasks:
                if task.step == step:
                    return task
        raise KeyError(step)

    def tasks(self) -> list[Task]:
        """Return all tasks."""
        return [task for pipeline in self.pipelines for task in pipeline.tasks]

    def pipeline_of(self, task: Task) -> Pipeline:
        """Return the pipeline of a task."""
        return next(p for p in self.pipelines if p.name == task.pipeline)


def make_batch(rng: np.random.Generator, namer: Namer, plant: Plant, anchor: float | None,
               end: float) -> Batch:  # fmt: skip
    """Draw the pipelines.

    Parameters
    ----------
    anchor : float or None
        Unix time of a fault that enters here: runs start some minutes after it.
    end : float
        Of the window, Unix seconds.
    """
    systems = {kind: f"{namer.word()}-{namer.pick(words)}" if rng.random() < 0.6 else namer.word() for kind, words in (
        ("warehouse", ("warehouse", "dwh", "lake")), ("objects", ("objects", "blob", "archive")),
        ("registry", ("registry", "models", "hub")), ("vendor", ("feed", "partner", "exchange")),
    )}  # fmt: skip
    tables = {kind: namer.noun() for kind in ("raw", "features")}
    tables = {
        "source": f"{namer.pick(('inbound', 'drop', 'delivery', 'partner'))}_{namer.noun()}",
        "raw": f"{namer.pick(('raw', 'landing', 'src', 'stage'))}_{tables['raw']}",
        "clean": f"{namer.pick(('clean', 'core', 'trusted'))}_{tables['raw']}",
        "features": f"{namer.pick(('features', 'feat', 'agg'))}_{tables['features']}",
        "online": f"{namer.pick(('online', 'served', 'kv'))}_{tables['features']}",
    }
    every = float(rng.choice([1, 2, 3, 6])) * HOUR_S
    rows = float(10 ** rng.uniform(4.3, 6.2))
    other = len(plant.hosts) - 2  # both machines for batches; nothing that serves runs there
    taken: set[str] = set()

    def task(pipeline: str, step: str, upstream: tuple[str, ...], seconds: float, uses: tuple[str, ...]) -> Task:  # fmt: skip
        name = namer.task(step)
        while name in taken:
            name = f"{namer.task(step)}_{namer.text(2)}"
        taken.add(name)
        memory = float(rng.uniform(0.5, 6.0)) * 2.0**30
        return Task(
            pipeline=pipeline, step=step, name=name, upstream=upstream,
            median_s=seconds * float(rng.uniform(0.5, 1.6)), rows=rows * float(rng.uniform(0.6, 1.0)),
            host=plant.batch_host if step != "wait" and rng.random() < 0.7 else other,
            uses=tuple(systems[u] for u in uses), retries=int(rng.integers(1, 4)),
            retry_s=float(rng.choice([60, 120, 300])), memory=memory,
            mem_limit=round(memory * float(rng.uniform(1.4, 1.9)) / 2.0**28) * 2.0**28,
            every_s=every if step not in ("train", "deploy") else 6 * HOUR_S,
        )  # fmt: skip

    def chain(
        pipeline: str, steps: tuple[tuple[str, float, tuple[str, ...]], ...]
    ) -> tuple[Task, ...]:
        made: list[Task] = []
        for step, seconds, uses in steps:
            made.append(task(pipeline, step, (made[-1].name,) if made else (), seconds, uses))
        return tuple(made)

    main, train = f"{namer.word()}_{namer.pick(('hourly', 'refresh', 'flow', 'etl'))}", f"{namer.word()}_{namer.pick(('train', 'retrain', 'models'))}"  # fmt: skip
    first = chain(main, (
        ("wait", 40, ("objects",)), ("ingest", 180, ("vendor", "objects")), ("validate", 60, ("warehouse",)),
        ("features", 420, ("warehouse",)), ("publish", 90, ("warehouse",)),
    ))  # fmt: skip
    report = task(main, "report", (first[2].name,), 45, ("warehouse",))
    second = chain(train, (
        ("train", 1500, ("warehouse", "registry")), ("deploy", 240, ("registry",)),
    ))  # fmt: skip
    start = anchor if anchor is not None else end - rng.uniform(0.1, 0.9) * every
    phase = start + (float(rng.uniform(180, 900)) if anchor is not None else 0.0)
    phase = float(np.ceil(phase / 60)) * 60
    daily = phase + (float(rng.uniform(240, 900)) if anchor is not None else -float(rng.uniform(0, 12)) * HOUR_S)  # fmt: skip
    daily = float(np.ceil(daily / 60)) * 60
    made = [Pipeline(main, (*first, report), every, phase), Pipeline(train, second, DAY_S, daily)]
    if rng.random() < 0.5:
        # Others' pipeline is known here in every second company; else the delivery is all there is.
        name = f"{namer.word()}_{namer.pick(('supplier', 'exports', 'upstream'))}"
        others = task(name, "supply", (), 120, ("objects",))
        made.append(Pipeline(name, (others,), every, phase - 1200))
    return Batch(pipelines=tuple(made), tables=tables, systems=systems)


def run_batch(batch: Batch, clock: Clock, rng: np.random.Generator) -> list[Try]:
    """Return every try from three weeks before the window's end on, by pipeline and start."""
    tries: list[Try] = []
    for pipeline in batch.pipelines:
        first = pipeline.phase - np.ceil((pipeline.phase - (clock.end - HISTORY_S)) / pipeline.every_s) * pipeline.every_s  # fmt: skip
        free = 0.0
        for scheduled in np.arange(first, clock.end, pipeline.every_s):
            made = _one_run(batch, pipeline, float(scheduled), free, clock, rng)
            tries.extend(made)
            ends = [t.end if t.end is not None else np.inf for t in made if t.start is not None]
            # One run at a time: a run that takes too long holds up the next.
            free = max([free, *ends]) if ends else free
    return tries


def _one_run(batch: Batch, pipeline: Pipeline, scheduled: float, free: float, clock: Clock,
             rng: np.random.Generator) -> list[Try]:  # fmt: skip
    run = f"scheduled__{moment(scheduled - pipeline.every_s).isoformat()}"
    begin = max(scheduled + 2 + float(rng.exponential(4)), free + 3)
    done: dict[str, float | None] = {}
    tries: list[Try] = []
    size = float(np.exp(rng.normal(0, 0.1))) * (1 + 0.2 * np.cos(2 * np.pi * (scheduled / DAY_S)))
    for factor in batch.growth:
        size *= factor(scheduled)
    for task in pipeline.tasks:
        late = batch.supplier_late is not None and scheduled + 1200 >= batch.supplier_late
        if task.step == "supply" and late:
            tries.append(Try(task, run, scheduled, "scheduled", None, None, 1, None, 0.0))
            done[task.name] = None
            continue
        before = [done[name] for name in task.upstream]
        rows = round(task.rows * size)
        if any(b is None for b in before):
            known = [t for t in tries if t.task.name in task.upstream]
            failed = any(t.state in ("failed", "upstream_failed") for t in known)
            if failed:
                tries.append(
                    Try(task, run, scheduled, "upstream_failed", None, None, 1, None, rows)
                )
            done[task.name] = None
            continue
        start = max([begin, *(b for b in before if b is not None)]) + 1 + float(rng.exponential(3))
        if start >= clock.end:
            if not before and scheduled + 60 < clock.end:
                # Due, and held up by the run before it.
                tries.append(Try(task, run, scheduled, "queued", None, None, 1, None, rows))
            done[task.name] = None
            continue
        made = _tries(batch, task, run, scheduled, start, rows, size, clock, rng)
        tries.extend(made)
        done[task.name] = made[-1].end if made[-1].state == "success" else None
    return tries


def _tries(batch: Batch, task: Task, run: str, scheduled: float, start: float, rows: float,
           size: float, clock: Clock, rng: np.random.Generator) -> list[Try]:  # fmt: skip
    made: list[Try] = []
    number = 1
    error: str | None
    while True:
        usual = task.median_s * size**0.8 * float(np.exp(rng.normal(0, 0.18)))
        trouble, slower = _trouble(batch, task, start, number, rng)
        usual *= slower
        flaky = float(rng.random()) < 0.006 and number == 1 and start < clock.end - 7200
        if trouble is None and not flaky:
            end = start + usual
            state = "success" if end < clock.end else "running"
            made.append(
                Try(
                    task,
                    run,
                    scheduled,
                    state,
                    start,
                    end if state == "success" else None,
                    number,
                    None,
                    rows,
                    hit=slower > 1.3,
                )
            )
            return made
        if trouble is None:
            lasts, error, state = (
                min(usual, 35.0),
                f"ReadTimeout: {task.uses[0]} did not answer in 30 s",
                "failed",
            )
        elif trouble.kind == "wait":
            lasts, error, state = (
                0.8 * 3 * 3600.0,
                trouble.error(task, start) if trouble.error else None,
                "failed",
            )
        else:
            lasts, error, state = (
                usual * trouble.after + 2,
                trouble.error(task, start) if trouble.error else None,
                "failed",
            )
        end = start + lasts
        if end >= clock.end:
            made.append(
                Try(
                    task,
                    run,
                    scheduled,
                    "running",
                    start,
                    None,
                    number,
                    None,
                    rows,
                    hit=trouble is not None,
                )
            )
            return made
        last = number > task.retries or (trouble is not None and trouble.kind == "wait")
        made.append(
            Try(
                task,
                run,
                scheduled,
                state,
                start,
                end,
                number,
                error,
                rows,
                hit=trouble is not None,
            )
        )
        if last:
            return made
        number += 1
        start = end + task.retry_s
        if start >= clock.end:
            waits = replace(made[-1], state="up_for_retry")
            return [*made[:-1], waits]


def _trouble(batch: Batch, task: Task, start: float, number: int, rng: np.random.Generator) -> tuple[Trouble | None, float]:  # fmt: skip
    slower = 1.0
    for trouble in batch.troubles:
        if task.path not in trouble.tasks or not trouble.since <= start < trouble.until:
            continue
        if trouble.once and number > 1:
            continue
        if trouble.kind == "slow":
            slower *= trouble.factor(start) if trouble.factor is not None else 1.0
        elif float(rng.random()) < trouble.often:
            return trouble, slower
    return None, slower
