"""The world "served": every scenario plays, is reproducible, reads back whole, and its truth is in it."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from triagebook.core.errors import ScenarioError
from triagebook.drills.scenario import WORLDS, Fault, Herring, Play, Scenario, library
from triagebook.drills.worlds.served.words import Namer

if TYPE_CHECKING:
    from pathlib import Path

CATALOGUE = {
    "latency": "traffic_surge slow_dependency heavier_model cpu_throttling memory_pressure larger_requests bad_instance cold_start cache_misses",
    "resources": "memory_leak memory_step cpu_runaway gpu_memory gpu_fault disk_filling handle_leak noisy_neighbour limit_lowered demand_growth",
    "pipeline": "code_error dependency_down input_missing out_of_memory disk_full auth_expired bad_config bad_dependency_version deploy_failed slow contract_rejected",
}
CAUSES = {f"{family}.{name}" for family, names in CATALOGUE.items() for name in names.split()}
SCENARIOS = [s for s in library() if s.world == "served"]
ONE_EACH = {
    s.name
    for s in {
        tuple(f.cause for f in s.fault) or tuple(h.kind for h in s.herring): s for s in SCENARIOS
    }.values()
}
MOST_SAMPLES, MOST_LINES = 200_000, 8_000


def play(scenario: Scenario, seed: int) -> Play:
    return WORLDS.get("served").play(scenario, seed)


def one(**parts) -> Scenario:
    given = {
        "name": "made",
        "title": "made",
        "world": "served",
        "incident_type": "latency",
        "difficulty": "plain",
    }
    return Scenario.model_validate(given | parts)


def names_in(played: Play) -> set[str]:
    """Everything that the evidence calls by a name."""
    names: set[str] = set()
    if played.metrics is not None:
        for text in played.metrics["labels"].unique():
            names |= set(json.loads(text).values())
        for name in played.metrics["name"].unique():
            names |= set(name.split("."))
    for change in played.changes or []:
        names |= {change.what, *change.what.split(": "), f"{change.what}/{change.to}"}
    for run in played.pipeline or []:
        names |= {f"{run.pipeline}.{run.task}"}
    for edge in played.topology or []:
        names |= {edge.from_, edge.to}
    service = played.service
    names |= {service.name, *(service.dependencies or []), *service.hosts, *service.hosts.values()}
    names |= set(service.tables or [])
    return names | {"unknown"}


def is_there(locus: str, played: Play, names: set[str]) -> bool:
    name = locus.split(":", 1)[1]
    if name in names or f"{name}:9100" in names:
        return True
    texts = [] if played.logs is None else played.logs["message"]
    errors = [run.error or "" for run in played.pipeline or []]
    short = name.rsplit(".", 1)[-1] if locus.startswith("config:") else name.rsplit("/", 1)[-1]
    return any(short in text for text in [*texts, *errors])


def test_what_it_can_plant_is_the_catalogue():
    assert WORLDS.get("served").causes == CAUSES


def test_two_scenarios_or_more_for_each_cause():
    planted = Counter(fault.cause for s in SCENARIOS for fault in s.fault)
    assert {cause: planted[cause] for cause in CAUSES if planted[cause] < 2} == {}


def test_healthy_ones_have_no_fault_and_are_many():
    healthy = [s for s in SCENARIOS if s.difficulty == "healthy"]
    assert len(healthy) >= 14
    assert all(not s.fault and s.herring for s in healthy)
    assert all(s.fault for s in SCENARIOS if s.difficulty != "healthy")


def test_types_mislead_and_sources_are_missing():
    family = {
        "latency": "latency",
        "resources": "resource_exhaustion",
        "pipeline": "pipeline_failure",
    }
    misled = [
        s
        for s in SCENARIOS
        if s.fault and family[s.fault[0].cause.split(".")[0]] != s.incident_type
    ]
    assert len(misled) >= 20
    assert {part for s in SCENARIOS for part in s.missing} >= {
        "metrics",
        "logs",
        "changes",
        "topology",
    }
    assert all(s.missing for s in SCENARIOS if s.decisive)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.name)
def test_plays_and_its_truth_is_in_the_evidence(scenario: Scenario, tmp_path: Path):
    played = play(scenario, len(scenario.name) % 5)
    windows, truth = played.windows, played.truth
    names = names_in(played)
    for planted in truth.answers:
        # A setting that nobody told of is right as well, and so is saying so.
        enough = any if "config:unknown" in planted.loci else all
        assert enough(is_there(locus, played, names) for locus in planted.loci), planted
    assert [a.cause for a in truth.answers] == [f.cause for f in scenario.fault]
    assert windows.current[0] < played.alert.starts_at < windows.current[1]
    if truth.onset is not None:
        assert windows.reference[0] <= truth.onset < played.alert.starts_at
    if played.metrics is not None:
        assert 10_000 < len(played.metrics) <= MOST_SAMPLES
        assert not played.metrics.duplicated(["ts", "name", "labels"]).any()
        assert played.metrics["ts"].between(windows.reference[0], windows.current[1]).all()
        assert played.metrics["value"].notna().all()
    if played.logs is not None:
        assert 500 < len(played.logs) <= MOST_LINES
    for part in scenario.missing:
        assert getattr(played, part) is None
    if scenario.name in ONE_EACH:
        bundle = played.write(tmp_path / "bundle")
        for part in (
            "metrics",
            "metrics_meta",
            "logs",
            "tables",
            "changes",
            "pipeline",
            "topology",
        ):
            getattr(bundle, part)
        assert bundle.problems == []
        assert bundle.verify() == []
        assert {e.source for e in bundle.ledger if e.status == "unavailable"} == set(
            scenario.missing
        )


@pytest.mark.parametrize(
    "name", ["served-leak", "served-token", "served-healthy-autoscale", "served-two-surge-replica"]
)
def test_the_same_seed_gives_the_same_play(name: str):
    scenario = next(s for s in SCENARIOS if s.name == name)
    first, second = play(scenario, 3), play(scenario, 3)
    assert first.truth == second.truth
    assert first.alert == second.alert
    assert (first.changes, first.pipeline, first.topology) == (
        second.changes,
        second.pipeline,
        second.topology,
    )
    pd.testing.assert_frame_equal(first.metrics, second.metrics)
    pd.testing.assert_frame_equal(first.logs, second.logs)


def test_names_differ_between_seeds():
    scenario = one(fault=[Fault(cause="latency.bad_instance", onset_h=2)])
    seen = []
    for seed in range(4):
        played = play(scenario, seed)
        service = played.service
        seen.append(
            {service.name, *(service.tasks or []), *(service.tables or []), *service.hosts.values()}
        )
    for number, here in enumerate(seen):
        for other in seen[number + 1 :]:
            # Words are many and not endless: a name may come twice, a company may not.
            assert len(here & other) <= 1


def test_conventions_differ_between_seeds():
    scenario = one(herring=[Herring(kind="noisy_threshold", onset_h=1)], difficulty="healthy")
    shown = [set(play(scenario, seed).metrics["name"]) for seed in range(6)]
    assert any(
        name.startswith(("stats.", "prod.", "live.")) or name.count(".") >= 2
        for names in shown
        for name in names
    )
    assert any("_" in name and "." not in name for names in shown for name in names)


def test_a_leak_climbs_whatever_the_load_and_falls_where_it_is_killed():
    played = play(
        one(fault=[Fault(cause="resources.memory_leak", target="api", onset_h=8, size=1.5)]), 1
    )
    assert any("OOMKilled" in text for text in played.logs["message"])
    assert played.truth.answers[0].loci == (f"service:{played.service.name}",)


def test_untold_settings_may_be_unknown():
    fault = Fault(cause="resources.limit_lowered", target="cpu", onset_h=3)
    told, untold = play(one(fault=[fault]), 2), play(one(fault=[fault], missing=["changes"]), 2)
    assert "config:unknown" not in told.truth.answers[0].loci
    assert "config:unknown" in untold.truth.answers[0].loci


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ({"fault": [Fault(cause="drift.seasonal")]}, "cannot plant"),
        ({"herring": [Herring(kind="ghost")]}, "ghost"),
        ({"missing": ["tables:x"]}, "tables:x"),
    ],
)
def test_what_it_cannot_play_is_said(parts, says: str):
    with pytest.raises(ScenarioError, match=says):
        play(one(**parts), 0)


def test_no_word_is_drawn_twice():
    namer = Namer(np.random.default_rng(5))
    words = [namer.word() for _ in range(150)]
    assert len(set(words)) == len(words)
