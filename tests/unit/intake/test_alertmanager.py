from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.payloads.alertmanager import build
from triagebook.core.errors import NotUnderstoodError
from triagebook.core.models import IncidentType
from triagebook.core.settings import IntakeSettings
from triagebook.intake.senders.alertmanager import Alertmanager

SAMPLES = Path(build.__file__).parent


def parse(*alerts, **changes):
    return Alertmanager().parse(build.body(*alerts, **changes), IntakeSettings())


def one(**changes):
    """Parse one firing alert with some of its keys changed; None takes a key away."""
    alert = {**build.alert(), **changes}
    (found,) = parse({key: value for key, value in alert.items() if value is not None})
    return found


def noted(**annotations):
    return one(annotations=annotations)


def test_every_sample_is_read():
    counts = {
        path.stem: len(Alertmanager().parse(path.read_bytes(), IntakeSettings()))
        for path in SAMPLES.glob("*.json")
    }
    assert counts == {
        "firing_one": 1,
        "firing_two": 2,
        "mixed": 2,
        "resolved_one": 1,
        "truncated": 1,
    }


def test_a_firing_alert():
    alert = one()
    assert (alert.sender, alert.status, alert.severity) == ("alertmanager", "firing", "page")
    assert alert.title == "an input of flight-delay moved"
    assert alert.starts_at == datetime(2013, 6, 4, 14, 5, 3, 444_000, UTC)
    assert alert.ends_at is None
    assert alert.value == 1.94
    assert alert.labels == build.LABELS
    assert len(alert.fingerprint) == 16
    assert alert.links == {
        "generator": "http://prometheus.example/graph?g0.expr=model_feature_psi+%3E+0.25",
        "alertmanager": "http://alertmanager.example",
    }


def test_service_and_type_are_left_to_the_routes():
    alert = one()
    assert (alert.service, alert.incident_type) == (None, IncidentType.UNKNOWN)


def test_each_alert_s_own_status_counts_not_the_group_s():
    group = parse(build.alert("resolved", a="1"), build.alert(a="2"), status="firing")
    assert [alert.status for alert in group] == ["resolved", "firing"]
    assert group[0].ends_at == datetime(2013, 6, 4, 15, 20, 31, 444_000, UTC)
    assert group[1].ends_at is None


@pytest.mark.parametrize(
    ("text", "microsecond"),
    [
        ("2013-06-04T14:05:03Z", 0),
        ("2013-06-04T14:05:03.4Z", 400_000),
        ("2013-06-04T14:05:03.4441Z", 444_100),
        ("2013-06-04T14:05:03.444123456Z", 444_123),
        ("2013-06-04T16:05:03.444123456+02:00", 444_123),
    ],
)
def test_go_s_times(text, microsecond):
    assert one(startsAt=text).starts_at == datetime(2013, 6, 4, 14, 5, 3, microsecond, UTC)


@pytest.mark.parametrize("text", [build.ZERO, "0001-01-01T00:00:00+01:00"])
def test_the_year_one_is_no_time(text):
    assert one(startsAt=text).starts_at is None


def test_a_firing_alert_has_no_end_whatever_is_written():
    assert one(endsAt="2013-06-04T15:00:00Z").ends_at is None


@pytest.mark.parametrize("given", ["", None])
def test_a_missing_fingerprint_is_computed_as_alertmanager_does(given):
    assert one(fingerprint=given).fingerprint == build.alert()["fingerprint"]


def test_a_cut_group_is_noted():
    (alert,) = parse(build.alert(), truncatedAlerts=4)
    assert alert.annotations["truncated_alerts"] == "4"
    assert "truncated_alerts" not in one().annotations


@pytest.mark.parametrize(
    ("notes", "title"),
    [
        ({"summary": "s", "title": "t"}, "s"),
        ({"summary": "", "title": "t"}, "t"),
        ({}, "ModelInputDrift"),
    ],
)
def test_the_title(notes, title):
    assert noted(**notes).title == title


def test_an_alert_without_any_name_has_no_title():
    assert one(labels={}, annotations={}).title is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.94", 1.94),
        (" 3 ", 3.0),
        ("-1e-3", -0.001),
        ("2.067s", None),
        ("NaN", None),
        ("+Inf", None),
        ("1e999", None),
        ("", None),
    ],
)
def test_the_value_where_it_is_a_number(text, value):
    assert noted(value=text).value == value


def test_the_value_may_be_a_label():
    assert one(annotations={}, labels={"value": "7"}).value == 7.0


def test_description_threshold_and_metric():
    alert = noted(description="long", threshold="0.25", metric="model_feature_psi")
    assert (alert.description, alert.threshold) == ("long", 0.25)
    assert alert.metric == "model_feature_psi"


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://x.example/a", True),
        ("HTTP://x.example", True),
        ("javascript:alert(1)", False),
        (" http://x.example", False),
        ("data:text/html,x", False),
    ],
)
def test_only_web_links_are_links(url, kept):
    alert = noted(runbook_url=url, dashboard=url)
    assert ("runbook" in alert.links, "dashboard" in alert.links) == (kept, kept)
    assert alert.annotations["runbook_url"] == url


def test_keys_of_later_versions_pass():
    alert = one(newKey={"a": [1]})
    assert not hasattr(alert, "newKey")
    assert len(parse(build.alert(), notificationReason="x")) == 1


@pytest.mark.parametrize(
    ("document", "where"),
    [
        ([], "the whole"),
        (None, "the whole"),
        ({}, "version: Field required"),
        (build.webhook(build.alert(), version="3"), "version"),
        (build.webhook(build.alert(), version=4), "version"),
        (build.webhook(build.alert(), alerts=[]), "alerts"),
        (build.webhook(build.alert(), alerts={}), "alerts"),
        (build.webhook(build.alert(), alerts=[1]), "alerts.0"),
        (build.webhook({**build.alert(), "status": "flapping"}), "alerts.0.status"),
        (build.webhook(build.alert()) | {"alerts": [{"status": "firing"}]}, "alerts.0.labels"),
        (build.webhook({**build.alert(), "labels": {"a": 1}}), "alerts.0.labels.a"),
        (build.webhook({**build.alert(), "startsAt": "soon"}), "alerts.0.startsAt"),
        (build.webhook({**build.alert(), "startsAt": [5]}), "alerts.0.startsAt"),
        (
            build.webhook({**build.alert(), "endsAt": "9999-12-31T23:00:00-05:00"}),
            "alerts.0.endsAt",
        ),
        (build.webhook({**build.alert(), "fingerprint": 5}), "alerts.0.fingerprint"),
        (build.webhook(build.alert(), truncatedAlerts=-1), "truncatedAlerts"),
        (build.webhook(build.alert(), truncatedAlerts="4"), "truncatedAlerts"),
        (build.webhook(build.alert(), truncatedAlerts=True), "truncatedAlerts"),
    ],
)
def test_another_shape_is_not_understood(document, where):
    with pytest.raises(NotUnderstoodError) as caught:
        Alertmanager().parse(json.dumps(document).encode(), IntakeSettings())
    assert where in caught.value.message


def test_a_reason_names_three_problems_and_counts_the_rest():
    bad = {**build.alert(), "labels": dict.fromkeys("abcde", 1)}
    with pytest.raises(NotUnderstoodError, match="and 2 more"):
        Alertmanager().parse(
            json.dumps({**build.webhook(build.alert()), "alerts": [bad]}).encode(), IntakeSettings()
        )
