"""Users wait, and nothing that was seen says why: the answer leads with what is felt, not with calm."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.unit.diagnosis.serving_world import ONSET, Serving, make, slower
from triagebook.diagnosis.diagnose import diagnose
from triagebook.evidence.bundle import Bundle

HTTP = "http_server_request_duration_seconds"


def latency_alone(seed: int, factor: float = 1.0) -> Serving:
    """A service of which only its own requests' durations are scraped."""
    world = make(seed)
    slower(world, factor)
    world.series = {key: values for key, values in world.series.items() if key[0] == HTTP}
    return world


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_what_is_felt_leads_and_has_a_moment(tmp_path, seed):
    found, _ = diagnose(latency_alone(seed, 8.0).bundle(tmp_path / "b", ("logs", "changes")))
    assert found.verdict == "inconclusive"
    assert found.summary.startswith(HTTP)
    assert "Why was not found. Not seen: " in found.summary
    assert found.onset is not None
    assert found.onset.low <= found.onset.at <= found.onset.high
    assert abs(pd.Timestamp(found.onset.at) - ONSET) < pd.Timedelta("10min")
    assert found.severity.level == "SEV3"
    assert found.severity.because == ["something is worse than usual, and why was not found"]


def test_a_critical_service_is_worth_waking_somebody(tmp_path):
    bundle = latency_alone(3, 8.0).bundle(tmp_path / "b", ("logs", "changes"))
    service = bundle.service.model_copy(update={"criticality": "high"})
    manifest = bundle.manifest.model_copy(update={"service": service})
    found, _ = diagnose(Bundle(bundle.root, manifest, bundle.problems))
    assert found.severity.level == "SEV2"


def test_where_nothing_is_felt_it_stays_calm(tmp_path):
    world = latency_alone(3)
    found, _ = diagnose(world.bundle(tmp_path / "b", ("logs", "changes")))
    assert found.verdict == "healthy"
    assert found.summary.startswith("Nothing is wrong beyond normal variation")
    assert (found.onset, found.severity.level) == (None, "SEV4")
