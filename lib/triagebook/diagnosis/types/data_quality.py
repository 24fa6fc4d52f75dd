"""Data quality: rows are missing, late, twice or wrong."""

from __future__ import annotations

from triagebook.core.models import IncidentType
from triagebook.diagnosis.spec import TYPES, Section, Spec
from triagebook.diagnosis.types import _checks as ask

DATA_QUALITY = Spec(
    name=IncidentType.DATA_QUALITY,
    title="data quality",
    meaning=(
        "Data is not what was agreed: rows missing, late or twice, columns empty, renamed or wrong. "
        "What matters is where it enters: the table furthest upstream that shows it, and the task "
        "that wrote it."
    ),
    needs=("tables",),
    sections=(
        Section(
            "arrival",
            "Did the rows arrive, all of them, once?",
            "Rows per stretch of time: blue is now, grey the same hours of the days before (middle "
            "90 %). Below the band rows are missing, above it they came twice; no blue at the end is a table that "
            "stopped. Nights, weekends and holidays have fewer rows every time.",
            ask.ARRIVAL,
            "volume",
        ),
        Section(
            "values",
            "Which columns are wrong, and since when?",
            "Each bar is how far a column lies from the same hours of the reference, 0 to 1; the grey "
            "mark is how far the reference's own days lie apart (95 %). A bar beyond its mark is red. "
            "A broken writer breaks at one moment; the world drifts.",
            (*ask.MOVED, *ask.OUTPUT),
            "inputs",
        ),
        Section(
            "fault",
            "What happened to them?",
            "Left: the distribution before (grey) and since (blue). Right: quantile against quantile; "
            "points on another straight line through zero mean that every value was multiplied by "
            "one constant, a flat stretch that one value took the place of many.",
            ask.VALUES,
            "fault",
        ),
        Section(
            "pipeline",
            "Which task wrote it?",
            "Each row is a task, each bar a run: blue ran, red failed. A task that succeeded can have "
            "written nonsense: look at what was deployed before its last good run.",
            ask.PIPELINE,
            "tasks",
        ),
        Section(
            "world",
            "Or did the world change?",
            "Dots are the daily level of the reference, the line its trend carried on, the band the "
            "range of a single day (95 %). Now inside the band: expected.",
            ask.WORLD,
            "season",
        ),
        Section(
            "harm",
            "What does it do to the model?",
            "Share of positive decisions as served, and with each moved feature put back. The gap is "
            "what the fault does; without a gap it is harmless to this model.",
            (*ask.HARM, *ask.QUALITY_ALL, *ask.SERVICE),
            "harm",
        ),
        Section(
            "around",
            "What else happened at the same time?",
            "Changes in the order of time, the onset among them. Only what lies upstream of the "
            "broken table and came shortly before can have caused it.",
            ask.CHANGES,
            "around",
        ),
    ),
    escalate=("the owner of the table where the fault enters", "the team that feeds it"),
)

TYPES.register("data_quality")(DATA_QUALITY)
