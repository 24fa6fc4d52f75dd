"""Whatever a server does, a pull ends in time, the ledger tells the truth, and no secret gets out."""

from __future__ import annotations

import pytest

from tests.chaos.faults import HEALTHY, tried
from tests.faults.server import FAULTS
from tests.faults.sources import HTTP_SOURCES
from triagebook.sources.http import HttpSettings
from triagebook.sources.kinds import REGISTRIES


def test_every_source_that_asks_over_http_is_here():
    over_http = {
        (kind, name)
        for kind, registry in REGISTRIES.items()
        for name in registry.names()
        if issubclass(registry.get(name).Settings, HttpSettings)
    }
    assert over_http == set(HTTP_SOURCES)


@pytest.mark.parametrize("fault", [HEALTHY, *FAULTS], ids=lambda fault: fault.name)
@pytest.mark.parametrize(("kind", "name"), list(HTTP_SOURCES))
def test_a_fault_costs_its_pull_and_is_told(kind, name, fault, tmp_path):
    found = tried(kind, name, fault, tmp_path)
    assert found.wrong == [], found
    if fault is HEALTHY:
        assert found.why == ""
