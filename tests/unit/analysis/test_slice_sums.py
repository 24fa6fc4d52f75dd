"""Slices are held against the rows beside them and their past; copies of one reading are one witness."""

import numpy as np
import pandas as pd
import pytest

from triagebook.analysis.blocks import DAY, HOUR
from triagebook.analysis.segments import chosen, coded, search
from triagebook.analysis.slice_sums import LEAST, Field, Sums

N, DAYS = 12_000, 30
TIMES = np.arange(N) * (DAYS * DAY // N)
LATE = TIMES >= 28 * DAY
FLOOR = np.array([0.01, 0.01])
LEAST_SHIFT = np.full(2, 0.1)


def field_of(value, times=TIMES, late=LATE):
    return Field(np.column_stack([value, np.zeros(len(value))]), times, ~late, late, FLOOR)


def world(seed):
    rng = np.random.default_rng(seed)
    kinds = pd.DataFrame({"p": rng.choice(list("abcd"), N), "q": rng.normal(size=N)})
    return rng, kinds, [coded(name, kinds[name], ~LATE) for name in kinds]


@pytest.mark.parametrize("seed", range(4))
def test_a_bad_day_for_all_slices_alike_names_no_slice(seed):
    rng, _, columns = world(seed)
    found = search(field_of(rng.normal(size=N) + 0.8 * LATE), columns, LEAST_SHIFT)
    assert [s.name for s in found] == ["*"]
    assert chosen(found).everything


@pytest.mark.parametrize("seed", range(4))
def test_a_slice_that_carries_a_bad_day_is_named(seed):
    rng, kinds, columns = world(seed)
    mine = (kinds["p"] == "c").to_numpy()
    best = chosen(search(field_of(rng.normal(size=N) + 0.8 * (LATE & mine)), columns, LEAST_SHIFT))
    assert best.name == "p=c"
    assert np.array_equal(best.inside, mine)
    assert best.shift[0] == pytest.approx(0.8, abs=0.2)


@pytest.mark.parametrize("seed", range(4))
def test_a_slice_is_named_on_a_day_that_is_bad_for_all(seed):
    rng, kinds, columns = world(seed)
    value = rng.normal(size=N) + 0.4 * LATE + 1.2 * (LATE & (kinds["p"] == "c").to_numpy())
    found = search(field_of(value), columns, LEAST_SHIFT)
    assert "p=c" in [s.name for s in found]


@pytest.mark.parametrize("seed", range(6))
def test_nothing_moved_names_nothing(seed):
    rng, _, columns = world(seed)
    assert [
        s for s in search(field_of(rng.normal(size=N)), columns, LEAST_SHIFT) if s.gain > 6
    ] == []


def test_what_a_slice_did_before_makes_it_less_sure():
    rng, kinds, columns = world(9)
    mine = (kinds["p"] == "c").to_numpy()
    value = rng.normal(size=N) + 0.6 * (LATE & mine)
    storm = value + 0.6 * (mine & (TIMES >= 14 * DAY) & (TIMES < 16 * DAY))
    new, known = (
        next(s.gain for s in search(field_of(v), columns, LEAST_SHIFT) if s.name == "p=c")
        if "p=c" in [s.name for s in search(field_of(v), columns, LEAST_SHIFT)]
        else 0.0
        for v in (value, storm)
    )
    assert known < new / 2


def test_beside_takes_away_what_all_rows_of_a_time_share():
    rng = np.random.default_rng(1)
    swings = np.repeat(rng.normal(0, 5, N // 60), 60)
    # Blocks are of 60 rows of one side each: both sides hold whole ones.
    late = np.arange(N) >= N - 1_200
    value = rng.normal(size=N)
    plain, moved = (field_of(v, late=late).beside().stats[:, 0] for v in (value, value + swings))
    assert moved == pytest.approx(plain)
    assert plain.reshape(-1, 60).mean(axis=1) == pytest.approx(0)
    assert np.std(plain) == pytest.approx(1, abs=0.05)


def hourly(hours, late):
    times = np.arange(hours) * HOUR
    return field_of(np.zeros(hours), times, np.arange(hours) >= hours - late)


def test_stretches_lie_at_the_same_hours_of_earlier_days():
    rows = hourly(240, late=6)
    found = rows.stretches(234)
    told = np.flatnonzero(found >= 0)
    # Hours 18 to 23 of each day, as now; the oldest day is left out, as it may not be whole.
    assert set(told % 24) == set(range(18, 24))
    assert set(found[told]) == set(range(1, 9))
    assert all((found == k).sum() == 6 for k in range(1, 9))
    assert (found[rows.late] == -1).all()
    assert found[239 - 24] == 1
    assert found[239 - 8 * 24] == 8


def test_stretches_of_more_than_a_day_step_by_whole_days_and_never_overlap():
    rows = hourly(480, late=36)
    found = rows.stretches(444)
    told = np.flatnonzero(found >= 0)
    assert set(found[told]) == set(range(1, 9))
    assert all((found == k).sum() == 36 for k in range(1, 9))
    assert found[479 - 48] == 1


def test_a_fault_of_a_moment_has_stretches_of_an_hour():
    found = hourly(240, late=1).stretches(239)
    assert set(np.flatnonzero(found >= 0) % 24) == {22, 23}


def judged(hours, per_hour, values):
    """Return sums of one group whose late rows come `per_hour` in each of the last hours."""
    old = np.arange(400) * HOUR
    new = 400 * HOUR + np.repeat(np.arange(hours), per_hour) * HOUR
    times = np.concatenate([old, new])
    late = np.arange(len(times)) >= 400
    rng = np.random.default_rng(3)
    rows = field_of(rng.normal(size=len(times)) + 5 * late, times, late)
    codes = np.zeros(len(times), dtype=np.int64)
    exact = None if values is None else np.concatenate([np.arange(400), values(hours, per_hour)])
    return rows.sums(codes, 1, exact)


def witnesses(sums):
    return float(sums.late_n[0, 0] ** 2 / sums.shared[0, 0])


def alike(hours, per_hour):
    return np.full(hours * per_hour, 7)


def apart(hours, per_hour):
    return np.arange(hours * per_hour)


def test_rows_of_one_hour_and_one_exact_value_are_one_witness():
    assert witnesses(judged(30, 20, alike)) == pytest.approx(30)
    assert witnesses(judged(30, 20, apart)) == pytest.approx(600)
    # A category has few values: that rows share one says nothing.
    assert witnesses(judged(30, 20, None)) == pytest.approx(600)


@pytest.mark.parametrize(("hours", "told"), [(LEAST - 1, False), (LEAST, True), (LEAST + 1, True)])
def test_a_slice_needs_five_and_twenty_witnesses(hours, told):
    z, _ = judged(hours, 20, alike).z()
    assert bool(z[0, 0, 0] > 2) == told
    z, _ = judged(2, 20, alike).z()
    assert z[0, 0, 0] == 0
    z, _ = judged(2, 20, apart).z()
    assert z[0, 0, 0] > 2


def test_a_storm_of_the_past_says_how_far_days_go():
    rng = np.random.default_rng(4)
    codes = np.zeros(N, dtype=np.int64)
    value = rng.normal(size=N)
    storm = value + 2.0 * ((TIMES >= 10 * DAY) & (TIMES < 12 * DAY))
    quiet, stormy = (field_of(v).sums(codes, 1).natural[0, 0, 0] for v in (value, storm))
    assert quiet < 0.01
    # The farthest of the stretches, less chance, over 2.2: the storm stands for its two days.
    assert np.sqrt(stormy) > 0.7


def test_joined_groups_are_the_sum_of_their_parts():
    rng = np.random.default_rng(5)
    codes = rng.integers(0, 4, N)
    value = rng.normal(size=N) + codes
    rows = field_of(value)
    parts = rows.sums(codes, 4)
    both, alone = parts.joined(1, 2), rows.sums(np.where(np.isin(codes, [1, 2]), 0, -1), 1)
    assert isinstance(both, Sums)
    assert both.n == alone.n
    assert both.mean[:, 0] == pytest.approx(alone.mean[:, 0])
    assert both.square[:, 0] == pytest.approx(alone.square[:, 0])
    assert both.late_sum[..., 0] == pytest.approx(alone.late_sum[..., 0])
