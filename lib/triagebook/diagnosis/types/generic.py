"""Generic triage: any alert; the cheap checks of every kind, and which type the incident is."""

from __future__ import annotations

from triagebook.core.models import IncidentType
from triagebook.diagnosis.spec import TYPES, Section, Spec

GENERIC = Spec(
    name=IncidentType.UNKNOWN,
    title="triage",
    meaning=(
        "The alert does not say what kind of trouble it is, or there is no runbook for its kind. So "
        "every cheap question is asked once, and the answers say which kind it is."
    ),
    needs=(),
    sections=(
        Section(
            "symptom",
            "What changed, and when?",
            "Blue is now, grey the same hours of the days before (middle 90 %). The red line is the onset, its band the "
            "interval; triangles are changes. A fault leaves the grey band at one moment; one point "
            "outside is chance.",
            ("changes.abrupt",),
            "symptom",
        ),
        Section(
            "kind",
            "Which kind of incident is it?",
            "One row a kind: how many checks found something bad, found nothing, or could not see. "
            "The kind that lies furthest upstream and began first is the one to work on.",
            (),
            "kinds",
        ),
        Section(
            "pipeline",
            "Did the pipeline run?",
            "Each row is a task, each bar a run: blue ran, red failed. What failed first, upstream of "
            "the others, is where to look.",
            ("pipeline.tasks", "pipeline.late", "logs.new_errors"),
            "tasks",
        ),
        Section(
            "data",
            "Is the data as it should be?",
            "Each bar is how far an input lies from the same hours of the reference, 0 to 1; the grey "
            "mark is how far the reference's own days lie apart (95 %).",
            (
                "data.schema_change",
                "data.volume",
                "data.keys",
                "data.join_broken",
                "data.missing_values",
                "drift.inputs_moved",
                "data.unit_change",
                "data.default_fill",
                "data.category_recode",
                "data.corrupted_values",
                "data.column_swap",
                "data.timezone_shift",
                "drift.season",
                "drift.mix",
            ),
            "inputs",
        ),
        Section(
            "model",
            "Is the model as good as before?",
            "Share of positive decisions as served, and with each moved feature put back.",
            ("model.output_moved", "model.measured_performance", "model.version", "drift.harm"),
            "harm",
        ),
        Section(
            "service",
            "Is the service fast, and has it room?",
            "The series that moved farthest from the same hours of the days before (grey: middle 90 %).",
            ("service.latency", "service.resources"),
            "series",
        ),
        Section(
            "around",
            "What else happened at the same time?",
            "Changes in the order of time, the onset among them. Only what lies upstream and came "
            "shortly before can have caused it.",
            ("changes.before_onset",),
            "around",
        ),
    ),
    escalate=("the service's owner",),
)

TYPES.register("generic")(GENERIC)
