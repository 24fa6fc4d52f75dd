"""Whatever a server does, a pull ends in time, the ledger tells the truth, and no secret gets out."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.server import FAULTS, faulty
from tests.faults.sources import HTTP_SOURCES
from triagebook.core.models import Alert, Windows
from triagebook.core.settings import Settings
from triagebook.core.times import now_utc
from triagebook.evidence.collect import collect
from triagebook.sources.http import HttpSettings
from triagebook.sources.kinds import REGISTRIES

if TYPE_CHECKING:
    from pathlib import Path

    from triagebook.core.models import LedgerEntry

BUDGET_S = 3.0
SECRET = "s3cr3t-never-told"


def asked(kind: str, name: str, url: str, root: Path, **keys: Any) -> LedgerEntry:
    """Collect with one pull of this source; return its entry, and check what holds for all."""
    (root / "token").write_text(SECRET)
    pull = {"source": name, "url": url, "token": {"file": "token"}}
    pull |= HTTP_SOURCES[kind, name].keys | keys
    service = {"name": "flight-delay", kind: [pull]}
    settings = Settings.model_validate({"service": [service], "budget": BUDGET_S})
    end = now_utc()
    since = end - timedelta(hours=2)
    windows = Windows(reference=(since - timedelta(hours=6), since), current=(since, end))
    begin = time.monotonic()
    bundle = collect(
        settings,
        settings.services[0],
        Alert(sender="test", fingerprint="f", starts_at=end),
        windows,
        root=root,
        incident_id="inc-1",
        into=root / "evidence",
    )
    took_s = time.monotonic() - begin
    assert took_s < BUDGET_S + 2.0
    for path in (root / "evidence").rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path
    [entry] = [entry for entry in bundle.ledger if entry.source == f"{kind}:{name}"]
    return entry


def test_every_source_that_asks_over_http_is_here():
    over_http = {
        (kind, name)
        for kind, registry in REGISTRIES.items()
        for name in registry.names()
        if issubclass(registry.get(name).Settings, HttpSettings)
    }
    assert over_http == set(HTTP_SOURCES)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
@pytest.mark.parametrize(("kind", "name"), list(HTTP_SOURCES))
def test_a_fault_costs_its_pull_and_is_told(kind, name, fault, tmp_path):
    with faulty(fault.name, HTTP_SOURCES[kind, name].api, tmp_path) as server:
        entry = asked(kind, name, server.url, tmp_path)
    assert entry.status in fault.status, entry
    assert fault.says in (entry.why or "")
    if entry.status == "ok":
        assert entry.rows
    assert server.elsewhere == []


@pytest.mark.parametrize(("kind", "name"), list(HTTP_SOURCES))
def test_a_healthy_server_is_asked_with_the_token(kind, name, tmp_path):
    with faulty("healthy", HTTP_SOURCES[kind, name].api, tmp_path) as server:
        entry = asked(kind, name, server.url, tmp_path)
    assert (entry.status, entry.why) == ("ok", None)
    assert entry.rows
    assert {headers["authorization"] for _, headers in server.seen} == {f"Bearer {SECRET}"}
