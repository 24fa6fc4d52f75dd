"""The alert: what a rule on the metrics would have said, and when; its type may mislead."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from triagebook.core.models import Alert, IncidentType
from triagebook.drills.worlds.served.clock import moment

if TYPE_CHECKING:
    from triagebook.drills.scenario import Scenario
    from triagebook.drills.worlds.served.batch import Try
    from triagebook.drills.worlds.served.clock import Array
    from triagebook.drills.worlds.served.naming import Style
    from triagebook.drills.worlds.served.running import State
    from triagebook.drills.worlds.served.stage import Stage

_SENDERS = {
    "prometheus": "alertmanager",
    "opentelemetry": "grafana",
    "statsd": "datadog",
    "cloudwatch": "sns",
}


def make_alert(stage: Stage, state: State, style: Style, scenario: Scenario, at: float, tries: list[Try]) -> Alert:  # fmt: skip
    """Return the alert.

    Parameters
    ----------
    at : float
        When the first fault or herring began, Unix seconds.
    """
    kind = scenario.incident_type
    service = stage.plant.name("api")
    more: dict[str, object] = {}
    labels = {"severity": stage.namer.pick(("warning", "critical", "page"))}
    clock = stage.clock
    fires = min(at + min(900.0, 0.3 * (clock.end - at)), clock.end - 60)
    if kind is IncidentType.LATENCY:
        fires, more = _latency(stage, state, style, at)
        title = f"p99 latency of {service} above {more['threshold']:g} {more.pop('unit')}"
    elif kind is IncidentType.RESOURCE_EXHAUSTION:
        fires, title, more, about = _resource(stage, state, style, at)
        labels |= about
    elif kind is IncidentType.PIPELINE_FAILURE:
        fires, title, about = _task(stage, at, tries)
        labels |= about
    elif kind is IncidentType.DATA_QUALITY:
        table = stage.batch.tables["online"]
        fires = at + 1.4 * stage.batch.pipelines[0].every_s
        title = f"{table} is older than promised"
        labels["table"] = table
    elif kind is IncidentType.MODEL_PERFORMANCE:
        title = f"{stage.plant.model}: fewer good predictions an hour than usual"
    elif kind is IncidentType.DRIFT:
        title = f"{stage.plant.model}: inputs differ from last week's"
    else:
        title = f"{service}: please look, something is not as usual"
    fires = max(min(fires, clock.end - 60), clock.split + 60)
    labels |= {"alertname": title.split(" ", maxsplit=1)[0].strip(":"), "service": service}
    return Alert.model_validate(
        {"sender": _SENDERS[style.convention], "fingerprint": stage.namer.text(16), "status": "firing",
         "incident_type": kind, "title": title, "description": None,
         "severity": labels["severity"], "starts_at": moment(round(fires)), "service": service,
         "labels": labels, "annotations": {"summary": title}, **more}
    )  # fmt: skip


def _crossing(stage: Stage, values: Array, at: float, bad_above: bool = True) -> tuple[float, float, float]:  # fmt: skip
    """Return when a rule would have fired, its threshold and the value then."""
    clock = stage.clock
    signed = values if bad_above else -values
    usual = float(np.nanquantile(signed[clock.reference], 0.995))
    later = np.flatnonzero((clock.at >= max(at, clock.split)) & ~np.isnan(signed))
    if len(later) == 0:
        return at + 300, abs(usual), abs(usual)
    smooth = np.convolve(np.nan_to_num(signed, nan=usual), np.ones(3) / 3, mode="same")
    worst = float(np.quantile(smooth[later], 0.9))
    # People set thresholds in round numbers above what is usual; a few set them too low.
    level = (
        usual + 0.3 * (worst - usual) if worst > usual else float(np.quantile(signed[later], 0.8))
    )
    digits = 2 - int(np.floor(np.log10(max(abs(level), 1e-12)))) - 1
    threshold = round(level, digits)
    over = later[smooth[later] > min(threshold, level)]
    first = int(over[0]) if len(over) else int(later[-1])
    fires = float(clock.at[first]) + max(2 * clock.step_s, 120)
    return fires, abs(threshold), abs(float(smooth[first]))


def _named(style: Style, key: str, entity: str) -> str:
    """Return the metric a rule would name; where labels are missing, the entity is in it."""
    name = style.name(key, {})
    tail = ".p99" if key == "latency" and style.convention == "statsd" else ""
    return f"{style.prefix}.{entity}.{name}{tail}" if style.convention == "statsd" else name


def _latency(stage: Stage, state: State, style: Style, at: float) -> tuple[float, dict[str, object]]:  # fmt: skip
    values = state.units["api"].latency.quantile(0.99)
    service = stage.plant.name("api")
    fires, threshold, value = _crossing(stage, values, at)
    scale = style.scale("latency")
    return fires, {
        "metric": _named(style, "latency", service), "threshold": float(f"{threshold * scale:.3g}"),
        "value": float(f"{value * scale:.4g}"), "unit": style.unit_of("latency"),
    }  # fmt: skip


def _resource(stage: Stage, state: State, style: Style, at: float) -> tuple[float, str, dict[str, object], dict[str, str]]:  # fmt: skip
    symptom, plant = stage.symptom, stage.plant
    what = symptom.resource or "cpu"
    if what == "disk" and symptom.host is not None:
        key, name, values, up = "disk_free", plant.hosts[symptom.host].name, state.disk_free[symptom.host], False  # fmt: skip
    elif what == "gpu" and symptom.host is not None:
        key, name, values, up = "gpu_used", plant.hosts[symptom.host].name, state.gpu_used[symptom.host], True  # fmt: skip
    elif what == "card" and symptom.host is not None:
        key, name, up = "gpu_clock", plant.hosts[symptom.host].name, False
        values = 1410 * stage.levers.gpu_clock[symptom.host]
    elif symptom.host is not None and what == "memory":
        number = symptom.host
        key, name, values, up = "host_free", plant.hosts[number].name, plant.hosts[number].mem - state.host_mem[number], False  # fmt: skip
    elif symptom.host is not None:
        key, name, values, up = "host_cpu", plant.hosts[symptom.host].name, state.host_cpu[symptom.host], True  # fmt: skip
    else:
        served = state.units[symptom.role]
        alive = served.up > 0.5
        shares = {"memory": served.memory, "cpu": served.usage, "fds": served.fds}[what]
        key = {"memory": "memory", "cpu": "cpu", "fds": "fds"}[what]
        values = np.where(alive, shares, 0).max(axis=0)
        name, up = plant.name(symptom.role), True
    fires, threshold, value = _crossing(stage, values, at, up)
    said = {
        "disk_free": "disk space",
        "gpu_used": "GPU memory",
        "gpu_clock": "GPU clock",
        "fds": "number of open files",
        "host_free": "free memory",
        "host_cpu": "CPU",
    }.get(key, key)
    where = {"host": name} if symptom.host is not None else {"target": name}
    if key in ("cpu", "host_cpu"):
        # What CPU is shown as differs too much for one rule's number.
        return fires, f"{said} of {name} is high", {"metric": _named(style, key, name)}, where
    scale = style.scale(key)
    found: dict[str, object] = {"metric": _named(style, key, name), "threshold": float(f"{threshold * scale:.3g}"), "value": float(f"{value * scale:.4g}")}  # fmt: skip
    return fires, f"{said} of {name} is {'high' if up else 'low'}", found, where


def _task(stage: Stage, at: float, tries: list[Try]) -> tuple[float, str, dict[str, str]]:
    """Return the alert of the first failure, or of the task that should be done by now."""
    bad = [t for t in tries if t.hit and t.start is not None and (t.end or stage.clock.end) >= at]
    failed = sorted(
        (t for t in bad if t.end is not None and t.state == "failed"), key=lambda t: t.end or 0
    )
    if failed:
        last = next((t for t in failed if t.number > t.task.retries), failed[0])
        return (
            (last.end or at) + 30,
            f"task {last.task.name} of {last.task.pipeline} failed",
            {"pipeline": last.task.pipeline, "task": last.task.name},
        )
    if bad:
        first = min(bad, key=lambda t: t.start or 0)
        return (
            (first.start or at) + 3 * first.task.median_s,
            f"{first.task.pipeline} missed its deadline",
            {"pipeline": first.task.pipeline},
        )
    pipeline = stage.batch.pipelines[0].name
    return at + 900, f"{pipeline} needs attention", {"pipeline": pipeline}
