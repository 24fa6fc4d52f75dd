"""What an earlier window did as strongly is no departure: a slice against slices, all rows against all."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from triagebook.analysis.blocks import DAY
from triagebook.analysis.segments import chosen, coded, search
from triagebook.analysis.slice_sums import Field
from triagebook.diagnosis.departures import LEAST_GAIN, _before, _searched

N, DAYS, NOW = 9_000, 18, 2
TIMES = np.arange(N) * (DAYS * DAY // N)
LATE = TIMES >= (DAYS - NOW) * DAY
LEAST = np.full(2, 0.1)
FLOOR = np.full(2, 0.01)
RNG = np.random.default_rng(12)
KIND = pd.Series(RNG.choice(list("abcd"), N))
NOISE = RNG.normal(size=N)
COLUMNS = [coded("kind", KIND, ~LATE)]


def at(days, kind=None):
    """Rows of a window that ended so many days before now; of one kind, or all."""
    end = DAYS * DAY - days * DAY
    rows = (end - NOW * DAY <= TIMES) & (end > TIMES)
    return rows if kind is None else rows & (kind == KIND).to_numpy()


def values(*moves):
    """Return statistics in which rows moved by so much."""
    moved = sum((size * rows for rows, size in moves), np.zeros(N))
    return np.column_stack([NOISE + moved, np.zeros(N)])


def departed(stats):
    out = SimpleNamespace(
        times=TIMES,
        columns=COLUMNS,
        window=((DAYS - NOW) * DAY, DAYS * DAY),
        timed=True,
    )
    return _searched(out, np.arange(N), LATE, stats, LEAST, None).found


def most_before(stats):
    found = search(Field(stats, TIMES, ~LATE, LATE, FLOOR), COLUMNS, LEAST)
    best = chosen([s for s in found if s.gain >= LEAST_GAIN])
    return _before(stats, TIMES, LATE, COLUMNS, FLOOR, LEAST, best), best.gain


NOW_C = (at(0, "c"), 1.0)


def test_a_slice_that_never_moved_before_departs():
    assert departed(values(NOW_C)).name == "kind=c"
    before, gain = most_before(values(NOW_C))
    assert before < gain / 3


@pytest.mark.parametrize("ago", [2, 8, 16])
def test_another_slice_that_moved_as_strongly_in_an_earlier_window_makes_it_none(ago):
    stats = values(NOW_C, (at(ago, "b"), 1.0))
    before, gain = most_before(stats)
    assert 1.25 * before >= gain
    assert departed(stats) is None


def test_a_weaker_movement_of_an_earlier_window_takes_nothing():
    stats = values(NOW_C, (at(4, "b"), 0.4))
    before, gain = most_before(stats)
    assert 0 <= before < gain / 1.25
    assert departed(stats).name == "kind=c"


def test_a_bad_day_of_all_rows_does_not_excuse_a_slice():
    stats = values(NOW_C, (at(4), 1.0))
    assert departed(stats).name == "kind=c"


def test_a_slice_of_an_earlier_window_does_not_excuse_all_rows():
    # One rose as far as the other fell: all of them together stayed.
    stats = values((at(0), 0.6), (at(4, "b"), 1.2), (at(4, "a"), -1.2))
    before, gain = most_before(stats)
    assert before < gain / 3
    assert departed(stats).everything


def test_all_rows_that_moved_as_far_before_are_no_departure():
    assert departed(values((at(0), 0.6))).everything
    assert departed(values((at(0), 0.6), (at(4), 0.7))) is None


def test_nothing_moved_departs_nowhere():
    assert departed(values()) is None


def test_the_same_rows_give_the_same_answer():
    stats = values(NOW_C, (at(4, "b"), 0.4))
    first, again = departed(stats), departed(stats.copy())
    assert (first.name, first.gain, first.start) == (again.name, again.gain, again.start)
    assert most_before(stats) == most_before(stats)
