"""Windows: when they begin and end, whom they concern, and what is refused with which words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from triagebook.core.errors import SettingsError
from triagebook.core.maintenance import MaintenanceSettings
from triagebook.core.settings import load_settings

SATURDAY = datetime(2013, 6, 8, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def window(begin, end, **more):
    return MaintenanceSettings(**{"from": begin, "to": end, "reason": "planned", **more})


def at(hours, day=SATURDAY):
    return day + timedelta(hours=hours)


def test_a_dated_window_holds_from_its_start_to_just_before_its_end():
    one = window("2013-06-08T02:00:00Z", "2013-06-08T04:00:00+00:00")
    assert one.end(at(2) - SECOND) is None
    assert one.end(at(2)) == at(4)
    assert one.end(at(4) - SECOND) == at(4)
    assert one.end(at(4)) is None


def test_a_weekly_window_holds_on_its_days():
    one = window("02:00", "04:00", days=["sat"])
    assert one.end(at(2) - SECOND) is None
    assert one.end(at(2)) == at(4)
    assert one.end(at(4) - SECOND) == at(4)
    assert one.end(at(4)) is None
    assert one.end(at(27)) is None
    assert one.end(at(3, SATURDAY + timedelta(days=7))) == at(4, SATURDAY + timedelta(days=7))


def test_a_weekly_window_may_cross_midnight():
    one = window("22:00", "02:00", days=["sat"])
    assert one.end(at(22)) == at(26)
    assert one.end(at(26) - SECOND) == at(26)
    assert one.end(at(26)) is None
    assert one.end(at(1)) is None  # Saturday's early hours belong to Friday's
    assert window("22:00", "02:00", days=["fri"]).end(at(1)) == at(2)


def test_without_days_it_is_every_day():
    one = window("02:00", "04:00")
    assert all(one.end(at(24 * day + 3)) == at(24 * day + 4) for day in range(8))


def test_a_whole_day():
    one = window("00:00", "24:00", days=["sat"])
    assert one.end(at(0) - SECOND) is None
    assert one.end(at(0)) == one.end(at(24) - SECOND) == at(24)
    assert one.end(at(24)) is None


@pytest.mark.parametrize(
    ("names", "labels", "meant"),
    [
        (["churn"], {"env": "prod", "region": "eu-1"}, True),
        (["other", "churn"], {"env": "prod", "region": "eu-22"}, True),
        (["other"], {"env": "prod", "region": "eu-1"}, False),
        ([], {"env": "prod", "region": "eu-1"}, False),
        (["churn"], {"env": "prod"}, False),
        (["churn"], {"env": "prod", "region": "us-1"}, False),
        (["churn"], {"env": "product", "region": "eu-1"}, False),
    ],
)
def test_whom_it_concerns(names, labels, meant):
    one = window("02:00", "04:00", services=["churn"], match={"env": "prod", "region": r"eu-\d+"})
    assert one.concerns(names, labels) is meant


def test_without_services_it_is_everything():
    assert window("02:00", "04:00").concerns([], {})


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"from": "2013-06-08T02:00:00Z", "to": "04:00"}, "both instants, or both times of day"),
        ({"from": "2013-06-08T02:00:00Z", "to": "2013-06-08T02:00:00Z"}, "later than `from`"),
        ({"from": "02:00", "to": "02:00"}, "a whole day is 00:00 to 24:00"),
        ({"from": "02:00", "to": "24:01"}, "from 00:00 to 24:00"),
        ({"from": "02:60", "to": "04:00"}, "from 00:00 to 24:00"),
        ({"from": "two", "to": "04:00"}, "Invalid isoformat"),
        ({"from": "02:00", "to": "04:00", "days": []}, "`days` is empty"),
        ({"from": "02:00", "to": "04:00", "days": ["saturday"]}, "'sat'"),
        ({"from": "02:00", "to": "04:00", "match": {"a": "("}}, "no regular expression"),
        ({"from": "02:00", "to": "04:00", "reason": ""}, "at least 1 character"),
        (
            {"from": "2013-06-08T02:00:00Z", "to": "2013-06-09T02:00:00Z", "days": ["sat"]},
            "goes with times of day",
        ),
    ],
)
def test_what_is_no_window_is_refused(keys, said):
    with pytest.raises(ValidationError, match=said):
        MaintenanceSettings(**{"reason": "planned", **keys})


def test_it_is_read_from_the_file_and_errors_name_the_line(tmp_path):
    file = tmp_path / "triagebook.toml"
    good = (
        '[[maintenance]]\nfrom = 2013-06-08T02:00:00Z\nto = 2013-06-08T04:00:00Z\nreason = "a"\n'
        '[[maintenance]]\nfrom = 22:00:00\nto = "02:00"\ndays = ["sat"]\nreason = "b"\n'
    )
    file.write_text(good, encoding="utf-8")
    first, second = load_settings(file).maintenance
    assert first.end(at(3)) == at(4)
    assert second.end(at(23)) == at(26)
    file.write_text(good + '[[maintenance]]\nfrom = "02:00"\nto = "04:00"\nreson = "c"\n', "utf-8")
    with pytest.raises(SettingsError, match=r"toml:13: unknown key .*did you mean 'reason'"):
        load_settings(file)
