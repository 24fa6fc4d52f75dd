from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from triagebook.core.errors import ScenarioError
from triagebook.diagnosis.catalogue import CAUSES
from triagebook.drills.scenario import Fault, Scenario, library, read_scenario
from triagebook.drills.worlds.claims import Claims
from triagebook.drills.worlds.flights import Flights

# Short references and few rows: the same code, a few times as fast.
WORLDS = {"claims": Claims(days=16, a_day=140, train=800), "flights": Flights(days=9, train=1_500)}
SCENARIOS = [scenario for scenario in library() if scenario.world in WORLDS]
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
OURS = ("data.", "model.", "drift.", "pipeline.")


def play(name, seed=0):
    return WORLDS[BY_NAME[name].world].play(BY_NAME[name], seed)


def made_up(*faults, world="claims", **more):
    about = {"name": "made-up", "title": "t", "world": world, "incident_type": "drift"}
    scenario = Scenario(**{**about, "difficulty": "plain", "fault": faults, **more})
    return WORLDS[world].play(scenario, 1)


def columns_of(found):
    return {
        name: {column for side in sides if side is not None for column in side.columns}
        for name, (_, *sides) in found.tables.items()
    }


def names_something(found, locus):
    """Whether a locus names something of the bundle, or of what the service is said to have."""
    kind, _, name = locus.partition(":")
    columns, service = columns_of(found), found.service
    if kind == "column":
        table, _, column = name.partition(".")
        return column in columns.get(table, set()) or table not in columns
    if kind == "feature":
        return any(name in those for those in columns.values())
    if kind == "segment":
        if name == "*":
            return True
        column, _, value = name.partition("=")
        return any(
            column in those and (found.tables[table][2][column] == value).any()
            for table, those in columns.items()
        )
    if kind == "task":
        pipeline, _, task = name.rpartition(".")
        return found.pipeline is None or any(
            run.task == task and run.pipeline == pipeline for run in found.pipeline
        )
    if kind == "config":
        told = [change.what for change in found.changes or ()]
        return name == "unknown" or name in told
    if kind == "model":
        return name.partition("/")[0] in (service.model.name, service.name)
    known = {
        "table": service.tables, "dependency": service.dependencies, "host": service.hosts.values(),
        "service": [service.name],
    }  # fmt: skip
    return name in known[kind]


@pytest.mark.parametrize("name", BY_NAME)
def test_plays_writes_a_bundle_and_tells_a_truth_that_names_things(name, tmp_path):
    scenario, found = BY_NAME[name], play(name)
    bundle = found.write(tmp_path / "bundle")
    parts = (bundle.metrics, bundle.logs, bundle.changes, bundle.pipeline, bundle.topology)
    for kind, part in zip(
        ("metrics", "logs", "changes", "pipeline", "topology"), parts, strict=True
    ):
        assert (part is None) == (kind in scenario.missing)
    assert bundle.problems == []
    assert [problem for table in bundle.tables.values() for problem in table.problems] == []
    assert bundle.verify() == []
    assert len(bundle.tables) == 5 - sum(m.startswith("tables:") for m in scenario.missing)

    truth, (_, now) = found.truth, found.windows.current
    assert len(truth.answers) == len(scenario.fault)
    assert sorted(a.cause for a in truth.answers) == sorted(f.cause for f in scenario.fault)
    for answer in truth.answers:
        assert answer.cause in CAUSES
        assert answer.loci
        for locus in answer.loci:
            assert locus.partition(":")[0] == CAUSES[answer.cause].locus
            assert names_something(found, locus), locus
    if truth.onset is not None:
        assert found.windows.current[0] <= truth.onset < now

    alert = found.alert
    assert alert.incident_type == scenario.incident_type
    assert found.windows.current[0] <= alert.starts_at < now
    assert alert.value != alert.threshold
    if found.metrics is not None:
        told = found.metrics[found.metrics["name"] == alert.metric]
        assert len(told)
        if "increase over" not in alert.description:
            assert np.isclose(told["value"], alert.value).any()
    missing = {entry.source for entry in bundle.ledger if entry.status == "unavailable"}
    assert bool(missing) == bool(scenario.missing)


@pytest.mark.parametrize(
    "name",
    ["claims-unit-distance", "claims-disk", "claims-mix", "claims-old-model", "flights-join"],
)
def test_the_same_seed_gives_the_same_bytes(name, tmp_path):
    digests = []
    for at in range(2):
        root = play(name, seed=3).write(tmp_path / str(at)).root
        files = sorted(path for path in root.rglob("*") if path.is_file())
        digests.append(
            {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}
        )
    assert digests[0] == digests[1]


def test_names_differ_between_seeds():
    plays = [play("claims-unit-distance", seed) for seed in range(5)]
    for names in (
        [p.service.name for p in plays],
        [tuple(p.service.tasks) for p in plays],
        [tuple(p.service.dependencies) for p in plays],
        [p.truth.answers[0].loci for p in plays],
        [tuple(sorted(p.tables)) for p in plays],
        [p.alert.fingerprint for p in plays],
    ):
        assert len(set(names)) >= 4
    # StatsD has no labels, the others do.
    plays += [play("claims-unit-distance", seed) for seed in range(5, 9)]
    styles = {set(p.metrics["labels"].unique()) == {"{}"} for p in plays}
    assert styles == {True, False}


def test_the_library_holds_two_scenarios_a_cause_and_enough_healthy_ones():
    planted = Counter(cause for s in SCENARIOS for cause in {fault.cause for fault in s.fault})
    assert {cause for cause in CAUSES if cause.startswith(OURS)} <= {
        cause for cause, count in planted.items() if count >= 2
    }
    healthy = [s for s in SCENARIOS if s.difficulty == "healthy"]
    assert len(healthy) >= 18
    assert all(not s.fault for s in healthy)
    assert all(s.fault for s in SCENARIOS if s.difficulty != "healthy")
    hard = [s for s in SCENARIOS if s.difficulty == "hard"]
    assert any(len(s.fault) == 2 for s in hard)
    assert any(s.decisive for s in hard)
    assert any(fault.ramp_h for s in hard for fault in s.fault)
    assert any(fault.share < 0.25 for s in hard for fault in s.fault)
    assert {str(s.incident_type) for s in SCENARIOS} == {
        "model_performance", "data_quality", "pipeline_failure", "latency", "resource_exhaustion",
        "drift", "unknown",
    }  # fmt: skip


def test_scenarios_ask_only_for_what_their_world_has():
    for scenario in SCENARIOS:
        world = WORLDS[scenario.world]
        assert {fault.cause for fault in scenario.fault} <= world.causes
        assert {herring.kind for herring in scenario.herring} <= world.herrings
    assert set(CAUSES) >= Claims.causes >= Flights.causes


# --- a fault propagates: raw, features, predictions, scores --------------------------------------


def by_role(found):
    return {spec.role: (name, spec, side[0], side[1]) for name, (spec, *side) in found.tables.items()
            if not (spec.role == "raw" and spec.local_time_column is None)}  # fmt: skip


def after(found, frame, column):
    return frame[pd.to_datetime(frame[column], utc=True) >= found.truth.onset]


def test_a_unit_change_goes_from_raw_to_features_to_what_was_served():
    found = made_up(Fault(cause="data.unit_change", target="main:distance", onset_h=12))
    tables = by_role(found)
    locus = found.truth.answers[0].loci[0].partition(":")[2]
    raw, column = locus.split(".")
    assert raw == tables["raw"][0]
    _, spec, reference, current = tables["raw"]
    late = after(found, current, spec.time_column)
    factor = late[column].median() / reference[column].median()
    assert factor > 1.35 or factor < 0.75
    both = late.set_index(spec.key_columns[0])[column]
    for role in ("features", "predictions"):
        _, its, _, now = tables[role]
        there = now.set_index(its.key_columns[0])[column]
        shared = both.index.intersection(there.index)
        assert len(shared) > 20
        assert np.allclose(both[shared], there[shared], equal_nan=True)


def test_serving_skew_is_in_what_was_served_and_not_in_what_is_recomputed():
    found = made_up(Fault(cause="model.serving_skew", target="amount", onset_h=12))
    tables = by_role(found)
    column = found.truth.answers[0].loci[0].partition(":")[2]
    (_, f, _, features), (_, p, _, served) = tables["features"], tables["predictions"]
    both = features.merge(served, on=f.key_columns[0], suffixes=("", "_served"))
    differs = ~np.isclose(both[column], both[f"{column}_served"], equal_nan=True)
    late = both[f.time_column] >= found.truth.onset
    assert differs[late].mean() > 0.4
    assert not differs[~late].any()
    assert p.score in served.columns


def test_a_threshold_change_moves_decisions_and_no_score():
    found = made_up(Fault(cause="model.threshold_change", onset_h=14))
    _, spec, reference, current = by_role(found)["predictions"]
    late = after(found, current, spec.time_column)
    change = next(c for c in found.changes if f"config:{c.what}" in found.truth.answers[0].loci)
    old, new = float(change.from_), float(change.to)
    assert ((late[spec.score] > new) == (late[spec.prediction] == 1)).mean() > 0.9
    assert ((reference[spec.score] > old) == (reference[spec.prediction] == 1)).all()


@pytest.mark.parametrize("task", ["build", "score"])
def test_a_failing_task_starves_what_is_downstream_and_nothing_else(task):
    found = made_up(Fault(cause="pipeline.code_error", target=task, onset_h=10))
    tables = by_role(found)
    onset = found.truth.onset
    assert (tables["raw"][3][tables["raw"][1].time_column] >= onset).any()
    assert not (tables["predictions"][3][tables["predictions"][1].time_column] > onset).any()
    named = found.truth.answers[0].loci[0].rpartition(".")[2]
    runs = [run for run in found.pipeline if run.task == named and run.start and run.start >= onset]
    assert runs
    assert all(run.state in ("failed", "running") for run in runs)
    assert any(named in line for line in found.logs["source"])
    assert any(run.state == "upstream_failed" for run in found.pipeline)


def test_a_refused_batch_is_in_no_table():
    found = made_up(Fault(cause="pipeline.contract_rejected", onset_h=10))
    _, spec, _, current = by_role(found)["raw"]
    last = current[spec.time_column].max()
    assert last < found.truth.onset


def test_duplicates_repeat_keys_in_raw_and_downstream():
    found = made_up(Fault(cause="data.duplicate_rows", onset_h=10, share=0.5))
    for role in ("raw", "features", "predictions"):
        _, spec, reference, current = by_role(found)[role]
        assert not reference[spec.key_columns[0]].duplicated().any()
        assert current[spec.key_columns[0]].duplicated().any()


def test_stale_snapshots_stop_and_are_joined_on():
    found = made_up(Fault(cause="data.stale", target="side", onset_h=40))
    name = found.truth.answers[0].loci[0].partition(":")[2]
    spec, _, current = found.tables[name]
    assert not (current[spec.time_column] >= found.truth.onset).any()
    _, _, _, served = by_role(found)["predictions"]
    assert len(served)


def test_what_cannot_be_seen_moves_the_locus_downstream():
    fault = Fault(cause="data.unit_change", target="main:weight", onset_h=12)
    seen, unseen = made_up(fault), made_up(fault, missing=("tables:main",))
    assert seen.truth.answers[0].loci != unseen.truth.answers[0].loci
    table = unseen.truth.answers[0].loci[0].partition(":")[2].partition(".")[0]
    assert unseen.tables[table][0].role == "features"


def test_flights_are_the_real_ones():
    from triagebook.drills.worlds.flight_delay.source import read_flights  # noqa: PLC0415 - slow

    found = play("flights-ok-thanksgiving")
    _, spec, _, current = by_role(found)["raw"]
    real = read_flights().set_index("flight_id")
    assert current[spec.key_columns[0]].isin(real.index).all()
    assert (current[spec.time_column].dt.year == 2013).all()
    assert found.windows.current[1].strftime("%m-%d") in ("11-28", "11-29")


# --- what cannot be played -----------------------------------------------------------------------


def test_an_unknown_cause_target_or_herring_is_refused():
    with pytest.raises(ScenarioError, match=r"no cause latency\.cold_start"):
        made_up(Fault(cause="latency.cold_start"))
    with pytest.raises(ScenarioError, match="no target 'colour'"):
        made_up(Fault(cause="data.unit_change", target="colour"))
    with pytest.raises(ScenarioError, match=r"no cause drift\.feature_shift"):
        made_up(Fault(cause="drift.feature_shift"), world="flights")
    with pytest.raises(ScenarioError, match="no red herring smoke"):
        made_up(herring=({"kind": "smoke"},))


def test_a_scenario_with_a_wrong_key_is_refused(tmp_path):
    path = tmp_path / "wrong.toml"
    path.write_text('title = "t"\nworld = "claims"\nincident_type = "drift"\ndifficulty = "easy"\n')
    with pytest.raises(ScenarioError, match=r"wrong\.toml is no scenario"):
        read_scenario(path)
