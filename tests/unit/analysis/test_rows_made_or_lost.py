"""Rows that were lost leave gaps in their numbers, alike in every value; fewer that are made do not."""

import numpy as np
import pandas as pd
import pytest

from triagebook.analysis.blocks import DAY, HOUR
from triagebook.analysis.clock import told_by_time
from triagebook.analysis.serials import running_numbers
from triagebook.analysis.thinning import uneven, vanished
from triagebook.analysis.volume import shortfall
from triagebook.analysis.workload import rows_between, usual_seconds


def numbered(keep, kind="text", rows=3_000, now=600):
    """Return keys and times of both windows, of which `keep` says which current ones came."""
    numbers = np.arange(rows + now) + 90_000
    times = np.arange(rows + now, dtype=np.int64) * HOUR // 20
    keys = pd.Series(numbers) if kind == "number" else "ord-" + pd.Series(numbers).astype(str)
    there = np.append(np.ones(rows, bool), keep(np.arange(now)))
    old, new = slice(0, rows), np.flatnonzero(there)[rows:]
    return keys[old], times[old], keys.iloc[new], times[new]


@pytest.mark.parametrize("kind", ["text", "number"])
def test_numbers_that_are_missing_tell_how_many_and_since_when(kind):
    rng = np.random.default_rng(1)
    lost = rng.random(600) < 0.25
    found = running_numbers(*numbered(lambda i: (i < 300) | ~lost, kind))
    assert found.missing
    assert found.share == pytest.approx(lost[300:].mean(), abs=0.02)
    assert abs(found.first - (3_300 * HOUR // 20)) < HOUR


def test_numbers_without_a_gap_say_that_none_was_lost():
    found = running_numbers(*numbered(lambda i: i < 200))
    assert (found.missing, found.lost) == (False, 0.0)


@pytest.mark.parametrize(("every", "missing"), [(25, False), (15, True)])
def test_a_twentieth_has_to_be_missing(every, missing):
    assert running_numbers(*numbered(lambda i: i % every > 0)).missing == missing


def test_gaps_as_the_reference_had_them_are_no_news():
    rng = np.random.default_rng(2)
    keep = rng.random(6_000) < 0.7
    numbers, times = pd.Series(np.arange(6_000)[keep]), np.arange(6_000)[keep] * HOUR // 20
    cut = int(keep[:5_000].sum())
    found = running_numbers(numbers[:cut], times[:cut], numbers[cut:], times[cut:])
    assert not found.missing


@pytest.mark.parametrize("how", ["shuffled", "sparse", "words", "few"])
def test_numbers_that_do_not_run_say_nothing(how):
    old, old_times, new, new_times = numbered(lambda i: i % 2 > 0, "number")
    rng = np.random.default_rng(3)
    if how == "shuffled":
        old = pd.Series(rng.permutation(old))
    elif how == "sparse":
        old, new = old * 10, new * 10
    elif how == "words":
        old, new = old.map(lambda n: f"{n}x"), new.map(lambda n: f"{n}x")
    else:
        new, new_times = new[:29], new_times[:29]
    assert running_numbers(old, old_times, new, new_times) is None


def days(now, rate=(60, 60, 60)):
    """Return 29 days of three values, of which the last keeps the shares `now`."""
    rng = np.random.default_rng(5)
    frames = []
    for day in range(29):
        for value, n, kept in zip("abc", rate, now, strict=True):
            rows = rng.poisson(n * (kept if day == 28 else 1))
            at = day * DAY + rng.integers(0, DAY, rows)
            frames.append(pd.DataFrame({"v": value, "t": at}))
    all_rows = pd.concat(frames).sort_values("t", ignore_index=True)
    old = all_rows["t"] < 28 * DAY
    return (
        all_rows.loc[old, ["v"]],
        all_rows.loc[old, "t"].to_numpy(),
        all_rows.loc[~old, ["v"]],
        all_rows.loc[~old, "t"].to_numpy(),
        (28 * DAY, 29 * DAY),
    )


@pytest.mark.parametrize(
    ("kept", "made"),
    [((0.5, 0.5, 0.5), False), ((0.25, 0.5, 0.8), True), ((0.5, 0.5, 1.1), False)],
)
def test_values_that_lose_different_shares_were_made_less(kept, made):
    found = uneven(*days(kept, (300, 300, 300)))
    assert (found is not None) == made
    if found is not None:
        assert (found.column, found.least, found.most) == ("v", "a", "c")


@pytest.mark.parametrize(
    ("kept", "gone"), [((0.02, 1, 1), ("v", "a")), ((0.3, 1, 1), None), ((0.1, 0.1, 0.1), None)]
)
def test_a_common_value_without_rows_is_lost(kept, gone):
    assert vanished(*days(kept, (300, 300, 300))) == gone


def hourly(counts):
    return np.concatenate(
        [hour * HOUR + np.arange(n) * (HOUR // n) for hour, n in enumerate(counts) if n]
    ).astype(np.int64)


@pytest.mark.parametrize(
    ("start", "factor", "from_night"),
    [(28 * 24 + 3, 0.6, True), (29 * 24 + 10, 0.6, False), (28 * 24 + 3, 0.3, False)],
)
def test_fewer_rows_since_a_night_before_the_window_are_as_on_a_free_day(start, factor, from_night):
    counts = np.tile(np.where(np.arange(24) < 6, 4, 60), 30).astype(float)
    counts[start:] *= factor
    times = hourly(counts.round().astype(int))
    old = times < (28 * 24 + 20) * HOUR
    assert shortfall(times[old], times[~old]).from_night == from_night


def test_rows_are_counted_from_run_to_run():
    times = np.arange(10, dtype=np.int64) * 10
    found = rows_between(times, np.array([-5, 20, 50, 50, 200]))
    assert np.isnan(found[:2]).all()
    assert found[2:].tolist() == [3.0, 0.0, 5.0]


def test_a_run_of_more_rows_takes_as_long_as_their_line_says():
    rng = np.random.default_rng(7)
    rows = rng.integers(10, 60, 200).astype(float)
    usual = usual_seconds(rows, 100 + 4 * rows + rng.normal(0, 5, 200), np.array([10.0, 300.0]))
    assert usual == pytest.approx([140, 1_300], rel=0.05)
    assert usual_seconds(rows, rng.normal(100, 5, 200), rows) is None
    assert usual_seconds(rows[:19], 4 * rows[:19], rows) is None
    assert usual_seconds(rows[:20], 4 * rows[:20], rows) is not None


@pytest.mark.parametrize(("off", "told"), [(0, True), (1, True), (3, False)])
def test_the_hour_of_a_row_is_told_by_its_time(off, told):
    times = np.arange(2_000, dtype=np.int64) * HOUR // 7
    hours = ((times // HOUR - 5) % 24).astype(float)
    now = (hours[-500:] + off) % 24
    assert told_by_time(hours[:1_500], times[:1_500], now, times[-500:]) == told
    noise = np.random.default_rng(1).permutation(hours)
    assert not told_by_time(noise[:1_500], times[:1_500], noise[-500:], times[-500:])
