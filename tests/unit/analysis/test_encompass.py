"""Which of two scores outcomes follow."""

import numpy as np
import pytest

from triagebook.analysis.encompass import encompassing


def _world(n: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    odds = rng.normal(-0.5, 1.2, n)
    true = 1 / (1 + np.exp(-odds))
    shuffled = true.copy()
    swapped = rng.random(n) < 0.6
    shuffled[swapped] = rng.permutation(shuffled[swapped])
    return (rng.random(n) < true).astype(float), true, shuffled


def test_outcomes_follow_the_score_that_made_them() -> None:
    y, good, bad = _world()
    found = encompassing(y, old=good, new=bad)
    assert found is not None
    assert found.z > 8
    assert found.old > 0.8
    assert abs(found.new) < 0.2
    turned = encompassing(y, old=bad, new=good)
    assert turned is not None
    assert turned.z == pytest.approx(-found.z, rel=0.05)


def test_a_day_of_few_positives_changes_nothing() -> None:
    y, good, bad = _world()
    rng = np.random.default_rng(1)
    # Half of the positives do not happen: squared errors would prefer whoever says less.
    y = np.where(rng.random(len(y)) < 0.5, 0.0, y)
    lower = bad * 0.6
    assert np.mean((y - lower) ** 2) < np.mean((y - good) ** 2)
    found = encompassing(y, old=good, new=lower)
    assert found is not None
    assert found.z > 5


def test_two_scores_as_good_as_each_other_are_told_apart_seldom() -> None:
    zs = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        odds = rng.normal(0, 1, 1500)
        y = (rng.random(1500) < 1 / (1 + np.exp(-odds))).astype(float)
        one, two = (1 / (1 + np.exp(-odds - rng.normal(0, 0.3, 1500))) for _ in range(2))
        found = encompassing(y, one, two)
        assert found is not None
        zs.append(found.z)
    assert np.abs(zs).max() < 3.5


@pytest.mark.parametrize("positives", [0, 19])
def test_too_few_of_a_kind_tell_nothing(positives: int) -> None:
    y = np.zeros(200)
    y[:positives] = 1
    rng = np.random.default_rng(0)
    assert encompassing(y, rng.random(200), rng.random(200)) is None


def test_one_score_twice_tells_nothing() -> None:
    y, good, _ = _world(500)
    assert encompassing(y, good, good) is None


def test_scores_that_part_the_outcomes_stay_finite() -> None:
    y = np.repeat([0.0, 1.0], 50)
    found = encompassing(y, np.where(y > 0, 0.999, 0.001), np.full(100, 0.5) + 0.01 * y)
    assert found is not None
    assert np.isfinite([found.old, found.new, found.z]).all()
