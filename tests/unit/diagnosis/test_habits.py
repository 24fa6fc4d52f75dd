"""What happens anyway, or was announced, weighs less: holidays, quiet days, new values, columns gone dark."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from tests.unit.diagnosis.world import END, START
from triagebook.analysis.blocks import HOUR
from triagebook.analysis.columns import kind_of
from triagebook.analysis.movement import Movement
from triagebook.core.models import Alert, Change, Service, TableSpec, Windows
from triagebook.diagnosis.answer import CHECKS
from triagebook.diagnosis.checks.inputs import announced, plainly
from triagebook.diagnosis.context import Column, Context
from triagebook.evidence.bundle import Bundle, write_bundle

FIRST = START - pd.Timedelta("28D")
SINCE = END - pd.Timedelta("9h")
SECOND = pd.Timedelta("1s")


def asked(tmp_path, tables, changes=()):
    """Return the context of a bundle of raw tables with a time column `t`; names sort by flow."""
    roles = ["raw", "features", "predictions"]
    write_bundle(
        tmp_path / "b",
        alert=Alert(starts_at=END, incident_type="data_quality"),
        service=Service(name="s"),
        windows=Windows(reference=(FIRST, START), current=(START, END)),
        ledger=[],
        tables={
            name: (
                TableSpec(role=role, time_column="t"),
                frame[frame["t"] < START],
                frame[frame["t"] >= START],
            )
            for role, (name, frame) in zip(roles, tables.items(), strict=False)
        },
        changes=list(changes) or None,
    )
    return Context(Bundle.read(tmp_path / "b"))


def said(ctx, check):
    return list(CHECKS.get(check).run(ctx))


def weights(answer):
    return {s.cause: s.weight for s in answer.signals}


# --- rows that stay away --------------------------------------------------------------------------


def fewer(rate=20, now=3, hours=9, alike=None):
    """Rows every hour, fewer in the last hours; on another day as few as `alike` an hour."""
    times = []
    for hour in pd.date_range(FIRST, END, freq="1h", inclusive="left"):
        n = now if hour >= END - pd.Timedelta(hours=hours) else rate
        if alike is not None and START - pd.Timedelta("8D") <= hour < START - pd.Timedelta("6D"):
            n = alike
        times.append(hour.value + np.arange(n) * (HOUR // max(n, 1)))
    at = pd.to_datetime(np.concatenate(times), utc=True)
    return pd.DataFrame({"t": at, "x": np.arange(len(at)) % 7.0})


def missing(tmp_path, changes=(), **kind):
    (answer,) = said(asked(tmp_path, {"orders": fewer(**kind)}, changes), "data.volume")
    return answer


def test_rows_that_stay_away_are_missing(tmp_path):
    answer = missing(tmp_path)
    assert (answer.verdict, answer.locus, answer.since) == ("bad", "table:orders", SINCE)
    assert weights(answer) == {"data.missing_rows": 4.5, "none": -5.0}


@pytest.mark.parametrize(
    ("ago", "told"),
    [
        (pd.Timedelta("-12h") - SECOND, False),
        (pd.Timedelta("-12h"), True),
        (pd.Timedelta("1h"), True),
        (pd.Timedelta("3D"), True),
        (pd.Timedelta("3D") + SECOND, False),
    ],
)
def test_a_holiday_of_these_days_makes_missing_rows_less_sure(ago, told, tmp_path):
    change = Change(ts=SINCE - ago, kind="schedule", what="National holiday in the north")
    answer = missing(tmp_path, [change])
    assert weights(answer)["data.missing_rows"] == (2.0 if told else 4.5)
    assert weights(answer)["none"] == (0.0 if told else -5.0)
    assert ("'National holiday in the north'" in answer.statement) == told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("school vacation starts", True),
        ("Day off for all", True),
        ("public rest day", True),
        ("depot closed for works", True),
        ("closure of the port", True),
        ("new enclosure for the rack", False),
        ("deploy loader v12", False),
        ("closed issue 12", False),
    ],
)
def test_words_of_free_days_are_known(text, told, tmp_path):
    by_what = missing(tmp_path / "1", [Change(ts=SINCE, kind="schedule", what=text)])
    by_to = missing(tmp_path / "2", [Change(ts=SINCE, kind="schedule", what="calendar", to=text)])
    assert weights(by_what)["data.missing_rows"] == (2.0 if told else 4.5)
    assert weights(by_to)["data.missing_rows"] == (2.0 if told else 4.5)


@pytest.mark.parametrize(("alike", "told"), [(3, True), (4, False), (0, True)])
def test_another_day_with_hardly_more_rows_makes_missing_rows_unlikely(alike, told, tmp_path):
    # Three an hour now: another day of 3.75 an hour would still be one alike.
    answer = missing(tmp_path, alike=alike)
    assert weights(answer)["data.missing_rows"] == (0.5 if told else 4.5)
    assert ("another day had" in answer.statement) == told


def test_a_holiday_that_was_seen_before_is_no_fault(tmp_path):
    answer = missing(tmp_path, [Change(ts=SINCE, kind="schedule", what="holiday")], alike=3)
    assert weights(answer) == {"data.missing_rows": -2.0, "none": 0.0}


@pytest.mark.parametrize(("rate", "now", "sure"), [(8, 5, False), (24, 15, False), (80, 50, True)])
def test_few_rows_may_be_fewer_by_chance(rate, now, sure, tmp_path):
    # Three hours at five eighths of the rows: 1.9, 5.8 and 19.5 nats.
    answer = missing(tmp_path, rate=rate, now=now, hours=4)
    assert weights(answer)["data.missing_rows"] == (4.5 if sure else 1.5)
    assert ("may be chance" in answer.statement) != sure


# --- columns without any value --------------------------------------------------------------------


def column_goes_dark(since=SINCE, left=0, **more):
    rng = np.random.default_rng(1)
    times = pd.Series(pd.date_range(FIRST, END, freq="1h", inclusive="left"))
    frame = pd.DataFrame({"t": times, "x": rng.normal(size=len(times))})
    frame["y"] = rng.normal(size=len(times))
    dark = frame.index[frame["t"] >= since]
    frame.loc[dark[: len(dark) - left], "y"] = np.nan
    for name, values in more.items():
        frame[name] = values
    return frame


DARK = END - pd.Timedelta("20h")


def schema_said(tmp_path, tables, changes=()):
    return said(asked(tmp_path, tables, changes), "data.schema_change")


def test_a_column_that_is_only_null_by_now_may_be_lost_values_or_a_schema(tmp_path):
    (answer,) = schema_said(tmp_path, {"orders": column_goes_dark(DARK)})
    assert (answer.verdict, answer.locus) == ("bad", "table:orders")
    assert "without any value by now: y" in answer.statement
    assert weights(answer) == {
        "data.schema_change": 3.0,
        "none": -5.0,
        "data.missing_values": -2.5,
    }
    assert answer.signals[2].locus == "column:orders.y"


DAY_BEFORE = START - pd.Timedelta("1D")


@pytest.mark.parametrize(
    ("kind", "at", "weight"),
    [
        ("schema", DARK, 4.5),
        ("schema", DAY_BEFORE, 4.5),
        ("schema", DAY_BEFORE - SECOND, 3.0),
        ("deploy", DARK, 3.0),
    ],
)
def test_an_announced_change_of_schema_makes_it_surer(kind, at, weight, tmp_path):
    changes = [Change(ts=at, kind=kind, what="orders v2")]
    (answer,) = schema_said(tmp_path, {"orders": column_goes_dark(DARK)}, changes)
    assert weights(answer)["data.schema_change"] == weight


def test_a_renamed_column_is_a_schema_change_whatever_was_announced(tmp_path):
    frame = column_goes_dark(DARK)
    frame["z"] = frame["x"].where(frame["t"] >= START)
    ctx = asked(tmp_path, {"orders": frame})
    table = ctx.bundle.tables["orders"]
    table.reference = table.reference.drop(columns="z")
    (answer,) = said(ctx, "data.schema_change")
    assert weights(answer)["data.schema_change"] == 4.5
    assert weights(answer)["data.missing_values"] == -4.0
    assert "new: z" in answer.statement


@pytest.mark.parametrize(("left", "dark"), [(0, True), (1, False)])
def test_one_value_in_the_newest_fifth_is_no_dark_column(left, dark, tmp_path):
    (answer,) = schema_said(tmp_path, {"orders": column_goes_dark(DARK, left)})
    assert (answer.verdict == "bad") == dark


def test_what_upstream_still_has_is_no_change_of_this_schema(tmp_path):
    whole = column_goes_dark(END)
    (answer,) = schema_said(tmp_path, {"orders": whole, "prepared": column_goes_dark(DARK)})
    assert answer.verdict == "ok"


def test_what_is_dark_from_upstream_on_is_named_there_alone(tmp_path):
    dark = column_goes_dark(DARK)
    first, second = schema_said(tmp_path, {"orders": dark, "prepared": dark})
    assert (first.locus, second.locus) == ("table:orders", "table:prepared")
    assert weights(first)["data.schema_change"] == 3.0
    assert second.signals == ()


# --- values that were announced -------------------------------------------------------------------


def kinds(new=("dune",), since=SINCE):
    """Return a table whose `kind` has new values in a third of its newest rows."""
    times = pd.Series(pd.date_range(FIRST, END, freq="30min", inclusive="left"))
    rng = np.random.default_rng(2)
    kind = rng.choice(["alp", "bay", "cape"], len(times)).astype(object)
    late = np.flatnonzero((times >= since).to_numpy())
    for n, value in enumerate(new):
        kind[late[n :: 2 + len(new)]] = value
    return pd.DataFrame({"t": times, "kind": kind, "x": rng.normal(size=len(times))})


def told_of(tmp_path, change, new=("dune",), column="kind"):
    ctx = asked(tmp_path, {"orders": kinds(new)}, [change] if change else [])
    (found,) = [c for c in ctx.columns if c.name == column]
    return announced(ctx, found)


LENGTH = END - START


@pytest.mark.parametrize(
    ("at", "told"),
    [
        (START - LENGTH - SECOND, False),
        (START - LENGTH, True),
        (SINCE, True),
        (END, True),
        (END + SECOND, False),
    ],
)
def test_a_new_value_was_announced_in_the_window_or_the_one_before(at, told, tmp_path):
    change = Change(ts=at, kind="data", what="launch of Dune", to="3 regions")
    assert told_of(tmp_path, change) == ("launch of Dune" if told else None)


@pytest.mark.parametrize(
    ("what", "to", "told"),
    [
        ("new region", "dune", True),
        ("DUNE goes live", None, True),
        ("dunes go live", None, False),
        ("new region", "cape", False),
    ],
)
def test_a_value_is_announced_by_its_whole_name(what, to, told, tmp_path):
    found = told_of(tmp_path, Change(ts=SINCE, kind="data", what=what, to=to))
    assert found == (what if told else None)


@pytest.mark.parametrize("value", ["Far East", "eu.west-1", "C++"])
def test_a_value_of_several_words_or_signs_is_announced_as_well(value, tmp_path):
    told = Change(ts=SINCE, kind="data", what=f"opening of {value}, in March")
    other = Change(ts=SINCE, kind="data", what=f"opening of {value}x")
    assert told_of(tmp_path / "1", told, (value,)) == told.what
    assert told_of(tmp_path / "2", other, (value,)) is None


def test_all_new_values_have_to_be_announced(tmp_path):
    one = Change(ts=SINCE, kind="data", what="launch of dune")
    both = Change(ts=SINCE, kind="data", what="launch of dune and elm")
    assert told_of(tmp_path / "1", one, ("dune", "elm")) is None
    assert told_of(tmp_path / "2", both, ("dune", "elm")) == both.what


def test_nothing_is_announced_of_numbers_or_of_values_that_are_not_new(tmp_path):
    every = Change(ts=SINCE, kind="data", what="alp bay cape dune x 1 2")
    assert told_of(tmp_path / "1", every, column="x") is None
    assert told_of(tmp_path / "2", every, new=()) is None
    assert told_of(tmp_path / "3", None) is None


def test_an_announced_value_speaks_less_for_a_new_crowd(tmp_path):
    change = Change(ts=SINCE, kind="data", what="launch of dune")
    plain, known = (
        {
            s.cause: s.weight
            for a in said(asked(tmp_path / n, {"o": kinds()}, c), check)
            for s in a.signals
        }
        for n, c, check in (
            ("1", [], "drift.inputs_moved"),
            ("2", [change], "drift.inputs_moved"),
        )
    )
    assert known["drift.feature_shift"] <= plain["drift.feature_shift"] - 1.0
    assert known["none"] == pytest.approx(0.2 * plain["none"])


# --- movements that earlier days made as well -----------------------------------------------------


def column(effect, **more):
    known = {
        "natural": 0.2,
        "noise": 0.05,
        "timed": True,
        "shift_sd": 1.0,
        "mean_reference": 0.0,
        "mean_current": 1.0,
        "null_reference": 0.0,
        "null_current": 0.0,
        "rows_reference": 5_000,
        "rows_current": 500,
        "blocks": 20,
        "psi": 0.3,
        "split": None,
        **more,
    }
    moved = Movement(column="x", kind=kind_of(pd.Series([0.5, 1.5])), effect=effect, **known)
    return Column("orders", "x", "raw", moved.kind, moved)


@pytest.mark.parametrize(
    ("effect", "plain"),
    [(0.1, 0.2), (0.2, 0.2), (0.224, 0.2), (0.26, 0.5), (0.31, 0.9167), (0.32, 1), (0.9, 1)],
)
def test_a_movement_is_plain_from_sixty_per_cent_beyond_what_days_do(effect, plain):
    assert plainly(column(effect)) == pytest.approx(plain, abs=1e-3)


@pytest.mark.parametrize(
    "sure",
    [
        {"timed": False},
        {"natural": 0.0},
        {"jump": 2.5},
        {"split": object()},
        {"null_current": 0.01},
    ],
)
def test_what_is_not_measured_against_days_or_steps_is_plain(sure):
    assert plainly(column(0.22, **sure)) == 1


@pytest.mark.parametrize("near", [{"jump": 2.49}, {"null_current": 0.0099}])
def test_a_small_step_or_few_nulls_make_nothing_plain(near):
    assert plainly(column(0.22, **near)) == pytest.approx(0.2)


def test_a_column_is_read_from_its_movement_alone():
    assert plainly(SimpleNamespace(movement=column(0.26).movement)) == pytest.approx(0.5)


# --- rows of one value that stay away -------------------------------------------------------------


def lost(keep):
    times = pd.Series(pd.date_range(FIRST, END, freq="3min", inclusive="left"))
    rng = np.random.default_rng(4)
    frame = pd.DataFrame(
        {"t": times, "kind": rng.choice(["alp", "bay", "cape", "dell"], len(times))}
    )
    gone = (frame["t"] >= START) & (frame["kind"] == "bay") & (rng.random(len(times)) >= keep)
    return frame[~gone].reset_index(drop=True)


@pytest.mark.parametrize(("keep", "told"), [(0.0, True), (0.15, True), (0.6, False)])
def test_rows_of_one_value_that_stay_away_are_missing_rows(keep, told, tmp_path):
    answers = said(asked(tmp_path, {"orders": lost(keep)}), "drift.mix")
    found = [a for a in answers if "data.missing_rows" in weights(a)]
    assert bool(found) == told
    if told:
        (answer,) = found
        assert answer.locus == "table:orders"
        assert "kind = bay" in answer.statement
        assert weights(answer) == {
            "data.missing_rows": 4.0,
            "drift.population_shift": -2.5,
            "drift.feature_shift": -3.0,
        }
