"""Run jobs at once within a budget of time; one that hangs costs itself and no more."""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from triagebook.core.errors import SourceTimeoutError
from triagebook.sources.base import Stop

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_MOST_THREADS = 64


@dataclass
class Job:
    """One thing to do.

    Parameters
    ----------
    call : callable
        Gets a `Stop` and returns the result.
    budget_s : float
        Seconds it may take, from when it starts.
    """

    call: Callable[[Stop], Any]
    budget_s: float
    stop: Stop = field(default_factory=Stop)
    started: float | None = None


@dataclass
class Outcome:
    """What came of a job: a result or an error, and the seconds it took."""

    result: Any = None
    error: BaseException | None = None
    took_s: float = 0.0


def run_all(jobs: Sequence[Job], budget_s: float) -> list[Outcome]:
    """Run jobs in threads of their own and return when all are done or the budget has ended.

    Parameters
    ----------
    jobs : sequence of Job
        At most 64 run at once; a job that was not started in time says so.
    budget_s : float
        Seconds for all of them.

    Returns
    -------
    list of Outcome
        In the order of `jobs`. A job out of time holds a SourceTimeoutError, and its thread is
        left behind: it is a daemon, so it does not keep the process from ending.
    """
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[int, Outcome]] = queue.SimpleQueue()
    ended = threading.Event()
    for number in range(len(jobs)):
        waiting.put(number)

    def work() -> None:
        while not ended.is_set():
            try:
                number = waiting.get_nowait()
            except queue.Empty:
                return
            job = jobs[number]
            job.started = begin = time.monotonic()
            outcome = Outcome()
            try:
                outcome.result = job.call(job.stop)
            # Whatever a plug-in raises is its own entry in the ledger, nobody else's end.
            except BaseException as error:  # noqa: BLE001
                outcome.error = error
            outcome.took_s = time.monotonic() - begin
            done.put((number, outcome))

    begin = time.monotonic()
    for number in range(min(len(jobs), _MOST_THREADS)):
        threading.Thread(target=work, name=f"pull-{number}", daemon=True).start()
    outcomes: list[Outcome | None] = [None] * len(jobs)
    while any(outcome is None for outcome in outcomes):
        now = time.monotonic()
        ends = [
            _end(job, begin, budget_s)
            for job, outcome in zip(jobs, outcomes, strict=True)
            if outcome is None
        ]
        try:
            number, outcome = done.get(timeout=max(0.0, min(ends) - now))
        except queue.Empty:
            _give_up(jobs, outcomes, begin, budget_s)
            continue
        if outcomes[number] is None:  # else it came too late, and is already written off
            outcomes[number] = outcome
    ended.set()
    return [outcome for outcome in outcomes if outcome is not None]


def _end(job: Job, begin: float, budget_s: float) -> float:
    """Return when a job is given up; one that has not started may be given up any moment later."""
    last = begin + budget_s
    # Without a start of its own it is looked at again soon: it may start, and end, before `last`.
    first = time.monotonic() if job.started is None else job.started
    return min(last, first + job.budget_s)


def _give_up(
    jobs: Sequence[Job], outcomes: list[Outcome | None], begin: float, budget_s: float
) -> None:
    now = time.monotonic()
    for number, job in enumerate(jobs):
        if outcomes[number] is not None or now < _end(job, begin, budget_s):
            continue
        if job.started is None:
            message = f"not asked: the budget of {budget_s:g} s was used up by other pulls"
            took_s = 0.0
        else:
            took_s = now - job.started
            message = f"no answer in {min(job.budget_s, budget_s):g} s"
        outcomes[number] = Outcome(
            error=SourceTimeoutError(message, "give the pull a larger `budget`, or ask for less"),
            took_s=took_s,
        )
        # In a thread: what a plug-in has registered there may hang as well.
        threading.Thread(target=job.stop.stop, name=f"stop-{number}", daemon=True).start()
