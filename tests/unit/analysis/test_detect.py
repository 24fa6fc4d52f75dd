"""The detector finds what was planted, whatever the scale, and is quiet about the ordinary."""

import numpy as np
import pytest

from triagebook.analysis.detect import THRESHOLD, detect, surprise
from triagebook.analysis.expected import WARM_UP

STEP = 300 * 10**9
DAY = 288
SCALES = [1e-6, 1.0, 3e8]


def clock(n, step=STEP):
    return 1_700_000_000 * 10**9 + step * np.arange(n)


def noise(n, seed=0, level=100.0, spread=3.0):
    return level + np.random.default_rng(seed).normal(0, spread, n)


def traffic(days, seed=0, weekend=1.0):
    """Daily wave with noise; the last two days of each week are lower by `weekend`."""
    rows = np.arange(days * DAY)
    wave = 100 - 60 * np.cos(2 * np.pi * rows / DAY)
    quieter = np.where(rows // DAY % 7 >= 5, weekend, 1.0)
    return wave * quieter * (1 + np.random.default_rng(seed).normal(0, 0.03, len(rows)))


def rows(values, step=STEP, **more):
    return [one.row for one in detect(clock(len(values), step), values, **more)]


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("height", [300.0, -90.0])
def test_a_spike_or_drop_is_found_at_its_row(scale, height):
    values = noise(2_000)
    values[1_500] += height
    found = detect(clock(2_000), scale * values)
    assert [one.row for one in found] == [1_500]
    assert found[0].kind == ("above" if height > 0 else "below")
    assert found[0].low <= found[0].high
    assert found[0].value == scale * values[1_500]


@pytest.mark.parametrize("scale", SCALES)
def test_a_step_is_told_once_though_it_stays(scale):
    values = noise(2_000)
    values[1_200:] += 80
    assert rows(scale * values) == [1_200]


def test_a_burst_of_variance_is_found_where_it_begins():
    values = noise(2_000)
    values[1_400:1_440] += np.where(np.arange(40) % 2, 90, -60)
    found = rows(values)
    assert found
    assert 1_400 <= found[0] <= 1_402
    assert len(found) <= 3


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("weekend", [1.0, 0.6])
def test_seasonal_traffic_is_ordinary(seed, weekend):
    values = traffic(28, seed, weekend)
    # The first week has to be learnt: a weekend is news once.
    assert [row for row in rows(values) if row > 8 * DAY] == []


def test_what_is_ordinary_by_day_is_not_at_night():
    values = traffic(14)
    night = 12 * DAY
    values[night : night + 6] = 160
    assert night in rows(values)


def test_a_nightly_job_is_no_news_after_two_days_but_the_same_height_by_day_is():
    values = noise(12 * DAY, spread=1.0)
    values[DAY // 2 :: DAY] += 200
    quiet = rows(values)
    assert quiet[:2] == [DAY // 2, DAY // 2 + DAY]
    assert [row for row in quiet if row > 3 * DAY] == []
    values[10 * DAY] += 200
    assert [row for row in rows(values) if row > 3 * DAY] == [10 * DAY]


def test_a_nightly_job_is_recognised_across_a_gap():
    values = noise(12 * DAY, spread=1.0)
    values[DAY // 2 :: DAY] += 200
    keep = np.ones(len(values), dtype=bool)
    keep[5 * DAY + 30 : 5 * DAY + 77] = False
    found = detect(clock(len(values))[keep], values[keep])
    assert [one.row for one in found if one.row > 3 * DAY] == []


def test_bursts_that_stay_away_are_a_silence_told_once():
    values = np.full(14 * DAY, 5.0)
    starts = np.random.default_rng(3).choice(np.arange(60, 8 * DAY, 40), 40, replace=False)
    for start in starts:
        values[start : start + 4] = 90
    found = detect(clock(len(values)), values)
    silent = [one.row for one in found if one.kind == "silent"]
    assert len(silent) == 1
    assert starts.max() + DAY <= silent[0] < starts.max() + 3 * DAY


def test_a_stuck_value_is_told_once():
    values = noise(1_000)
    values[600:] = values[599]
    found = detect(clock(1_000), values)
    assert [one.kind for one in found] == ["stuck"]
    assert 615 <= found[0].row <= 630


@pytest.mark.parametrize(
    "values",
    [
        np.empty(0),
        np.ones(1),
        np.zeros(3_000),
        np.full(3_000, 7.5),
        np.full(500, np.nan),
        noise(WARM_UP),
    ],
)
def test_nothing_is_said_of_constant_empty_and_short_series(values):
    assert detect(clock(len(values)), values) == []


def test_missing_values_are_passed_over_and_rows_keep_their_number():
    values = noise(2_000)
    values[1_500] += 300
    values[::7] = np.nan
    values[10] = np.inf
    assert rows(values) == [1_500]
    score = surprise(clock(2_000), values)
    assert score.score[10] == 0
    assert np.isnan(score.low[7])


@pytest.mark.parametrize("cut", [25, 300, 1_501, 1_900])
def test_no_score_depends_on_a_later_row(cut):
    values = np.r_[traffic(4), noise(DAY * 4, level=60)]
    times = clock(len(values))
    whole, part = surprise(times, values), surprise(times[:cut], values[:cut])
    np.testing.assert_array_equal(whole.score[:cut], part.score)
    np.testing.assert_array_equal(whole.high[:cut], part.high)


@pytest.mark.parametrize(("off", "fires"), [(-1e-9, True), (0.0, True), (1e-9, False)])
def test_the_threshold_itself_fires(off, fires):
    values = noise(2_000)
    values[1_500] += 60
    score = float(surprise(clock(2_000), values).score[1_500])
    assert score > 1
    assert (1_500 in rows(values, threshold=score * (1 + off))) is fires


def test_one_event_does_not_fire_again_within_three_hours():
    values = noise(2_000)
    values[1_500:1_530] += 300 * np.arange(1, 31)
    assert rows(values) == [1_500]
    values[1_537] += 20_000
    assert rows(values) == [1_500, 1_537]


@pytest.mark.parametrize(
    ("later", "height", "told"),
    [
        (100, 300.0, False),
        (100, 900.0, True),
        (100, -95.0, True),
        (144, 300.0, False),
        (145, 300.0, True),
    ],
)
def test_for_half_a_day_only_worse_of_the_same_is_told(later, height, told):
    values = noise(2_000, spread=1.0)
    values[1_500] = 410
    values[1_500 + later] = 100 + height
    found = rows(values)
    assert found[0] == 1_500
    assert (1_500 + later in found) is told


def test_hourly_series_are_judged_too():
    values = noise(700)
    values[[400, 430]] = 300
    assert rows(values, step=3_600 * 10**9) == [400, 430]


def test_rare_events_of_one_size_are_told_but_not_for_ever():
    values = np.zeros(1_200)
    values[np.arange(50, 1_200, 90)] = 1
    found = rows(values, step=3_600 * 10**9)
    assert found[0] == 50
    assert len(found) <= 2


def test_a_clock_set_back_counts_as_standing_still():
    values = noise(2_000)
    values[1_500] += 300
    times = clock(2_000)
    times[800:812] -= 12 * STEP
    assert [one.row for one in detect(times, values)] == [1_500]


def test_times_and_values_must_match():
    with pytest.raises(ValueError, match="one of each"):
        detect(clock(3), np.zeros(4))


def test_the_default_threshold_is_above_chance():
    """On plain noise fewer than one row in two thousand fires."""
    fired = sum(len(rows(noise(2_000, seed, spread=30.0))) for seed in range(10))
    assert fired <= 10
    assert THRESHOLD > 1
