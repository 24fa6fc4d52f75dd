"""Faults of the mix, the schema, the clock, and of tables that come in batches or not at all."""

import numpy as np
import pandas as pd
import pytest

from tests.unit.diagnosis.test_faults import noise, swapped
from tests.unit.diagnosis.world import END, ONSET, START, make
from triagebook.core.models import Alert, Service, TableSpec, Windows
from triagebook.diagnosis.answer import CHECKS, Answer, Signal
from triagebook.diagnosis.context import Context
from triagebook.diagnosis.diagnose import diagnose, replay
from triagebook.diagnosis.ranking import rank
from triagebook.evidence.bundle import Bundle, write_bundle

BATCH = pd.Timedelta("15min")


def crowd(world):
    """Draw whole rows anew from the onset on, those of one group more often; warmth keeps its hour."""
    group = world.names["group"]
    late = np.flatnonzero((world.raw["at"] >= ONSET).to_numpy())
    weight = world.raw[group].iloc[late].map({"a": 1.0, "b": 1.0, "c": 4.0}).to_numpy()
    donors = np.random.default_rng(5).choice(late, len(late), p=weight / weight.sum())
    for frame in ("raw", "features", "predictions"):
        table = getattr(world, frame)
        for name in table.columns.difference(["key", "at", world.names["warmth"]]):
            values = table[name].to_numpy(copy=True)
            values[late] = table[name].to_numpy()[donors]
            table[name] = values
    return "drift.population_shift", f"segment:{group}=c"


@pytest.mark.parametrize(("seed", "kind"), [(11, "drift"), (51, "unknown")])
def test_a_new_mix_of_rows_is_named_by_the_segment_that_grew(seed, kind, tmp_path):
    world = make(seed)
    world.incident_type = kind
    cause, locus = crowd(world)
    found, _ = diagnose(world.bundle(tmp_path / "b"))
    assert (found.hypotheses[0].cause, found.hypotheses[0].locus) == (cause, locus)
    assert found.verdict == "cause_found"
    assert found.onset.low <= ONSET <= found.onset.high + BATCH


@pytest.mark.parametrize("hours", [-5, 7])
def test_a_clock_that_is_whole_hours_off_for_a_day_is_named(hours, tmp_path):
    world = with_clock(18, hours, END - pd.Timedelta("30h"))
    found, _ = diagnose(world.bundle(tmp_path / "b"))
    first = found.hypotheses[0]
    assert (first.cause, first.locus) == ("data.timezone_shift", "column:source.local")
    assert found.verdict == "cause_found"
    (said,) = [f for f in found.findings if f.check == "data.timezone_shift"]
    assert said.value == hours


def with_clock(seed, hours, since):
    world = make(seed)
    world.raw["local"] = world.raw["at"].dt.tz_localize(None) + pd.Timedelta("3h")
    late = world.raw["at"] >= since
    world.raw.loc[late, "local"] += pd.Timedelta(hours=hours)
    world.specs["source"] = TableSpec(
        role="raw", time_column="at", key_columns=["key"], local_time_column="local"
    )
    return world


@pytest.mark.parametrize(("hours", "lasts"), [(1, "30h"), (0, "30h")])
def test_a_clock_that_is_right_or_an_hour_off_is_not_told(hours, lasts, tmp_path):
    # One hour may be summer time; four hundred rows of one day cannot show it as a profile either.
    world = with_clock(18, hours, END - pd.Timedelta(lasts))
    (said,) = CHECKS.get("data.timezone_shift").run(Context(world.bundle(tmp_path / "b")))
    assert said.verdict == "ok"


def test_a_swap_named_at_the_column_the_model_ignores_still_counts_what_it_does(tmp_path):
    world = make(seed=51)
    world.incident_type = "unknown"
    cause, _ = swapped(world)
    found, _ = diagnose(world.bundle(tmp_path / "b"))
    first = found.hypotheses[0]
    assert (first.cause, first.locus) == (cause, f"column:inputs.{world.names['unused']}")
    assert found.severity.level in ("SEV1", "SEV2")
    assert found.onset.low <= ONSET <= found.onset.high + BATCH


def volume_of(tmp_path, times, **spec):
    """Ask about one table whose rows came at `times`."""
    frame = pd.DataFrame({"t": times, "x": np.arange(float(len(times)))})
    name = TableSpec(role="raw", time_column="t", **spec)
    write_bundle(
        tmp_path / "b",
        alert=Alert(starts_at=END),
        service=Service(name="s"),
        windows=Windows(reference=(END - pd.Timedelta("30D"), START), current=(START, END)),
        ledger=[],
        tables={"orders": (name, frame[frame["t"] < START], frame[frame["t"] >= START])},
    )
    answers = list(CHECKS.get("data.volume").run(Context(Bundle.read(tmp_path / "b"))))
    return answers[0] if answers else None


def batches(last, rows):
    return pd.Series(pd.date_range(end=last, periods=28, freq="1D").repeat(rows))


@pytest.mark.parametrize("rows", [50, 1_500])
@pytest.mark.parametrize(("age_h", "stale"), [(18, False), (35.9, False), (36.1, True)])
def test_daily_batches_are_stale_after_a_day_and_a_half(age_h, stale, rows, tmp_path):
    last = END - pd.Timedelta(hours=age_h)
    answer = volume_of(tmp_path, batches(last, rows))
    assert (answer is not None and answer.verdict == "bad") == stale
    if stale:
        assert [s.cause for s in answer.signals] == ["data.stale", "none"]
        assert answer.value == pytest.approx(age_h * 3_600, abs=1)
        assert answer.since == last


def test_a_table_that_pauses_every_day_is_not_stale_in_its_pause(tmp_path):
    times = pd.Series(pd.date_range(END - pd.Timedelta("30D"), END, freq="2min", inclusive="left"))
    answer = volume_of(tmp_path, times[~times.dt.hour.between(13, 18)])
    assert answer is None or answer.verdict == "ok"


def test_a_table_without_any_row_now_is_stale_since_its_last_one(tmp_path):
    last = START - pd.Timedelta("1D")
    answer = volume_of(tmp_path, batches(last, 40))
    assert (answer.verdict, answer.locus, answer.since) == ("bad", "table:orders", last)
    assert "3 d" in answer.statement


def test_a_few_rows_say_nothing_of_how_often_rows_come(tmp_path):
    times = pd.Series([END - pd.Timedelta(hours=h) for h in (200, 100, 47)])
    answer = volume_of(tmp_path, times)
    assert answer is None or answer.verdict == "ok"


@pytest.mark.parametrize(("freshness", "stale"), [(7_199, True), (7_200, False), ("2h", False)])
def test_freshness_that_is_promised_is_held_to_the_second(freshness, stale, tmp_path):
    times = pd.Series(pd.date_range(END - pd.Timedelta("30D"), END - pd.Timedelta("2h"), freq="1h"))
    answer = volume_of(tmp_path, times, freshness_s=freshness)
    assert (answer is not None and answer.verdict == "bad") == stale


@pytest.mark.parametrize("weight", [2.0, 5.0])
def test_what_was_not_seen_opens_no_hypothesis(weight):
    signal = Signal("data.stale", "table:t", weight, headline="h")
    unseen = Answer(locus="table:t", verdict="unknown", statement="x", signals=(signal,))
    found, _ = rank([(unseen, type("F", (), {"id": "F01", "check": "data.volume"})())], "s")
    assert [h.cause for h in found] == ["none"]


def test_the_onset_of_values_broken_here_and_there_lies_before_the_first_of_them(tmp_path):
    world = make(seed=11)
    noise(world)
    onset = diagnose(world.bundle(tmp_path / "b"))[0].onset
    assert onset.low <= ONSET <= onset.high
    assert onset.low < onset.high


EMPTY = {
    "current.parquet has no rows": (500, 0, 1.0),
    "reference.parquet has no rows": (0, 100, 1.0),
    "reference.parquet holds nothing but nulls": (500, 100, None),
}


@pytest.mark.parametrize("why", EMPTY)
def test_a_table_with_nothing_to_compare_is_named_with_its_file(why, tmp_path):
    before, now, value = EMPTY[why]
    frames = [
        pd.DataFrame({"t": pd.date_range(start, end, periods=n + 1)[:-1], "x": [value] * n})
        for n, start, end in ((before, END - pd.Timedelta("30D"), START), (now, START, END))
    ]
    write_bundle(
        tmp_path / "b",
        alert=Alert(starts_at=END, incident_type="drift"),
        service=Service(name="s"),
        windows=Windows(reference=(END - pd.Timedelta("30D"), START), current=(START, END)),
        ledger=[],
        tables={"orders": (TableSpec(role="raw", time_column="t"), *frames)},
    )
    found = replay(tmp_path / "b")
    said = [f.statement for f in found.findings if f.verdict == "unknown"]
    assert f"orders could not be compared: {why}" in said
    assert not any("failed:" in statement for statement in said)
