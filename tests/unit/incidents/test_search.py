"""Incidents are found by what is in id, title, service and headline; newest first, as many as asked."""

from __future__ import annotations

import pytest

from triagebook.incidents.search import as_words


@pytest.fixture
def three(store, deliver, drift, clock):
    """Three incidents: of flight-delay, churn and flight-delay; the second is over."""
    names = []
    for number, service in enumerate(["flight-delay", "churn", "flight-delay"]):
        clock.go_on(3_600)
        names += deliver(drift(fingerprint=f"f{number}", service=service)).opened
    deliver(drift("resolved", fingerprint="f1", service="churn"))
    store.set_outcome(names[0], severity=None, verdict=None, headline="Größe der  STRASSE\n100 %")
    return names


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("flight", [2, 0]),
        ("FLIGHT-DELAY", [2, 0]),
        ("drift f1", [1]),
        ("grösse", [0]),  # ß is ss
        ("GRÖSSE", [0]),
        ("grosse", []),
        ("größe", [0]),
        ("straße 100 %", [0]),
        ("der strasse", [0]),
        ("  churn ", [1]),
        ("%", [0]),
        ("_", []),
        ("no such", []),
        ("   ", [2, 1, 0]),
        ("f1 churn", []),  # no text goes over two of its parts
        ("\x00", []),
    ],
)
def test_by_its_words_in_any_case(store, three, text, found):
    assert [view.id for view in store.incidents(text=text)] == [three[n] for n in found]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"state": "open"}, [2, 0]),
        ({"state": "resolved"}, [1]),
        ({"service": "churn"}, [1]),
        ({"incident_type": "drift", "service": "flight-delay"}, [2, 0]),
        ({"incident_type": "latency"}, []),
        ({"limit": 2}, [2, 1]),
        ({"limit": 1, "offset": 1}, [1]),
        ({"limit": 5, "offset": 3}, []),
        ({"state": "open", "limit": 1, "offset": 1}, [0]),
    ],
)
def test_among_those_that_are_asked_for(store, three, asked, found):
    assert [view.id for view in store.incidents(text="inc-", **asked)] == [three[n] for n in found]


def test_a_new_headline_replaces_the_old_one(store, three):
    store.set_outcome(three[0], severity=None, verdict=None, headline="the cache is empty")
    assert store.incidents(text="strasse") == []
    assert [view.id for view in store.incidents(text="cache")] == [three[0]]


def test_words_are_in_one_case_and_each_part_on_a_line():
    assert as_words("inc-1", " A\tB ", None, "Straße") == "inc-1\na b\nstrasse"
