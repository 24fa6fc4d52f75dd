from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from triagebook.core.errors import BadParameterError
from triagebook.core.models import Alert
from triagebook.core.settings import ServiceSettings
from triagebook.evidence.windows import on_replay_clock, windows_for

NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SERVICE = ServiceSettings(name="s", window="48h", reference="28d")


def notes(windows):
    return getattr(windows, "notes", [])


def test_a_firing_alert_is_looked_at_until_now():
    windows = windows_for(Alert(starts_at=NOW - HOUR), SERVICE, NOW)
    assert windows.current == (NOW - 48 * HOUR, NOW)
    assert windows.reference == (NOW - 48 * HOUR - timedelta(days=28), NOW - 48 * HOUR)
    assert notes(windows) == []


@pytest.mark.parametrize(("age_h", "end_h"), [(23, 0), (24, 0), (25, 1), (240, 216)])
def test_an_old_alert_stays_in_the_middle_of_its_window_at_least(age_h, end_h):
    windows = windows_for(Alert(starts_at=NOW - age_h * HOUR), SERVICE, NOW)
    assert windows.current[1] == NOW - end_h * HOUR
    assert windows.current[0] < NOW - age_h * HOUR < windows.current[1]


def test_a_resolved_alert_ends_its_window():
    alert = Alert(status="resolved", starts_at=NOW - 5 * HOUR, ends_at=NOW - 2 * HOUR)
    assert windows_for(alert, SERVICE, NOW).current[1] == NOW - 2 * HOUR
    late = alert.model_copy(update={"ends_at": NOW + HOUR})
    assert windows_for(late, SERVICE, NOW).current[1] == NOW


@pytest.mark.parametrize(
    ("alert", "said"),
    [
        (Alert(), "says no time"),
        (Alert(starts_at="0001-01-01T00:00:00Z"), "says no time"),
        (Alert(starts_at="1970-01-01T00:00:00Z"), "says no time"),
        (Alert(starts_at=NOW + timedelta(seconds=1)), "in the future"),
        (
            Alert(status="resolved", starts_at=NOW - HOUR, ends_at=NOW - 2 * HOUR),
            "before it starts",
        ),
    ],
)
def test_a_clock_that_lies_is_said_and_never_leads_into_the_future(alert, said):
    windows = windows_for(alert, SERVICE, NOW)
    assert windows.current[1] == NOW
    assert said in notes(windows)[0]


def test_an_alert_of_this_very_moment_is_believed():
    assert notes(windows_for(Alert(starts_at=NOW), SERVICE, NOW)) == []


def test_alertmanagers_zero_end_is_no_end():
    alert = Alert(starts_at=NOW - HOUR, ends_at="0001-01-01T00:00:00Z")
    windows = windows_for(alert, SERVICE, NOW)
    assert windows.current[1] == NOW
    assert notes(windows) == []


def test_lengths_can_be_given_and_must_be_lengths():
    windows = windows_for(Alert(starts_at=NOW), None, NOW, lookback_s=3600, reference_s=7200)
    assert windows.current == (NOW - HOUR, NOW)
    assert windows.reference == (NOW - 3 * HOUR, NOW - HOUR)
    for wrong in (0, -1, float("nan")):
        with pytest.raises(BadParameterError, match="more than 0"):
            windows_for(Alert(), SERVICE, NOW, lookback_s=wrong)
    with pytest.raises(BadParameterError, match="before the year 1"):
        windows_for(Alert(), SERVICE, NOW, reference_s=1e12)


def test_without_a_service_the_lengths_are_those_of_the_settings():
    assert windows_for(Alert(starts_at=NOW), None, NOW) == windows_for(
        Alert(starts_at=NOW), ServiceSettings(name="x"), NOW
    )


def test_a_replay_ends_where_it_stands_and_moves_the_alert_there_once():
    stands = datetime(2013, 6, 4, 22, tzinfo=UTC)
    service = SERVICE.model_copy(update={"replayed_to": stands})
    alert = Alert(starts_at=NOW, annotations={"summary": "s"})
    assert windows_for(alert, service, NOW).current == (stands - 48 * HOUR, stands)
    moved = on_replay_clock(alert, service)
    assert moved.starts_at == stands
    assert moved.annotations == {
        "summary": "s",
        "clock": "replayed",
        "received_starts_at": "2026-03-05T12:00:00Z",
    }
    assert on_replay_clock(moved, service) == moved
    assert on_replay_clock(alert, SERVICE) is alert
    future = SERVICE.model_copy(update={"replayed_to": NOW + HOUR})
    assert windows_for(alert, future, NOW).current[1] == NOW
