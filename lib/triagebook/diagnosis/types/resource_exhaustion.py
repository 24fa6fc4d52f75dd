"""Resource exhaustion: memory, CPU, disk, handles or a GPU run out."""

from __future__ import annotations

from triagebook.core.models import IncidentType
from triagebook.diagnosis.spec import TYPES, Section, Spec
from triagebook.diagnosis.types import _checks as ask

RESOURCE_EXHAUSTION = Spec(
    name=IncidentType.RESOURCE_EXHAUSTION,
    title="resource exhaustion",
    meaning=(
        "Something runs out: memory, CPU, disk, handles or a GPU. The shape tells the cause: a "
        "steady climb is a leak, a step is a change, a climb with the load is growth. First find out "
        "how long is left."
    ),
    needs=("metrics",),
    sections=(
        Section(
            "symptom",
            "What runs out, in which shape, and how long is left?",
            "The resources that moved most: blue now (red where it is beyond usual), grey the same time of day "
            "before (middle 90 %). A saw-tooth that was there last week is the garbage collector at "
            "its work.",
            (*ask.MEMORY, *ask.CPU, *ask.DEVICES),
            "room",
        ),
        Section(
            "load",
            "Does it follow the load?",
            "Requests and their sizes on the same time axis. Use that rises while requests do not is "
            "a leak or a runaway; use that rises with them is growth or a surge.",
            ask.LOAD,
            "load",
        ),
        Section(
            "limits",
            "Was a limit moved, or does somebody else take it?",
            "The metrics that moved farthest. Use as before under a lower limit is a change of the "
            "limit; a busy host under idle processes of ours is a neighbour.",
            (*ask.LIMITS, *ask.NEIGHBOURS),
            "series",
        ),
        Section(
            "felt",
            "Does anybody feel it yet?",
            "Latency or errors above, requests below. Nothing here means there is time to act "
            "without hurry.",
            (*ask.FELT, *ask.GRAPH, *ask.INSTANCES, *ask.WITHIN, *ask.STRAINED),
            "felt",
        ),
        Section(
            "pipeline",
            "Did a task fail on it, or cause it?",
            "Each row is a task, each bar a run: blue ran, red failed. A task that died of it comes "
            "first in the order of causes.",
            ask.PIPELINE,
            "tasks",
        ),
        Section(
            "data",
            "Is the data larger or other than before?",
            "Rows per stretch of time: blue is now, grey the same hours of the days before (middle 90 %). "
            "Twice the rows need twice the room.",
            (*ask.OUTPUT, *ask.DATA, *ask.QUALITY_ALL),
            "volume",
        ),
        Section(
            "around",
            "What else happened at the same time?",
            "Changes in the order of time, the onset among them. A step at a deploy is that deploy's.",
            ask.CHANGES,
            "around",
        ),
    ),
    escalate=("the owner of the process that takes it", "the platform team"),
)

TYPES.register("resource_exhaustion")(RESOURCE_EXHAUSTION)
