"""What a next day may show, and what it may not: false alarms, power, and days that were there before."""

import numpy as np
import pandas as pd
import pytest

from triagebook.analysis.blocks import DAY, HOUR
from triagebook.analysis.movement import movement
from triagebook.analysis.stretches import LEAST, apart

YES = [np.array([0.0, 1.0, 0.0])]
"""One channel: the share of rows in bin 1; the last entry is null."""


def days(rng, n=28, rows=300, share=0.12, between=0.0, now=None):
    """Codes of n reference days and of one current day."""
    of_day = np.clip(rng.normal(share, between, n + 1), 0.001, 0.999)
    if now is not None:
        of_day[-1] = now
    codes = [(rng.random(rows) < p).astype(int) for p in of_day]
    blocks = [np.arange(rows * i, rows * (i + 1)) for i in range(n)]
    return np.concatenate(codes[:-1]), codes[-1], blocks


@pytest.mark.parametrize("between", [0.0, 0.01, 0.04])
def test_a_day_like_the_others_is_hardly_ever_called_another(between):
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(400):
        old, new, blocks = days(rng, between=between)
        alarms += apart(YES, old, new, blocks, tests=1) >= 1
    assert alarms <= 0.03 * 400


def test_a_share_that_more_than_doubles_is_seen_among_fifty_columns():
    rng = np.random.default_rng(1)
    seen = 0
    for _ in range(100):
        old, new, blocks = days(rng, between=0.01, now=0.28)
        seen += apart(YES, old, new, blocks, tests=400) >= 1
    assert seen >= 95


def test_the_more_days_differ_the_less_one_more_says():
    rng = np.random.default_rng(2)
    found = [
        np.mean([apart(YES, *days(rng, between=b, now=0.22), tests=50) for _ in range(60)])
        for b in (0.0, 0.02, 0.05)
    ]
    assert found[0] > found[1] > found[2]
    assert found[2] < 1


def test_what_one_day_of_the_past_had_as_well_is_nothing_new():
    rng = np.random.default_rng(3)
    old, new, blocks = days(rng, now=0.3)
    assert apart(YES, old, new, blocks, tests=10) > 1
    old[blocks[6]] = (rng.random(len(blocks[6])) < 0.33).astype(int)
    assert apart(YES, old, new, blocks, tests=10) < 1


def test_a_few_rows_of_a_rare_value_are_chance():
    rng = np.random.default_rng(4)
    alarms = 0
    for _ in range(400):
        old, new, blocks = days(rng, rows=200, share=0.01)
        alarms += apart(YES, old, new, blocks, tests=1) >= 1
    assert alarms <= 0.03 * 400


def test_nothing_is_said_without_a_week_of_days_or_without_rows():
    rng = np.random.default_rng(5)
    old, new, blocks = days(rng, now=0.9)
    assert apart(YES, old, new, blocks[: LEAST - 1], tests=1) == 0.0
    assert apart(YES, old, new[:0], blocks, tests=1) == 0.0
    assert apart(YES, old, np.full(50, -1), blocks, tests=1) == 0.0
    assert apart([], old, new, blocks, tests=1) == 0.0


# --- readings of a clock ----------------------------------------------------------------------------


def clocked(rng, hours):
    """Times of four weeks by day and night, and of one day with rows at the given hours only."""
    start = 20_000 * DAY
    old = np.sort(start + rng.integers(0, 28 * DAY, 9_000))
    new = np.sort(start + 28 * DAY + rng.choice(hours, 600) * HOUR + rng.integers(0, HOUR, 600))
    return old, new


def reading(times, offset):
    return pd.Series((times // HOUR + offset) % 24, dtype=float)


def test_a_clock_s_reading_does_not_move_with_the_hours_at_which_rows_come():
    rng = np.random.default_rng(6)
    old, new = clocked(rng, [*range(24), 8, 8, 8, 8, 8, 8, 8, 9, 9, 9, 9, 9])
    found = movement(
        "h", "number", reading(old, 3), reading(new, 3), reference_times=old, current_times=new
    )
    assert not found.beyond_natural
    other = pd.Series(rng.permutation(reading(old, 3)))
    loose = movement("h", "number", other, reading(new, 3), reference_times=old, current_times=new)
    assert loose.beyond_natural


def test_a_clock_that_is_hours_late_moved():
    rng = np.random.default_rng(7)
    old, new = clocked(rng, range(6, 18))
    found = movement(
        "h", "number", reading(old, 0), reading(new, 5), reference_times=old, current_times=new
    )
    assert found.beyond_natural
    assert found.effect > 0.3
