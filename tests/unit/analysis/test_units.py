"""Constants are found, named, and told from luck."""

import numpy as np
import pandas as pd
import pytest

from triagebook.analysis.units import (
    CONVERSIONS,
    constant_change,
    constant_from_groups,
    constant_within_groups,
    pinning,
)


@pytest.mark.parametrize("conversion", CONVERSIONS, ids=[c[2] for c in CONVERSIONS])
def test_every_conversion_or_a_neighbour_within_six_per_cent_is_recovered(conversion):
    factor, offset, _ = conversion
    rng = np.random.default_rng(7)
    old, new = 20 + rng.gamma(4, 12, 3_000), 20 + rng.gamma(4, 12, 2_000)
    found = constant_change(old, factor * new + offset)
    assert found is not None
    assert (found.factor, found.offset) == pytest.approx((factor, offset), rel=0.06)
    assert found.explained > 0.8


def test_the_change_can_be_undone():
    found = constant_change(np.linspace(1, 100, 400), np.linspace(1, 100, 400) * 1.609344)
    back = found.undo(pd.Series([1.609344, 16.09344]))
    assert back.tolist() == pytest.approx([1, 10])
    assert found.name == "miles to kilometres"


def test_an_unnamed_scale_is_fitted():
    rng = np.random.default_rng(1)
    found = constant_change(rng.gamma(3, 10, 5_000), 1.27 * rng.gamma(3, 10, 5_000))
    assert found.name is None
    assert found.factor == pytest.approx(1.27, rel=0.04)


@pytest.mark.parametrize("rows", [29, 30])
def test_fewer_than_thirty_rows_say_nothing(rows):
    rng = np.random.default_rng(2)
    found = constant_change(rng.gamma(3, 10, 500), 1_000 * rng.gamma(3, 10, rows))
    assert (found is None) == (rows < 30)


def test_no_change_a_constant_or_another_shape_give_none():
    rng = np.random.default_rng(3)
    old = rng.gamma(3, 10, 2_000)
    assert constant_change(old, old) is None
    assert constant_change(np.ones(100), old) is None
    mixed = np.where(rng.random(2_000) < 0.5, rng.normal(-200, 1, 2_000), rng.normal(400, 1, 2_000))
    assert constant_change(old, mixed) is None


def test_luck_is_large_with_few_rows_and_small_with_many():
    rng = np.random.default_rng(4)
    few = constant_change(rng.gamma(3, 10, 2_000), 1.609344 * rng.gamma(3, 10, 60))
    many = constant_change(rng.gamma(3, 10, 20_000), 1.609344 * rng.gamma(3, 10, 8_000))
    assert many.name == "miles to kilometres"
    assert few.name is None or few.luck > many.luck
    assert constant_change(rng.gamma(3, 10, 2_000), 1_000 * rng.gamma(3, 10, 60)).luck == 0


def pairs(seed, factor, rows=40):
    rng = np.random.default_rng(seed)
    table = rng.uniform(100, 3_000, (5, 8))

    def draw(n, k):
        a, b = rng.integers(0, 5, n), rng.integers(0, 8, n)
        return pd.DataFrame({"a": a.astype(str), "b": b.astype(str), "x": k * table[a, b]})

    return draw(2_000, 1.0), draw(rows, factor)


def test_groups_that_pin_a_column_down_give_the_factor_from_forty_rows():
    old, new = pairs(0, 1.609344)
    by = pinning(old, "x", [("a",), ("b",), ("a", "b")])
    assert by == ("a", "b")
    found = constant_from_groups(old, new, "x", by)
    assert found.name == "miles to kilometres"
    grouped = constant_within_groups(old, new, "x", found, by)
    assert grouped.agreeing == grouped.groups >= 20


@pytest.mark.parametrize(
    ("factor", "there"), [(1.0, False), (1.04, False), (1.06, True), (0.93, True)]
)
def test_a_factor_within_five_per_cent_of_one_is_none(factor, there):
    old, new = pairs(1, factor)
    assert (constant_from_groups(old, new, "x", ("a", "b")) is not None) == there


def test_groups_that_disagree_give_none():
    old, new = pairs(2, 1.0)
    new["x"] *= np.where(new["a"].isin(["0", "1"]), 1.2, 2.0)
    assert constant_from_groups(old, new, "x", ("a", "b")) is None


def test_a_column_that_no_group_pins_down_has_no_grouping():
    rng = np.random.default_rng(5)
    old = pd.DataFrame({"a": rng.choice(list("pqrs"), 500), "x": rng.normal(size=500)})
    assert pinning(old, "x", [("a",)]) is None
    assert pinning(old.assign(x=1.0), "x", [("a",)]) is None
