from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import Decimal

import pandas as pd
import pytest

from triagebook.core.errors import SourceDataError
from triagebook.sources.frames import as_logs, as_metrics, epoch_unit, json_text, utc_times

MOMENT = pd.Timestamp("2013-06-04T14:00:00.123456Z")


@pytest.mark.parametrize(
    ("below", "at", "unit", "next_unit"),
    [
        (99_999_999_999, 1e11, "s", "ms"),
        (1e14 - 1, 1e14, "ms", "us"),
        (1e17 - 16, 1e17, "us", "ns"),
    ],
)
def test_the_unit_of_an_epoch_changes_exactly_at_its_limit(below, at, unit, next_unit):
    assert epoch_unit(below) == unit
    assert epoch_unit(at) == next_unit
    assert epoch_unit(-at) == next_unit


@pytest.mark.parametrize(
    "value",
    [
        "2013-06-04T14:00:00.123456Z",
        "2013-06-04T14:00:00.123456789Z",
        "2013-06-04 14:00:00.123456",
        "2013-06-04T16:00:00.123456+02:00",
        1370354400123456,
        1370354400123456789,
        "1370354400123456",
        1370354400.123456,
        MOMENT,
        MOMENT.tz_convert("America/New_York"),
        MOMENT.tz_localize(None),
    ],
)
def test_every_form_of_one_moment_is_that_moment_in_utc(value):
    times = utc_times(pd.Series([value]), "t")
    assert str(times.dtype) == "datetime64[us, UTC]"
    assert times.iloc[0] == MOMENT


def test_milliseconds_and_seconds_in_whole_numbers():
    assert utc_times(pd.Series([1370354400]), "t").iloc[0] == pd.Timestamp("2013-06-04T14:00Z")
    assert utc_times(pd.Series([1370354400123]), "t").iloc[0].microsecond == 123_000


def test_dates_decimals_and_gaps_are_times_too():
    assert utc_times(pd.Series([date(2013, 6, 4)]), "t").iloc[0] == pd.Timestamp("2013-06-04T00Z")
    assert utc_times(pd.Series([Decimal(1370354400)]), "t").iloc[0].hour == 14
    mixed = utc_times(pd.Series([datetime(2013, 6, 4, tzinfo=UTC), None]), "t")
    assert mixed.isna().tolist() == [False, True]


def test_a_text_that_is_no_time_is_a_gap_and_only_such_texts_are_an_error():
    assert utc_times(pd.Series(["2013-06-04", "soon"]), "t").isna().tolist() == [False, True]
    with pytest.raises(SourceDataError, match=r"f\.csv, column 'ts' holds no times.*'soon'"):
        utc_times(pd.Series(["soon", "later"]), "f.csv, column 'ts'")
    with pytest.raises(SourceDataError):
        utc_times(pd.Series([True, False]), "t")


def test_a_column_of_nothing_is_nothing_and_no_error():
    assert utc_times(pd.Series([None, None], dtype="object"), "t").isna().all()
    assert len(utc_times(pd.Series([], dtype="float64"), "t")) == 0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ('{"b": 1, "a": 2}', '{"a": 2, "b": 1}'),
        ({"b": 1, "a": None}, '{"b": 1}'),
        ([("k", "v")], '{"k": "v"}'),
        (None, "{}"),
        (float("nan"), "{}"),
        (" ", "{}"),
        ("plain", '{"text": "plain"}'),
        ("[1]", '{"value": [1]}'),
        ({"ü": "<"}, '{"ü": "<"}'),
    ],
)
def test_labels_are_a_json_object_with_sorted_keys(value, text):
    assert json_text(value) == text


def test_metrics_keep_nan_and_infinity_and_are_sorted():
    frame = pd.DataFrame(
        {
            "ts": ["2013-06-04T14:01Z", "2013-06-04T14:00Z", "2013-06-04T14:00Z", None],
            "name": ["b", "b", "a", "a"],
            "value": ["NaN", "+Inf", "1.5", "2"],
        }
    )
    typed = as_metrics(frame, "m")
    assert typed["name"].tolist() == ["a", "b", "b"]
    assert typed["value"].iloc[0] == 1.5
    assert typed["value"].iloc[1] == math.inf
    assert math.isnan(typed["value"].iloc[2])
    assert typed["labels"].tolist() == ["{}"] * 3


def test_logs_know_the_names_of_severities():
    given = ["warning", "CRITICAL", "Info", "loud", None, "err"]
    frame = pd.DataFrame({"ts": range(1370354400, 1370354406), "severity": given})
    typed = as_logs(frame.assign(message="m"), "l")
    assert typed["severity"].tolist() == ["WARN", "FATAL", "INFO", "INFO", "INFO", "ERROR"]


@pytest.mark.parametrize("typed", [as_metrics, as_logs])
def test_nonsense_is_named_as_such(typed):
    with pytest.raises(SourceDataError, match="gave a dict"):
        typed({"ts": []}, "it")
    with pytest.raises(SourceDataError, match=r"no column.*its columns: ts, other"):
        typed(pd.DataFrame({"ts": [], "other": []}), "it")
