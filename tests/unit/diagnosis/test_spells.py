"""Silent hours, repeated readings and conversions in rows with times: what came before is no fault."""

import numpy as np
import pandas as pd
import pytest

from tests.unit.diagnosis.test_habits import FIRST, asked, said
from tests.unit.diagnosis.world import END, START
from triagebook.analysis.quality import default_fill
from triagebook.diagnosis.checks.data import _a_common_value
from triagebook.diagnosis.checks.inputs import _first, matched_reference

SINCE = END - pd.Timedelta("12h")
TIMES = pd.Series(pd.date_range(FIRST, END, freq="10min", inclusive="left"))
NOW = (TIMES >= SINCE).to_numpy()


def hours(ago_days, length):
    """Rows of some hours, that begin so many days before the onset."""
    start = SINCE - pd.Timedelta(days=ago_days)
    return ((start <= TIMES) & (start + pd.Timedelta(hours=length) > TIMES)).to_numpy()


def readings(seed=1, digits=3):
    values = np.round(np.random.default_rng(seed).normal(20, 4, len(TIMES)), digits)
    return pd.DataFrame({"t": TIMES, "x": values, "y": np.arange(len(TIMES)) % 5.0})


def bad(tmp_path, frame, check):
    return [a for a in said(asked(tmp_path, {"orders": frame}), check) if a.verdict == "bad"]


def silent(now, before):
    frame = readings()
    frame.loc[NOW & (np.random.default_rng(3).random(len(frame)) < now), "x"] = np.nan
    for ago in before:
        frame.loc[hours(ago, 12), "x"] = np.nan
    return frame


def test_values_that_stay_away_as_never_before_are_missing(tmp_path):
    (answer,) = bad(tmp_path, silent(0.5, []), "data.missing_values")
    assert answer.locus == "column:orders.x"


def test_a_sensor_that_is_silent_for_hours_now_and_then_is_not_broken(tmp_path):
    assert bad(tmp_path, silent(0.5, [9, 17]), "data.missing_values") == []


@pytest.mark.parametrize(("now", "before"), [(0.5, 9.5), (0.9, 9), (0.9, 9.3)])
def test_one_silence_of_the_past_is_enough_at_whatever_hours(now, before, tmp_path):
    # The null share of the same hours of other days alone would call it new.
    frame = silent(now, [before])
    same_hours = frame.loc[frame["t"].isin(frame.loc[NOW, "t"] - pd.Timedelta(days=1)), "x"]
    assert not same_hours.isna().any()
    ctx = asked(tmp_path, {"orders": frame})
    (column,) = [c for c in ctx.columns if c.name == "x"]
    assert column.movement.null_gap > 0.3
    assert column.movement.null_ratio < 1.25
    assert [a for a in said(ctx, "data.missing_values") if a.verdict == "bad"] == []


def repeated(now, before, value=0.0):
    """Let the column stand at one value: in a share of the rows of now, and in earlier hours."""
    frame = readings()
    hit = NOW & (np.random.default_rng(4).random(len(frame)) < now)
    frame.loc[hit, "x"] = value
    for ago in before:
        frame.loc[hours(ago, 12), "x"] = 17.25
    return frame


def test_one_value_that_fills_a_column_is_named(tmp_path):
    (answer,) = bad(tmp_path, repeated(0.6, []), "data.default_fill")
    assert answer.locus == "column:orders.x"
    assert answer.value == pytest.approx(0.6, abs=0.1)


def test_a_reading_that_stood_for_hours_before_may_stand_again(tmp_path):
    assert bad(tmp_path, repeated(0.6, [9, 17], 21.5), "data.default_fill") == []


@pytest.mark.parametrize(("before", "common"), [([], False), ([9], True), ([9.5], True)])
def test_a_value_is_common_where_stretches_had_one_as_often(before, common, tmp_path):
    ctx = asked(tmp_path, {"orders": repeated(0.6, before, 21.5)})
    (column,) = [c for c in ctx.columns if c.name == "x"]
    fill = default_fill(matched_reference(ctx, column)["x"], ctx.after(column)["x"])
    assert float(fill.value) == 21.5
    assert _a_common_value(ctx, column, fill) == common


def test_a_value_that_stands_for_nothing_is_named_whatever_stood_before(tmp_path):
    found = bad(tmp_path, repeated(0.6, [9, 17], -999.0), "data.default_fill")
    assert [a.locus for a in found] == ["column:orders.x"]


@pytest.mark.parametrize("share", [1.0, 0.4])
def test_rows_converted_within_the_range_are_told_by_their_digits(share, tmp_path):
    frame = readings(digits=2)
    hit = NOW & (np.random.default_rng(5).random(len(frame)) < share)
    frame.loc[hit, "x"] = frame.loc[hit, "x"] / 1.609344
    (answer,) = bad(tmp_path, frame, "data.unit_change")
    assert answer.locus == "column:orders.x"
    assert answer.value == pytest.approx(1 / 1.609344, abs=1e-6)
    assert answer.since - SINCE < pd.Timedelta("4h")
    told = {s.cause: s.weight for s in answer.signals}
    assert told["data.unit_change"] > 2
    assert told["drift.seasonal"] == -2.5
    assert told["none"] == -3.0


def test_digits_as_ever_are_no_conversion(tmp_path):
    assert bad(tmp_path, readings(digits=2), "data.unit_change") == []


@pytest.mark.parametrize(("count", "first"), [(99, 0), (100, 1), (250, 2)])
def test_the_first_of_converted_rows_is_told_without_strays_long_before(count, first, tmp_path):
    # One stray in a hundred is passed over.
    ctx = asked(tmp_path, {"orders": readings()})
    (column,) = [c for c in ctx.columns if c.name == "x"]
    rows = np.zeros(len(ctx.rows(column).current), dtype=bool)
    strays = [0, 5]
    rows[strays] = True
    rows[20 : 20 + count - 2] = True
    place = np.flatnonzero(rows)
    expected = START + pd.Timedelta(minutes=10 * int(place[first]))
    assert _first(ctx, column, rows) == expected
