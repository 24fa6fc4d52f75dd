"""Every fault is named at its place, from either incident type; what is no fault stays quiet."""

import numpy as np
import pandas as pd
import pytest

from tests.unit.diagnosis.world import END, ONSET, make
from triagebook.core.models import Change
from triagebook.diagnosis.diagnose import diagnose


def nothing(_world):
    return None


def kilometres(world):
    world.edit("amount", lambda s: s * 1.609344)
    return "data.unit_change", f"column:source.{world.names['amount']}"


def fahrenheit(world):
    world.edit("warmth", lambda s: s * 1.8 + 32)
    return "data.unit_change", f"column:source.{world.names['warmth']}"


def odd_factor(world):
    world.edit("amount", lambda s: s * 1.37)
    return "data.unit_change", f"column:source.{world.names['amount']}"


def nulls(world):
    hidden = np.random.default_rng(0)
    lost = pd.Series(hidden.random(len(world.raw)) < 0.4, index=world.raw["key"])
    for frame in (world.raw, world.features, world.predictions):
        gone = (frame["at"] >= ONSET) & lost.reindex(frame["key"]).to_numpy()
        frame.loc[gone, world.names["amount"]] = np.nan
    return "data.missing_values", f"column:source.{world.names['amount']}"


def sentinel(world):
    world.edit("warmth", lambda _: -999.0, "features predictions")
    return "data.default_fill", f"column:inputs.{world.names['warmth']}"


def relabelled(world):
    world.edit("group", lambda s: s.map({"a": "A1", "b": "B1", "c": "C1"}))
    return "data.category_recode", f"column:source.{world.names['group']}"


def noise(world):
    rng = np.random.default_rng(1)
    wild = pd.Series(rng.normal(0, 2_000, len(world.raw)), index=world.raw["key"])
    hit = pd.Series(rng.random(len(world.raw)) < 0.2, index=world.raw["key"])
    for frame in (world.raw, world.features, world.predictions):
        late = (frame["at"] >= ONSET) & hit.reindex(frame["key"]).to_numpy()
        frame.loc[late, world.names["unused"]] += wild.reindex(frame["key"]).to_numpy()[late]
    return "data.corrupted_values", f"column:source.{world.names['unused']}"


def twice(world):
    late = world.raw[world.since]
    world.raw = pd.concat([world.raw, late]).sort_values("at", kind="stable").reset_index(drop=True)
    return "data.duplicate_rows", "table:source"


def silence(world):
    world.keep(lambda t: pd.Series(False, index=t.index))
    return "data.stale", "table:source"


def thinned(world):
    world.keep(lambda t: t["key"].str[-1].isin(list("01")))
    return "data.missing_rows", "table:source"


def renamed(world):
    # The file of the current window has the new name, that of the reference the old one.
    old = world.names["amount"]
    for frame in ("raw", "features", "predictions"):
        table = getattr(world, frame)
        table[f"{old}_v2"] = table[old].where(table["at"] >= ONSET)
        table[old] = table[old].where(table["at"] < ONSET)
    return "data.missing_values", f"column:source.{old}"


def swapped(world):
    a, b = world.names["amount"], world.names["unused"]
    for frame in (world.features, world.predictions):
        late = frame["at"] >= ONSET
        frame.loc[late, [a, b]] = frame.loc[late, [b, a]].to_numpy()
    return "data.column_swap", {f"column:inputs.{a}", f"column:inputs.{b}"}


def really_moved(world):
    rng = np.random.default_rng(2)
    add = pd.Series(rng.gamma(2, 12, len(world.raw)), index=world.raw["key"])
    for frame in (world.raw, world.features, world.predictions):
        late = frame["at"] >= ONSET
        frame.loc[late, world.names["amount"]] += add.reindex(frame["key"]).to_numpy()[late]
    return "drift.feature_shift", f"feature:{world.names['amount']}"


def unused_moved(world):
    rng = np.random.default_rng(3)
    add = pd.Series(rng.gamma(2, 6, len(world.raw)), index=world.raw["key"])
    for frame in (world.raw, world.features, world.predictions):
        late = frame["at"] >= ONSET
        frame.loc[late, world.names["unused"]] += add.reindex(frame["key"]).to_numpy()[late]
    return "drift.harmless", f"feature:{world.names['unused']}"


def season(world):
    # The whole month grows warmer, the last two days with it.
    for frame in (world.raw, world.features, world.predictions):
        day = (frame["at"] - frame["at"].min()).dt.total_seconds() / 86_400
        frame[world.names["warmth"]] += 0.35 * day


COLUMN_FAULTS = [
    kilometres,
    fahrenheit,
    odd_factor,
    nulls,
    sentinel,
    relabelled,
    noise,
    really_moved,
]
TABLE_FAULTS = [twice, silence, thinned]
QUIET = [nothing, season]


ALL = COLUMN_FAULTS + TABLE_FAULTS
# The generic triage runs the same checks: one fault of each kind shows that it does.
ASKED = [(f, "drift") for f in ALL] + [
    (f, "unknown") for f in (kilometres, nulls, relabelled, twice)
]


@pytest.mark.parametrize(
    ("fault", "incident_type"), ASKED, ids=[f"{f.__name__}-{kind}" for f, kind in ASKED]
)
def test_the_fault_is_named_first_at_its_place(fault, incident_type, tmp_path):
    world = make(seed=11)
    world.incident_type = incident_type
    cause, locus = fault(world)
    diagnosis, _ = diagnose(world.bundle(tmp_path / "b"))
    first = diagnosis.hypotheses[0]
    assert (first.cause, first.locus) == (cause, locus)
    assert diagnosis.verdict == "cause_found"
    assert first.for_
    assert abs(diagnosis.onset.at - ONSET) <= pd.Timedelta("30min")
    assert diagnosis.severity.level in ("SEV1", "SEV2", "SEV3")


@pytest.mark.parametrize("seed", [21, 22])
@pytest.mark.parametrize("fault", [kilometres, sentinel, relabelled], ids=lambda f: f.__name__)
def test_the_onset_is_read_from_the_rows(fault, seed, tmp_path):
    world = make(seed)
    fault(world)
    diagnosis, _ = diagnose(world.bundle(tmp_path / "b"))
    onset = diagnosis.onset
    assert onset is not None
    assert onset.low <= ONSET <= onset.high + pd.Timedelta("15min")
    assert abs(onset.at - ONSET) <= pd.Timedelta("45min")


def test_swapped_columns_are_named_at_either(tmp_path):
    world = make(seed=12)
    cause, loci = swapped(world)
    first = diagnose(world.bundle(tmp_path / "b"))[0].hypotheses[0]
    assert first.cause == cause
    assert first.locus in loci


def test_a_column_that_went_empty_is_named(tmp_path):
    world = make(seed=13)
    _, locus = renamed(world)
    diagnosis, _ = diagnose(world.bundle(tmp_path / "b"))
    assert diagnosis.verdict == "cause_found"
    assert diagnosis.hypotheses[0].cause in ("data.missing_values", "data.schema_change")
    assert locus in {h.locus for h in diagnosis.hypotheses}


@pytest.mark.parametrize("seed", [31, 32, 33])
@pytest.mark.parametrize("calm", QUIET, ids=lambda f: f.__name__)
def test_what_is_no_fault_stays_quiet(calm, seed, tmp_path):
    world = make(seed)
    calm(world)
    diagnosis, _ = diagnose(world.bundle(tmp_path / "b"))
    assert diagnosis.verdict == "healthy"
    assert diagnosis.hypotheses[0].cause in ("none", "drift.seasonal", "drift.harmless")
    assert diagnosis.severity.level == "SEV4"
    assert diagnosis.onset is None


def test_a_movement_the_model_does_not_use_is_harmless(tmp_path):
    world = make(seed=14)
    cause, locus = unused_moved(world)
    diagnosis, _ = diagnose(world.bundle(tmp_path / "b"))
    assert (diagnosis.hypotheses[0].cause, diagnosis.hypotheses[0].locus) == (cause, locus)
    assert diagnosis.verdict == "healthy"


def test_a_change_upstream_just_before_is_evidence_and_one_elsewhere_is_coincidence(tmp_path):
    world = make(seed=15)
    _, locus = kilometres(world)
    world.changes = [
        Change(
            ts=ONSET - pd.Timedelta("10min"),
            kind="deploy",
            what="loader",
            **{"from": "4", "to": "5"},
        ),
        Change(ts=ONSET - pd.Timedelta("5min"), kind="deploy", what="banner", to="2"),
        Change(ts=ONSET + pd.Timedelta("2h"), kind="deploy", what="loader", to="6"),
    ]
    diagnosis, _ = diagnose(world.bundle(tmp_path / "b"))
    said = [f for f in diagnosis.findings if f.check == "changes.before_onset"]
    assert [f.verdict for f in said] == ["bad", "ok", "ok"]
    assert said[0].locus == locus
    assert said[0].id in diagnosis.hypotheses[0].for_
    assert diagnosis.actions[0].action == "roll_back"
    assert diagnosis.actions[0].params == {"from": "5", "to": "4"}
    assert {a.mode for a in diagnosis.actions} == {"off"}


def test_the_estimate_of_wrong_decisions_covers_the_truth(tmp_path):
    clean, broken = make(seed=16), make(seed=16)
    kilometres(broken)
    clean.score()
    bundle = broken.bundle(tmp_path / "b")
    late = broken.predictions["at"].between(ONSET, END, inclusive="left")
    truth = int((clean.predictions["decided"] != broken.predictions["decided"])[late].sum())
    diagnosis, _ = diagnose(bundle)
    wrong = next(i for i in diagnosis.impact if i.what == "predictions likely wrong")
    assert wrong.low <= truth <= wrong.high
    assert truth >= 10
