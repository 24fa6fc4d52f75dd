"""Rows of one value that stay away while the others come as ever are lost."""

import numpy as np
import pandas as pd
import pytest

from triagebook.analysis.blocks import DAY, HOUR
from triagebook.analysis.mix import lost_rows

USUAL = {"ka": 100, "lo": 100, "mi": 50}


def one_day(day, counts):
    """Return values and times of the six hours from 08:00 on; a row of another value opens and ends them."""
    values = np.concatenate([np.repeat(value, n) for value, n in counts.items()])
    values = np.random.default_rng(day).permutation(values)
    edges = np.flatnonzero(values != "ka")[[0, -1]]
    values = np.concatenate(
        [values[edges[:1]], np.delete(values, edges), values[edges[1:]]]
    )  # the window stays the same, however many rows are lost
    times = (day * DAY + 8 * HOUR + np.linspace(0, 6 * HOUR, len(values))).astype(np.int64)
    return values, times


def asked(now, days=10, odd=None):
    """Ask of a day with `now` rows a value, after days as usual, one of them `odd`."""
    past = [one_day(d, odd if odd is not None and d == days - 3 else USUAL) for d in range(days)]
    values, times = (np.concatenate(part) for part in zip(*past, strict=True))
    new, new_times = one_day(days, {**USUAL, **now})
    return lost_rows(pd.Series(values), times, pd.Series(new), new_times)


@pytest.mark.parametrize(
    ("came", "told"), [(0, True), (29, True), (30, True), (31, False), (100, False)]
)
def test_seven_tenths_have_to_be_lost(came, told):
    assert asked({"ka": came}) == (("ka", came, 100) if told else None)


@pytest.mark.parametrize(
    ("others", "told"), [(62, False), (63, True), (100, True), (149, True), (150, False)]
)
def test_the_others_come_within_a_quarter_of_their_number(others, told):
    # Of 150 rows of the others, 112.5 to 199.5.
    assert (asked({"ka": 0, "lo": others}) is not None) == told


@pytest.mark.parametrize(("days", "told"), [(3, False), (4, True), (5, True)])
def test_four_earlier_days_are_needed(days, told):
    assert (asked({"ka": 0}, days=days) is not None) == told


@pytest.mark.parametrize(("usual", "told"), [(29, False), (30, True), (31, True)])
def test_thirty_rows_have_to_be_due(usual, told, monkeypatch):
    monkeypatch.setitem(USUAL, "ka", usual)
    assert (asked({"ka": 0}) is not None) == told


@pytest.mark.parametrize(("came_then", "told"), [(26, False), (27, True)])
def test_a_value_that_stays_away_now_and_then_is_not_lost(came_then, told):
    # 20 rows of now are as many as a quarter less of what the odd day had.
    found = asked({"ka": 20}, odd={**USUAL, "ka": came_then})
    assert (found is not None) == told


def test_a_quiet_day_of_all_values_loses_none_of_them():
    assert asked({"ka": 25, "lo": 25, "mi": 12}) is None


def test_a_value_that_is_new_takes_no_rows_from_the_others():
    assert asked({"nu": 60}) is None
    assert asked({"ka": 0, "nu": 40}) == ("ka", 0, 100)


def test_too_few_rows_to_have_a_window_say_nothing():
    values, times = one_day(3, USUAL)
    none = np.zeros(0, dtype=np.int64)
    assert lost_rows(pd.Series(values), times, pd.Series(values[:1]), times[:1] + DAY) is None
    assert lost_rows(pd.Series([], dtype=object), none, pd.Series(values), times) is None


def with_nulls(then, now):
    """Ask of days on which a value is null: of the days before, and of now."""
    values, times = (
        np.concatenate(part) for part in zip(*(one_day(d, USUAL) for d in range(10)), strict=True)
    )
    new, new_times = one_day(10, USUAL)
    old, new = (
        pd.Series(part).where(part != null, None) for part, null in ((values, then), (new, now))
    )
    return lost_rows(old, times, new, new_times)


def test_rows_that_came_without_their_value_are_not_lost():
    assert with_nulls(None, "ka") is None


def test_a_value_that_is_null_as_ever_is_not_lost():
    assert with_nulls("ka", "ka") is None


def test_nulls_that_have_a_value_now_are_not_lost():
    assert with_nulls("mi", None) is None
