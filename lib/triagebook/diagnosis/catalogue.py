"""The cause catalogue: every cause a diagnosis may name, with its locus, its marks and first moves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from triagebook.core.errors import RegistryError
from triagebook.core.models import IncidentType

LocusKind = Literal[
    "column",
    "table",
    "model",
    "segment",
    "feature",
    "config",
    "task",
    "dependency",
    "host",
    "service",
    "instance",
]


@dataclass(frozen=True)
class Cause:
    """A cause.

    Attributes
    ----------
    id : str
        Stable; others rely on it.
    locus : str
        What kind of thing it is about.
    title : str
        In words, with `{name}` for the locus.
    tells : str
        What tells it from its look-alikes.
    moves : tuple of str
        Kinds of action that help, the first ones first.
    """

    id: str
    locus: LocusKind
    title: str
    tells: str
    moves: tuple[str, ...]

    @property
    def fault(self) -> bool:
        """Whether something is broken, as against a world that moved harmlessly or not at all."""
        return self.id not in EXPECTED

    def titled(self, locus: str) -> str:
        """Return the title for a locus such as `column:flights.distance`."""
        return self.title.format(name=locus.partition(":")[2] or locus)


EXPECTED = frozenset({"none", "drift.seasonal", "drift.harmless"})
"""Causes that mean: no fault. A `healthy` verdict has one of them first."""
NOT_OF_TIME = frozenset({IncidentType.DRIFT, IncidentType.MODEL_PERFORMANCE})
"""Alerts about what a model says, which slow answers and long tasks hardly explain."""

_ALL = (
    Cause(
        "data.missing_values",
        "column",
        "Missing values in {name}",
        "null share jumps; other columns of the same row intact",
        ("quarantine", "roll_back", "backfill"),
    ),
    Cause(
        "data.missing_rows",
        "table",
        "Missing rows in {name}",
        "a partition, source or segment has fewer rows than the same hour and weekday before",
        ("call_owner", "backfill"),
    ),
    Cause(
        "data.duplicate_rows",
        "table",
        "Duplicate rows in {name}",
        "key repeats; row count up, distinct keys not",
        ("quarantine", "roll_back", "backfill"),
    ),
    Cause(
        "data.schema_change",
        "table",
        "Schema change of {name}",
        "column gone, renamed or of another type; the old name's rows all null from one moment on",
        ("quarantine", "roll_back", "backfill"),
    ),
    Cause(
        "data.unit_change",
        "column",
        "Unit change in {name}",
        "values scaled or shifted by one constant (miles to km, s to ms, F to C); ranks unchanged",
        ("quarantine", "roll_back", "backfill"),
    ),
    Cause(
        "data.category_recode",
        "column",
        "Categories of {name} recoded",
        "category labels replaced one for one; shares carry over under new names",
        ("quarantine", "roll_back", "backfill"),
    ),
    Cause(
        "data.corrupted_values",
        "column",
        "Corrupted values in {name}",
        "out of range, wrong format, broken encoding, noise",
        ("quarantine", "roll_back", "backfill"),
    ),
    Cause(
        "data.default_fill",
        "column",
        "A default value fills {name}",
        "one constant or sentinel takes an unnatural share",
        ("quarantine", "roll_back", "backfill"),
    ),
    Cause(
        "data.stale",
        "table",
        "Stale data in {name}",
        "newest row older than the freshness promised; values frozen",
        ("call_owner", "backfill"),
    ),
    Cause(
        "data.join_broken",
        "table",
        "Broken join in {name}",
        "keys no longer match: fan-out or many unmatched rows",
        ("quarantine", "roll_back", "backfill"),
    ),
    Cause(
        "data.timezone_shift",
        "column",
        "Time zone shift in {name}",
        "hour-of-day profile moved by whole hours",
        ("quarantine", "roll_back", "backfill"),
    ),
    Cause(
        "data.column_swap",
        "column",
        "Column {name} swapped with another",
        "two columns carry each other's distribution",
        ("quarantine", "roll_back", "backfill"),
    ),
    Cause(
        "model.bad_version",
        "model",
        "Bad model version {name}",
        "change point at a model or hyperparameter change; inputs unchanged; old version fine on the same rows",
        ("roll_back_model", "retrain"),
    ),
    Cause(
        "model.concept_drift",
        "segment",
        "Concept drift in {name}",
        "labels given features moved; inputs, model and scores unchanged",
        ("retrain", "watch"),
    ),
    Cause(
        "model.segment_regression",
        "segment",
        "The model fails in {name}",
        "one slice carries the loss: there the scores no longer follow the inputs; labels given features unchanged",
        ("roll_back", "roll_back_model"),
    ),
    Cause(
        "model.label_fault",
        "table",
        "Faulty labels in {name}",
        "labels late, missing or wrong: the measured drop is not real",
        ("call_owner", "close"),
    ),
    Cause(
        "model.serving_skew",
        "feature",
        "Serving skew in {name}",
        "the served feature differs from the same feature recomputed offline",
        ("roll_back", "quarantine"),
    ),
    Cause(
        "model.stale",
        "model",
        "Stale model {name}",
        "slow decay since the last training; scheduled retraining did not happen",
        ("retrain", "watch"),
    ),
    Cause(
        "model.threshold_change",
        "config",
        "Decision threshold changed ({name})",
        "scores unchanged, decisions changed",
        ("roll_back", "watch"),
    ),
    Cause(
        "drift.population_shift",
        "segment",
        "The mix of rows changed: {name}",
        "the mix of rows changed (new market, campaign), each segment itself unchanged",
        ("watch", "retrain"),
    ),
    Cause(
        "drift.feature_shift",
        "feature",
        "{name} moved in the world",
        "a feature really moved in the world; no data fault explains it",
        ("watch", "retrain"),
    ),
    Cause(
        "drift.label_shift",
        "table",
        "The base rate changed in {name}",
        "the base rate changed",
        ("watch", "retrain"),
    ),
    Cause(
        "drift.seasonal",
        "feature",
        "Seasonal movement of {name}",
        "the same movement a week or a year before: expected",
        ("close", "adjust_reference"),
    ),
    Cause(
        "drift.harmless",
        "feature",
        "Harmless movement of {name}",
        "moved, but the model hardly uses it: no expected loss",
        ("close", "watch"),
    ),
    Cause(
        "pipeline.code_error",
        "task",
        "Code error in task {name}",
        "exception in our code, first seen after a deploy",
        ("roll_back", "retry"),
    ),
    Cause(
        "pipeline.dependency_down",
        "dependency",
        "{name} is down",
        "connection refused, time-outs, 5xx from one system; several tasks hit",
        ("call_owner", "retry"),
    ),
    Cause(
        "pipeline.input_missing",
        "table",
        "Input {name} was not delivered",
        "waited for or failed on input that upstream did not deliver; the upstream task failed or is late",
        ("call_owner", "retry"),
    ),
    Cause(
        "pipeline.out_of_memory",
        "task",
        "Task {name} ran out of memory",
        "exit 137, OOMKilled, MemoryError; memory at the limit before",
        ("scale", "retry"),
    ),
    Cause(
        "pipeline.disk_full",
        "host",
        "Disk full on {name}",
        "no space left on device",
        ("free_disk", "retry"),
    ),
    Cause(
        "pipeline.auth_expired",
        "dependency",
        "Access to {name} is refused",
        "401, 403, token expired, permission denied, from one moment on",
        ("renew_access", "retry"),
    ),
    Cause(
        "pipeline.bad_config",
        "config",
        "Bad configuration ({name})",
        "missing variable, invalid value, after a config change",
        ("roll_back", "retry"),
    ),
    Cause(
        "pipeline.bad_dependency_version",
        "task",
        "A package broke task {name}",
        "ImportError, AttributeError or ABI error after an image or package change",
        ("roll_back", "retry"),
    ),
    Cause(
        "pipeline.deploy_failed",
        "model",
        "Deploy of {name} failed",
        "image pull, health check or model load failed; the old version still serves or nothing does",
        ("roll_back", "retry"),
    ),
    Cause(
        "pipeline.slow",
        "task",
        "Task {name} is slow",
        "runs longer than ever on more data or a slower dependency; missed its deadline; queue backs up",
        ("scale", "watch"),
    ),
    Cause(
        "pipeline.contract_rejected",
        "table",
        "Validation rejected {name}",
        "a validation step refused the data: the data fault behind it is the cause to rank first",
        ("call_owner", "quarantine"),
    ),
    Cause(
        "latency.traffic_surge",
        "service",
        "Traffic surge on {name}",
        "request rate up first; saturation follows; all routes",
        ("scale", "roll_back"),
    ),
    Cause(
        "latency.slow_dependency",
        "dependency",
        "{name} answers slowly",
        "time spent in one callee explains the rise",
        ("call_owner", "roll_back"),
    ),
    Cause(
        "latency.heavier_model",
        "model",
        "Model {name} is slower",
        "inference time steps up at a model change; request rate flat",
        ("roll_back_model", "scale"),
    ),
    Cause(
        "latency.cpu_throttling",
        "service",
        "CPU of {name} is throttled",
        "throttled periods up, usage at the limit",
        ("scale", "roll_back"),
    ),
    Cause(
        "latency.memory_pressure",
        "host",
        "Memory pressure on {name}",
        "garbage collection, swapping or stalls up before latency",
        ("restart", "scale"),
    ),
    Cause(
        "latency.larger_requests",
        "service",
        "Larger requests to {name}",
        "payload or batch size up; time per item flat",
        ("scale", "call_owner"),
    ),
    Cause(
        "latency.bad_instance",
        "instance",
        "Instance {name} is slow",
        "one replica slow, the others fine",
        ("restart", "watch"),
    ),
    Cause(
        "latency.cold_start",
        "service",
        "Cold starts of {name}",
        "restarts or scale-ups just before; first requests slow",
        ("watch", "scale"),
    ),
    Cause(
        "latency.cache_misses",
        "dependency",
        "Cache {name} misses",
        "hit share down, backend calls up",
        ("call_owner", "scale"),
    ),
    Cause(
        "resources.memory_leak",
        "service",
        "Memory leak in {name}",
        "memory climbs steadily since a start, independent of load; resets at restart",
        ("restart", "roll_back"),
    ),
    Cause(
        "resources.memory_step",
        "service",
        "Memory of {name} stepped up",
        "memory steps up at a change (model, batch size)",
        ("roll_back", "scale"),
    ),
    Cause(
        "resources.cpu_runaway",
        "service",
        "A process of {name} pins the CPU",
        "CPU pinned at one process, request rate flat",
        ("restart", "roll_back"),
    ),
    Cause(
        "resources.gpu_memory",
        "host",
        "GPU memory full on {name}",
        "GPU memory at its limit; allocation failures",
        ("restart", "roll_back_model"),
    ),
    Cause(
        "resources.gpu_fault",
        "host",
        "GPU fault on {name}",
        "XID errors, GPU lost, throttled clocks",
        ("restart", "call_owner"),
    ),
    Cause(
        "resources.disk_filling",
        "host",
        "Disk of {name} is filling",
        "free space falls on a line that meets zero; by which writer",
        ("free_disk", "scale"),
    ),
    Cause(
        "resources.handle_leak",
        "service",
        "Handles leak in {name}",
        "open files or connections climb to the limit; pool exhausted",
        ("restart", "roll_back"),
    ),
    Cause(
        "resources.noisy_neighbour",
        "host",
        "Noisy neighbour on {name}",
        "another workload on the host takes the resource; steal time",
        ("call_owner", "scale"),
    ),
    Cause(
        "resources.limit_lowered",
        "config",
        "A limit was lowered ({name})",
        "usage unchanged, the limit moved",
        ("roll_back", "scale"),
    ),
    Cause(
        "resources.demand_growth",
        "service",
        "Demand on {name} grew",
        "usage grows with load over weeks: capacity, not a fault",
        ("scale", "watch"),
    ),
    Cause(
        "none",
        "service",
        "Nothing is wrong with {name}",
        "the alert does not hold up: no bad finding beyond normal variation; say so",
        ("close",),
    ),
)

CAUSES: dict[str, Cause] = {cause.id: cause for cause in _ALL}
"""Every cause by id."""


def cause(cause_id: str) -> Cause:
    """Return a cause; RegistryError for an unknown id."""
    try:
        return CAUSES[cause_id]
    except KeyError as error:
        raise RegistryError(f"no cause is called {cause_id!r}") from error
