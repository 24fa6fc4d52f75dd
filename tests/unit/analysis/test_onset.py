"""Change points are found where they were planted, and their interval holds them."""

import numpy as np
import pandas as pd
import pytest

from triagebook.analysis.blocks import DAY, HOUR, past_windows, row_blocks, same_hours
from triagebook.analysis.movement import movement
from triagebook.analysis.onset import split_by_likelihood, split_by_mean
from triagebook.analysis.volume import shortfall


def hours(n, start=0):
    return (start + np.arange(n)) * HOUR


def test_the_mean_splits_where_it_changes():
    values = np.r_[np.zeros(60), np.ones(40)] + np.random.default_rng(0).normal(0, 0.1, 100)
    index, strength = split_by_mean(values)
    assert index == 60
    assert strength > 8


@pytest.mark.parametrize("values", [np.zeros(50), np.arange(21.0)[:20], np.empty(0)])
def test_no_spread_or_too_few_rows_give_no_split(values):
    assert split_by_mean(values) is None


def test_a_planted_change_lies_in_the_interval():
    hits = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        old = rng.integers(0, 10, 2_000)
        place = int(rng.integers(100, 300))
        codes = np.r_[rng.integers(0, 10, place), rng.integers(5, 12, 400 - place) % 11]
        found = split_by_likelihood(
            old, codes, np.arange(400), place + int(rng.integers(-20, 20)), 12
        )
        hits += found.low <= place <= found.high
    assert hits >= 95


def test_rows_that_came_together_are_not_parted():
    codes = np.r_[np.zeros(50, int), np.full(50, 5)]
    times = np.repeat(np.arange(10), 10)
    found = split_by_likelihood(np.zeros(500, int), codes, times, 52, 8)
    assert found.index == 50
    assert found.time == 5


def test_the_same_hours_of_earlier_days_are_matched():
    times = np.repeat(hours(24 * 6), 30)
    now = 24 * 6
    blocks = same_hours(times, (now + 8) * HOUR, (now + 11) * HOUR)
    assert len(blocks) == 6
    assert {int(t) for t in times[np.concatenate(blocks)] // HOUR % 24} == {8, 9, 10, 11}


def test_stretches_longer_than_a_day_do_not_overlap():
    times = np.repeat(hours(24 * 9), 5)
    blocks = same_hours(times, 24 * 9 * HOUR, (24 * 9 + 47) * HOUR)
    rows = np.concatenate(blocks)
    assert len(rows) == len(set(rows.tolist()))
    assert len(blocks) == 4
    assert same_hours(np.empty(0, np.int64), 0, HOUR) == []


def test_rows_without_times_are_cut_into_blocks():
    assert [len(b) for b in row_blocks(200, 50)] == [50] * 4
    assert row_blocks(60, 50) == []  # blocks of 15 rows say nothing


def test_past_windows_keep_the_hours():
    times = np.repeat(hours(24 * 10), 20)
    found = past_windows(times, 24 * 10 * HOUR, (24 * 10 + 12) * HOUR)
    assert 5 <= len(found) <= 14
    assert all(int(times[w[0]] // HOUR % 24) == 0 for w in found)


def frame(seed, shift=0.0, from_hour=40, days=21, window=48, per_hour=12):
    rng = np.random.default_rng(seed)
    old_t = np.sort(rng.uniform(0, days * DAY, days * 24 * per_hour)).astype(np.int64)
    new_t = np.sort(rng.uniform(days * DAY, days * DAY + window * HOUR, window * per_hour)).astype(
        np.int64
    )
    daily = lambda t: 10 + 3 * np.sin(t / DAY * 2 * np.pi)  # noqa: E731
    old = daily(old_t) + rng.normal(0, 1, len(old_t))
    new = daily(new_t) + rng.normal(0, 1, len(new_t))
    late = new_t >= days * DAY + from_hour * HOUR
    return (
        pd.Series(old),
        old_t,
        pd.Series(np.where(late, new + shift, new)),
        new_t,
        days * DAY + from_hour * HOUR,
    )


@pytest.mark.parametrize("seed", range(6))
def test_a_daily_shape_alone_is_no_movement(seed):
    old, old_t, new, new_t, _ = frame(seed)
    found = movement(
        "x", "number", old, new, reference_times=old_t, current_times=new_t, columns=10
    )
    assert not found.beyond_natural


@pytest.mark.parametrize("seed", range(6))
def test_a_step_is_found_at_its_hour_beside_a_daily_shape(seed):
    old, old_t, new, new_t, at = frame(seed, shift=4.0)
    found = movement(
        "x", "number", old, new, reference_times=old_t, current_times=new_t, columns=10
    )
    assert found.beyond_natural
    assert abs(found.split.time - at) < 0.5 * HOUR
    assert found.split.time_low <= at + 0.25 * HOUR
    assert found.split.time_high >= at - 0.25 * HOUR
    assert found.shift_sd > 1
    assert found.jump > 2.5


def test_weather_that_differs_from_day_to_day_is_natural():
    rng = np.random.default_rng(1)
    level = np.cumsum(rng.normal(0, 1.5, 30))
    times = np.sort(rng.uniform(0, 30 * DAY, 30 * 200)).astype(np.int64)
    values = level[times // DAY] + rng.normal(0, 0.3, len(times))
    new = times >= 29 * DAY
    found = movement(
        "x",
        "number",
        pd.Series(values[~new]),
        pd.Series(values[new]),
        reference_times=times[~new],
        current_times=times[new],
        columns=5,
    )
    assert not found.beyond_natural


def test_nulls_are_a_movement_of_their_own():
    old, old_t, new, new_t, at = frame(3)
    hidden = new.where(~((new_t >= at) & (np.random.default_rng(0).random(len(new)) < 0.3)))
    found = movement(
        "x", "number", old, hidden, reference_times=old_t, current_times=new_t, columns=5
    )
    assert found.null_gap > 0.1
    assert found.null_ratio > 1.25
    assert found.beyond_natural


@pytest.mark.parametrize("values", [[], [1.0], [None] * 40, [np.inf, 1.0, 2.0] * 10])
def test_odd_columns_do_no_harm(values):
    old = pd.Series(np.random.default_rng(0).normal(size=300))
    found = movement("x", "number", old, pd.Series(values, dtype="float64"))
    assert 0 <= found.effect <= 1


@pytest.mark.parametrize(
    ("kept", "short"), [(0.2, True), (0.55, True), (0.85, False), (1.0, False)]
)
def test_too_few_rows_are_seen_below_three_quarters_of_the_worst_day(kept, short):
    rng = np.random.default_rng(4)
    old = np.sort(rng.uniform(0, 21 * DAY, 21 * 24 * 40)).astype(np.int64)
    new = np.sort(rng.uniform(21 * DAY, 23 * DAY, 48 * 40)).astype(np.int64)
    start = 22 * DAY + 12 * HOUR
    new = new[(new < start) | (rng.random(len(new)) < kept)]
    found = shortfall(old, new)
    assert (found is not None) == short
    if short:
        assert abs(found.start - start) <= 2 * HOUR
        assert found.share == pytest.approx(1 - kept, abs=0.12)


def test_a_night_without_rows_is_no_shortfall():
    rng = np.random.default_rng(5)
    t = rng.uniform(0, 23 * DAY, 40_000).astype(np.int64)
    t = np.sort(t[t // HOUR % 24 < 18])
    assert shortfall(t[t < 21 * DAY], t[t >= 21 * DAY]) is None
    assert shortfall(np.empty(0, np.int64), t) is None
