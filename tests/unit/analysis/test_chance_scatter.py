"""One test for all columns of a table, what is natural, and rows that lie together."""

import numpy as np
import pandas as pd
import pytest

from triagebook.analysis.clock import clock_shift
from triagebook.analysis.columns import is_tag
from triagebook.analysis.joins import fans_out, null_together, unmatched
from triagebook.analysis.movement import table_movements
from triagebook.analysis.novelty import Natural, natural_of
from triagebook.analysis.scatter import confined, grouped, uneven
from triagebook.analysis.swaps import swapped_relations

N = 1_000


def pair(seed, columns=6):
    rng = np.random.default_rng(seed)
    frames = []
    for _ in range(2):
        frame = pd.DataFrame(
            rng.normal(size=(N, columns)), columns=[f"z{n}" for n in range(columns)]
        )
        frame["g"] = rng.choice(list("abc"), N, p=[0.5, 0.3, 0.2])
        frame["many"] = rng.zipf(1.6, N).clip(max=2_000).astype(str)
        frames.append(frame)
    kinds = [(c, "category" if c in ("g", "many") else "number") for c in frames[0]]
    return kinds, frames


def moved(kinds, frames):
    return {
        m.column for m in table_movements(kinds, *frames, columns=len(kinds)) if m.beyond_natural
    }


def test_false_alarms_stay_below_one_in_twenty():
    assert sum(bool(moved(*pair(seed))) for seed in range(60)) <= 5


def test_a_quarter_of_a_spread_is_seen_at_a_thousand_rows():
    hit = 0
    for seed in range(20):
        kinds, frames = pair(seed)
        frames[1]["z2"] += 0.25
        hit += "z2" in moved(kinds, frames)
    assert hit >= 17


def test_a_twentieth_more_nulls_is_seen():
    kinds, frames = pair(3)
    frames[1].loc[::20, "z1"] = np.nan
    assert moved(kinds, frames) == {"z1"}


def test_rows_with_an_order_are_not_exchanged():
    kinds, frames = pair(4)
    for n, frame in enumerate(frames):
        frame["z0"] += np.linspace(n, n + 1, N) * 2
    found = {m.column: m for m in table_movements(kinds, *frames, columns=len(kinds))}
    assert found["z0"].surprise is None
    assert found["z1"].surprise is not None


def test_even_stretches_give_their_mean_and_uneven_ones_what_may_come_next():
    rows = np.full(4, 250)
    assert Natural(np.array([2, 3, 2, 3]), rows).share == pytest.approx(0.01)
    assert Natural(np.array([0, 0, 0, 50]), rows).share == pytest.approx(0.4)


@pytest.mark.parametrize(("broken", "told"), [(3, False), (5, True), (40, True)])
def test_how_many_broken_rows_are_too_many(broken, told):
    clean = natural_of(np.zeros(N, dtype=bool))
    assert clean.exceeded(broken, N) == told


def test_a_rule_that_no_clean_row_breaks_needs_fewer():
    clean = natural_of(np.zeros(300, dtype=bool))
    assert clean.exceeded(2, 300, strict=True)
    assert not clean.exceeded(2, 300)


def test_blocks_are_confined_and_scattered_rows_are_not():
    rows = np.zeros(N, dtype=bool)
    rows[600:] = True
    assert confined(rows)
    assert not confined(np.ones(N, dtype=bool))
    scattered = np.random.default_rng(0).random(N) < 0.05
    assert not confined(scattered)
    assert not uneven(scattered)
    assert uneven(np.random.default_rng(0).random(N) < np.linspace(0, 0.3, N))


def test_new_groups_come_in_blocks_of_their_own():
    codes = np.repeat(np.arange(50), 20)
    rows = np.isin(codes, [7, 31, 44])
    assert grouped(rows, codes)
    assert not grouped(np.random.default_rng(0).random(N) < 0.06, codes)


def test_a_tag_of_the_window_is_one_value_before_and_another_now():
    old, new = pd.Series([2015] * 5), pd.Series([2016] * 5)
    assert is_tag(old, new)
    assert not is_tag(old, old)
    assert not is_tag(pd.Series([1, 2]), new)
    assert not is_tag(pd.Series([None, None]), new)


@pytest.mark.parametrize(("share", "told"), [(0.0, False), (0.019, False), (0.021, True)])
def test_rows_without_a_partner(share, told):
    rng = np.random.default_rng(0)
    known = pd.Series([f"k{n}" for n in range(500)])
    before = pd.Series(rng.choice(known, N))
    now = before.copy()
    now.iloc[np.linspace(0, N - 1, round(share * N)).astype(int)] = "gone"
    assert (unmatched(before, now, known, known) is not None) == told


def test_keys_that_never_matched_say_nothing():
    known = pd.Series([f"k{n}" for n in range(500)])
    other = pd.Series([f"o{n}" for n in range(500)])
    assert unmatched(other, other, known, known) is None


def test_a_fan_out_differs_from_rows_that_are_there_twice():
    frame = pd.DataFrame({"k": [1, 2, 3], "v": [1.0, 2.0, 3.0]})
    assert fans_out(pd.concat([frame, frame]), ["k"]) == 0.0
    assert fans_out(pd.concat([frame, frame.assign(v=9.0)]), ["k"]) == 1.0
    assert fans_out(frame, ["k"]) == 0.0


def test_columns_that_are_null_together():
    rows = np.zeros(100, dtype=bool)
    rows[::10] = True
    frame = pd.DataFrame(
        {"a": np.where(rows, np.nan, 1.0), "b": 1.0, "c": np.where(rows, 1.0, np.nan)}
    )
    assert null_together(frame, rows, ["a", "b", "c"]) == ["a"]


@pytest.mark.parametrize(("hours", "told"), [(0, None), (1, None), (2, 2), (-7, -7)])
def test_a_clock_against_utc(hours, told):
    rng = np.random.default_rng(0)
    old = rng.choice([-5.0, -6.0], 500)
    new = rng.choice([-5.0, -6.0], 300)
    new[200:] += hours
    found = clock_shift(old, new)
    assert (found.hours if found else None) == told
    if found:
        assert found.index == 200


@pytest.mark.parametrize("swap", [True, False])
def test_relations_tell_a_swap(swap):
    rng = np.random.default_rng(0)
    frames = []
    for one in range(2):
        x = rng.normal(size=(400, 2))
        frame = pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "c": x[:, 0] + rng.normal(size=400)})
        if one and swap:
            frame[["a", "b"]] = frame[["b", "a"]].to_numpy()
        frames.append(frame)
    assert [(a, b) for a, b, _ in swapped_relations(*frames)] == ([("a", "b")] if swap else [])
