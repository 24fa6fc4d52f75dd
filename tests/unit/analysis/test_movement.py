"""Where a movement begins to count: just below, at, and just above each threshold."""

import numpy as np
import pandas as pd
import pytest

from triagebook.analysis.blocks import DAY, HOUR, by_hour, hour_of, past_windows, same_hours
from triagebook.analysis.distance import Coder, coarse, noise_floor, psi, share_noise
from triagebook.analysis.movement import Movement, movement
from triagebook.analysis.onset import split_by_likelihood, split_by_mean
from triagebook.analysis.units import ks


def moved(**given):
    plain = {
        "column": "x",
        "kind": "number",
        "effect": 0.5,
        "natural": 0.1,
        "noise": 0.1,
        "psi": 0.0,
        "shift_sd": None,
        "mean_reference": None,
        "mean_current": None,
        "null_reference": 0.0,
        "null_current": 0.0,
        "rows_reference": 10_000,
        "rows_current": 10_000,
        "blocks": 20,
        "split": None,
    }
    return Movement(**{**plain, **given})


@pytest.mark.parametrize(("effect", "there"), [(0.0499, False), (0.05, True), (0.0501, True)])
def test_a_distance_below_a_twentieth_is_no_movement_however_sure(effect, there):
    assert moved(effect=effect, noise=0.001, natural=0.001).distance_moved == there


@pytest.mark.parametrize(("effect", "there"), [(0.1999, False), (0.2, True), (0.2001, True)])
def test_a_distance_that_sampling_gives_is_no_movement(effect, there):
    assert moved(effect=effect, noise=0.2).distance_moved == there


@pytest.mark.parametrize(("effect", "beyond"), [(0.2499, False), (0.25, True), (0.2501, True)])
def test_a_quarter_farther_than_its_own_days_is_beyond_natural(effect, beyond):
    assert moved(effect=effect, natural=0.2).beyond_natural == beyond


@pytest.mark.parametrize(("jump", "beyond"), [(2.49, False), (2.5, True), (2.51, True)])
def test_a_step_never_seen_is_beyond_natural_where_distances_end(jump, beyond):
    found = moved(effect=0.9, natural=0.9, jump=jump)
    assert found.beyond_natural == beyond
    assert not moved(effect=0.01, jump=jump).beyond_natural


@pytest.mark.parametrize(("gap", "beyond"), [(0.0099, False), (0.0101, True), (0.011, True)])
def test_a_hundredth_more_nulls_is_a_movement(gap, beyond):
    found = moved(effect=0.0, null_current=gap, rows_current=10**6, rows_reference=10**6)
    assert found.beyond_natural == beyond
    assert moved(null_current=0.0, null_reference=gap, effect=0).null_gap == -gap


def test_nulls_that_chance_gives_are_no_movement():
    few = moved(effect=0.0, null_reference=0.1, null_current=0.13, rows_current=100)
    assert few.null_ratio < 1
    assert not few.moved
    usual = moved(effect=0.0, null_reference=0.1, null_current=0.3, null_natural=0.2)
    assert usual.null_ratio == pytest.approx(1)
    assert not usual.beyond_natural


@pytest.mark.parametrize(("now", "beyond"), [(20, False), (45, True)])
def test_a_sensor_that_was_silent_as_long_once_before_is_usual(now, beyond):
    rng = np.random.default_rng(1)
    times = np.arange(3_000) * (HOUR // 5) + 17 * HOUR
    values = pd.Series(rng.normal(size=3_240))
    values.iloc[1_130:1_150] = np.nan  # four hours, at no hour that a window begins with
    values.iloc[3_100 : 3_100 + now] = np.nan
    found = movement(
        "x",
        "number",
        values.iloc[:3_000],
        values.iloc[3_000:],
        reference_times=times,
        current_times=times[-1] + np.arange(1, 241) * (HOUR // 5),
    )
    assert found.null_gap > 0.05
    assert found.beyond_natural == beyond


def test_what_is_shown_is_what_moved_most():
    assert moved().shown == (0.5, 0.1)
    shown, natural = moved(effect=0.0, null_current=0.4).shown
    assert shown == 0.4
    assert 0 < natural < 0.1
    assert moved(jump=40.0).strength == 20.0


# --- distances -----------------------------------------------------------------------------------


def test_the_noise_of_one_column_is_exceeded_in_at_most_one_case_of_a_hundred():
    rng = np.random.default_rng(0)
    floor = noise_floor(400, 150, tests=1)
    above = sum(ks(rng.random(400), rng.random(150)) > floor for _ in range(2_000))
    assert above <= 20


def test_of_twenty_columns_looked_at_together_hardly_one_in_a_hundred_gives_a_false_alarm():
    rng = np.random.default_rng(1)
    floor = noise_floor(300, 120, tests=20)
    alarms = sum(
        max(ks(rng.random(300), rng.random(120)) for _ in range(20)) > floor for _ in range(150)
    )
    assert alarms <= 3


def test_distances_are_the_same_either_way_and_lie_between_nought_and_one():
    rng = np.random.default_rng(2)
    for kind, values in (
        ("number", rng.normal(size=500)),
        ("category", rng.choice(list("abcde"), 500)),
    ):
        coder = Coder(kind, pd.Series(values))
        a, b = (rng.integers(0, 50, coder.bins) for _ in range(2))
        assert coder.distance(a, b) == pytest.approx(coder.distance(b, a))
        assert 0 < coder.distance(a, b) < 1
        assert coder.distance(a, a) == 0
        assert coder.distance(a, np.zeros_like(a)) == 0
        p, q = coarse(coder, a, b)
        assert psi(p, q) == pytest.approx(psi(q, p))
        assert p.sum() == pytest.approx(1)
        assert [len(x) for x in coarse(coder, a, 0 * b)] == [1, 1]


@pytest.mark.parametrize("rows", [1, 10, 1_000, 100_000])
def test_noise_shrinks_with_rows_and_never_passes_one(rows):
    counts = np.array([rows, rows, rows])
    assert 0 < share_noise(counts, rows, 10) <= 1
    assert share_noise(counts, 10 * rows, 10) <= share_noise(counts, rows, 10)
    assert noise_floor(10 * rows, rows, 10) < noise_floor(rows, rows, 10)


def test_equal_values_fall_in_one_bin_and_infinities_at_the_ends():
    coder = Coder("number", pd.Series([5.0] * 100))
    codes = coder.codes(pd.Series([5.0, 5.0, 4.9, 5.1, np.inf, -np.inf]))
    assert codes[0] == codes[1]
    assert codes[2] == codes[5] == 0
    assert codes[3] == codes[4] == coder.bins - 1
    assert coder.counts(np.array([-1, -1])).sum() == 0


OLD = {
    "one number": [7.0] * 400,
    "two numbers": [1.0, 2.0] * 200,
    "half null": [1.0, None] * 200,
    "one text": ["a"] * 400,
    "one truth": [True] * 400,
    "mixed": [1, "a"] * 200,
}
NEW = {
    "none": [],
    "one row": [7.0],
    "all null": [None] * 60,
    "numbers": [7.0] * 60,
    "texts": ["b"] * 60,
}


@pytest.mark.parametrize("old", OLD)
@pytest.mark.parametrize("new", NEW)
def test_any_pair_of_windows_gives_a_distance(old, new):
    before = pd.Series(OLD[old])
    kind = "number" if pd.api.types.is_float_dtype(before) else "category"
    found = movement("x", kind, before, pd.Series(NEW[new], dtype="object"))
    assert 0 <= found.effect <= 1
    assert np.isfinite(found.psi)
    assert found.split is None
    assert found.null_current == (new == "all null" or (kind == "number" and new == "texts"))


# --- time ----------------------------------------------------------------------------------------


def test_hours_of_the_day_are_read_and_drawn_towards_the_mean():
    times = np.arange(48) * HOUR
    assert hour_of(times).tolist() == [*range(24)] * 2
    values = np.where(hour_of(times) == 3, 10.0, 0.0)
    level = by_hour(values, times)
    assert level.argmax() == 3
    assert level[3] == pytest.approx((20 + 20 * values.mean()) / 22)
    assert by_hour(np.empty(0), np.empty(0, np.int64)).tolist() == [0.0] * 24


@pytest.mark.parametrize(("rows", "there"), [(19, False), (20, True), (21, True)])
def test_a_block_has_at_least_twenty_rows(rows, there):
    times = np.linspace(0, HOUR - 1, rows).astype(np.int64)
    assert bool(same_hours(times, DAY, DAY + HOUR)) == there


def test_blocks_and_past_windows_have_an_end():
    times = np.repeat(np.arange(60 * 24) * HOUR, 25)
    assert len(same_hours(times, 60 * DAY, 60 * DAY + HOUR)) == 28
    assert len(past_windows(times, 60 * DAY, 61 * DAY)) == 14
    assert past_windows(np.empty(0, np.int64), 0, DAY) == []


@pytest.mark.parametrize(("rows", "there"), [(21, False), (22, True)])
def test_a_split_needs_ten_rows_on_either_side(rows, there):
    assert (split_by_mean(np.arange(float(rows))) is not None) == there


def test_a_split_keeps_off_the_margins():
    index, _ = split_by_mean(np.r_[np.full(3, 50.0), np.random.default_rng(0).normal(size=97)])
    assert 10 <= index <= 90


@pytest.mark.parametrize("place", [0, 1, 399])
def test_a_change_at_the_edge_stays_inside_the_rows(place):
    rng = np.random.default_rng(place)
    codes = np.r_[rng.integers(0, 5, place), rng.integers(5, 10, 400 - place)]
    times = np.arange(400) * HOUR
    found = split_by_likelihood(rng.integers(0, 10, 2_000), codes, times, max(place, 1), 10)
    assert 0 <= found.low <= found.index <= found.high < 400
    assert found.time_low <= found.time <= found.time_high


def test_nulls_that_begin_are_a_change_of_their_own():
    rng = np.random.default_rng(0)
    codes = rng.integers(1, 9, 300)
    codes[200:][rng.random(100) < 0.6] = -1
    found = split_by_likelihood(rng.integers(1, 9, 2_000), codes, np.arange(300), 190, 10)
    assert found.low <= 200 <= found.high
