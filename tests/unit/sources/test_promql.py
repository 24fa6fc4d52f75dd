"""Writing PromQL: nothing gets out of a string, steps are readable."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import ValidationError

from triagebook.core.errors import SettingsError
from triagebook.sources.metrics._promql import duration, matchers, quoted, selector, step_of
from triagebook.sources.metrics.prometheus import PrometheusSettings


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
