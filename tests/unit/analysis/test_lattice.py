"""Conversions are told by the digits they leave: on a grid of decimals, and among known values."""

import numpy as np
import pytest

from triagebook.analysis.lattice import converted
from triagebook.analysis.units import CONVERSIONS

KNOWN = np.round(np.random.default_rng(99).uniform(20, 2_500, 250), 1)
MILES = (1.609344, 0.0)
GRID_TELLS = [c for c in CONVERSIONS if c[0] != round(c[0]) and c[0] not in (0.1, 0.01, 0.001)]
"""A whole factor, a shift by cents, or a few decimals more leave cents on a grid that is as good."""


def cents(rng, n):
    return np.round(5 + rng.gamma(3, 15, n), 2)


def listed(rng, n):
    return rng.choice(KNOWN, n)


def drawn(source, share, factor, offset, seed=3):
    """Return rows before, rows now of which a share is converted, and which."""
    rng = np.random.default_rng(seed)
    old, new = source(rng, 4_000), source(rng, 2_000)
    hit = rng.random(2_000) < share
    return old, np.where(hit, factor * new + offset, new), hit


@pytest.mark.parametrize("share", [1.0, 0.05])
@pytest.mark.parametrize("conversion", CONVERSIONS, ids=[c[2] for c in CONVERSIONS])
def test_every_conversion_of_known_values_is_named(conversion, share):
    factor, offset, name = conversion
    old, now, hit = drawn(listed, share, factor, offset)
    found = converted(old, now)
    assert (found.factor, found.offset, found.name) == (factor, offset, name)
    assert found.back == 1
    assert found.rows[hit].mean() > 0.7
    assert not found.rows[~hit].any()


@pytest.mark.parametrize("share", [1.0, 0.05])
@pytest.mark.parametrize("conversion", CONVERSIONS, ids=[c[2] for c in CONVERSIONS])
def test_of_cents_a_conversion_is_named_where_it_leaves_their_grid(conversion, share):
    factor, offset, name = conversion
    old, now, hit = drawn(cents, share, factor, offset)
    found = converted(old, now)
    if conversion not in GRID_TELLS:
        assert found is None
        return
    assert (found.factor, found.offset, found.name) == (factor, offset, name)
    assert found.rows[hit].mean() > 0.7
    assert not found.rows[~hit].any()


@pytest.mark.parametrize("decimals", [2, 3, 4, 6])
def test_what_was_rounded_after_the_conversion_is_named_all_the_same(decimals):
    old, now, _ = drawn(listed, 0.3, *MILES)
    found = converted(old, np.round(now, decimals))
    assert found.name == "miles to kilometres"


def test_a_factor_written_to_six_digits_is_the_conversion():
    old, now, _ = drawn(listed, 0.3, 2.20462, 0.0)
    assert converted(old, now).name == "kilograms to pounds"


@pytest.mark.parametrize("source", [cents, listed])
@pytest.mark.parametrize("seed", range(5))
def test_rows_as_ever_are_no_conversion(source, seed):
    old, now, _ = drawn(source, 0.0, 1.0, 0.0, seed)
    assert converted(old, now) is None


@pytest.mark.parametrize("factor", [1.1, 1.3, 1.7, 2.25])
def test_a_constant_that_nobody_converts_by_is_none(factor):
    old, now, _ = drawn(cents, 0.5, factor, 0.0)
    assert converted(old, now) is None


def test_whole_numbers_above_the_old_ones_are_no_conversion():
    rng = np.random.default_rng(1)
    old = rng.integers(0, 400, 4_000).astype(float)
    now = np.concatenate([rng.integers(0, 400, 1_000), rng.integers(400, 900, 1_000)]).astype(float)
    assert converted(old, now) is None


def test_a_counter_that_runs_on_is_no_conversion():
    rows = np.arange(6_000.0)
    assert converted(rows[:4_000], rows[4_000:]) is None


@pytest.mark.parametrize("share", [1.0, 0.05])
def test_a_grid_of_six_decimals_tells_nothing(share):
    def fine(rng, n):
        return np.round(rng.gamma(3, 15, n), 6)

    assert converted(*drawn(fine, share, *MILES)[:2]) is None


@pytest.mark.parametrize("conversion", CONVERSIONS, ids=[c[2] for c in CONVERSIONS])
def test_two_values_are_too_few_to_tell(conversion):
    # Whatever two numbers became, some conversion gives back something like them.
    def two(rng, n):
        return rng.choice([10.0, 25.0], n)

    found = converted(*drawn(two, 0.5, *conversion[:2])[:2])
    assert found is None or found.factor == conversion[0]


def test_nulls_are_left_out_and_are_never_converted_rows():
    old, now, _ = drawn(cents, 0.3, *MILES)
    old[::3], now[1::3] = np.nan, np.nan
    found = converted(old, now)
    assert found.name == "miles to kilometres"
    assert found.rows.shape == now.shape
    assert not found.rows[1::3].any()
    assert converted(np.full(500, np.nan), now) is None
    assert converted(old, np.full(500, np.nan)) is None


@pytest.mark.parametrize(("rows", "told"), [(19, False), (20, True), (21, True)])
def test_twenty_rows_are_needed(rows, told):
    rng = np.random.default_rng(5)
    old, now = cents(rng, 3_000), MILES[0] * cents(rng, rows)
    # Miles that are whole cents as kilometres too would not count.
    now += np.where(np.isclose(now, np.round(now, 2), atol=1e-9), 1.609344 * 0.01, 0.0)
    assert (converted(old, now) is not None) == told
    assert (converted(old, np.r_[now, cents(rng, 300)]) is not None) == told


@pytest.mark.parametrize(("others", "told"), [(1_980, True), (2_020, False)])
def test_one_row_in_a_hundred_is_needed(others, told):
    rng = np.random.default_rng(6)
    old = cents(rng, 3_000)
    now = np.r_[cents(rng, others), np.round(MILES[0] * np.arange(11.01, 11.21, 0.01), 6)[:20]]
    assert (converted(old, now) is not None) == told


@pytest.mark.parametrize(("others", "told"), [(1_970, True), (2_040, False)])
def test_one_row_in_a_hundred_is_needed_of_known_values_too(others, told):
    rng = np.random.default_rng(6)
    old = listed(rng, 3_000)
    now = np.r_[listed(rng, others), MILES[0] * KNOWN[:20]]
    assert (converted(old, now) is not None) == told


@pytest.mark.parametrize(("old_rows", "told"), [(99, False), (100, True), (101, True)])
def test_a_hundred_rows_of_the_past_are_needed(old_rows, told):
    rng = np.random.default_rng(7)
    old, now = cents(rng, old_rows), MILES[0] * cents(rng, 500)
    assert (converted(old, now) is not None) == told


def test_of_conversions_that_all_fit_the_one_is_named_whose_rows_lie_as_before():
    # Degrees undone by half the factor are whole cents as well, only twice as far apart.
    rng = np.random.default_rng(8)
    old, new = np.round(rng.normal(60, 12, 3_000), 2), np.round(rng.normal(63, 12, 1_000), 2)
    assert converted(old, (new - 32) / 1.8).name == "Fahrenheit to Celsius"
    assert converted(old, new / 3.6).name == "kilometres an hour to metres a second"


def test_rows_that_all_fall_on_one_point_of_the_grid_are_one_witness():
    # Millionths lie so near to nothing that, shifted by 32, all of them are 32.00.
    old, now, _ = drawn(cents, 1.0, 1e-6, 0.0)
    assert converted(old, now).name == "millionths to units"


def test_the_same_rows_give_the_same_answer():
    old, now, _ = drawn(listed, 0.2, *MILES)
    first, again = converted(old, now), converted(old.copy(), now.copy())
    assert (first.factor, first.back, first.luck) == (again.factor, again.back, again.luck)
    assert np.array_equal(first.rows, again.rows)
