"""Latency: answers are slow, or do not come."""

from __future__ import annotations

from triagebook.core.models import IncidentType
from triagebook.diagnosis.spec import TYPES, Section, Spec
from triagebook.diagnosis.types import _checks as ask

LATENCY = Spec(
    name=IncidentType.LATENCY,
    title="latency",
    meaning=(
        "Answers are slow or do not come. Three questions find most causes: does more come in, is one "
        "thing slow that all wait for, or does every instance lack something. What rose first is the "
        "cause; what rose after it is its consequence."
    ),
    needs=("metrics",),
    sections=(
        Section(
            "symptom",
            "How slow, since when, and does more come in?",
            "Latency or errors above, requests below: blue now (red where it is beyond usual), grey the same time of "
            "day before (middle 90 %). Requests that rise first are a surge; requests that rise "
            "after the latency are retries.",
            (*ask.FELT, *ask.LOAD),
            "felt",
        ),
        Section(
            "graph",
            "Where in the call graph is the time spent?",
            "Each bar is a service or an instance: its latency now in times of its usual. The deepest "
            "red one explains those that call it. One red instance among blue ones is a bad instance.",
            (*ask.GRAPH, *ask.INSTANCES),
            "nodes",
        ),
        Section(
            "within",
            "What does a request wait for: the model, the cache, a start?",
            "The parts of a request that moved most. Inference time that steps up at a model change "
            "is a heavier model; a hit share that falls sends everything to the backend.",
            ask.WITHIN,
            "within",
        ),
        Section(
            "room",
            "Does it lack CPU, memory, handles, or a GPU?",
            "The resources that moved most, blue now (red where it is beyond usual), grey before. "
            "What moved only after the latency is a consequence: look at the onset line.",
            (*ask.STRAINED, *ask.RESOURCES),
            "room",
        ),
        Section(
            "pipeline",
            "Did anything fail that it depends on?",
            "Each row is a task, each bar a run: blue ran, red failed. A batch job on the same host "
            "or database is a neighbour.",
            ask.PIPELINE,
            "tasks",
        ),
        Section(
            "data",
            "Are the requests and the answers as before?",
            "Each bar is how far an input lies from the same hours of the reference, 0 to 1; the grey "
            "mark is how far the reference's own days lie apart (95 %). Other inputs can cost other "
            "time.",
            (*ask.OUTPUT, *ask.DATA, *ask.QUALITY_ALL),
            "inputs",
        ),
        Section(
            "around",
            "What else happened at the same time?",
            "Changes in the order of time, the onset among them. A change that came after the onset "
            "caused nothing of it.",
            ask.CHANGES,
            "around",
        ),
    ),
    escalate=(
        "the owner of the slow service",
        "the platform team, where a host or a limit is the cause",
    ),
)

TYPES.register("latency")(LATENCY)
