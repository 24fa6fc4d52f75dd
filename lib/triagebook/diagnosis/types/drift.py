"""Drift: the inputs or outputs of a model left their reference."""

from __future__ import annotations

from triagebook.core.models import IncidentType
from triagebook.diagnosis.spec import TYPES, Section, Spec
from triagebook.diagnosis.types import _checks as ask

DRIFT = Spec(
    name=IncidentType.DRIFT,
    title="drift",
    meaning=(
        "What the model reads, or what it says, no longer looks as it did. That is a fault of the "
        "data more often than a change of the world, and often neither: seasons move too."
    ),
    needs=("tables",),
    sections=(
        Section(
            "symptom",
            "What changed, and when?",
            "Blue is now, grey the same hours of the days before (middle 90 %). The red line is the onset, its band the "
            "interval; triangles are changes. A fault leaves the grey band at one moment and does not "
            "come back; a season drifts. One point outside the band is chance.",
            ask.OUTPUT,
            "symptom",
        ),
        Section(
            "inputs",
            "Which inputs moved, farther than they move anyway?",
            "Each bar is how far an input lies from the same hours of the reference, 0 to 1. The grey "
            "mark is how far the reference's own days lie apart (95 %). A bar beyond its mark is red. "
            "Weather and traffic have long bars every day: look at the mark, not at the length.",
            ask.MOVED,
            "inputs",
        ),
        Section(
            "fault",
            "Is it a fault of the data?",
            "Left: the distribution before (grey) and since (blue). Right: quantile against quantile; "
            "points on the dotted diagonal mean unchanged, points on another straight line through "
            "zero mean that every value was multiplied by one constant.",
            (*ask.VALUES, *ask.ARRIVAL),
            "fault",
        ),
        Section(
            "season",
            "Is it the season?",
            "Dots are the daily level of the reference, the line its trend carried on, the band the "
            "range of a single day (95 %). Now inside the band: expected. A large drift index with "
            "the dot inside the band is the usual false alarm of spring and autumn.",
            ("drift.season",),
            "season",
        ),
        Section(
            "mix",
            "Did the mix of rows change?",
            "Shares of each value before (grey) and since (blue). When one share grew and the others "
            "are as before within themselves, the population changed, not the feature.",
            ("drift.mix",),
            "mix",
        ),
        Section(
            "harm",
            "What does it do to the model?",
            "Share of positive decisions as served, and with each moved feature put back. The gap is "
            "what the movement does. A feature that moved without a gap is harmless.",
            (*ask.HARM, *ask.QUALITY_ALL),
            "harm",
            (
                "outlook",
                (
                    "Dots are what labels say of the model; the blue line is what inputs and scores let expect "
                    "where labels are due, its bars hold it 19 times in 20. Dots outside the bars mean that "
                    "labels follow another rule, which no estimate can see."
                ),
            ),
        ),
        Section(
            "around",
            "What else happened at the same time?",
            "Changes in the order of time, the onset among them. Only what lies upstream of the "
            "broken column and came shortly before can have caused it; the rest is coincidence and "
            "listed as such.",
            (*ask.CHANGES, *ask.PIPELINE, *ask.SERVICE),
            "around",
        ),
    ),
    escalate=("the owner of the table where the fault enters", "the model's owner"),
)

TYPES.register("drift")(DRIFT)
