"""Joins that broke, clocks and swaps that profiles do not show, and how wide an onset is known."""

import numpy as np
import pandas as pd
import pytest

from tests.unit.diagnosis.test_other_faults import with_clock
from tests.unit.diagnosis.world import END, ONSET, START, make
from triagebook.core.models import Alert, LedgerEntry, Service, TableSpec, Windows
from triagebook.diagnosis.diagnose import diagnose
from triagebook.evidence.bundle import Bundle, write_bundle


def asked(tmp_path, tables, incident_type="data_quality"):
    write_bundle(
        tmp_path / "b",
        alert=Alert(starts_at=END, incident_type=incident_type),
        service=Service(name="s"),
        windows=Windows(reference=(END - pd.Timedelta("30D"), START), current=(START, END)),
        ledger=[
            LedgerEntry(id=f"L{n}", source=f"tables:{name}", kind="tables", status="ok")
            for n, name in enumerate(tables)
        ],
        tables=tables,
    )
    return diagnose(Bundle.read(tmp_path / "b"))[0]


def first_of(found):
    return found.hypotheses[0].cause, found.hypotheses[0].locus


def multiplied(world, copies):
    """From the onset on, a join gives rows a second partner: same key, another group."""
    for frame in ("features", "predictions"):
        table = getattr(world, frame)
        late = table[table["at"] >= ONSET]
        again = late.sample(frac=copies, random_state=0)
        again[world.names["unused"]] = again[world.names["unused"]] * 1.3 + 1
        both = pd.concat([table, again]).sort_values("at", kind="stable")
        setattr(world, frame, both.reset_index(drop=True))


def test_a_join_that_fans_out_is_named_at_the_table_whose_keys_repeat(tmp_path):
    world = make(seed=61)
    world.incident_type = "data_quality"
    multiplied(world, 0.5)
    found, _ = diagnose(world.bundle(tmp_path / "b"))
    assert first_of(found) == ("data.join_broken", "table:inputs")
    assert found.verdict == "cause_found"
    assert found.onset.low <= ONSET + pd.Timedelta("15min")
    assert found.onset.low < found.onset.high


def shop(seed, alone, empty=True):
    """Orders and the customers they name; a share of the current orders names none."""
    rng = np.random.default_rng(seed)
    names = rng.permutation(["qua", "rel", "sto", "tam", "ubi", "vex"]).tolist()
    key, a, b, c, d, e = names
    people = pd.DataFrame({key: [f"p{n}" for n in range(800)], a: rng.normal(size=800)})
    orders = []
    for share in (0.0, alone):
        n = 2_000
        who = people.iloc[rng.integers(0, 800, n)].reset_index(drop=True)
        lost = rng.random(n) < share
        frame = pd.DataFrame({b: np.arange(n), key: who[key], c: who[a], d: rng.normal(size=n)})
        frame[e] = rng.choice(list("klm"), n)
        frame.loc[lost, key] = [f"z{n}" for n in rng.integers(0, 9_000, int(lost.sum()))]
        if empty:
            frame.loc[lost, [c, e]] = np.nan
        orders.append(frame)
    return key, {
        "people": (TableSpec(role="raw", key_columns=[key]), people, people),
        "orders": (TableSpec(role="features", key_columns=[b]), *orders),
    }


@pytest.mark.parametrize(("alone", "empty"), [(0.1, True), (0.1, False), (0.03, True)])
def test_rows_that_find_no_partner_are_a_broken_join(alone, empty, tmp_path):
    _, tables = shop(5, alone, empty)
    found = asked(tmp_path, tables)
    assert first_of(found) == ("data.join_broken", "table:orders")


@pytest.mark.parametrize("alone", [0.0, 0.01])
def test_few_rows_without_a_partner_are_no_broken_join(alone, tmp_path):
    _, tables = shop(5, alone, empty=False)
    found = asked(tmp_path, tables)
    assert "data.join_broken" not in {h.cause for h in found.hypotheses}


@pytest.mark.parametrize("hours", [-5, 2, 7])
def test_a_clock_that_moved_within_a_day_is_told_by_utc(hours, tmp_path):
    found, _ = diagnose(with_clock(18, hours, ONSET).bundle(tmp_path / "b"))
    assert first_of(found) == ("data.timezone_shift", "column:source.local")
    (said,) = [f for f in found.findings if f.check == "data.timezone_shift"]
    assert (said.verdict, said.value) == ("bad", hours)
    assert found.onset.low <= ONSET + pd.Timedelta("15min")
    assert abs(found.onset.at - ONSET) < pd.Timedelta("15min")


def test_an_hour_may_be_summer_time(tmp_path):
    found, _ = diagnose(with_clock(18, 1, ONSET).bundle(tmp_path / "b"))
    assert "data.timezone_shift" not in {h.cause for h in found.hypotheses}


def alike(seed, swap):
    """Two columns of one range, one of them tied to a third."""
    rng = np.random.default_rng(seed)
    names = rng.permutation(["hab", "ilo", "jun", "kep", "lom"]).tolist()
    a, b, c, _, e = names
    frames = []
    for one in range(2):
        x = rng.normal(size=(1_500, 2))
        frame = pd.DataFrame({a: x[:, 0], b: x[:, 1]})
        frame[c] = x[:, 0] + rng.normal(0, 0.5, 1_500)
        frame[e] = rng.normal(size=1_500)
        if one and swap:
            frame[[a, b]] = frame[[b, a]].to_numpy()
        frames.append(frame)
    return {a, b}, {"things": (TableSpec(role="features"), *frames)}


@pytest.mark.parametrize("swap", [True, False])
def test_a_swap_of_columns_of_one_range_is_told_by_their_relations(swap, tmp_path):
    pair, tables = alike(9, swap)
    found = asked(tmp_path, tables, "drift")
    if swap:
        cause, locus = first_of(found)
        assert cause == "data.column_swap"
        assert locus.rpartition(".")[2] in pair
    else:
        assert found.verdict == "healthy"


def weather(seed, swap):
    """Two readings whose level wanders from day to day by more than they lie apart."""
    rng = np.random.default_rng(seed)
    at = pd.date_range(END - pd.Timedelta("30D"), END, freq="6min", inclusive="left")
    hours = np.arange(len(at)) / 10
    knots = np.arange(0, hours[-1] + 36, 36)
    names = rng.permutation(["nix", "oru", "pel", "qat"]).tolist()
    frame = pd.DataFrame({"at": at, names[3]: rng.normal(size=len(at))})
    for name, level in zip(names[:2], (60.0, 45.0), strict=True):
        course = np.interp(hours, knots, level + rng.normal(0, 12, len(knots)))
        frame[name] = course + rng.normal(0, 0.5, len(at))
    # Whatever the day, one lies well above the other at the moment they change places.
    frame[names[0]] += 25 + np.maximum(0, frame[names[1]] - frame[names[0]]) * (at >= START)
    if swap:
        late = at >= ONSET
        frame.loc[late, names[:2]] = frame.loc[late, names[:2]].to_numpy()[:, ::-1]
    spec = TableSpec(role="raw", time_column="at")
    return set(names[:2]), {
        "readings": (spec, frame[frame["at"] < START], frame[frame["at"] >= START])
    }


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_readings_that_wander_are_swapped_where_each_goes_on_from_the_other(seed, tmp_path):
    pair, tables = weather(seed, swap=True)
    found = asked(tmp_path, tables)
    (said,) = [f for f in found.findings if f.check == "data.column_swap"]
    assert said.verdict == "bad"
    assert said.since == ONSET
    cause, locus = first_of(found)
    assert cause == "data.column_swap"
    assert locus.rpartition(".")[2] in pair


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_readings_that_wander_and_stay_in_place_are_not_swapped(seed, tmp_path):
    _, tables = weather(seed, swap=False)
    found = asked(tmp_path, tables)
    assert "data.column_swap" not in {h.cause for h in found.hypotheses}


def test_new_names_for_the_same_rows_are_no_new_crowd(tmp_path):
    world = make(seed=62)
    world.edit("group", lambda s: s.map({"a": "A1", "b": "B1", "c": "C1"}))
    found, _ = diagnose(world.bundle(tmp_path / "b"))
    (said,) = [f for f in found.findings if f.check == "data.category_recode"]
    crowd = [h for h in found.hypotheses if h.cause == "drift.population_shift"]
    assert all(said.id in h.against for h in crowd)
    assert found.hypotheses[0].cause == "data.category_recode"


def test_a_silent_table_has_an_onset_as_wide_as_its_pauses(tmp_path):
    world = make(seed=63)
    world.keep(lambda t: pd.Series(False, index=t.index))
    onset = diagnose(world.bundle(tmp_path / "b"))[0].onset
    assert onset.low < onset.high
    assert onset.low <= ONSET <= onset.high
