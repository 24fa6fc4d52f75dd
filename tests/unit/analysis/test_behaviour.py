"""What the model says of rows is judged by stand-ins that have not seen their day."""

import numpy as np
import pandas as pd
import pytest

from triagebook.analysis.behaviour import behaviour

PER_DAY, DAYS, NOW = 60, 20, 200


def drawn(seed=0, per_day_spread=0.0, noise=0.02):
    """Return inputs, scores, which rows are of the reference, and the day of each."""
    rng = np.random.default_rng(seed)
    n = PER_DAY * DAYS + NOW
    day = np.minimum(np.arange(n) // PER_DAY, DAYS)
    frame = pd.DataFrame({"x": rng.uniform(0, 1, n), "kind": rng.choice(["a", "b", "c"], n)})
    swing = rng.normal(0, per_day_spread, DAYS + 1)
    swing[DAYS] = 0.0
    score = frame["x"].to_numpy() + 0.5 * (frame["kind"] == "b") + rng.normal(0, noise, n)
    return frame, (score + swing[day]).to_numpy(), day < DAYS, day


@pytest.fixture(scope="module")
def plain():
    return behaviour(*drawn())


def test_scores_that_follow_the_inputs_are_foretold(plain):
    assert plain.fidelity > 0.95
    assert plain.spread < 0.1
    known = np.isfinite(plain.residual)
    assert known[-NOW:].mean() > 0.9
    assert np.abs(plain.residual[known][-NOW:]).mean() < 0.06


def test_what_the_model_says_otherwise_now_shows_in_full():
    frame, score, reference, day = drawn()
    found = behaviour(frame, score + 0.3 * ~reference, reference, day)
    assert np.nanmean(found.residual[~reference]) == pytest.approx(0.3, abs=0.02)
    assert abs(np.nanmean(found.residual[reference])) < 0.02


def strange(frame, what):
    frame = frame.copy()
    frame.loc[frame.index[-10:], what[0]] = what[1]
    return frame


@pytest.mark.parametrize(
    "what", [("kind", "never seen"), ("x", 5.0), ("x", -1.0), ("x", np.nan), ("kind", None)]
)
def test_rows_of_a_kind_never_seen_are_not_judged(what):
    frame, score, reference, day = drawn()
    found = behaviour(strange(frame, what), score, reference, day)
    for values in (found.residual, found.expected):
        assert np.isnan(values[-10:]).all()
    assert not found.known[-10:].any()
    assert found.known[-NOW:-10].mean() > 0.9
    assert np.array_equal(np.isfinite(found.residual), found.known)


def test_a_row_without_a_score_is_not_judged():
    frame, score, reference, day = drawn()
    score = np.where(np.arange(len(score)) >= len(score) - 5, np.nan, score)
    assert np.isnan(behaviour(frame, score, reference, day).residual[-5:]).all()


def test_days_that_differ_make_wider_what_is_usual(plain):
    swinging = behaviour(*drawn(per_day_spread=0.3))
    assert swinging.spread > 3 * plain.spread
    assert np.nanmin(swinging.usual[-NOW:]) > 2 * np.nanmax(plain.usual[-NOW:])


def test_a_day_is_judged_by_a_stand_in_that_has_not_seen_it():
    # An input names the day: who has seen the day knows its swing, and would find nothing left of it.
    frame, score, reference, day = drawn(per_day_spread=0.3)
    found = behaviour(frame.assign(day=day.astype(float)), score, reference, day)
    assert found.spread > 0.15


def test_among_rows_unlike_most_more_is_usual():
    # Two inputs go together but for a few rows, of which the model says this and that.
    rng = np.random.default_rng(3)
    frame, score, reference, day = drawn(noise=0.01)
    odd = rng.random(len(frame)) < 0.06
    with_x = frame["x"].to_numpy() + rng.normal(0, 0.01, len(frame))
    frame["y"] = np.where(odd, rng.uniform(0, 1, len(frame)), with_x)
    score = score + 2 * frame["y"].to_numpy() + np.where(odd, rng.normal(0, 0.5, len(frame)), 0)
    found = behaviour(frame, score, reference, day)
    now = found.known & ~reference
    assert np.median(found.usual[now & odd]) > 3 * np.median(found.usual[now & ~odd])


def test_the_same_rows_are_judged_alike_each_time(plain):
    again = behaviour(*drawn())
    for name in ("expected", "residual", "known", "usual"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(again, name))
    assert (plain.fidelity, plain.spread) == (again.fidelity, again.spread)


@pytest.mark.parametrize(("rows", "there"), [(299, False), (300, True), (301, True)])
def test_three_hundred_rows_are_needed(rows, there):
    frame, score, reference, day = drawn()
    reference &= np.arange(len(day)) < rows
    assert (behaviour(frame, score, reference, day) is not None) == there


def test_a_constant_score_or_no_input_tells_nothing():
    frame, score, reference, day = drawn()
    assert behaviour(frame, np.full(len(score), 0.4), reference, day) is None
    assert behaviour(frame[[]], score, reference, day) is None
