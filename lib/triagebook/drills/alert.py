"""The alert of a world as Alertmanager's webhook body, and the Prometheus rule that fires it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote_plus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from triagebook.drills.worlds.flight_delay import World

# What the schedule feed fills. Weather moves every day, and pages nobody.
_WATCHED = "carrier|distance|origin|sched_hour"
_RULE = f'max by (service) (model_feature_psi{{feature=~"{_WATCHED}"}})'
_GROUPED_BY = ("incident_type", "service")
_STILL_FIRING = "0001-01-01T00:00:00Z"
_RECEIVER = "triagebook"
_FNV_OFFSET, _FNV_PRIME = 0xCBF29CE484222325, 0x100000001B3


def alertmanager_payload(
    world: World,
    status: Literal["firing", "resolved"] = "firing",
    *,
    now: datetime | None = None,
    starts_at: datetime | None = None,
) -> dict[str, Any]:
    """Return the body that Alertmanager posts to a webhook (its format version 4).

    Parameters
    ----------
    world : World
        Whose alert it is.
    status : "firing" or "resolved"
        Of the alert and of its group.
    now : datetime, optional
        UTC. Firing: when the alert starts; resolved: when it ends. Without it the world's own
        clock: started when the rule fired in the replay, ended where the replay stands.
    starts_at : datetime, optional
        UTC. When the alert started; wins over what follows from `now`. Without it, a resolved
        alert with a `now` has fired for 15 minutes.

    References
    ----------
    Prometheus documentation, Alertmanager, configuration, `<webhook_config>`.
    """
    ends_at = _STILL_FIRING
    if status == "resolved":
        ends_at = _millis(now or world.at)
        starts_at = starts_at or (now - timedelta(minutes=15) if now else world.alert_at)
    started = starts_at or now or world.alert_at
    labels, annotations = (
        dict(sorted(world.labels.items())),
        dict(sorted(world.annotations.items())),
    )
    group = {name: labels[name] for name in _GROUPED_BY}
    key = ", ".join(f'{name}="{value}"' for name, value in group.items())
    expression = quote_plus(f"{_RULE} > {world.threshold}")
    return {
        "receiver": _RECEIVER,
        "status": status,
        "alerts": [
            {
                "status": status,
                "labels": labels,
                "annotations": annotations,
                "startsAt": _millis(started),
                "endsAt": ends_at,
                "generatorURL": f"http://prometheus.example:9090/graph?g0.expr={expression}&g0.tab=1",
                "fingerprint": fingerprint(labels),
            }
        ],
        "groupLabels": group,
        "commonLabels": labels,
        "commonAnnotations": annotations,
        "externalURL": "http://alertmanager.example:9093",
        "version": "4",
        "groupKey": f"{{}}:{{{key}}}",
        "truncatedAlerts": 0,
    }


def fingerprint(labels: Mapping[str, str]) -> str:
    """Return the fingerprint Alertmanager gives a set of labels, 16 hexadecimal digits.

    References
    ----------
    github.com/prometheus/common, model/signature.go, `labelSetToFingerprint`: 64-bit FNV-1a over
    the sorted names and values, each followed by the byte 255.
    """
    digest = _FNV_OFFSET
    for name in sorted(labels):
        for text in (name, labels[name]):
            for byte in (*text.encode(), 0xFF):
                digest = ((digest ^ byte) * _FNV_PRIME) & 0xFFFF_FFFF_FFFF_FFFF
    return f"{digest:016x}"


def prometheus_rules(world: World, *, hold: str = "15m", every: str = "1m") -> dict[str, Any]:
    """Return a Prometheus rules file that fires the world's alert on what the exporter exposes.

    JSON is YAML: write it with `json.dump` and name the file in `rule_files`.

    Parameters
    ----------
    world : World
        Gives labels, annotations and the threshold.
    hold, every : str
        How long the expression has to hold before the alert fires, and how often it is evaluated;
        Prometheus durations.
    """
    labels = {k: v for k, v in world.labels.items() if k not in {"alertname", "service"}}
    # The value is the one that Prometheus sees, not the one that the world was built with.
    annotations = {
        **world.annotations,
        "summary": re.sub(
            r"PSI [\d.]+", 'PSI {{ $value | printf "%.2f" }}', world.annotations["summary"]
        ),
        "value": "{{ $value }}",
    }
    rule = {
        "alert": world.labels["alertname"],
        "expr": f"{_RULE} > {world.threshold}",
        "for": hold,
        "labels": labels,
        "annotations": annotations,
    }
    return {"groups": [{"name": world.service, "interval": every, "rules": [rule]}]}


def _millis(moment: datetime) -> str:
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
