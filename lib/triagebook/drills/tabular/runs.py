"""Simulate the runs of all pipelines: queueing, retries, failures and what they hold back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from triagebook.core.models import TaskRun
from triagebook.drills.tabular.setting import DAY, HOUR, lasting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from triagebook.drills.tabular.stage import RunEdit, Stage

KEPT = 14 * DAY
"""How long runs are kept: before that, the scheduler has forgotten them."""
CHAIN = ("ingest", "validate", "build", "score", "publish")


@dataclass
class Run:
    """One run of one task, by our own words; `edit` is what made it other than usual."""

    pipeline: str
    task: str
    due: pd.Timestamp
    state: str
    start: pd.Timestamp | None
    end: pd.Timestamp | None
    attempt: int
    upstream: tuple[str, ...]
    error: str | None = None
    edit: RunEdit | None = None
    rows: int = 0

    @property
    def took_s(self) -> float:
        """Seconds it ran; 0 where it did not."""
        return (
            (self.end - self.start).total_seconds()
            if self.start is not None and self.end is not None
            else 0.0
        )


@dataclass
class Runs:
    """All runs, and when each batch's scores were written.

    Attributes
    ----------
    all : list of Run
    scored : dict
        End of a batch to the end of the run that scored it; batches held back are missing.
    refused : set of Timestamp
        Batches that validation refused: their rows are in quarantine.
    landed : dict
        End of a batch to when its raw rows were written.
    outcomes : dict
        When labels of each due collection were written; missing ones were not.
    """

    all: list[Run] = field(default_factory=list)
    scored: dict[pd.Timestamp, pd.Timestamp] = field(default_factory=dict)
    landed: dict[pd.Timestamp, pd.Timestamp] = field(default_factory=dict)
    refused: set[pd.Timestamp] = field(default_factory=set)
    outcomes: dict[pd.Timestamp, pd.Timestamp] = field(default_factory=dict)
    snapshots: dict[pd.Timestamp, pd.Timestamp] = field(default_factory=dict)


class Simulator:
    """Runs one after another; a pipeline starts its next run when the last is over."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.rng = stage, stage.rng
        self.found = Runs()
        rng = stage.rng
        self.base_s = {
            "ingest": rng.uniform(40, 200), "validate": rng.uniform(10, 40),
            "build": rng.uniform(50, 260), "score": rng.uniform(30, 140),
            "publish": rng.uniform(10, 60), "join_labels": rng.uniform(40, 200),
            "load_side": rng.uniform(60, 300), "train": rng.uniform(1500, 5400),
            "deploy": rng.uniform(60, 200), "export_main": rng.uniform(30, 120),
            "export_side": rng.uniform(100, 400),
        }  # fmt: skip
        self.retries = int(rng.integers(0, 3))
        self.with_validate = bool(rng.random() < 0.5) or any(
            e.task == "validate" for e in stage.edits
        )
        self.with_upstream = bool(rng.random() < 0.6) or any(
            e.task.startswith("export") for e in stage.edits
        )

    def edit_for(self, task: str, due: pd.Timestamp) -> RunEdit | None:
        """Return the edit that hits a run, if one does."""
        for edit in self.stage.edits:
            on = (
                edit.task == task and due >= edit.since and (edit.until is None or due < edit.until)
            )
            if on and (edit.share >= 1 or self.rng.random() < edit.share):
                return edit
        return None

    def chain(
        self, pipeline: str, tasks: Sequence[str], due: pd.Timestamp, clock: pd.Timestamp, rows: int
    ) -> dict[str, Run]:
        """Run tasks one after another; after one that failed the rest never start."""
        done: dict[str, Run] = {}
        names, broken = self.stage.company, False
        before: tuple[str, ...] = ()
        for task in tasks:
            edit = self.edit_for(task, due)
            took = (
                self.base_s[task]
                * (0.7 + 0.3 * rows / max(self.usual, 1))
                * self.rng.lognormal(0, 0.14)
            )
            kind = edit.kind if edit is not None else ""
            run = Run(pipeline, task, due, "success", clock, None, 1, before, rows=rows, edit=edit)
            if broken:
                run.state, run.start, run.edit = "upstream_failed", None, None
            elif kind == "skipped":
                run.state, run.start, broken = "skipped", None, True
            else:
                if kind == "slow" and edit is not None:
                    took *= edit.factor
                if kind == "failed" and edit is not None:
                    took *= self.rng.uniform(0.1, 0.8)
                    run.state, run.error, broken = "failed", edit.error(), True
                    for attempt in range(1, self.retries + 1):
                        end = clock + lasting(took)
                        self.found.all.append(
                            Run(
                                pipeline,
                                task,
                                due,
                                "failed",
                                clock,
                                end,
                                attempt,
                                before,
                                edit.error(),
                                edit,
                                rows,
                            )
                        )
                        clock = end + pd.Timedelta(seconds=60)
                        run.start, run.attempt = clock, attempt + 1
                elif kind == "retried" and edit is not None:
                    end = clock + pd.Timedelta(seconds=round(float(took) * 0.4, 3))
                    self.found.all.append(
                        Run(
                            pipeline,
                            task,
                            due,
                            "failed",
                            clock,
                            end,
                            1,
                            before,
                            edit.error(),
                            edit,
                            rows,
                        )
                    )
                    clock = end + pd.Timedelta(seconds=60)
                    run.start, run.attempt, run.edit = clock, 2, None
                run.end = clock + lasting(took)
                clock = run.end + lasting(self.rng.uniform(1, 9))
                if run.end > self.stage.setting.now:
                    run.state, run.end, run.error, broken = "running", None, None, True
            self.found.all.append(run)
            done[task] = run
            before = (names.task.get(task, task),)
            if run.state == "running":
                break
        return done

    def play(self) -> Runs:
        """Simulate all pipelines."""
        setting, stage = self.stage.setting, self.stage
        company = stage.company
        main = stage.main[company.ts]
        counts = main.dt.floor(setting.batch).value_counts()
        dues = pd.date_range(
            setting.start.ceil(setting.batch) + setting.batch,
            setting.now,
            freq=setting.batch,
            inclusive="left",
        )
        self.usual = float(counts.mean())
        free = dues[0]
        tasks = tuple(t for t in CHAIN if t != "validate" or self.with_validate)
        waiting: list[pd.Timestamp] = []
        for due in dues:
            rows = int(counts.get(due - setting.batch, 0))
            if self.with_upstream:
                at = due - pd.Timedelta(minutes=5)
                self.chain(
                    company.pipeline["upstream"], ("export_main",), due - setting.batch, at, rows
                )
            clock = max(due + lasting(self.rng.exponential(8)), free)
            if clock > setting.now:
                self.found.all.append(
                    Run(company.pipeline["main"], tasks[0], due, "queued", None, None, 1, ())
                )
                waiting.append(due)
                continue
            done = self.chain(company.pipeline["main"], tasks, due, clock, rows)
            ends = [run.end for run in done.values() if run.end is not None]
            free = max(ends, default=free)
            if any(run.state == "running" for run in done.values()):
                free = setting.now + HOUR
            waiting.append(due)
            refused = done.get("validate")
            if refused is not None and refused.state == "failed":
                self.found.refused.add(waiting.pop())
            elif done["ingest"].state == "success" and done["ingest"].end is not None:
                for late in waiting:
                    self.found.landed.setdefault(late, done["ingest"].end)
            scored = done.get("score")
            if scored is not None and scored.state == "success" and scored.end is not None:
                # What failed before is caught up with by the next run that works.
                for late in waiting:
                    self.found.scored[late] = scored.end
                waiting = []
        self._others()
        self.found.all.sort(key=lambda run: (run.start or run.due, run.task))
        return self.found

    def _others(self) -> None:
        setting, company, stage = self.stage.setting, self.stage.company, self.stage
        for due in pd.date_range(
            setting.start.ceil(setting.label_every), setting.now, freq=setting.label_every
        ):
            run = self.chain(
                company.pipeline["labels"], ("join_labels",), due, due, int(self.usual)
            )
            end = run["join_labels"].end
            if run["join_labels"].state == "success" and end is not None:
                self.found.outcomes[due] = end
        for day in pd.date_range(setting.start.ceil("D"), setting.now, freq="D"):
            due = day + 2 * HOUR
            if due + 10 * pd.Timedelta(minutes=1) >= setting.now:
                continue
            if self.with_upstream:
                at = due - pd.Timedelta(minutes=40)
                self.chain(
                    company.pipeline["upstream"],
                    ("export_side",),
                    due - setting.batch,
                    at,
                    int(self.usual),
                )
            run = self.chain(company.pipeline["main"], ("load_side",), due, due, int(self.usual))
            end = run["load_side"].end
            if run["load_side"].state == "success" and end is not None:
                self.found.snapshots[day] = end
        weekday = int(self.rng.integers(7))
        retrained = stage.facts.get("retrained")
        for day in pd.date_range(setting.start.ceil("D"), setting.now, freq="D"):
            # Trained every week, as scheduled; only a model that is better is deployed.
            on = day.weekday() == (weekday if retrained is None else retrained.weekday())
            deployed = retrained is None or day == retrained.floor("D")
            if on and day + 5 * HOUR < setting.now:
                self.chain(
                    company.pipeline["train"],
                    ("train", "deploy") if deployed else ("train",),
                    day + 3 * HOUR,
                    day + 3 * HOUR,
                    int(self.usual),
                )
        for moment, _ in [
            r for r in (stage.facts.get("release"), stage.facts.get("released")) if r
        ]:
            self.chain(
                company.pipeline["train"],
                ("deploy",),
                moment,
                moment - pd.Timedelta(minutes=4),
                int(self.usual),
            )


def as_task_runs(stage: Stage, runs: Runs) -> list[TaskRun]:
    """Return the kept runs as the scheduler would tell them."""
    setting = stage.setting
    since = setting.now - KEPT
    prefix = ("scheduled__", "run-", "")[int(stage.rng.integers(3))]
    found = []
    for run in runs.all:
        if run.due < since or (run.start is not None and run.start >= setting.now):
            continue
        found.append(
            TaskRun.model_validate(
                {
                    "pipeline": run.pipeline, "run": f"{prefix}{run.due:%Y-%m-%dT%H:%M}",
                    "task": task_name(stage, run.task), "state": run.state,
                    "start": _time(run.start), "end": _time(run.end), "try": run.attempt,
                    "upstream": list(run.upstream), "error": run.error,
                    "log": None if run.start is None or run.end is None else (_time(run.start), _time(run.end)),
                }
            )
        )  # fmt: skip
    return found


def task_name(stage: Stage, word: str) -> str:
    """Return a task's name by our word for it; upstream's exports are named for what they deliver."""
    if word.startswith("export_"):
        return f"{stage.company.task['export']}_{stage.company.table[word.removeprefix('export_')]}"
    return stage.company.task[word]


def _time(moment: pd.Timestamp | None) -> Any:
    return None if moment is None else moment.to_pydatetime(warn=False)
