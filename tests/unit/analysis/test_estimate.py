"""Without labels the measures come out right: in place, after a shift, and for a biased score."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from triagebook.analysis.classifier_measures import MEASURES, is_drop, measures
from triagebook.analysis.density_ratio import density_ratio
from triagebook.analysis.encode import Encoder
from triagebook.analysis.estimate import PerformanceEstimator

CHUNK = 1_000


def world(n, seed, shift=0.0, far=0.5):
    """Rows whose score is right about most and mistaken about the group `far`."""
    rng = np.random.default_rng(seed)
    x = rng.normal(shift, 1, n)
    group = np.where(rng.random(n) < far, "far", "near")
    chance = expit(np.where(group == "far", 0.3 * x, 2.5 * x) - 0.2)
    features = pd.DataFrame({"x": x, "group": group, "other": rng.normal(size=n)})
    score = pd.Series(expit(1.5 * x))
    target = pd.Series(np.where(rng.random(n) < chance, "yes", "no"))
    prediction = pd.Series(np.where(score > 0.5, "yes", "no"))
    return features, score, prediction, target


def real(score, prediction, target):
    found = measures(
        (target == "yes").to_numpy()[None], score.to_numpy(), (prediction == "yes").to_numpy()
    )
    return {name: float(value[0]) for name, value in found.items()}


@pytest.fixture(scope="module")
def estimator():
    return PerformanceEstimator.fit(*world(10 * CHUNK, 0), chunk_rows=CHUNK)


def by_name(found):
    return {one.measure: one for one in found}


def test_the_reference_is_measured_with_labels(estimator):
    _, score, prediction, target = world(10 * CHUNK, 0)
    assert estimator.reference == pytest.approx(real(score, prediction, target))
    assert len(estimator.chunks["auc"]) == 10
    auc, sd = estimator.reference["auc"], estimator.chunks["auc"].std()
    assert estimator.threshold("auc") == pytest.approx(auc - 3 * sd)
    loss, sd = estimator.reference["log_loss"], estimator.chunks["log_loss"].std()
    assert estimator.threshold("log_loss") == pytest.approx(loss + 3 * sd)


def test_unmoved_rows_are_estimated_within_their_interval_and_hardly_ever_alarm(estimator):
    covered, total, false = 0, 0, []
    for seed in range(1, 9):
        features, score, prediction, target = world(CHUNK, seed)
        found = by_name(estimator.estimate(features, score, prediction))
        assert tuple(found) == MEASURES
        for name, value in real(score, prediction, target).items():
            covered += found[name].low <= value <= found[name].high
            total += 1
            # An unlucky window may really be beyond the threshold.
            if found[name].alarm and not is_drop(name, value, found[name].threshold):
                false.append(name)
    assert covered / total >= 0.85
    assert len(false) <= 1
    assert "auc" not in false


@pytest.mark.parametrize("moved", [{"far": 0.95}, {"far": 0.05}, {"shift": 0.8}])
def test_a_shift_of_the_inputs_is_followed(estimator, moved):
    features, score, prediction, _ = world(CHUNK, 20, **moved)
    found = by_name(estimator.estimate(features, score, prediction))
    # A window of its own size says what the truth is without its luck.
    truth = real(*world(50_000, 21, **moved)[1:])
    for name in ("auc", "accuracy", "recall", "log_loss"):
        assert abs(found[name].value - truth[name]) < 0.035
    if "far" in moved:
        change = abs(truth["auc"] - estimator.reference["auc"])
        assert change > 0.09
        assert abs(found["auc"].value - truth["auc"]) < 0.3 * change


def test_a_real_drop_raises_the_alarm_and_a_gain_does_not(estimator):
    worse = by_name(estimator.estimate(*world(CHUNK, 30, far=0.95)[:3]))
    better = by_name(estimator.estimate(*world(CHUNK, 31, far=0.05)[:3]))
    assert worse["auc"].alarm is True
    assert worse["log_loss"].alarm is True
    assert better["auc"].alarm is False
    assert better["log_loss"].alarm is False


def test_the_same_rows_give_the_same_estimate(estimator):
    rows = world(CHUNK, 40)
    again = PerformanceEstimator.fit(*world(10 * CHUNK, 0), chunk_rows=CHUNK)
    assert again.estimate(*rows[:3]) == estimator.estimate(*rows[:3])


def test_rows_without_score_are_left_out_and_few_rows_are_unknown(estimator):
    features, score, prediction, _ = world(150, 50)
    score[:40] = np.nan
    (auc, *_) = estimator.estimate(features, score, prediction)
    assert auc.rows == 110
    score[:51] = np.nan
    assert estimator.estimate(features, score, prediction) == []


def test_new_categories_and_nulls_do_not_stop_it(estimator):
    features, score, prediction, _ = world(CHUNK, 60)
    features.loc[:300, "group"] = "never seen"
    features.loc[301:500, "x"] = np.nan
    features.loc[301:400, "group"] = None
    assert 0 <= estimator.estimate(features, score, prediction)[0].value <= 1


def test_without_decisions_only_the_scores_are_judged():
    features, score, _, target = world(4 * CHUNK, 0)
    only = PerformanceEstimator.fit(features, score, None, target, chunk_rows=CHUNK)
    found = by_name(only.estimate(features, score))
    assert set(found) == {"auc", "log_loss"}
    # Four chunks have no spread: no threshold, and no alarm is no all-clear.
    assert found["auc"].threshold is None
    assert found["auc"].alarm is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda target: target.where(target.index < 499),
        lambda target: pd.Series("yes", index=target.index),
        lambda target: target.where(target == "yes", "no").mask(target.index % 3 == 0, "maybe"),
        lambda target: pd.Series(np.where(target.index < 49, "yes", "no")),
    ],
)
def test_too_little_to_learn_from_gives_none(spoil):
    features, score, prediction, target = world(700, 0)
    assert PerformanceEstimator.fit(features, score, prediction, spoil(target), CHUNK) is None


@pytest.mark.parametrize(
    ("measure", "value", "drop"),
    [
        ("auc", 0.8999, True),
        ("auc", 0.9, False),
        ("auc", 0.9001, False),
        ("log_loss", 0.8999, False),
        ("log_loss", 0.9, False),
        ("log_loss", 0.9001, True),
    ],
)
def test_only_beyond_the_threshold_is_a_drop(measure, value, drop):
    assert is_drop(measure, value, 0.9) is drop


def test_weights_make_the_reference_look_like_the_current_rows():
    rng = np.random.default_rng(0)
    reference, current = rng.normal(0, 1, (6_000, 1)), rng.normal(0.8, 1, (2_000, 1))
    weight = density_ratio(reference, current, [False])
    assert weight.mean() == pytest.approx(1)
    assert weight.max() <= 20 * 1.5
    assert np.average(reference[:, 0], weights=weight) == pytest.approx(0.8, abs=0.12)
    same = density_ratio(reference, rng.normal(0, 1, (2_000, 1)), [False])
    assert same.std() < 0.25


def test_categories_are_encoded_by_the_reference_alone():
    reference = pd.DataFrame({"c": ["b", "b", "a", None], "n": [1, 2, 3, 4]})
    encoder = Encoder.of(reference)
    assert encoder.categorical == [True, False]
    out = encoder.encode(pd.DataFrame({"n": ["7", "x", 1], "c": ["a", "new", None]}))
    np.testing.assert_array_equal(out, [[1, 7], [np.nan, np.nan], [np.nan, 1]])
    with pytest.raises(KeyError):
        encoder.encode(pd.DataFrame({"n": [1]}))
