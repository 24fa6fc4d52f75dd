"""The catalogue is a contract, and every check, section and chart that is named exists."""

import pytest

from triagebook.charts._style import CHARTS
from triagebook.core.errors import RegistryError
from triagebook.diagnosis.actions import _PLAIN
from triagebook.diagnosis.answer import CHECKS
from triagebook.diagnosis.catalogue import CAUSES, EXPECTED, cause
from triagebook.diagnosis.spec import TYPES

# Others rely on these ids and loci: extend, never rename.
CONTRACT = {
    "data.missing_values": "column",
    "data.missing_rows": "table",
    "data.duplicate_rows": "table",
    "data.schema_change": "table",
    "data.unit_change": "column",
    "data.category_recode": "column",
    "data.corrupted_values": "column",
    "data.default_fill": "column",
    "data.stale": "table",
    "data.join_broken": "table",
    "data.timezone_shift": "column",
    "data.column_swap": "column",
    "model.bad_version": "model",
    "model.concept_drift": "segment",
    "model.segment_regression": "segment",
    "model.label_fault": "table",
    "model.serving_skew": "feature",
    "model.stale": "model",
    "model.threshold_change": "config",
    "drift.population_shift": "segment",
    "drift.feature_shift": "feature",
    "drift.label_shift": "table",
    "drift.seasonal": "feature",
    "drift.harmless": "feature",
    "pipeline.code_error": "task",
    "pipeline.dependency_down": "dependency",
    "pipeline.input_missing": "table",
    "pipeline.out_of_memory": "task",
    "pipeline.disk_full": "host",
    "pipeline.auth_expired": "dependency",
    "pipeline.bad_config": "config",
    "pipeline.bad_dependency_version": "task",
    "pipeline.deploy_failed": "model",
    "pipeline.slow": "task",
    "pipeline.contract_rejected": "table",
    "latency.traffic_surge": "service",
    "latency.slow_dependency": "dependency",
    "latency.heavier_model": "model",
    "latency.cpu_throttling": "service",
    "latency.memory_pressure": "host",
    "latency.larger_requests": "service",
    "latency.bad_instance": "instance",
    "latency.cold_start": "service",
    "latency.cache_misses": "dependency",
    "resources.memory_leak": "service",
    "resources.memory_step": "service",
    "resources.cpu_runaway": "service",
    "resources.gpu_memory": "host",
    "resources.gpu_fault": "host",
    "resources.disk_filling": "host",
    "resources.handle_leak": "service",
    "resources.noisy_neighbour": "host",
    "resources.limit_lowered": "config",
    "resources.demand_growth": "service",
    "none": "service",
}


def test_the_catalogue_is_the_contract():
    assert CONTRACT.items() <= {c.id: c.locus for c in CAUSES.values()}.items()


@pytest.mark.parametrize("one", CAUSES.values(), ids=lambda c: c.id)
def test_a_cause_says_what_tells_it_and_what_helps(one):
    assert one.titled("column:t.x") != one.title or "{name}" not in one.title
    assert len(one.tells) >= 15
    assert one.moves
    assert set(one.moves) <= set(_PLAIN)
    assert one.fault == (one.id not in EXPECTED)


def test_an_unknown_cause_is_an_error():
    with pytest.raises(RegistryError, match=r"made\.up"):
        cause("made.up")


@pytest.mark.parametrize("check", list(CHECKS), ids=lambda c: c.id)
def test_a_check_is_asked_somewhere_and_names_known_causes(check):
    assert check.question.endswith("?")
    assert set(check.finds) | set(check.opposes) <= set(CAUSES)
    assert any(check.id in spec.checks for spec in TYPES)


@pytest.mark.parametrize("cause_id", sorted(set(CAUSES) - {"none"}))
def test_every_cause_can_be_found_and_spoken_against(cause_id):
    assert [c.id for c in CHECKS if cause_id in c.finds]
    assert [c.id for c in CHECKS if cause_id in c.opposes]


@pytest.mark.parametrize("spec", list(TYPES), ids=lambda s: s.title)
def test_every_type_asks_every_check(spec):
    # A drift alert may end in a leak, a latency alert in a failed task.
    assert set(spec.checks) == set(CHECKS.names())


@pytest.mark.parametrize("spec", list(TYPES), ids=lambda s: s.title)
def test_a_spec_names_checks_and_charts_that_exist(spec):
    assert set(spec.checks) <= set(CHECKS.names())
    assert len({s.id for s in spec.sections}) == len(spec.sections)
    for section in spec.sections:
        assert section.question.endswith("?")
        assert len(section.how) >= 40
        assert section.chart is None or section.chart in CHARTS
        if section.second is not None:
            assert section.second[0] in CHARTS
            assert len(section.second[1]) >= 40
    for check in spec.checks:
        assert spec.cell_of(check) in {s.id for s in spec.sections}
