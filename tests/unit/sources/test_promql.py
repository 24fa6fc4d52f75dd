"""Writing PromQL: nothing gets out of a string, steps are readable."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import ValidationError

from tests.faults import apis
from tests.faults.server import faulty
from triagebook.core.errors import SettingsError
from triagebook.core.times import now_utc
from triagebook.sources.base import Question
from triagebook.sources.metrics._promql import duration, matchers, quoted, selector, step_of
from triagebook.sources.metrics.prometheus import Prometheus, PrometheusSettings


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", '"a"'),
        ('"', '"\\""'),
        ("\\", '"\\\\"'),
        ('\\"', '"\\\\\\""'),
        ("\n\x00\x7f", '"\\u000a\\u0000\\u007f"'),
        ("☃", '"☃"'),
        ("\U000e0001", '"\\U000e0001"'),
        ("\ud800", '"?"'),
        ("'`{}", '"\'`{}"'),
    ],
)
def test_a_value_becomes_one_string(value, text):
    assert quoted(value) == text


def test_only_the_settings_write_patterns():
    assert matchers({"a": "~x.*", "b": "y"}, {"c": "~z.*"}) == ['a=~"x.*"', 'b="y"', 'c="~z.*"']


@pytest.mark.parametrize("name", ["", "a-b", "1a", 'a"', "a=~", "ä", "a\n"])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(SettingsError, match="no name of a label"):
        matchers({name: "x"})
    with pytest.raises(SettingsError, match="no name of a metric"):
        selector(name, [])


def test_a_selector():
    assert selector("vllm:x", []) == "vllm:x"
    assert selector("x", ['a="b"', 'c="d"']) == 'x{a="b",c="d"}'


@pytest.mark.parametrize(
    ("hours", "points", "least_s", "step_s"),
    [
        (1, 1_000, 1, 5),
        (1, 1_000, 15, 15),
        (48, 1_000, 15, 180),
        (28 * 24, 1_000, 15, 3_600),
        (1, 3_600, 1, 1),
        (1, 3_599, 1, 2),
        (24 * 1_000, 500, 15, 172_800),
    ],
)
def test_a_step_is_readable_and_gives_no_more_points_than_asked(hours, points, least_s, step_s):
    length = timedelta(hours=hours)
    found = step_of(length, points, least_s)
    assert found == step_s
    assert length.total_seconds() / found <= points


def test_durations():
    assert [duration(s) for s in (0.2, 60, 3_600.4)] == ["1s", "60s", "3600s"]


def test_the_current_window_is_kept_where_the_reference_fails(tmp_path):
    since = now_utc() - timedelta(hours=1)

    def no_past(path, asked, body):
        if float(asked.get("start", since.timestamp())) < since.timestamp() and "step" in asked:
            return {"status": "error", "error": "the past is gone"}
        return apis.prometheus(path, asked, body)

    with faulty("healthy", no_past, tmp_path) as server:
        settings = PrometheusSettings(url=server.url, names=["http_requests_total"])
        window = (since - timedelta(hours=5), since + timedelta(hours=1))
        answer = Prometheus(settings, tmp_path).pull(Question(window, since=since))
    assert answer.partial
    assert answer.rows["ts"].min() >= since
    assert "1 of 1 questions failed (http_requests_total)" in answer.notes[-1]
    assert "the past is gone" in answer.notes[-1]


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({}, "name what to ask: stacks"),
        ({"stacks": ["trition"]}, "no stack is called 'trition'; known: airflow,"),
        ({"names": ["a-b"]}, "'a-b' is no name of a metric"),
        ({"names": ["a"], "match": {"a-b": "x"}}, "'a-b' is no name of a label"),
        ({"names": ["a"], "narrow": {"a-b": "x"}}, "'a-b' is no name of a label"),
        ({"names": ["a"], "points": 11_001}, "less than or equal to 11000"),
    ],
)
def test_wrong_settings_say_what_is_wrong(keys, says):
    with pytest.raises(ValidationError) as told:
        PrometheusSettings(url="http://h", **keys)
    assert says in str(told.value)
