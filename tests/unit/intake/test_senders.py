"""What each sender's body becomes: episode, status, times, words, and what is no alert at all."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from triagebook.core.errors import NotUnderstoodError
from triagebook.core.models import IncidentType
from triagebook.core.settings import IntakeSettings
from triagebook.intake.sender import SENDERS, Delivery

SAMPLES = Path(__file__).parents[2] / "payloads"
AT = datetime(2013, 6, 4, 14, 5, 3, tzinfo=UTC)


def sample(sender: str, name: str) -> dict:
    return json.loads((SAMPLES / sender / f"{name}.json").read_text())


def parse(sender: str, document: object, **settings) -> list:
    body = json.dumps(document).encode()
    return SENDERS.get(sender)().parse(body, IntakeSettings(**settings))


def test_grafana_tells_each_alert_and_its_values():
    first, second = parse("grafana", sample("grafana", "mixed"))
    assert (first.status, second.status) == ("firing", "resolved")
    assert (first.fingerprint, second.fingerprint) == ("6b1d2a3c4e5f6071", "7b1d2a3c4e5f6072")
    assert (first.ends_at, second.ends_at) == (None, datetime(2013, 6, 4, 15, tzinfo=UTC))
    assert first.starts_at == datetime(2013, 6, 4, 12, 5, 3, 444_000, tzinfo=UTC)
    assert (first.value, second.value) == (None, 0.1)
    (one,) = parse("grafana", sample("grafana", "firing_one"))
    # Which of B and C was meant is not known; both are shown.
    assert one.value is None
    assert one.annotations["values"] == "B=1.94, C=1"
    assert one.links["dashboard"] == "https://grafana.example/d/ml"
    assert "panel" not in one.links


def test_grafana_says_that_its_group_was_cut():
    (one,) = parse("grafana", {**sample("grafana", "firing_one"), "truncatedAlerts": 3})
    assert one.annotations["truncated_alerts"] == "3"


def test_pagerduty_keeps_one_episode_an_incident():
    alerts = [
        parse("pagerduty", sample("pagerduty", name))[0]
        for name in ("triggered", "reopened_without_priority", "resolved")
    ]
    assert {alert.fingerprint for alert in alerts} == {"Q1FLIGHTDELAY"}
    assert [alert.status for alert in alerts] == ["firing", "firing", "resolved"]
    assert [alert.severity for alert in alerts] == ["P1", "high", "P1"]
    assert alerts[0].labels["service"] == "flight-delay"
    assert alerts[0].labels["team"] == "ML platform"
    assert alerts[2].ends_at == datetime(2013, 6, 4, 14, 5, 3, 444_000, tzinfo=UTC)


@pytest.mark.parametrize(
    "kind", ["pagey.ping", "incident.acknowledged", "incident.annotated", "service.created"]
)
def test_pagerduty_says_more_than_alerts(kind):
    document = sample("pagerduty", "triggered")
    document["event"]["event_type"] = kind
    document["event"]["data"] = {"message": "hello", "type": "ping"}
    assert parse("pagerduty", document) == []


def test_pagerduty_names_its_deliveries():
    key = SENDERS.get("pagerduty")().key
    assert key(Delivery({"x-webhook-id": "w1"}, b"")) == "w1"
    assert key(Delivery({}, b"")) is None


@pytest.mark.parametrize(
    ("transition", "status"),
    [
        ("Triggered", "firing"),
        ("Re-Triggered", "firing"),
        ("Warn", "firing"),
        ("No Data", "firing"),
        ("Recovered", "resolved"),
        ("Renotify", None),
        ("", None),
    ],
)
def test_datadogs_transitions(transition, status):
    document = {**sample("datadog", "triggered"), "alert_transition": transition}
    found = parse("datadog", document)
    assert [alert.status for alert in found] == ([] if status is None else [status])


def test_datadog_reads_tags_and_keeps_one_episode_a_cycle():
    (began,) = parse("datadog", sample("datadog", "triggered"))
    (ended,) = parse("datadog", sample("datadog", "recovered"))
    assert began.fingerprint == ended.fingerprint == "1370354703444"
    assert began.labels == {
        "env": "prod",
        "service": "flight-delay",
        "incident_type": "drift",
        "urgent": "true",
    }
    assert (began.starts_at, began.ends_at) == (AT, None)
    assert (ended.starts_at, ended.ends_at) == (None, datetime(2013, 6, 4, 15, tzinfo=UTC))
    assert (began.metric, began.severity) == ("model.feature.psi", "P2")


def test_a_template_of_datadogs_that_was_not_filled_in_is_not_understood():
    with pytest.raises(NotUnderstoodError, match="date"):
        parse("datadog", {**sample("datadog", "triggered"), "date": "$DATE"})


def test_google_tells_value_threshold_and_labels():
    (began,) = parse("gcp", sample("gcp", "open"))
    (ended,) = parse("gcp", sample("gcp", "closed_in_capitals"))
    assert (began.status, ended.status) == ("firing", "resolved")
    assert began.fingerprint == ended.fingerprint == "0.abcdefghijkl"
    assert (began.value, began.threshold) == (2.067, 0.5)
    assert began.metric == "custom.googleapis.com/latency"
    assert began.labels["service"] == "flight-delay"
    assert began.labels["container_name"] == "predictor"
    assert (began.starts_at, ended.ends_at) == (AT, datetime(2013, 6, 4, 15, tzinfo=UTC))
    old = sample("gcp", "open")
    for key in ("metric", "observed_value", "threshold_value", "documentation"):
        del old["incident"][key]
    (plain,) = parse("gcp", old)
    assert (plain.value, plain.description) == (None, None)
    with pytest.raises(NotUnderstoodError, match="open"):
        parse("gcp", {"incident": {**old["incident"], "state": "asleep"}})


def test_airflow_keeps_one_episode_a_task_over_its_runs():
    (failed,) = parse("airflow", sample("airflow", "failed"))
    (again,) = parse("airflow", {**sample("airflow", "failed"), "run_id": "another"})
    (mapped,) = parse("airflow", sample("airflow", "failed_one_of_many"))
    (over,) = parse("airflow", sample("airflow", "success"))
    assert failed.fingerprint == again.fingerprint == over.fingerprint != mapped.fingerprint
    assert failed.incident_type is IncidentType.PIPELINE_FAILURE
    assert failed.title == "flight_features.join_weather failed"
    assert failed.description == "KeyError: 'wind_speed'"
    assert (failed.starts_at, over.ends_at) == (AT, AT)
    assert over.status == "resolved"
    assert parse("airflow", {**sample("airflow", "failed"), "state": "up_for_retry"}) == []


def test_cloudwatch_tells_alarm_and_dimensions():
    (began,) = parse("cloudwatch", sample("cloudwatch", "alarm"))
    (ended,) = parse("cloudwatch", sample("cloudwatch", "ok"))
    (composite,) = parse("cloudwatch", sample("cloudwatch", "composite"))
    assert (began.status, ended.status) == ("firing", "resolved")
    assert began.fingerprint == ended.fingerprint
    assert began.labels["EndpointName"] == "flight-delay"
    assert (began.metric, began.threshold) == ("ModelLatency", 0.5)
    assert (composite.metric, composite.threshold) == (None, None)
    assert began.starts_at == AT.replace(microsecond=444_000)


def test_too_few_data_are_neither_an_alarm_nor_its_end():
    document = sample("cloudwatch", "alarm")
    message = {**json.loads(document["Message"]), "NewStateValue": "INSUFFICIENT_DATA"}
    assert parse("cloudwatch", {**document, "Message": json.dumps(message)}) == []


ALARM = '{"AlarmName": "%s", "NewStateValue": "ALARM", "Trigger": {"Threshold": %s}}'


@pytest.mark.parametrize(
    "message",
    [
        "hello",
        "[]",
        "{}",
        "[" * 5_000,
        # Escaped twice, so that the envelope itself holds nothing that is wrong.
        ALARM % ("a\\u0000b", 1),
        ALARM % ("\\ud800", 1),
        ALARM % ("a", "NaN"),
    ],
)
def test_other_messages_of_a_topic_are_not_understood(message):
    with pytest.raises(NotUnderstoodError):
        parse("cloudwatch", {**sample("cloudwatch", "alarm"), "Message": message})


def test_a_cloud_event_is_named_by_what_it_is_about():
    document = sample("generic", "cloudevent")
    (first,) = parse("generic", document)
    (second,) = parse("generic", {**document, "id": "another", "time": "2013-06-04T15:00:00Z"})
    (other,) = parse("generic", {**document, "subject": "distance"})
    assert first.fingerprint == second.fingerprint != other.fingerprint
    assert first.incident_type is IncidentType.DRIFT
    assert first.starts_at == AT.replace(microsecond=444_000)
    assert first.labels["feature"] == "dep_time"
    assert first.links == {"link": "https://monitor.example/1"}
    for wrong in ({"data_base64": "eA==", "data": None}, {"data": [1]}):
        with pytest.raises(NotUnderstoodError):
            parse("generic", {**document, **wrong})


def test_any_json_is_read_by_a_mapping():
    document = {
        "check": {"name": "nulls of price"},
        "outcomes": [{"seen": "0.4", "most": 0.01}],
        "when": 1_370_354_703,
        "is": "FAILED",
        "on": {"table": "sales", "rows": 10, "nested": {"a": 1}},
    }
    mapping = {
        "title": "check.name",
        "value": "outcomes.0.seen",
        "threshold": "outcomes.0.most",
        "starts_at": "when",
        "status": "is",
        "labels": "on",
    }
    (alert,) = parse("generic", document, mapping=mapping)
    assert (alert.title, alert.value, alert.threshold) == ("nulls of price", 0.4, 0.01)
    assert (alert.status, alert.starts_at) == ("firing", AT)
    assert alert.labels == {"table": "sales", "rows": "10"}
    (over,) = parse(
        "generic", {**document, "is": "PASSED"}, mapping=mapping, resolved_when=["passed"]
    )
    assert over.status == "resolved"
    with pytest.raises(NotUnderstoodError, match="resolved_when"):
        parse("generic", {**document, "is": "PASSED"}, mapping=mapping)
    with pytest.raises(NotUnderstoodError, match="mapping"):
        parse("generic", document)
    with pytest.raises(NotUnderstoodError, match="starts_at"):
        parse("generic", {**document, "when": "yesterday"}, mapping=mapping)


@pytest.mark.parametrize(
    "sender", sorted(set(SENDERS.names()) - {"cloudwatch", "mlflow", "triagebook"})
)
def test_no_link_leads_to_a_script(sender):  # the other three have none
    linked = 0
    for path in (SAMPLES / sender).glob("*.json"):
        body = path.read_text()
        for alert in SENDERS.get(sender)().parse(body.encode(), IntakeSettings()):
            linked += len(alert.links)
        body = re.sub("https?://", "javascript:", body)
        for alert in SENDERS.get(sender)().parse(body.encode(), IntakeSettings()):
            assert alert.links == {}
    assert linked
