"""When a movement counts as harm: by its range, the feature's importance, or the mean score."""

from types import SimpleNamespace

import pandas as pd
import pytest

from triagebook.analysis.harm import Harm
from triagebook.diagnosis.checks.drift import _harmful, _Shares


def seen(importance, scores, shares=None):
    view = SimpleNamespace(spec=SimpleNamespace(score="s"), reference=pd.DataFrame({"s": scores}))
    return SimpleNamespace(
        role=lambda _: view, importance={"x": importance}, results={"shares": shares or {}}
    )


def harm(changed, low, shift=0.0):
    return Harm(500, changed, low, 2 * changed, 0.3, 0.3, shift)


X = SimpleNamespace(name="x")
CHANCES, POINTS = [0.1, 0.9], [-3.0, 40.0]


@pytest.mark.parametrize(
    ("result", "importance", "scores", "minds"),
    [
        (harm(0.009, 0.0), 0.3, CHANCES, False),
        (harm(0.05, 0.02), 0.001, CHANCES, True),
        (harm(0.02, 0.005), 0.019, CHANCES, False),
        (harm(0.02, 0.005), 0.02, CHANCES, True),
        (harm(0.002, 0.0, 0.03), 0.001, CHANCES, True),
        (harm(0.002, 0.0, -0.03), 0.001, CHANCES, True),
        (harm(0.002, 0.0, 0.03), 0.001, POINTS, False),
    ],
)
def test_the_model_minds(result, importance, scores, minds):
    assert _harmful(seen(importance, scores), X, result) == minds


def test_a_mix_brings_more_than_the_column_that_tells_it():
    shares = {"x": _Shares("a", 0.2, 0.4, None)}
    assert _harmful(seen(0.001, CHANCES, shares), X, harm(0.02, 0.0))
