"""Bodies in the exact shape of Alertmanager's webhook, version 4, for tests."""

from __future__ import annotations

import json
from typing import Any

from triagebook.incidents.fingerprints import of_labels

ZERO = "0001-01-01T00:00:00Z"
START = "2013-06-04T14:05:03.444Z"
END = "2013-06-04T15:20:31.444Z"

LABELS = {
    "alertname": "ModelInputDrift",
    "incident_type": "drift",
    "prometheus": "p0",
    "service": "flight-delay",
    "severity": "page",
}


def alert(status: str = "firing", starts_at: str = START, **labels: str) -> dict[str, Any]:
    """Return one alert; a label given as an empty text is left out."""
    kept = {name: text for name, text in {**LABELS, **labels}.items() if text}
    return {
        "status": status,
        "labels": kept,
        "annotations": {"summary": "an input of flight-delay moved", "value": "1.94"},
        "startsAt": starts_at,
        "endsAt": END if status == "resolved" else ZERO,
        "generatorURL": "http://prometheus.example/graph?g0.expr=model_feature_psi+%3E+0.25",
        "fingerprint": of_labels(kept),
    }


def webhook(*alerts: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return a group as Alertmanager sends it: `firing` while any alert of it fires."""
    firing = any(one["status"] == "firing" for one in alerts)
    common = {
        name: text
        for name, text in alerts[0]["labels"].items()
        if all(one["labels"].get(name) == text for one in alerts)
    }
    return {
        "receiver": "triagebook",
        "status": "firing" if firing else "resolved",
        "alerts": list(alerts),
        "groupLabels": {"alertname": common.get("alertname", "")},
        "commonLabels": common,
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.example",
        "version": "4",
        "groupKey": '{}:{alertname="ModelInputDrift"}',
        "truncatedAlerts": 0,
        **changes,
    }


def body(*alerts: dict[str, Any], **changes: Any) -> bytes:
    """Return the bytes of a group."""
    return json.dumps(webhook(*alerts, **changes)).encode()
