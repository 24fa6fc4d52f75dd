"""Distances and what chance gives of them."""

import numpy as np
import pandas as pd
import pytest

from triagebook.analysis.columns import as_numbers, kind_of, looks_like
from triagebook.analysis.distance import Coder, noise_floor, psi, share_noise
from triagebook.analysis.units import ks


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (np.linspace(0, 1, 50), "number"),
        (np.arange(13), "number"),
        (np.arange(12), "category"),
        ([True, False], "category"),
        (["a", "b"] * 30, "category"),
        ([f"k{i}" for i in range(60)], "identifier"),
        ([f"k{i}" for i in range(49)], "category"),
        (pd.date_range("2026-01-01", periods=5, tz="UTC"), "time"),
        ([None, None], "empty"),
        ([], "empty"),
    ],
)
def test_the_kind_of_a_column_follows_its_values(values, kind):
    assert kind_of(pd.Series(values)) == kind


def test_only_finite_numbers_are_kept():
    found = as_numbers(pd.Series(["1", "x", None, "inf", "2.5"]))
    assert found.tolist() == [1.0, 2.5]
    assert len(as_numbers(pd.Series([], dtype="float64"))) == 0


def test_numbers_texts_and_times_are_told_apart():
    number, text = pd.Series([1.0]), pd.Series(["1"])
    assert looks_like(number, pd.Series([2]))
    assert not looks_like(number, text)
    assert not looks_like(text, pd.Series(pd.to_datetime(["2026-01-01"])))


def test_psi_of_a_sample_with_itself_is_nought_and_grows_with_the_gap():
    p = np.array([0.5, 0.3, 0.2])
    assert psi(p, p) == 0
    near, far = psi(p, np.array([0.45, 0.33, 0.22])), psi(p, np.array([0.1, 0.1, 0.8]))
    assert 0 < near < 0.1 < far
    assert np.isfinite(psi(p, np.array([0.0, 0.0, 1.0])))


def test_ks_is_symmetric_and_bounded():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, 300), rng.normal(0.5, 2, 200)
    assert ks(a, b) == pytest.approx(ks(b, a))
    assert 0 < ks(a, b) < 1
    assert ks(a, a) == 0
    assert ks(a, a + 100) == 1
    assert ks(a, np.empty(0)) == 0


def test_values_beyond_the_reference_have_bins_of_their_own():
    coder = Coder("number", pd.Series(np.arange(100.0)))
    codes = coder.codes(pd.Series([-5.0, 0.0, 50.0, 99.0, 200.0, None]))
    assert codes[0] == 0
    assert codes[4] == coder.bins - 1
    assert codes[5] == -1
    assert 0 < codes[1] < codes[2] < codes[3] < codes[4]


def test_categories_never_seen_share_the_last_bin():
    coder = Coder("category", pd.Series(["a"] * 5 + ["b"] * 3))
    assert coder.codes(pd.Series(["a", "b", "new", None])).tolist() == [0, 1, 2, -1]


@pytest.mark.parametrize("rows", [30, 300])
def test_chance_seldom_exceeds_the_noise_of_numbers(rows):
    rng = np.random.default_rng(rows)
    floor = noise_floor(1_000, rows, tests=1)
    above = sum(ks(rng.normal(size=1_000), rng.normal(size=rows)) > floor for _ in range(300))
    assert above <= 6


@pytest.mark.parametrize(("rows", "labels"), [(30, 100), (400, 5)])
def test_chance_seldom_exceeds_the_noise_of_shares(rows, labels):
    rng = np.random.default_rng(labels)
    p = rng.dirichlet(np.ones(labels))
    above = 0
    for _ in range(300):
        old, new = rng.multinomial(1_000, p), rng.multinomial(rows, p)
        gap = np.abs(old / 1_000 - new / rows).sum() / 2
        above += gap > share_noise(old, rows, tests=1)
    assert above <= 6


def test_more_columns_need_a_larger_distance():
    assert noise_floor(500, 100, tests=50) > noise_floor(500, 100, tests=1)
    assert noise_floor(0, 100, tests=1) == 1.0
    assert share_noise(np.array([0, 0]), 10, tests=1) == 1.0
