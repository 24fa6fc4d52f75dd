"""When a fault is called found, and when nothing is called wrong."""

from types import SimpleNamespace

import pytest

from triagebook.analysis.performance import Measured
from triagebook.core.models import Hypothesis
from triagebook.diagnosis.diagnose import SURE, _verdict

SPEC = SimpleNamespace(needs=())


def held(*parts):
    return [
        Hypothesis(cause=cause, locus=locus, confidence=share, headline="h", mechanism="m")
        for cause, locus, share in parts
    ]


def seen(now=0.8):
    figure = Measured("AUC", 1, 0.8, now, 0.02, 0.7, None, 5_000, 500)
    return SimpleNamespace(
        results={"performance": figure},
        bundle=SimpleNamespace(ledger=["L01"]),
        why_missing=lambda _: None,
    )


@pytest.mark.parametrize(
    ("second", "verdict"),
    [
        ("column:t.b", "cause_found"),
        ("column:u.b", "inconclusive"),
        ("table:t", "inconclusive"),
    ],
)
def test_columns_of_one_event_are_sure_together(second, verdict):
    lost = "data.missing_values"
    found = held((lost, "column:t.a", 0.45), (lost, second, 0.44))
    assert _verdict(found, SPEC, seen()) == verdict


@pytest.mark.parametrize(
    ("share", "verdict"), [(SURE - 0.01, "inconclusive"), (SURE, "cause_found")]
)
def test_two_tables_that_are_old_are_no_one_event(share, verdict):
    found = held(("data.stale", "table:a", share), ("data.stale", "table:b", 0.3))
    assert _verdict(found, SPEC, seen()) == verdict


@pytest.mark.parametrize(
    ("now", "verdict"), [(0.69, "inconclusive"), (0.7, "healthy"), (0.8, "healthy")]
)
def test_a_model_measured_to_be_worse_than_ever_is_not_called_well(now, verdict):
    assert _verdict(held(("none", "service:s", 0.9)), SPEC, seen(now)) == verdict
