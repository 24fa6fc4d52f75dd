"""Model performance: the model is, or is said to be, less right than before."""

from __future__ import annotations

from triagebook.core.models import IncidentType
from triagebook.diagnosis.spec import TYPES, Section, Spec
from triagebook.diagnosis.types import _checks as ask

MODEL_PERFORMANCE = Spec(
    name=IncidentType.MODEL_PERFORMANCE,
    title="model performance",
    meaning=(
        "The model is less right than it was, or a measure says so. Look at the measure first: late "
        "or wrong labels make a good model look bad. Then at what it reads, which is at fault more "
        "often than the model itself."
    ),
    needs=("tables",),
    sections=(
        Section(
            "symptom",
            "What changed, and when?",
            "Blue is now, grey the same hours of the days before (middle 90 %). The red line is the onset, its band the "
            "interval; triangles are changes. A bad version starts at one moment; a stale model "
            "decays over weeks; one point outside the band is chance.",
            ask.OUTPUT,
            "symptom",
        ),
        Section(
            "quality",
            "Is it really less right, and where?",
            "Dots are what labels say; the blue line is what inputs and scores let expect where labels "
            "are due, its bars hold it 19 times in 20. Beyond the dashed line is worse than stretches of "
            "the reference differ by chance; dots outside the bars mean that labels follow another rule, "
            "which no estimate can see.",
            (*ask.QUALITY, *ask.LABELS, *ask.SLICES),
            "outlook",
        ),
        Section(
            "model",
            "Is it the model: its version, its threshold, its age?",
            "Share of positive decisions as served, and with each moved feature put back. When "
            "putting the inputs back changes nothing, the inputs are not the reason.",
            (*ask.MODEL, *ask.HARM),
            "harm",
        ),
        Section(
            "inputs",
            "Is it what the model reads?",
            "Each bar is how far an input lies from the same hours of the reference, 0 to 1. The grey "
            "mark is how far the reference's own days lie apart (95 %). A bar beyond its mark is red. "
            "Weather and traffic have long bars every day: look at the mark, not at the length.",
            (*ask.ARRIVAL, *ask.MOVED, *ask.WORLD),
            "inputs",
        ),
        Section(
            "fault",
            "Is it a fault of the data?",
            "Left: the distribution before (grey) and since (blue). Right: quantile against quantile; "
            "points on the dotted diagonal mean unchanged, points on another straight line through "
            "zero mean that every value was multiplied by one constant.",
            ask.VALUES,
            "fault",
        ),
        Section(
            "pipeline",
            "Did everything upstream run, and is the service well?",
            "Each row is a task, each bar a run: blue ran, red failed. A feature that was not "
            "computed is served old or empty, and the model is blamed for it; time-outs turn into "
            "default answers.",
            (*ask.PIPELINE, *ask.SERVICE),
            "tasks",
        ),
        Section(
            "around",
            "What else happened at the same time?",
            "Changes in the order of time, the onset among them. Only what lies upstream and came "
            "shortly before can have caused it; the rest is coincidence and listed as such.",
            ask.CHANGES,
            "around",
        ),
    ),
    escalate=("the model's owner", "the owner of the table where the fault enters"),
)

TYPES.register("model_performance")(MODEL_PERFORMANCE)
