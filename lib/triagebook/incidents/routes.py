"""From an alert's labels to incident type, service, runbook and parameters."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from triagebook.core.models import IncidentType
from triagebook.core.paths import runbook_path
from triagebook.incidents.priority import USUAL, level, rank

if TYPE_CHECKING:
    from pathlib import Path

    from triagebook.core.maintenance import MaintenanceSettings
    from triagebook.core.models import Alert
    from triagebook.core.settings import RouteSettings, Settings

FALLBACK_RUNBOOK = "generic"
"""The runbook for any alert whose type has none of its own."""

SERVICE_LABELS = ("service", "model", "job")
"""Labels that may name a service, the first that names a configured one wins."""

TYPE_LABEL = "incident_type"
"""The label that names an incident type, or one of `ALIASES`; `-` and spaces read as `_`."""

ALIASES: dict[str, IncidentType] = {
    "accuracy_drop": IncidentType.MODEL_PERFORMANCE,
    "model_degradation": IncidentType.MODEL_PERFORMANCE,
    "performance": IncidentType.MODEL_PERFORMANCE,
    "performance_degradation": IncidentType.MODEL_PERFORMANCE,
    "data_issue": IncidentType.DATA_QUALITY,
    "data_quality_issue": IncidentType.DATA_QUALITY,
    "schema_change": IncidentType.DATA_QUALITY,
    "job_failure": IncidentType.PIPELINE_FAILURE,
    "pipeline": IncidentType.PIPELINE_FAILURE,
    "task_failure": IncidentType.PIPELINE_FAILURE,
    "high_latency": IncidentType.LATENCY,
    "latency_high": IncidentType.LATENCY,
    "latency_spike": IncidentType.LATENCY,
    "oom": IncidentType.RESOURCE_EXHAUSTION,
    "resource": IncidentType.RESOURCE_EXHAUSTION,
    "resources": IncidentType.RESOURCE_EXHAUSTION,
    "concept_drift": IncidentType.DRIFT,
    "data_drift": IncidentType.DRIFT,
    "feature_drift": IncidentType.DRIFT,
    "input_drift": IncidentType.DRIFT,
    "model_drift": IncidentType.DRIFT,
}
"""Other names in use for the six incident types."""


@dataclass(frozen=True)
class Route:
    """Where an alert goes.

    Attributes
    ----------
    service : str or None
        A configured service; null where none is named, or an unknown one.
    runbook : str
        Name of a runbook that exists, or `generic`.
    subject : str
        What alerts of one delivery are correlated by, with the incident type: the service, or
        what the labels call it, or else the alert's own name.
    priority : int
        Rank of its run, the smaller goes first (`priority.rank`).
    windows : tuple of MaintenanceSettings
        Those that hold its run back while they last.
    """

    incident_type: IncidentType
    service: str | None
    runbook: str
    subject: str
    parameters: dict[str, Any] = field(default_factory=dict)
    priority: int = USUAL
    windows: tuple[MaintenanceSettings, ...] = ()


def route(alert: Alert, settings: Settings, root: Path) -> Route:
    """Find where an alert goes; every alert goes somewhere.

    The first `[[route]]` that matches says what it names. What it leaves open is read from the
    alert and its labels.

    Parameters
    ----------
    root : Path
        The home folder; `server.notebooks` is relative to it.
    """
    rule = next((rule for rule in settings.routes if rule.matches(alert.labels)), None)
    kind = _incident_type(alert, rule)
    named = _named(alert, rule)
    service = next((name for name in named if _configured(name, settings)), None)
    known = _configured(service, settings) if service else None
    urgency = rank(alert, settings.service(known).criticality) if known else rank(alert)
    return Route(
        incident_type=kind,
        service=known,
        runbook=_runbook(kind, settings, root),
        subject=_subject(alert, service, named),
        parameters=dict(rule.parameters) if rule else {},
        priority=urgency,
        windows=tuple(
            window
            for window in settings.maintenance
            if window.concerns([*named, *([known] if known else [])], alert.labels)
            and not (window.except_critical and level(urgency) == "critical")
        ),
    )


def known_type(text: str) -> IncidentType:
    """Return the incident type that a word stands for, `unknown` where it is none."""
    word = "_".join(text.strip().lower().replace("-", " ").replace("_", " ").split())
    return ALIASES.get(word) or IncidentType(word)


def _incident_type(alert: Alert, rule: RouteSettings | None) -> IncidentType:
    if rule is not None and rule.incident_type is not None:
        return rule.incident_type
    if alert.incident_type is not IncidentType.UNKNOWN:
        return alert.incident_type
    return known_type(alert.labels.get(TYPE_LABEL, ""))


def _named(alert: Alert, rule: RouteSettings | None) -> list[str]:
    """List what may be the service's name, the most telling first."""
    if rule is not None and rule.service is not None:
        return [rule.service]
    labels = [alert.labels[name] for name in SERVICE_LABELS if alert.labels.get(name)]
    return [alert.service, *labels] if alert.service else labels


def _configured(name: str, settings: Settings) -> str | None:
    """Return the configured service of that name, or the one that serves the model of that name."""
    for service in settings.services:
        if service.name == name:
            return service.name
    for service in settings.services:
        if service.model is not None and service.model.name == name:
            return service.name
    return None


def _subject(alert: Alert, service: str | None, named: list[str]) -> str:
    if service is not None:
        return f"service:{service}"
    if named:
        return f"named:{named[0]}"
    return f"alert:{alert.labels.get('alertname') or alert.title or ''}"


def _runbook(kind: IncidentType, settings: Settings, root: Path) -> str:
    own = settings.server.notebooks
    folder = root / own if own is not None else None
    if kind is IncidentType.UNKNOWN or runbook_path(kind.value, folder) is None:
        return FALLBACK_RUNBOOK
    return kind.value
