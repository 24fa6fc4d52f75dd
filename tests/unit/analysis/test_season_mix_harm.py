"""Seasons carry on, mixes are told from movements, harm covers the truth."""

import numpy as np
import pandas as pd
import pytest

from triagebook.analysis.blocks import DAY
from triagebook.analysis.harm import StandIn, back_to_reference, decision_threshold
from triagebook.analysis.mix import mix_change, segment_shift
from triagebook.analysis.season import recurrence, season


def daily(days, slope, seed=0, noise=1.0, per_day=24):
    t = (np.arange(days * per_day) * (DAY // per_day)).astype(np.int64)
    rng = np.random.default_rng(seed)
    return slope * t / DAY + np.repeat(rng.normal(0, noise, days), per_day), t


@pytest.mark.parametrize("slope", [-0.6, 0.0, 0.6])
def test_what_a_trend_expects_is_expected(slope):
    values, times = daily(42, slope)
    now = times >= 40 * DAY
    found = season(values[~now], times[~now], values[now], times[now])
    assert found.expected_now
    assert found.trend_per_day == pytest.approx(slope, abs=0.06)
    if slope:
        assert found.share_by_trend > 0.5


def test_a_jump_is_not_expected_and_a_week_before_is_told():
    values, times = daily(42, 0.0)
    now = times >= 40 * DAY
    found = season(values[~now], times[~now], values[now] + 10, times[now])
    assert not found.expected_now
    assert abs(found.week_before) < 3


def test_too_few_days_or_values_give_none():
    values, times = daily(9, 0.1)
    assert season(values, times, values[:20], times[:20] + 9 * DAY) is None
    assert season(values, times, np.full(20, np.nan), times[:20]) is None


def test_a_mix_explains_what_moved_only_by_shares():
    rng = np.random.default_rng(0)

    def draw(n, p):
        kind = rng.choice(["a", "b"], n, p=p)
        return pd.DataFrame(
            {"kind": kind, "x": np.where(kind == "a", 10.0, 30.0) + rng.normal(0, 2, n)}
        )

    old, new = draw(4_000, [0.8, 0.2]), draw(800, [0.3, 0.7])
    found = mix_change(old, new, "x", "kind")
    assert found.explained > 0.8
    assert segment_shift(old["kind"], new["kind"])[0] in ("a", "b")
    moved = new.assign(x=new["x"] + 15)
    assert mix_change(old, moved, "x", "kind").explained < 0.6
    assert mix_change(old, new.assign(kind="never seen"), "x", "kind") is None


def test_the_threshold_parts_the_decisions():
    score = pd.Series(np.linspace(0, 1, 1_000))
    assert decision_threshold(score, score >= 0.37) == pytest.approx(0.37, abs=0.01)
    assert decision_threshold(score, pd.Series(np.arange(1_000) % 2)) is None
    assert decision_threshold(score, pd.Series(np.ones(1_000))) is None


def model(frame):
    return 1 / (1 + np.exp(-(0.08 * (frame["x"] - 40) + np.where(frame["g"] == "a", 0.7, -0.4))))


def rows(n, seed):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {"x": rng.gamma(4, 10, n), "g": rng.choice(list("ab"), n), "z": rng.normal(size=n)}
    )


def test_a_stand_in_knows_what_matters():
    old = rows(2_000, 5)
    stand_in = StandIn.fit(old, model(old), 0.5)
    assert stand_in.fidelity > 0.9
    share = stand_in.importance(old)
    assert share["x"] > share["g"] > share["z"]
    assert sum(share.values()) == pytest.approx(1)
    served = (model(old) >= 0.5).to_numpy()
    assert stand_in.harm(old, old.assign(z=0.0), served).changed < 0.01
    assert stand_in.harm(old.iloc[:0], old.iloc[:0], served[:0]) is None


@pytest.mark.parametrize(("n", "there"), [(199, False), (200, True)])
def test_a_stand_in_needs_two_hundred_rows(n, there):
    old = rows(n, 6)
    assert (StandIn.fit(old, model(old), 0.5) is not None) == there


def test_putting_back_keeps_the_order_and_fills_nulls():
    old = pd.Series(np.linspace(0, 1, 500))
    new = pd.Series([30.0, 10.0, None, 20.0] * 10)
    back = back_to_reference(old, new)
    assert back.between(0, 1).all()
    assert back[0] > back[3] > back[1] or new.nunique() < 5
    text = back_to_reference(pd.Series(list("aab")), pd.Series(["z"] * 50))
    assert set(text) <= {"a", "b"}


# --- weeks ----------------------------------------------------------------------------------------


def weekly(rng, swing, now_swing, days=28, first=20_003, rows=400):
    """A number with daily and weekly course, its times, and the same of two days after the last week."""
    n = rows * days
    old = np.sort(first * DAY + rng.integers(0, days * DAY, n))
    new = np.sort((first + days) * DAY + rng.integers(0, 2 * DAY, 2 * rows))

    def values(times, size):
        # The two days after a whole number of weeks are the first two of the reference's weeks.
        there = (times // DAY - first) % 7 < 2
        hour = times % DAY / DAY
        return np.exp(
            0.8 * (rng.normal(size=len(times)) + size * there + 0.4 * np.sin(6.28 * hour))
        )

    return values(old, swing), old, values(new, now_swing), new


def test_a_movement_of_every_weekend_is_known_again():
    found = recurrence(*weekly(np.random.default_rng(0), 0.8, 0.8), tests=50)
    assert found.holds
    assert found.again == pytest.approx(1, abs=0.35)
    assert found.surety > 2
    assert found.swing > 0.1
    assert found.weeks == 3


def test_a_week_without_pattern_repeats_nothing():
    rng = np.random.default_rng(1)
    held = sum(recurrence(*weekly(rng, 0.0, 0.0)).holds for _ in range(100))
    assert held <= 3


def test_a_movement_that_never_came_before_is_no_season():
    assert not recurrence(*weekly(np.random.default_rng(2), 0.0, 0.8), tests=50).holds


def test_a_season_that_comes_thrice_as_large_or_not_at_all_is_not_the_same():
    rng = np.random.default_rng(3)
    assert not recurrence(*weekly(rng, 0.25, 1.2), tests=50).holds
    assert not recurrence(*weekly(rng, 0.8, 0.0), tests=50).holds


def test_one_day_of_the_past_makes_no_week():
    rng = np.random.default_rng(4)
    old, times, new, now = weekly(rng, 0.0, 0.8)
    once = times // DAY == 20_003 + 7
    old[once] *= np.exp(0.8 * 0.8)
    assert not recurrence(old, times, new, now, tests=50).holds


def test_a_fortnight_and_thirty_rows_are_the_least_to_know_a_week_by():
    rng = np.random.default_rng(5)
    assert recurrence(*weekly(rng, 0.8, 0.8, days=12)) is None
    old, times, new, now = weekly(rng, 0.8, 0.8)
    assert recurrence(old, times, new[:29], now[:29]) is None
    assert recurrence(np.full(len(old), 2.0), times, new, now) is None
