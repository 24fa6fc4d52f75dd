"""The error of a regression is followed where its inputs move, in any unit."""

import numpy as np
import pandas as pd
import pytest

from triagebook.analysis.cross_fit import believed, effective_rows
from triagebook.analysis.estimate_error import ErrorEstimator

CHUNK = 1_000


def world(n, seed, rough=0.3, scale=1.0):
    """Predictions that are three times as far off in the rough group."""
    rng = np.random.default_rng(seed)
    group = np.where(rng.random(n) < rough, "rough", "smooth")
    x = rng.normal(size=n)
    truth = 10 + 2 * x + rng.normal(0, np.where(group == "rough", 3, 1))
    features = pd.DataFrame({"x": x, "group": group})
    return features, pd.Series(scale * (10 + 2 * x)), pd.Series(scale * truth)


@pytest.fixture(scope="module", params=[1.0, 1e5])
def scaled(request):
    fitted = ErrorEstimator.fit(*world(8 * CHUNK, 0, scale=request.param), chunk_rows=CHUNK)
    return request.param, fitted


def real(prediction, target):
    error = (prediction - target).to_numpy()
    return {"mae": np.abs(error).mean(), "rmse": np.sqrt((error**2).mean())}


def test_the_reference_is_measured_with_labels(scaled):
    scale, estimator = scaled
    _, prediction, target = world(8 * CHUNK, 0, scale=scale)
    assert estimator.reference == pytest.approx(real(prediction, target))
    sd = estimator.chunks["rmse"].std()
    assert estimator.threshold("rmse") == pytest.approx(estimator.reference["rmse"] + 3 * sd)


@pytest.mark.parametrize(("rough", "alarm"), [(0.3, False), (0.8, True), (0.0, False)])
def test_the_error_follows_the_mix(scaled, rough, alarm):
    scale, estimator = scaled
    features, prediction, _ = world(CHUNK, 3, rough=rough, scale=scale)
    truth = real(*world(60_000, 4, rough=rough, scale=scale)[1:])
    for found in estimator.estimate(features, prediction):
        assert found.value == pytest.approx(truth[found.measure], rel=0.1)
        assert found.alarm is alarm


def test_the_interval_holds_the_error_that_comes(scaled):
    scale, estimator = scaled
    covered = []
    for seed in range(10):
        features, prediction, target = world(CHUNK, 10 + seed, rough=0.6, scale=scale)
        mine = real(prediction, target)
        covered += [
            found.low <= mine[found.measure] <= found.high
            for found in estimator.estimate(features, prediction)
        ]
    assert np.mean(covered) >= 0.85


def test_little_to_learn_from_or_to_judge_is_unknown(scaled):
    features, prediction, target = world(499, 0)
    assert ErrorEstimator.fit(features, prediction, target, CHUNK) is None
    _, estimator = scaled
    features, prediction, _ = world(120, 0)
    prediction[:21] = np.nan
    assert estimator.estimate(features, prediction) == []
    prediction[20] = 1.0
    assert [found.rows for found in estimator.estimate(features, prediction)] == [100, 100]


@pytest.mark.parametrize(
    ("miss", "error", "left"),
    [(1, 1, 0), (1, 1.1, 0), (3, 1, 8 / 3), (-3, 1, -8 / 3), (2, 0, 2), (0, 1, 0), (np.nan, 1, 0)],
)
def test_a_difference_is_believed_beyond_its_error(miss, error, left):
    assert believed(miss, error) == pytest.approx(left)


def test_effective_rows_fall_with_uneven_weights():
    assert effective_rows(np.ones(40)) == pytest.approx(40)
    assert effective_rows(np.r_[np.ones(20), np.zeros(20)]) == pytest.approx(20)
