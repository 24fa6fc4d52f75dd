"""The pieces that judge a model: calibration, cuts, slices, delivery, steps, ways, rhythm."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from triagebook.analysis.baserate import rate_change
from triagebook.analysis.blocks import DAY, HOUR
from triagebook.analysis.calibration import Calibration, auc, expected_auc, prior_from_scores
from triagebook.analysis.cutoff import Cut, best_cut, cut_of
from triagebook.analysis.delivery import contradictions, delivery
from triagebook.analysis.labels import fits, rescaled
from triagebook.analysis.outcomes import locate, mature, read_truth
from triagebook.analysis.schedules import rhythm, trend
from triagebook.analysis.segments import chosen, coded, search
from triagebook.analysis.slice_sums import Field
from triagebook.analysis.steps import step

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _same_draws():
    # Each test draws the same, whichever others ran before.
    RNG.bit_generator.state = np.random.default_rng(0).bit_generator.state


def test_the_area_is_that_of_a_known_library_with_ties():
    score, label = RNG.integers(0, 20, 2_000) / 20, (RNG.random(2_000) < 0.3).astype(float)
    assert auc(score, label) == pytest.approx(roc_auc_score(label, score), abs=1e-12)
    assert np.isnan(auc(score, np.ones(2_000)))


def test_the_expected_area_is_the_mean_of_what_comes():
    chance = RNG.beta(2, 3, 3_000)
    real = [auc(chance, (RNG.random(3_000) < chance).astype(float)) for _ in range(40)]
    assert expected_auc(chance, chance) == pytest.approx(np.mean(real), abs=0.004)


def test_a_calibration_gives_back_what_a_score_meant():
    score = RNG.random(20_000)
    label = (RNG.random(20_000) < score**2).astype(float)
    found = Calibration.fit(score, label)
    asked = np.array([0.1, 0.5, 0.9])
    assert found.expected(asked) == pytest.approx(asked**2, abs=0.04)
    assert Calibration.fit(score[:49], label[:49]) is None


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.6])
def test_a_base_rate_is_read_from_scores_alone(rate):
    def drawn(n, share):
        label = (RNG.random(n) < share).astype(float)
        return RNG.normal(1.5 * label), label

    old, new = drawn(20_000, 0.3), drawn(4_000, rate)
    found, error = prior_from_scores(new[0], *old)
    assert abs(found - rate) < 4 * error
    assert error < 0.03


@pytest.mark.parametrize(("odd_now", "moved"), [(0.0049, False), (0.005, False), (0.0051, True)])
def test_decisions_follow_another_cut_above_half_a_percent(odd_now, moved):
    assert Cut(0.5, 0.6, 0.0, odd_now, 5, 0).moved == moved
    assert not Cut(0.5, 0.6, 0.0, odd_now, 4, 0).moved


def test_a_cut_is_found_and_its_move_dated():
    score = RNG.random(6_000)
    late = np.arange(6_000) >= 4_000
    decision = (score >= np.where(np.arange(6_000) >= 5_000, 0.7, 0.4)).astype(float)
    found = cut_of(score, decision, late)
    assert found.before == pytest.approx(0.4, abs=0.002)
    assert found.now == pytest.approx(0.7, abs=0.01)
    assert 5_000 <= found.since < 5_020
    assert best_cut(score, (RNG.random(6_000) < 0.5).astype(float)) is None


def field_of(value, late):
    times = np.arange(len(value)) * (30 * DAY // len(value))
    stats = np.column_stack([value, np.zeros(len(value))])
    return Field(stats, times, ~late, late, np.array([0.01, 0.01]))


@pytest.mark.parametrize("values", [list("abcd"), [1, 2, 3, 4]])
def test_the_slice_that_moved_is_found_among_columns(values):
    n = 20_000
    late = np.arange(n) >= 18_000
    frame = pd.DataFrame({"p": RNG.choice(values, n), "q": RNG.normal(size=n)})
    value = RNG.normal(size=n) + 0.8 * (late & (frame["p"] == values[1]))
    columns = [coded(c, frame[c], ~late) for c in frame]
    best = chosen(search(field_of(value, late), columns, np.full(2, 0.1)))
    assert best.name == f"p={values[1]}"
    assert best.shift[0] == pytest.approx(0.8, abs=0.15)
    everywhere = chosen(
        search(field_of(RNG.normal(size=n) + 0.5 * late, late), columns, np.full(2, 0.1))
    )
    assert everywhere.everything


def test_a_pair_is_named_only_where_neither_half_moved_otherwise():
    n = 40_000
    late = np.arange(n) >= 30_000
    frame = pd.DataFrame({"p": RNG.choice(list("ab"), n), "q": RNG.choice(list("xyz"), n)})
    hit = (frame["p"] == "a") & (frame["q"] == "x")
    columns = [coded(c, frame[c], ~late) for c in frame]
    value = RNG.normal(size=n)
    pair = chosen(search(field_of(value + 0.8 * (late & hit), late), columns, np.full(2, 0.1)))
    assert pair.name == "p=a & q=x"
    more = value + 0.8 * (late & hit) + 0.5 * (late & (frame["p"] == "a"))
    assert chosen(search(field_of(more, late), columns, np.full(2, 0.1))).name == "p=a"


def test_what_days_differ_by_anyway_is_no_movement():
    n = 30_000
    day = np.arange(n) * 30 // n
    swings = RNG.normal(0, 0.5, 30)
    late = day >= 28
    value = RNG.normal(size=n) + swings[day]
    frame = pd.Series(RNG.choice(list("abc"), n))
    found = search(field_of(value, late), [coded("p", frame, ~late)], np.full(2, 0.1))
    assert [s for s in found if s.gain > 6] == []


def test_a_column_of_keys_is_no_slice():
    assert coded("k", pd.Series([f"k{i}" for i in range(500)]), np.ones(500, bool)) is None
    assert coded("k", pd.Series(["same"] * 500), np.ones(500, bool)) is None


def test_a_step_has_its_moment_and_interval():
    times = np.arange(2_000) * HOUR
    value = RNG.normal(size=(2_000, 1)) + (np.arange(2_000) >= 1_200)[:, None]
    found = step(value, times, np.zeros(1), np.ones(1), np.ones(1))
    assert found.low <= 1_200 * HOUR <= found.high
    assert abs(found.at - 1_200 * HOUR) < 30 * HOUR
    assert step(np.zeros((99, 1)), times[:99], np.zeros(1), np.ones(1), np.ones(1)) is None


@pytest.mark.parametrize(
    ("change", "way", "size"),
    [
        (lambda y, r: np.where(r < 0.3, 1 - y, y), "flipped", 0.3),
        (lambda y, r: np.where(r < 0.5, 0, y), "positives_lost", 0.5),
        (lambda y, r: np.where(r < 0.4, 1, y), "negatives_lost", 0.4),
    ],
)
def test_wrong_labels_are_told_by_the_way_they_are_wrong(change, way, size):
    m = RNG.beta(0.5, 1.2, 6_000)  # were half positive, turned and shuffled would be one
    y = (RNG.random(6_000) < m).astype(float)
    best = fits(m, change(y, RNG.random(6_000)), 0.3)[0]
    assert best.way == way
    assert best.size == pytest.approx(size, abs=0.05)


def test_another_base_rate_is_told_from_wrong_labels():
    m = RNG.beta(0.6, 0.6, 6_000)
    odds = np.log(m / (1 - m)) + 1.0
    y = (RNG.random(6_000) < 1 / (1 + np.exp(-odds))).astype(float)
    assert fits(m, y, 0.5)[0].way in ("prior", "slope")


@pytest.mark.parametrize(("factor", "way"), [(1.0, "other"), (1.15, "other"), (1.5, "scaled")])
def test_quantities_on_another_scale_are_told(factor, way):
    m = RNG.normal(10, 3, 4_000)
    y = m + RNG.normal(size=4_000)
    assert rescaled(m, factor * y, m, y).way == way
    assert rescaled(m, RNG.permutation(y), m, y).way == "unrelated"


def labelled(late_share=1.0, extra_h=0.0):
    times = np.sort(RNG.integers(0, 30 * DAY, 30_000))
    arrived = times + RNG.integers(HOUR, 10 * HOUR, 30_000)
    start, end = 28 * DAY, 30 * DAY
    now = arrived >= start
    arrived = arrived + np.where(now, int(extra_h * HOUR), 0)
    here = (~now | (RNG.random(30_000) < late_share)) & (arrived < end)
    return delivery(times, arrived, here, start, end)


@pytest.mark.parametrize(("share", "lost"), [(1.0, False), (0.6, True)])
def test_labels_that_stay_away_are_counted(share, lost):
    found = labelled(share)
    assert found.share == pytest.approx(share, abs=0.04)
    assert (found.share < found.low) == lost
    assert (found.since is not None) == lost


def test_labels_that_come_late_show_in_their_delay():
    found = labelled(extra_h=12)
    assert found.delay_s > 1.3 * found.high_delay_s
    assert labelled().delay_s == pytest.approx(5.5 * 3_600, rel=0.05)


def test_contradicting_labels_are_counted_by_key():
    assert contradictions(np.array(["a", "a", "b", "b", "c"]), np.array([0, 1, 1, 1, 0])) == 1 / 3


def test_maturity_cuts_early_and_late_rows_at_one_age():
    times = np.arange(0, 30 * DAY, HOUR)
    arrived = times + 10 * HOUR
    end = 30 * DAY
    found = mature(times, arrived, arrived < end, 28 * DAY, end)
    assert found.horizon_s == pytest.approx(10 * 3_600)
    assert not found.use[times > end - 10 * HOUR].any()
    slow = times + 100 * HOUR
    later = mature(times, slow, slow < end, 28 * DAY, end, least=40)
    assert later.start < 28 * DAY  # nothing of the window itself is in yet
    assert later.use[times >= later.start].any()


def test_labels_are_read_by_their_values():
    assert read_truth(pd.Series([True, False])).names == {"0.0": 0.0, "1.0": 1.0}
    assert read_truth(pd.Series(["no", "yes", None])).task == "binary"
    assert read_truth(pd.Series(RNG.normal(size=100))).task == "number"
    assert read_truth(pd.Series(list("abc"))).task == "class"
    assert read_truth(pd.Series([1.0, 1.0])) is None
    odd = read_truth(pd.Series([0, 1])).numbers(pd.Series([1, 2, None, True]))
    assert odd[0] == odd[3] == 1.0
    assert np.isnan(odd[1:3]).all()


def test_the_last_row_of_a_key_is_found_whatever_its_type():
    there = pd.Series(["1", "2", "1", None])
    assert list(locate(pd.Series([1, 3, 2]), there)) == [2, -1, 1]
    assert list(locate(pd.Series(["2", None]), there)) == [1, -1]


@pytest.mark.parametrize(("age", "late"), [(10.4, False), (10.5, False), (10.6, True)])
def test_a_weekly_event_is_overdue_after_a_week_and_a_half(age, late):
    events = [int((d - 28) * DAY) for d in (0, 7, 14, 21)]
    found = rhythm(events, int((21 - 28 + age) * DAY))
    assert found.every_s == 7 * 86_400
    assert found.late == late
    assert rhythm([0, DAY, 9 * DAY, 10 * DAY + HOUR * 30], 12 * DAY) is None


def test_a_slow_change_is_told_from_a_step():
    noise = RNG.normal(0, 0.02, 28)
    slow = trend(1 + 0.02 * np.arange(28) + noise, np.full(28, 100))
    assert slow.z > 5
    assert slow.step_gain < 0.15
    sudden = trend(1 + 0.5 * (np.arange(28) >= 20) + noise, np.full(28, 100))
    assert sudden.step_gain > 0.15


def test_a_base_rate_is_compared_at_the_same_hours():
    times = np.sort(RNG.integers(0, 30 * DAY, 40_000))
    chance = np.where(times // HOUR % 24 < 12, 0.2, 0.6)
    label = (RNG.random(40_000) < chance).astype(float)
    late = (times >= 28 * DAY) & (times < 28 * DAY + 12 * HOUR)
    found = rate_change(None, label, times, times < 28 * DAY, late)
    assert not found.moved
    more = np.where(late & (RNG.random(40_000) < 0.2), 1.0, label)
    assert rate_change(None, more, times, times < 28 * DAY, late).moved
