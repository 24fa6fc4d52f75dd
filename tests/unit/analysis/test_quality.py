"""Faults that leave marks, just below, at and just above where they are called so."""

import numpy as np
import pandas as pd
import pytest

from triagebook.analysis.breaches import breaches
from triagebook.analysis.cells import Cells
from triagebook.analysis.quality import (
    category_recode,
    default_fill,
    duplicate_share,
    in_spells,
    schema_difference,
    swapped,
    whole_hours_shift,
)
from triagebook.analysis.texts import form

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _same_draws():
    # Each test draws the same, whichever others ran before.
    RNG.bit_generator.state = np.random.default_rng(0).bit_generator.state


@pytest.mark.parametrize(("share", "found"), [(0.04, False), (0.05, True), (0.3, True)])
def test_a_value_fills_from_five_per_cent_on(share, found):
    old = pd.Series(np.linspace(1, 2, 1_000))
    new = old.copy()
    new.iloc[: round(1_000 * share)] = -999.0
    fill = default_fill(old, new)
    assert (fill is not None) == found
    if found:
        assert (fill.value, fill.sentinel) == ("-999.0", True)
        assert fill.share_current == pytest.approx(share)


def test_a_share_has_to_rise_threefold():
    old = pd.Series(["a"] * 40 + ["b"] * 60)
    assert default_fill(old, pd.Series(["a"] * 90 + ["b"] * 10)) is None
    assert default_fill(old, pd.Series([], dtype="object")) is None


def test_labels_replaced_one_for_one_are_paired():
    old = pd.Series(["US"] * 500 + ["DE"] * 300 + ["FR"] * 200)
    new = old.map({"US": "usa", "DE": "deu", "FR": "fra"})
    found = category_recode(old, new)
    assert dict(found.pairs) == {"US": "usa", "DE": "deu", "FR": "fra"}
    assert found.residual < 0.01
    assert found.covered == 1


def test_a_new_crowd_is_no_recode():
    old = pd.Series(["US"] * 500 + ["DE"] * 500)
    assert category_recode(old, pd.Series(["US"] * 500 + ["DE"] * 400 + ["PL"] * 100)) is None
    assert category_recode(old, old) is None


def broken(old, new):
    return breaches(Cells.of(old, new))


@pytest.mark.parametrize(("bad", "found"), [(2, False), (4, True), (50, True)])
def test_odd_numbers_are_broken_from_four_in_a_thousand_on(bad, found):
    old = pd.Series(RNG.normal(50, 5, 2_000))
    new = pd.Series(RNG.normal(50, 5, 1_000))
    new.iloc[np.random.default_rng(1).choice(1_000, bad, replace=False)] = 9_999.0
    result = broken(old, new)
    assert bool(result) == found
    if found:
        assert result[0].share == pytest.approx(bad / 1_000, abs=0.004)
        assert result[0].example == "9999"


def test_a_quantity_never_negative_has_no_business_below_nought():
    new = pd.Series(RNG.gamma(2, 3, 500))
    new.iloc[::20] = -0.5
    assert broken(pd.Series(RNG.gamma(2, 3, 2_000)), new)[0].share == pytest.approx(0.05, abs=0.003)


def test_a_heat_wave_is_a_spell_and_no_fault():
    wave = np.r_[np.zeros(200), np.ones(60), np.zeros(60), np.ones(60), np.zeros(60)].astype(bool)
    assert in_spells(wave)
    assert not in_spells(np.random.default_rng(0).random(440) < wave.mean())


def test_texts_of_another_form_are_found():
    old = pd.Series([f"AB-{i:04d}" for i in range(1_000)])
    new = pd.Series([f"AB-{i:04d}" for i in range(1_000, 1_450)])
    new.iloc[::10] = [f"ab_{i}x" for i in range(45)]
    result = broken(old, new)[0]
    assert result.share == pytest.approx(0.1)
    assert result.what.startswith("of ")
    new.iloc[::10] = [f"AB-{i:03d}Ã¼" for i in range(45)]
    assert "of broken encoding" in {b.what for b in broken(old, new)}


def test_forms_fold_letters_and_digits():
    assert form("AB-0123") == form("XY-9999")
    assert form("ab-1") != form("AB-1")


def test_columns_gone_new_and_retyped_are_told():
    old = pd.DataFrame({"a": [1.0], "b": ["x"], "c": [1]})
    new = pd.DataFrame({"a": ["1"], "c": [2.0], "d": [1]})
    found = schema_difference(old, new)
    assert (found.gone, found.new) == (("b",), ("d",))
    assert [r[0] for r in found.retyped] == ["a"]
    assert not schema_difference(old, old)
    assert schema_difference(old, old, {"a": "double", "e": "string"}).gone == ("e",)


def test_keys_that_repeat_are_counted():
    frame = pd.DataFrame({"k": [1, 1, 2, 3], "v": [1, 2, 3, 4]})
    assert duplicate_share(frame, ["k"]) == 0.25
    assert duplicate_share(frame, ["gone"]) == duplicate_share(frame.iloc[:0], ["k"]) == 0


def test_two_columns_that_changed_places_are_found():
    old = {"a": RNG.normal(0, 1, 500), "b": RNG.normal(10, 1, 500)}
    assert [f[:2] for f in swapped(old, {"a": old["b"], "b": old["a"]}, ["a", "b"])] == [("a", "b")]
    assert swapped(old, old, ["a", "b"]) == []


@pytest.mark.parametrize("shift", [-7, -1, 1, 5, 12])
def test_a_clock_that_moved_by_whole_hours_is_found(shift):
    hours = np.random.default_rng(2).choice(
        24, 3_000, p=np.r_[np.zeros(6), np.full(8, 0.1), np.full(4, 0.05), np.zeros(6)]
    )
    found = whole_hours_shift(hours, (hours + shift) % 24)
    assert found[0] in (shift, shift - 24)
    assert whole_hours_shift(hours, hours) is None
    assert whole_hours_shift(hours[:49], hours) is None


def test_a_swap_with_a_column_whose_days_differ_is_told_by_the_other() -> None:
    rng = np.random.default_rng(3)
    seats, cold, warm = (
        rng.integers(50, 300, 2000) * 1.0,
        rng.normal(30, 6, 2000),
        rng.normal(36, 6, 2000),
    )
    old = {"seats": seats, "temp": cold}
    new = {"seats": warm, "temp": rng.permutation(seats)}
    # Today is warmer than the past: crossed, the temperature still lies off.
    assert swapped(old, new, ["seats", "temp"]) == []
    found = swapped(old, new, ["seats", "temp"], {"seats": 0.04, "temp": 0.9})
    assert [f[:2] for f in found] == [("seats", "temp")]
    assert swapped(old, new, ["seats", "temp"], {"seats": 0.04, "temp": 0.2}) == []


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [("float64", -999.0, "-999.0"), ("int64", -999, "-999"), ("float32", -1.0, "-1.0")],
)
def test_a_number_that_fills_is_told_as_its_text_is(kind, value, said):
    old = pd.Series(np.arange(100), dtype=kind)
    new = old.copy()
    new[40:] = value
    fill = default_fill(old, new)
    assert (fill.value, fill.share_reference, fill.share_current) == (said, 0.0, 0.6)
    assert fill.sentinel
    # The same numbers as texts, and with another type in the one window.
    assert default_fill(old.astype(str), new.astype(str)) == fill
    other = new.astype("int64" if kind != "int64" else "float64")
    assert default_fill(old, other).share_current == 0.6
