"""Which checks belong together: every type asks them all, each in its own order.

A cause may be found from any type: a latency alert can end in a leak, a drift alert in a failed task.
"""

from __future__ import annotations

ARRIVAL = ("data.volume", "data.keys", "data.join_broken", "data.schema_change")
VALUES = (
    "data.missing_values",
    "data.unit_change",
    "data.default_fill",
    "data.category_recode",
    "data.corrupted_values",
    "data.column_swap",
    "data.timezone_shift",
)
MOVED = ("drift.inputs_moved",)
WORLD = ("drift.season", "drift.mix")
HARM = ("drift.harm",)
OUTPUT = ("model.output_moved", "changes.abrupt")
QUALITY = ("model.measured_performance", "model.estimated_performance")
LABELS = ("model.base_rate", "model.label_delivery", "model.labels_plausible")
SLICES = ("model.labels_follow_scores", "model.scores_follow_inputs")
MODEL = ("model.version", "model.serving_skew", "model.decision_cut", "model.staleness")
TASKS = ("pipeline.tasks",)
LATE = ("pipeline.late",)
LOGS = ("logs.new_errors",)
FELT = ("latency.symptom",)
GRAPH = ("latency.callee",)
INSTANCES = ("latency.instances",)
LOAD = ("latency.traffic", "latency.requests")
WITHIN = ("latency.cache", "latency.model_time", "latency.starts")
STRAINED = ("latency.throttling", "latency.memory")
MEMORY = ("resources.memory",)
CPU = ("resources.cpu",)
DEVICES = ("resources.gpu", "resources.disk", "resources.handles")
NEIGHBOURS = ("resources.neighbour",)
LIMITS = ("resources.limits", "resources.growth")
CHANGES = ("changes.before_onset",)

DATA = (*ARRIVAL, *VALUES, *MOVED, *WORLD, *HARM)
QUALITY_ALL = (*QUALITY, *LABELS, *SLICES, *MODEL)
PIPELINE = (*TASKS, *LATE, *LOGS)
LATENCY = (*FELT, *GRAPH, *INSTANCES, *LOAD, *WITHIN, *STRAINED)
RESOURCES = (*MEMORY, *CPU, *DEVICES, *NEIGHBOURS, *LIMITS)
SERVICE = (*LATENCY, *RESOURCES)
