"""Times that are wrong, missing or written otherwise: the incident opens, and only a real end closes it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from triagebook.core.models import Alert
from triagebook.core.settings import ServiceSettings
from triagebook.core.times import iso, now_utc
from triagebook.evidence.windows import windows_for
from triagebook.incidents.clocks import AHEAD_S, BEHIND_S, doubts_of_message, doubts_of_start
from triagebook.intake.times import read_epoch, read_time

SAMPLES = Path(__file__).parents[2] / "payloads"
AT = datetime(2013, 6, 4, 14, 5, 3, tzinfo=UTC)
NOW = datetime(2013, 6, 4, 15, 0, tzinfo=UTC)

# Where each sender's sample says when it began, and when it ended; None where it never does.
FIRING = {
    "alertmanager": ("firing_one", ("alerts", 0, "startsAt"), ("alerts", 0, "endsAt")),
    "grafana": ("firing_one", ("alerts", 0, "startsAt"), ("alerts", 0, "endsAt")),
    "pagerduty": ("triggered", ("event", "data", "created_at"), ("event", "data", "resolved_at")),
    "cloudwatch": ("alarm", ("Message", "StateChangeTime"), None),
    "datadog": ("triggered", ("date",), None),
    "gcp": ("open", ("incident", "started_at"), ("incident", "ended_at")),
    "airflow": ("failed", ("end_date",), None),
    "generic": ("cloudevent", ("data", "starts_at"), ("data", "ends_at")),
}
EPOCHS = frozenset({"datadog", "gcp"})


def body(sender: str, *changes: tuple[tuple[object, ...], object]) -> bytes:
    """Return a firing sample with values put in at some paths; `...` takes the key away."""
    document = json.loads((SAMPLES / sender / f"{FIRING[sender][0]}.json").read_text())
    inner = json.loads(document["Message"]) if sender == "cloudwatch" else document
    for path, value in changes:
        holder = inner
        for key in path[path[0] == "Message" : -1]:
            holder = holder[key]
        if value is ...:
            holder.pop(path[-1], None)
        else:
            holder[path[-1]] = value
    if sender == "cloudwatch":
        document["Message"] = json.dumps(inner)
    return json.dumps(document).encode()


def opened(intake, store, sender: str, content: bytes):
    receipt = intake.accept(sender, {}, content)
    assert receipt.status == "processed", receipt.why
    (name,) = receipt.opened
    incident = store.incident(name)
    assert incident.state == "open"
    return incident


def sensible(alert: Alert) -> None:
    now = now_utc()
    windows = windows_for(alert, ServiceSettings(name="flight-delay"), now)
    assert windows.reference[1] == windows.current[0] < windows.current[1] <= now
    if alert.starts_at is not None and datetime(1971, 1, 1, tzinfo=UTC) <= alert.starts_at <= now:
        assert windows.current[0] <= alert.starts_at <= windows.current[1]


@pytest.mark.parametrize("sender", FIRING)
@pytest.mark.parametrize("hours", [-26, -3, 3, 26])
def test_a_clock_that_is_hours_off_opens_an_incident_in_our_own_order(intake, store, sender, hours):
    told = now_utc().replace(microsecond=0) + timedelta(hours=hours)
    value = told.timestamp() if sender in EPOCHS else iso(told)
    before = now_utc()
    incident = opened(intake, store, sender, body(sender, (FIRING[sender][1], value)))
    assert incident.alert.starts_at == told
    sensible(incident.alert)
    # What is ordered is ordered by our clock.
    moments = [entry.ts for entry in store.timeline(incident.id)]
    assert before <= moments[0] <= moments[-1] <= now_utc()
    (message,) = store.alerts(incident.id)
    (episode,) = store.episodes(incident.id)
    assert bool(message.doubts) == (hours > 0)
    assert bool(episode.doubts) == (hours < 0)


@pytest.mark.parametrize("sender", FIRING)
@pytest.mark.parametrize("value", [..., None, ""])
def test_without_a_start_the_incident_opens_now(intake, store, sender, value):
    incident = opened(intake, store, sender, body(sender, (FIRING[sender][1], value)))
    sensible(incident.alert)
    (episode,) = store.episodes(incident.id)
    assert episode.as_alert().starts_at is not None


@pytest.mark.parametrize("sender", sorted(set(FIRING) - EPOCHS))
@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2013-06-04T16:05:03+02:00", AT),
        ("2013-06-04T19:35:03+05:30", AT),
        ("2013-06-04 14:05:03", AT),
        ("2013-06-04T16:05:03 Europe/Berlin", AT),
        (1_370_354_703, AT),
        (1_370_354_703_000, AT),
        ("1370354703", AT),
        ("0001-01-01T00:00:00Z", None),
        ("9999-12-31T23:59:59Z", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("2013-06-30T23:59:60Z", datetime(2013, 7, 1, tzinfo=UTC)),
    ],
)
def test_every_way_to_write_a_start_opens_an_incident(intake, store, sender, text, moment):
    path = FIRING[sender][1]
    incident = opened(intake, store, sender, body(sender, (path, text)))
    if moment is not None:
        assert incident.alert.starts_at == moment
    sensible(incident.alert)


@pytest.mark.parametrize("sender", sorted(EPOCHS))
@pytest.mark.parametrize("value", [1_370_354_703, 1_370_354_703_000, "1370354703", 1.370354703e18])
def test_seconds_and_finer_since_1970(intake, store, sender, value):
    incident = opened(intake, store, sender, body(sender, (FIRING[sender][1], value)))
    assert incident.alert.starts_at == AT


@pytest.mark.parametrize("sender", [name for name, (_, _, end) in FIRING.items() if end])
def test_an_end_before_the_start_closes_nothing_while_it_fires(intake, store, sender):
    _, start, end = FIRING[sender]
    early = 1_370_000_000 if sender in EPOCHS else "2013-05-31T00:00:00Z"
    incident = opened(intake, store, sender, body(sender, (end, early)))
    (episode,) = store.episodes(incident.id)
    assert (episode.closed_at, incident.alert.ends_at) == (None, None)
    del start


def test_a_real_end_closes_the_incident_though_its_time_cannot_be(intake, store):
    incident = opened(intake, store, "alertmanager", body("alertmanager"))
    path = ("alerts", 0, "endsAt")
    over = body(
        "alertmanager", (("alerts", 0, "status"), "resolved"), (path, "2013-05-31T00:00:00Z")
    )
    assert intake.accept("alertmanager", {}, over).status == "processed"
    assert store.incident(incident.id).state == "resolved"
    (episode,) = store.episodes(incident.id)
    windows = windows_for(episode.as_alert(), None, now_utc())
    assert "its end is not believed" in " ".join(windows.notes)
    assert "its end is not believed" in " ".join(store.alerts(incident.id)[0].doubts)
    assert store.timeline(incident.id)[-1].ts >= episode.opened_at


@pytest.mark.parametrize(
    ("seconds", "said"), [(AHEAD_S - 1, False), (AHEAD_S, False), (AHEAD_S + 1, True)]
)
def test_how_far_ahead_a_clock_may_be(seconds, said):
    alert = Alert(starts_at=NOW + timedelta(seconds=seconds))
    assert bool(doubts_of_message(alert, NOW)) == said
    over = Alert(status="resolved", ends_at=NOW + timedelta(seconds=seconds))
    assert bool(doubts_of_message(over, NOW)) == said


@pytest.mark.parametrize(
    ("seconds", "said"), [(BEHIND_S - 1, False), (BEHIND_S, False), (BEHIND_S + 1, True)]
)
def test_how_late_an_alert_may_come(seconds, said):
    assert bool(doubts_of_start(NOW - timedelta(seconds=seconds), NOW)) == said


def test_what_is_said_of_times():
    assert doubts_of_message(Alert(starts_at=NOW + timedelta(hours=3)), NOW) == [
        (
            "it says that it starts at 2013-06-04T18:00:00Z, 3 h after it came: its sender's clock is "
            "ahead of ours"
        )
    ]
    assert (
        "not believed"
        in doubts_of_message(Alert(starts_at=datetime(1970, 1, 1, tzinfo=UTC)), NOW)[0]
    )
    assert doubts_of_start(NOW - timedelta(hours=3), NOW) == [
        "it came 3 h after the start that it tells: it was held up, or its sender's clock is behind ours"
    ]
    for none in (None, datetime(1970, 1, 1, tzinfo=UTC)):
        assert doubts_of_start(none, NOW) == []
    assert doubts_of_message(Alert(), NOW) == []


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2013-06-04T14:05:03.123456789Z", AT.replace(microsecond=123_456)),
        ("2013-06-04 14:05:03.5 +0000 UTC", AT.replace(microsecond=500_000)),
        ("2013-06-04T16:05:03+02:00[Europe/Berlin]", AT),
        ("2013-06-04T14:05:03 UTC", AT),
        ("Tue, 04 Jun 2013 14:05:03 GMT", AT),
        ("Tue, 04 Jun 2013 16:05:03 +0200", AT),
        ("20130604T140503Z", AT),
        ("2013-06-04", datetime(2013, 6, 4, tzinfo=UTC)),
        ("1370354703.5", AT.replace(microsecond=500_000)),
        (" ", None),
        ("0000-00-00T00:00:00Z", None),
    ],
)
def test_relatives_of_iso_8601(text, moment):
    assert read_time(text) == moment


@pytest.mark.parametrize(
    "wrong",
    [
        "soon",
        True,
        [],
        "2013-02-30T00:00:00Z",
        "2013-06-04T14:05:03+99:99",
        "2013-06-04T14:05:03 Europe/Nowhere",
        "2013-06-04T14:05:03 CEST",  # two zones are called so, and more
        "2013-06-04T14:05:03 America/../../etc",
        "9999-12-31T23:59:59-14:00",
        "9999-12-31T23:59:60Z",
        "10000-01-01T00:00:00Z",
        "99999999999999999999999999999999",
        10**400,
        -1,
        float("nan"),
        float("inf"),
    ],
)
def test_what_is_no_time(wrong):
    with pytest.raises(ValueError, match=r"\w"):
        read_time(wrong)


@pytest.mark.parametrize(
    "huge", [10**400, "9" * 400, 10**31, float("inf"), "nan", "-1", True, [], "x"]
)
def test_what_is_no_epoch(huge):
    with pytest.raises(ValueError, match=r"\w"):
        read_epoch(huge)
