"""The payload is Alertmanager's own shape; the fingerprint is Alertmanager's own."""

import json
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from triagebook.drills.alert import alertmanager_payload, fingerprint, prometheus_rules

MOMENT = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)


def test_the_payload_has_alertmanagers_keys(faulty):
    body = alertmanager_payload(faulty)
    assert set(body) == {
        "receiver", "status", "alerts", "groupLabels", "commonLabels", "commonAnnotations",
        "externalURL", "version", "groupKey", "truncatedAlerts",
    }  # fmt: skip
    assert set(body["alerts"][0]) == {
        "status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint",
    }  # fmt: skip
    assert body["version"] == "4"
    assert body["truncatedAlerts"] == 0
    assert body["groupKey"] == '{}:{incident_type="drift", service="flight-delay"}'
    assert json.loads(json.dumps(body)) == body


def test_the_labels_leave_the_feature_to_be_found(faulty):
    alert = alertmanager_payload(faulty)["alerts"][0]
    assert alert["labels"] == {
        "alertname": "ModelInputDrift", "incident_type": "drift",
        "service": "flight-delay", "severity": "page",
    }  # fmt: skip
    assert "distance" not in json.dumps(alert["annotations"])
    assert f"PSI {faulty.value:.2f}" in alert["annotations"]["summary"]


def test_firing_by_the_worlds_clock(faulty):
    alert = alertmanager_payload(faulty)["alerts"][0]
    assert alert["startsAt"] == "2013-06-04T17:30:00.000Z"
    assert alert["endsAt"] == "0001-01-01T00:00:00Z"


def test_firing_now(faulty):
    alert = alertmanager_payload(faulty, now=MOMENT)["alerts"][0]
    assert alert["startsAt"] == "2026-03-01T12:00:00.250Z"


def test_resolved_ends_now_and_keeps_its_fingerprint(faulty):
    later = MOMENT + timedelta(minutes=5)
    firing = alertmanager_payload(faulty, now=MOMENT)
    body = alertmanager_payload(faulty, "resolved", now=later, starts_at=MOMENT)
    alert = body["alerts"][0]
    assert (body["status"], alert["status"]) == ("resolved", "resolved")
    assert alert["startsAt"] == firing["alerts"][0]["startsAt"]
    assert alert["endsAt"] == "2026-03-01T12:05:00.250Z"
    assert alert["fingerprint"] == firing["alerts"][0]["fingerprint"]


@pytest.mark.parametrize("now", [None, MOMENT])
def test_a_resolved_alert_started_before_it_ended(faulty, now):
    alert = alertmanager_payload(faulty, "resolved", now=now)["alerts"][0]
    assert alert["startsAt"] < alert["endsAt"]


def test_the_fingerprint_is_the_one_that_alertmanager_computes():
    # From a delivery of a real Alertmanager 0.25.
    labels = {
        "alertname": "InferenceLatencyHigh", "cluster": "lab", "incident_type": "latency_spike",
        "model": "churn", "prometheus": "p0", "service": "churn-scorer", "severity": "page",
        "version": "v7",
    }  # fmt: skip
    assert fingerprint(labels) == "26eea1c9ab189820"
    assert fingerprint({**labels, "version": "v8"}) != "26eea1c9ab189820"
    assert re.fullmatch("[0-9a-f]{16}", fingerprint({}))


def test_the_rule_gives_the_alert_the_same_labels(faulty):
    (group,) = prometheus_rules(faulty, hold="1s", every="1s")["groups"]
    (rule,) = group["rules"]
    assert {
        **rule["labels"],
        "alertname": rule["alert"],
        "service": "flight-delay",
    } == faulty.labels
    assert rule["for"] == group["interval"] == "1s"
    assert rule["expr"].endswith("> 0.25")
    assert "PSI {{ $value | printf" in rule["annotations"]["summary"]


@pytest.mark.live
def test_prometheus_accepts_the_rule(faulty, tmp_path):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is missing: apt-get install prometheus")
    path = tmp_path / "rules.yml"
    path.write_text(json.dumps(prometheus_rules(faulty)), encoding="utf-8")
    done = subprocess.run(
        [promtool, "check", "rules", path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "1 rules found" in done.stdout
