"""How failures sound: the error of a run and its log lines, in the words and the format of real systems."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from triagebook.drills.tabular.company import Company

Said = tuple[str, str, dict[str, Any]]
"""Severity, message, attributes."""


@dataclass(frozen=True)
class Failure:
    """An exception as the task raised it.

    Attributes
    ----------
    kind : str
        The exception's class, dotted.
    text : str
    frames : tuple of (file, function, code)
        From the outermost.
    exit_code : int
        Of the container or process.
    reason : str
        What the scheduler or cluster says of it; "" for a plain error.
    """

    kind: str
    text: str
    frames: tuple[tuple[str, str, str], ...] = ()
    exit_code: int = 1
    reason: str = ""

    @property
    def short(self) -> str:
        """What a scheduler keeps of it."""
        return f"{self.kind.rpartition('.')[2]}: {self.text}" if self.kind else self.text


def lines(failure: Failure, task: str, company: Company, rng: np.random.Generator) -> list[Said]:
    """Return what the log holds of a failure, in the company's format."""
    style = company.log_style
    if style == "spark":
        return _spark(failure, task, company, rng)
    if style == "airflow":
        return _airflow(failure, task, company)
    if style == "kubernetes":
        return _kubernetes(failure, task, company, rng)
    if style == "json":
        return [
            (
                "ERROR", f"{task} failed: {failure.short}",
                {"exc_type": failure.kind, "exc_message": failure.text, "stack": _traceback(failure)},
            )
        ]  # fmt: skip
    return [("ERROR", f"{task} failed\n{_traceback(failure)}", {"exit_code": failure.exit_code})]


def _traceback(failure: Failure) -> str:
    if not failure.kind:
        return failure.text
    found = ["Traceback (most recent call last):"]
    for at, (file, function, code) in enumerate(failure.frames):
        found += [f'  File "{file}", line {41 + 17 * at}, in {function}', f"    {code}"]
    return "\n".join([*found, f"{failure.kind}: {failure.text}"])


def _spark(failure: Failure, task: str, company: Company, rng: np.random.Generator) -> list[Said]:
    stage, number = int(rng.integers(3, 40)), int(rng.integers(100, 3000))
    host = company.host_of.get(task, company.hosts[0])
    if failure.reason == "OOMKilled":
        return [
            (
                "WARN",
                (
                    f"TaskSetManager: Lost task {number % 8}.0 in stage {stage}.0 (TID {number}) ({host} "
                    f"executor 2): ExecutorLostFailure (executor 2 exited caused by one of the running "
                    f"tasks) Reason: Container killed by YARN for exceeding physical memory limits. 8.1 GB "
                    f"of 8 GB physical memory used. Exit code is 137"
                ),
                {"executor": 2},
            ),
            ("ERROR", f"ApplicationMaster: User class threw exception: {failure.short}", {}),
        ]
    return [
        (
            "ERROR",
            f"TaskSetManager: Task {number % 8} in stage {stage}.0 failed 4 times; aborting job",
            {"tid": number},
        ),
        (
            "ERROR",
            (
                f"org.apache.spark.SparkException: Job aborted due to stage failure: Task {number % 8} in "
                f"stage {stage}.0 failed 4 times, most recent failure: Lost task {number % 8}.3 in stage "
                f"{stage}.0 (TID {number}) ({host} executor 1): org.apache.spark.api.python.PythonException: "
                f"{_traceback(failure)}"
            ),
            {"stage": stage},
        ),
    ]


def _airflow(failure: Failure, task: str, company: Company) -> list[Said]:
    pipeline = company.pipeline["main"]
    found: list[Said] = [
        (
            "ERROR",
            f"{{taskinstance.py:1824}} ERROR - Task failed with exception\n{_traceback(failure)}",
            {"dag_id": pipeline, "task_id": task},
        ),
        (
            "INFO",
            f"{{taskinstance.py:1345}} INFO - Marking task as FAILED. dag_id={pipeline}, task_id={task}",
            {"dag_id": pipeline, "task_id": task},
        ),
    ]
    if failure.exit_code == 137:
        found.insert(
            0,
            (
                "ERROR",
                "{local_task_job.py:221} ERROR - Task exited with return code Negsignal.SIGKILL (137)",
                {"task_id": task},
            ),
        )
    return found


def _kubernetes(
    failure: Failure, task: str, company: Company, rng: np.random.Generator
) -> list[Said]:
    pod = f"{task.replace('_', '-')}-{int(rng.integers(10**6, 10**7))}"
    about = {"namespace": company.code, "pod": pod, "reason": failure.reason or "Error"}
    if failure.reason in ("ImagePullBackOff", "CrashLoopBackOff", "Unhealthy"):
        return [("WARN", f"{failure.reason}: {failure.text}", about)]
    return [
        ("ERROR", f"{pod}: {_traceback(failure)}", {"pod": pod}),
        (
            "WARN",
            (
                f"BackOff: container {task} in pod {pod} terminated with exit code {failure.exit_code} "
                f"({failure.reason or 'Error'})"
            ),
            about,
        ),
    ]


def as_text(attributes: dict[str, Any]) -> str:
    """Return attributes as the bundle stores them: JSON with sorted keys."""
    return json.dumps(attributes, sort_keys=True, ensure_ascii=False, default=str)
