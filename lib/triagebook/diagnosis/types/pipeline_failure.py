"""Pipeline failure: a task failed, waits, or is late."""

from __future__ import annotations

from triagebook.core.models import IncidentType
from triagebook.diagnosis.spec import TYPES, Section, Spec
from triagebook.diagnosis.types import _checks as ask

PIPELINE_FAILURE = Spec(
    name=IncidentType.PIPELINE_FAILURE,
    title="pipeline failure",
    meaning=(
        "A task failed, waits or is late, and what it feeds is old or missing. The task that failed "
        "first, upstream of the others, is where to look; what failed after it is its consequence."
    ),
    needs=("pipeline",),
    sections=(
        Section(
            "tasks",
            "Which task failed first?",
            "Each row is a task in the order of the graph, each bar a run: blue ran, red failed. The "
            "uppermost red row is where it entered. One red bar followed by blue ones was retried "
            "with success.",
            ask.TASKS,
            "tasks",
        ),
        Section(
            "message",
            "What does it say, and what is new in the logs?",
            "One row a template of lines: those that are new or far more frequent than before, the "
            "first line in time on top. A loud line that was there last week as well is not shown.",
            ask.LOGS,
            "errors",
        ),
        Section(
            "durations",
            "Does it run longer than ever, or wait?",
            "Minutes each task took: grey before, blue now, red where it lasted longer than it ever "
            "did. A full backlog or twice the rows look the same here: look at the load below.",
            ask.LATE,
            "durations",
        ),
        Section(
            "input",
            "Was its input there, and as it should be?",
            "Rows per stretch of time: blue is now, grey the same hours of the days before (middle 90 %). "
            "A rejected batch has a data fault behind it: that is the cause to mend.",
            (*ask.ARRIVAL, *ask.VALUES, *ask.MOVED, *ask.WORLD),
            "volume",
        ),
        Section(
            "room",
            "Had it room: memory, disk, CPU?",
            "The resources that moved most, blue now (red where it is beyond usual), grey the same "
            "hours before. Memory at its limit before the end is a kill, whatever the log says.",
            (*ask.RESOURCES, *ask.LATENCY),
            "room",
        ),
        Section(
            "effect",
            "Who feels it?",
            "Share of positive decisions as served, and with each moved feature put back. A model "
            "that reads old features goes on answering.",
            (*ask.OUTPUT, *ask.QUALITY_ALL, *ask.HARM),
            "harm",
        ),
        Section(
            "around",
            "What was changed before?",
            "Changes, failed tasks and new errors as rows of one time axis. A deploy just before the "
            "first failure is the first suspect; one after it is not.",
            ask.CHANGES,
            "around",
        ),
    ),
    escalate=(
        "the owner of the task that failed first",
        "the owner of the system it could not reach",
    ),
)

TYPES.register("pipeline_failure")(PIPELINE_FAILURE)
