"""From an alert's labels to incident type, service, runbook and parameters."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from triagebook.core.models import IncidentType
from triagebook.core.paths import runbook_path
from triagebook.incidents.correlation import OWN_SENDER, SERVICE
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

LONGEST_SUBJECT = 200
"""Characters of a subject; of a longer one a hash is put in."""

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


_NAMELESS = "alert:"


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
        What alerts are correlated by: the service, or what the labels call it, or else the
        alert's own name. A service that only a route for everything named is not one: what such
        alerts have in common is that nobody knows whose they are.
    alone : bool
        Nothing of another delivery belongs to it: it has no name at all, or is about the alerting.
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
    alone: bool = False


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
    service = next((found for name in named if (found := _configured(name, settings))), None)
    subject = _subject(alert, service, named)
    if rule is not None and rule.service is not None and rule.matches_all:
        own = _labelled(alert)
        told = next((found for name in own if (found := _configured(name, settings))), None)
        subject = _subject(alert, told, own)
    urgency = rank(alert, settings.service(service).criticality) if service else rank(alert)
    return Route(
        incident_type=kind,
        service=service,
        runbook=_runbook(kind, settings, root),
        subject=subject,
        parameters=dict(rule.parameters) if rule else {},
        priority=urgency,
        windows=tuple(
            window
            for window in settings.maintenance
            if window.concerns([*named, *([service] if service else [])], alert.labels)
            and not (window.except_critical and level(urgency) == "critical")
        ),
        alone=subject == _NAMELESS or alert.sender == OWN_SENDER,
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
    return _labelled(alert)


def _labelled(alert: Alert) -> list[str]:
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
        return f"{SERVICE}{service}"
    subject = f"named:{named[0]}" if named else _alert_subject(alert)
    if len(subject) <= LONGEST_SUBJECT:
        return subject
    whole = hashlib.sha256(subject.encode("utf-8", "backslashreplace")).hexdigest()
    return subject[: LONGEST_SUBJECT - len(whole)] + whole


def _alert_subject(alert: Alert) -> str:
    return f"{_NAMELESS}{alert.labels.get('alertname') or alert.title or ''}"


def _runbook(kind: IncidentType, settings: Settings, root: Path) -> str:
    own = settings.server.notebooks
    folder = root / own if own is not None else None
    if kind is IncidentType.UNKNOWN or runbook_path(kind.value, folder) is None:
        return FALLBACK_RUNBOOK
    return kind.value
