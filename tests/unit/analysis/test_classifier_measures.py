"""Measures agree with scikit-learn's, and what is expected of them with what happens on average."""

import numpy as np
import pytest
from sklearn import metrics

from triagebook.analysis.classifier_measures import MEASURES, expected, measures


def rows(n=400, seed=0):
    rng = np.random.default_rng(seed)
    chance = rng.beta(1, 1.5, n)
    score = np.round(np.clip(chance + rng.normal(0, 0.2, n), 0, 1), 2)
    return rng, chance, score, score > 0.6


def test_they_agree_with_a_known_library():
    rng, chance, score, decision = rows()
    y = rng.random((3, len(chance))) < chance
    found = measures(y, score, decision)
    for i, labels in enumerate(y):
        assert found["auc"][i] == pytest.approx(metrics.roc_auc_score(labels, score))
        assert found["accuracy"][i] == pytest.approx(metrics.accuracy_score(labels, decision))
        assert found["precision"][i] == pytest.approx(metrics.precision_score(labels, decision))
        assert found["recall"][i] == pytest.approx(metrics.recall_score(labels, decision))
        assert found["f1"][i] == pytest.approx(metrics.f1_score(labels, decision))
        assert found["log_loss"][i] == pytest.approx(metrics.log_loss(labels, score), rel=1e-6)


def test_certain_probabilities_are_labels():
    rng, chance, score, decision = rows()
    y = rng.random(len(chance)) < chance
    real, guess = measures(y[None], score, decision), expected(y.astype(float), score, decision)
    for name in MEASURES:
        assert guess[name] == pytest.approx(real[name][0])


def test_the_expectation_is_the_mean_of_what_happens():
    rng, chance, score, decision = rows()
    drawn = measures(rng.random((4_000, len(chance))) < chance, score, decision)
    for name, value in expected(chance, score, decision).items():
        error = drawn[name].std() / np.sqrt(4_000)
        assert abs(drawn[name].mean() - value) < 4 * error + 5e-4


def test_measures_without_meaning_are_nan_or_absent():
    score = np.linspace(-3, 3, 50)
    one_class = measures(np.ones((1, 50), dtype=bool), score, np.zeros(50, dtype=bool))
    assert np.isnan(one_class["auc"][0])
    assert np.isnan(one_class["precision"][0])
    assert one_class["recall"][0] == 0
    assert "log_loss" not in one_class
    guess = expected(np.full(50, 0.5), score)
    assert set(guess) == {"auc"}
    assert guess["auc"] == pytest.approx(0.5)
    assert np.isnan(expected(np.ones(50), score)["auc"])


def test_scores_of_zero_and_one_give_a_finite_loss():
    found = measures(np.array([[True, False]]), np.array([0.0, 1.0]))
    assert np.isfinite(found["log_loss"][0])
