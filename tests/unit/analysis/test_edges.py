"""Thresholds and odd inputs of the other analyses: volume, season, mix, harm."""

import numpy as np
import pandas as pd
import pytest

from triagebook.analysis.blocks import DAY, HOUR
from triagebook.analysis.columns import kind_of
from triagebook.analysis.harm import StandIn, back_to_reference, decision_threshold
from triagebook.analysis.mix import mix_change, segment_shift
from triagebook.analysis.season import season
from triagebook.analysis.volume import shortfall

# --- kinds ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("windows", "kind"),
    [
        (([1.0, 2.0, np.nan], [3.0]), "category"),  # whole numbers, few of them
        (([1.0, np.inf], [2.0]), "number"),  # infinity is no whole number
        (([1, 2], ["a", "b"]), "category"),  # numbers once, texts now
        (([True, None], [False]), "category"),
        ((range(12), [12]), "category"),  # each window has twelve at most
        ((range(13), []), "number"),
        (([None], ["a"]), "category"),
        (([f"k{i}" for i in range(50)] + ["k0"] * 50, []), "category"),  # half of them differ
        (([f"k{i}" for i in range(51)] + ["k0"] * 49, []), "identifier"),
    ],
    ids=str,
)
def test_the_kind_is_decided_from_both_windows(windows, kind):
    assert kind_of(*[pd.Series(list(part)) for part in windows]) == kind


# --- volume --------------------------------------------------------------------------------------


def hourly(first_day, days, rows, minute=1):
    hours = np.arange(first_day * 24, (first_day + days) * 24) * HOUR
    step = HOUR // max(rows, 1)
    return np.sort((hours[:, None] + np.arange(rows) * step + minute).ravel()).astype(np.int64)


def cut(times, from_hour, keep):
    """Keep the first `keep` rows of each hour from `from_hour` on, and all before."""
    early = times[times < from_hour * HOUR]
    late = hourly(0, 40, keep)
    return np.r_[early, late[(late >= from_hour * HOUR) & (late <= times[-1])]]


@pytest.mark.parametrize(("keep", "short"), [(29, True), (30, False), (31, False)])
def test_three_quarters_of_the_worst_day_is_where_rows_are_short(keep, short):
    now = cut(hourly(21, 2, 40), 22 * 24 + 12, keep)
    found = shortfall(hourly(0, 21, 40), now)
    assert (found is not None) == short
    if found:
        assert found.expected == found.low == 40 * found.hours
        assert found.share == pytest.approx(1 - keep / 40)
        assert found.start == (22 * 24 + 12) * HOUR


@pytest.mark.parametrize(("hours", "short"), [(2, False), (3, True), (4, True)])
def test_three_whole_hours_are_the_least(hours, short):
    # The hours of the first and of the newest row do not count: they may be under way.
    rare = hourly(22, 1, 4)
    now = rare[: 4 * (hours + 2)]
    assert (shortfall(hourly(0, 21, 40), now) is not None) == short


@pytest.mark.parametrize(("days", "short"), [(6, False), (7, True), (21, True)])
def test_seven_other_days_are_needed_to_compare_with(days, short):
    old = hourly(21 - days, days, 40)
    now = cut(hourly(21, 2, 40), 21 * 24 + 8, 4)
    assert (shortfall(old, now) is not None) == short


@pytest.mark.parametrize(("hours", "short"), [(19, False), (20, True), (21, True)])
def test_twenty_rows_have_to_be_expected(hours, short):
    start = 21 * 24
    now = np.array([start * HOUR, (start + hours + 1) * HOUR], dtype=np.int64)
    found = shortfall(hourly(0, 21, 1), now)  # one row an hour, none of them came
    assert (found is not None) == short
    if found:
        assert (found.got, found.expected, found.lost) == (0, hours, hours)


# --- season and mix ------------------------------------------------------------------------------


def linear(days, slope, per_day=24):
    times = (np.arange(days * per_day) * (DAY // per_day)).astype(np.int64)
    return 5 + slope * times / DAY, times


@pytest.mark.parametrize("slope", [-2.0, 0.5])
def test_a_straight_line_is_carried_on_exactly(slope):
    values, times = linear(32, slope)
    now = times >= 30 * DAY
    found = season(values[~now], times[~now], values[now], times[now])
    assert found.trend_per_day == pytest.approx(slope)
    assert found.expected == pytest.approx(found.actual, abs=abs(slope) * 1.1)
    # The window's middle lies half a day on from its days' middle: a limit of daily levels.
    assert found.share_by_trend == pytest.approx(1, abs=0.05)
    assert found.week_before == pytest.approx(found.expected - 7 * slope, abs=abs(slope))


@pytest.mark.parametrize(("days", "there"), [(9, False), (10, True), (11, True)])
def test_ten_days_make_a_season(days, there):
    values, times = linear(days, 0.1)
    found = season(values, times, values[:24], times[:24] + days * DAY)
    assert (found is not None) == there


@pytest.mark.parametrize(("rows", "there"), [(9, False), (10, True)])
def test_ten_values_now_are_the_least(rows, there):
    values, times = linear(20, 0.1)
    now = np.full(30, np.nan)
    now[:rows] = 7.0
    found = season(values, times, now, times[:30] + 20 * DAY)
    assert (found is not None) == there


def test_only_the_hours_of_now_are_compared():
    times = (np.arange(20 * 24) * HOUR).astype(np.int64)
    values = np.where(times // HOUR % 24 < 12, 0.0, 100.0)
    found = season(values, times, np.full(12, 100.0), (20 * 24 + 12 + np.arange(12)) * HOUR)
    assert found.expected == found.actual == found.reference_mean == 100
    assert found.share_by_trend == 0
    assert found.expected_now


@pytest.mark.parametrize(("share", "there"), [(0.1, True), (0.11, False)])
def test_a_mix_with_more_than_a_tenth_of_unknown_values_is_not_weighed(share, there):
    rng = np.random.default_rng(0)
    old = pd.DataFrame({"g": rng.choice(list("ab"), 500), "x": rng.normal(size=500)})
    new = pd.DataFrame({"g": ["a"] * 100, "x": rng.normal(size=100)})
    new.loc[: round(100 * share) - 1, "g"] = "new"
    assert (mix_change(old, new, "x", "g") is not None) == there


@pytest.mark.parametrize(("old", "new", "there"), [(49, 30, 0), (50, 29, 0), (50, 30, 1)])
def test_a_mix_needs_fifty_rows_before_and_thirty_now(old, new, there):
    frames = [
        pd.DataFrame({"g": list("ab") * n, "x": np.arange(2.0 * n)}).iloc[:n] for n in (old, new)
    ]
    assert (mix_change(*frames, "x", "g") is not None) == bool(there)


def test_the_segment_that_moved_most_is_named_and_nothing_without_values():
    old, new = pd.Series(list("aaab")), pd.Series(list("abbbc"))
    assert segment_shift(old, new) == ("a", 0.75, pytest.approx(0.2))
    assert segment_shift(old, pd.Series([None], dtype="object")) is None


# --- harm ----------------------------------------------------------------------------------------


def rows(n, seed):
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"x": rng.gamma(4, 10, n), "z": rng.normal(size=n)})


def model(frame):
    return 1 / (1 + np.exp(-(0.1 * (frame["x"] - 40) + 0.5 * frame["z"])))


def test_the_range_of_harm_covers_the_truth_in_sixteen_of_twenty_draws():
    hits = 0
    for seed in range(20):
        old, clean = rows(500, seed), rows(200, 1_000 + seed)
        served = clean.assign(x=clean["x"] * (1.2 + 0.05 * seed))
        logged = pd.concat([old, served])
        stand_in = StandIn.fit(logged, model(logged), 0.5, seed)
        assert stand_in.fidelity > 0.8
        truth = float(((model(clean) >= 0.5) != (model(served) >= 0.5)).mean())
        harm = stand_in.harm(served, clean, (model(served) >= 0.5).to_numpy())
        assert 0 <= harm.low <= harm.changed <= harm.high <= 1
        hits += harm.low <= truth <= harm.high
    assert hits >= 16


def test_scores_that_follow_nothing_have_no_fidelity_and_the_range_says_so():
    frame = rows(1_000, 0)
    score = pd.Series(np.random.default_rng(1).random(1_000))
    stand_in = StandIn.fit(frame, score, 0.5)
    assert stand_in.fidelity < 0.1
    assert stand_in.agreement < 0.65
    harm = stand_in.harm(frame, frame.assign(x=40.0), (score >= 0.5).to_numpy())
    assert harm.high - harm.low > 0.3


@pytest.mark.parametrize("score", [[0.5] * 300, [0.1, 0.9] * 150, [None] * 300])
def test_scores_of_fewer_than_three_values_teach_nothing(score):
    assert StandIn.fit(rows(300, 0), pd.Series(score, dtype="float64"), 0.5) is None
    assert StandIn.fit(pd.DataFrame(index=range(300)), pd.Series(np.arange(300.0)), 0.5) is None


def test_without_a_threshold_no_decision_is_counted():
    frame = rows(300, 3)
    assert StandIn.fit(frame, model(frame), None).harm(frame, frame, np.ones(300, bool)) is None


@pytest.mark.parametrize(("wrong", "there"), [(0, True), (1, True), (40, False)])
def test_a_threshold_stands_a_few_rows_on_the_wrong_side(wrong, there):
    score = pd.Series(np.linspace(0, 1, 1_000))
    decided = score >= 0.5
    decided.iloc[100 : 100 + wrong] = True
    assert (decision_threshold(score, decided) is not None) == there


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ([1.0, 2.0, 3.0] * 10, [9.0] * 30),  # now constant: drawn anew
        ([True, False] * 15, [True] * 30),
        ([1.0, 2.0, None] * 10, [None] * 30),
        (["a", None] * 15, [1.0] * 30),
    ],
    ids=["constant", "bool", "null", "text"],
)
def test_what_has_no_order_is_drawn_from_the_reference(old, new):
    back = back_to_reference(
        pd.Series(old), pd.Series(new, dtype="object" if None in new else None)
    )
    assert set(back) <= {v for v in old if v is not None}
    assert len(back) == 30
    again = back_to_reference(pd.Series(old), pd.Series(new))
    assert back.tolist() == again.tolist()


def test_a_reference_without_values_puts_nothing_back():
    new = pd.Series([1.0, 2.0])
    assert back_to_reference(pd.Series([None, None], dtype="float64"), new).equals(new)
