"""What stretches of the past did as well is no news: shares in a row, the week before, quiet days."""

import numpy as np
import pytest

from triagebook.analysis.blocks import DAY, HOUR
from triagebook.analysis.scatter import beyond_stretches, worst_stretch
from triagebook.analysis.season import Season
from triagebook.analysis.volume import Shortfall, shortfall


def with_run(n, at, length):
    rows = np.zeros(n, dtype=bool)
    rows[at : at + length] = True
    return rows


@pytest.mark.parametrize("at", [0, 137, 290])
@pytest.mark.parametrize(
    ("size", "worst"), [(1, 0.5), (20, 0.5), (40, 0.25), (100, 0.1), (101, 0.1), (5_000, 0.1)]
)
def test_the_worst_stretch_is_found_wherever_it_lies(at, size, worst):
    # Stretches have at least 20 rows, and at most a third of the 300.
    assert worst_stretch(with_run(300, at, 10), size) == pytest.approx(worst)


@pytest.mark.parametrize(("rows", "worst"), [(19, 0.0), (20, 1.0), (21, 1.0)])
def test_fewer_than_twenty_rows_have_no_stretch(rows, worst):
    assert worst_stretch(np.ones(rows, dtype=bool), 20) == worst


def test_a_stretch_without_any_such_row_has_none():
    assert worst_stretch(np.zeros(500, dtype=bool), 50) == 0


@pytest.mark.parametrize(("share", "beyond"), [(0.6249, False), (0.625, False), (0.6251, True)])
def test_a_share_is_beyond_what_was_by_a_quarter(share, beyond):
    assert beyond_stretches(with_run(3_000, 700, 50), 100, share, 10_000) == beyond


@pytest.mark.parametrize(("share", "beyond"), [(0.7499, False), (0.75, False), (0.7501, True)])
def test_of_few_rows_chance_gives_more_than_a_quarter(share, beyond):
    # Two standard errors of a half among sixteen rows are a quarter of all.
    assert beyond_stretches(with_run(3_000, 700, 50), 100, share, 16) == beyond


@pytest.mark.parametrize(("share", "beyond"), [(0.0, False), (0.001, True)])
def test_what_never_was_is_beyond_it_at_once(share, beyond):
    assert beyond_stretches(np.zeros(3_000, dtype=bool), 100, share, 1_000) == beyond


def test_rows_scattered_as_ever_are_not_beyond_their_stretches():
    rng = np.random.default_rng(2)
    for _ in range(20):
        before, now = rng.random(6_000) < 0.1, rng.random(600) < 0.1
        assert not beyond_stretches(before, 600, float(now.mean()), 600)


def a_season(actual, week_before, mean=0.0):
    days = np.arange(20)
    return Season(days, np.zeros(20), 0.0, mean, mean - 1, mean + 1, actual, mean, week_before)


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(
    ("week_before", "alike"),
    [(5.99, False), (6.0, True), (6.01, True), (9.0, True), (12.0, True), (12.01, False)],
)
def test_the_week_before_lies_within_a_third_of_the_movement(week_before, alike, side):
    found = a_season(9.0 * side, week_before * side)
    assert found.as_a_week_before == alike
    assert found.expected_now == alike


@pytest.mark.parametrize("week_before", [-9.0, -0.1, 0.0, None])
def test_a_week_on_the_other_side_or_none_does_not_excuse_a_movement(week_before):
    assert not a_season(9.0, week_before).as_a_week_before
    assert not a_season(9.0, week_before).expected_now


def test_without_a_movement_the_trend_alone_expects_it():
    found = a_season(0.0, 0.0)
    assert not found.as_a_week_before
    assert found.expected_now


def short(got, *, low=100.0, least=100.0):
    return Shortfall(0, 6, got, 120.0, low, least)


@pytest.mark.parametrize(("least", "seen"), [(99.9, True), (100.0, True), (100.1, False)])
def test_a_day_of_a_quarter_more_rows_is_one_alike(least, seen):
    assert short(80.0, least=least).seen_before == seen


@pytest.mark.parametrize(("least", "seen"), [(0.0, True), (1.0, False)])
def test_no_rows_at_all_were_seen_before_only_where_another_day_had_none(least, seen):
    assert short(0.0, least=least).seen_before == seen


def test_fewer_rows_are_surer_by_half_the_poisson_deviance():
    assert short(100.0).nats == pytest.approx(0)
    assert short(50.0).nats == pytest.approx(50 * np.log(0.5) + 50)
    assert short(0.0).nats == pytest.approx(100)
    told = [short(got).nats for got in (90.0, 70.0, 40.0, 10.0, 0.0)]
    assert told == sorted(told)


@pytest.mark.parametrize("got", [0.0, 3.0])
def test_nats_are_a_number_where_quiet_days_had_no_row(got):
    assert np.isfinite(short(got, low=0.0).nats)


def hourly(counts):
    """Return times of so many rows in each hour, spread evenly."""
    return np.concatenate(
        [hour * HOUR + np.arange(n) * (HOUR // n) for hour, n in enumerate(counts) if n]
    ).astype(np.int64)


@pytest.mark.parametrize(("other_day", "seen"), [(None, False), (12, True), (13, False)])
def test_a_shortfall_knows_the_fewest_rows_of_any_other_day(other_day, seen):
    counts = np.full(30 * 24, 60)
    if other_day is not None:
        counts[10 * 24 : 11 * 24] = other_day
    counts[29 * 24 + 8 :] = 10
    times = hourly(counts)
    old = times < 28 * DAY
    found = shortfall(times[old], times[~old])
    assert (found.start, found.hours) == ((29 * 24 + 8) * HOUR, 15)
    assert found.least == 15 * (60 if other_day is None else other_day)
    assert found.seen_before == seen
    assert found.nats > 6
