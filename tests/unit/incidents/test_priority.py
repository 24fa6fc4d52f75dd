from __future__ import annotations

import pytest

from triagebook.core.models import Alert
from triagebook.incidents.priority import (
    USUAL,
    asked,
    is_asked,
    level,
    level_of,
    not_asked,
    rank,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("critical", "critical"),
        ("PAGE", "critical"),
        ("P1", "critical"),
        ("P1 - Critical", "critical"),
        ("sev-1", "critical"),
        ("SEV 1", "critical"),
        ("Sev0", "critical"),
        ("error", "high"),
        ("P2", "high"),
        ("p 2", "high"),
        ("warning", "normal"),
        ("P3 (warning)", "normal"),
        ("none", "low"),
        ("info", "low"),
        ("P5", "low"),
        ("high, but not critical", "critical"),
        ("1", None),
        ("5", None),
        ("P10", None),
        ("step1", None),
        ("purple", None),
        ("", None),
    ],
)
def test_words_of_severity(text, expected):
    assert level_of(text) == expected


def test_severity_goes_before_criticality():
    order = [
        rank(Alert(severity=severity), criticality)
        for severity in ("critical", "error", "warning", "info")
        for criticality in ("high", "medium", "low")
    ]
    assert order == sorted(set(order))
    assert (order[0], order[-1]) == (110, 142)


def test_what_says_nothing_is_normal():
    assert rank(Alert()) == rank(Alert(severity="7")) == rank(Alert(severity="warning")) == USUAL
    assert level(USUAL) == "normal"


def test_a_label_speaks_where_the_severity_does_not():
    assert level(rank(Alert(severity="3", labels={"priority": "P1"}))) == "critical"
    assert level(rank(Alert(severity="info", labels={"priority": "P1"}))) == "low"


def test_what_a_person_asked_for_goes_before_all_and_keeps_its_level():
    low, most = rank(Alert(severity="info"), "low"), rank(Alert(severity="page"), "high")
    assert asked(low) < most
    assert asked(most) < asked(low)
    assert level(asked(low)) == "low"
    assert not_asked(asked(low)) == not_asked(low) == low
    assert (is_asked(asked(low)), is_asked(most)) == (True, False)
    assert asked(most) > 1  # DBOS' own 1 is for what was begun
