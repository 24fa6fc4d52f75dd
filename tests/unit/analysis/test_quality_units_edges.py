"""Thresholds and odd inputs of faults that leave marks, and of constants."""

import numpy as np
import pandas as pd
import pytest

from triagebook.analysis.breaches import breaches
from triagebook.analysis.cells import Cells
from triagebook.analysis.quality import (
    category_recode,
    default_fill,
    schema_difference,
    swapped,
)
from triagebook.analysis.units import (
    ConstantChange,
    constant_change,
    constant_changes,
    constant_from_groups,
    constant_within_groups,
    ks,
    pinning,
)

# --- quality -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "there"), [(19, False), (20, True)])
def test_twenty_rows_are_the_least_for_a_fill_and_for_broken_values(n, there):
    old = pd.Series(np.linspace(1, 2, 100))
    new = pd.Series(np.full(n, -999.0))
    assert (default_fill(old, new) is not None) == there
    assert bool(breaches(Cells.of(old, new))) == there


@pytest.mark.parametrize(("now", "there"), [(23, False), (24, True), (25, True)])
def test_a_share_of_an_eighth_has_to_reach_three_eighths(now, there):
    old = pd.Series(["x"] * 8 + [f"v{i}" for i in range(56)])
    new = pd.Series(["x"] * now + [f"v{i}" for i in range(64 - now)])
    assert (default_fill(old, new) is not None) == there


@pytest.mark.parametrize(("share", "there"), [(0.19, False), (0.2, True), (0.21, True)])
def test_one_label_alone_is_recoded_from_a_fifth_of_the_rows_on(share, there):
    n = round(1_000 * share)
    old = pd.Series(["US"] * n + ["DE"] * (1_000 - n))
    assert (category_recode(old, old.replace("US", "usa")) is not None) == there


def test_nulls_and_mixed_types_are_no_recode_and_no_corruption_by_themselves():
    old = pd.Series(["a", "b"] * 50)
    assert category_recode(old, pd.Series([None] * 100, dtype="object")) is None
    lost = breaches(Cells.of(old, pd.Series([None] * 100, dtype="object")))
    assert all(b.missing for b in lost)
    assert breaches(Cells.of(pd.Series([], dtype="float64"), pd.Series(np.ones(50)))) == []
    mixed = breaches(
        Cells.of(pd.Series(np.linspace(0, 1, 100)), pd.Series(["x1", 0.5] * 50, dtype="object"))
    )
    (said,) = [b for b in mixed if b.what == "not a number"]
    assert (said.share, said.example) == (0.5, "x1")


def test_a_record_of_a_long_tail_is_no_fault():
    rng = np.random.default_rng(0)
    old = pd.Series(rng.lognormal(0, 1, 3_000))
    assert breaches(Cells.of(old, pd.Series(rng.lognormal(0, 1, 600)))) == []


def test_whole_numbers_and_fractions_are_one_type_and_times_another():
    old = pd.DataFrame({"a": [1, 2], "t": ["2026-01-01"] * 2, "n": [None, None]})
    new = pd.DataFrame({"a": [1.5, None], "t": pd.to_datetime(["2026-01-01"] * 2), "n": ["x", "y"]})
    assert [name for name, _, _ in schema_difference(old, new).retyped] == ["t"]


def test_columns_alike_cannot_be_swapped_noticeably():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, 500), rng.normal(0.3, 1, 500)
    assert swapped({"a": a, "b": b}, {"a": b, "b": a}, ["a", "b"]) == []
    assert swapped({"a": a}, {"a": a}, ["a"]) == []


# --- units ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "share"), [(0.4, 0.1, 0.75), (0, 0.1, 0), (0.1, 0.2, -1)]
)
def test_what_a_constant_explains_is_at_most_all(before, after, share):
    found = ConstantChange(2.0, 0.0, before, after, None, 0.0)
    assert found.explained == pytest.approx(share)


def test_constants_are_listed_best_first_and_take_away_half_at_least():
    rng = np.random.default_rng(0)
    found = constant_changes(rng.gamma(3, 10, 3_000), 1.609344 * rng.gamma(3, 10, 2_000))
    assert found[0].name == "miles to kilometres"
    assert all(one.explained >= 0.5 for one in found)
    assert all(abs(one.factor - 1) >= 0.05 or one.offset for one in found)


@pytest.mark.parametrize("values", [[], [1.0] * 100, [np.nan] * 0])
def test_constant_or_empty_columns_have_no_constant_change(values):
    assert constant_change(np.asarray(values, dtype=float), np.linspace(1, 2, 100)) is None


def test_ties_count_once_in_the_distance():
    assert ks(np.array([1.0, 1.0, 2.0]), np.array([1.0, 2.0, 2.0])) == pytest.approx(1 / 3)
    assert ks(np.zeros(5), np.zeros(9)) == 0
    assert ks(np.array([1.0]), np.array([2.0])) == 1


def grouped(groups, factor=1.0, n=30):
    by = np.repeat(np.arange(groups), n).astype(str)
    return pd.DataFrame({"g": by, "x": factor * (10.0 + np.repeat(np.arange(groups), n) * 7.0)})


@pytest.mark.parametrize(("groups", "there"), [(2, False), (3, True), (4, True)])
def test_three_groups_are_the_least(groups, there):
    old, new = grouped(groups), grouped(groups, 2.54)
    assert (pinning(old, "x", [("g",)]) is not None) == there
    found = constant_from_groups(old, new, "x", ("g",))
    assert (found is not None) == there
    if found:
        assert (found.name, found.spread) == ("inches to centimetres", pytest.approx(0))
        held = constant_within_groups(old, new, "x", found, ("g",))
        assert (held.agreeing, held.groups, held.rows) == (groups, groups, 30 * groups)
    else:
        change = ConstantChange(2.54, 0.0, 1.0, 0.0, None, 0.0)
        assert constant_within_groups(old, new, "x", change, ("g",)) is None


def test_groups_that_nobody_saw_before_do_not_count():
    old, new = grouped(4), grouped(4, 2.0).assign(g="new")
    assert constant_from_groups(old, new, "x", ("g",)) is None
    assert pinning(old, "x", []) is None
