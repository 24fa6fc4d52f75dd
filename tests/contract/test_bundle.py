"""The bundle's contract: what is written is what others rely on, and a second reader agrees."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from triagebook.core.models import Alert, Windows
from triagebook.core.settings import Settings
from triagebook.evidence.bundle import Bundle
from triagebook.evidence.collect import collect

if TYPE_CHECKING:
    from pathlib import Path

T0 = datetime(2013, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    ts = [T0 + timedelta(hours=h) for h in range(0, 72, 6)]
    pq.write_table(pa.table({"ts": ts, "x": list(range(12))}), tmp_path / "t.parquet")
    rows = [{"ts": t.isoformat(), "name": "m", "value": i} for i, t in enumerate(ts)]
    (tmp_path / "m.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    tables = {"t": {"path": "t.parquet", "time_column": "ts", "unit": {"x": "miles"}}}
    service = {"name": "s", "metrics": [{"path": "m.jsonl"}], "tables": tables}
    service["logs"] = [{"path": "gone.jsonl"}]
    settings = Settings(service=[service])
    windows = Windows(reference=(T0, T0 + 2 * DAY), current=(T0 + 2 * DAY, T0 + 3 * DAY))
    alert = Alert(starts_at=T0 + 2 * DAY)
    made = {"root": tmp_path, "incident_id": "I1", "into": tmp_path / "evidence"}
    return collect(settings, settings.services[0], alert, windows, **made).root


def test_the_manifest_has_the_keys_and_nothing_but_json(root):
    manifest = json.loads((root / "bundle.json").read_text())
    assert set(manifest) >= {"schema", "alert", "service", "windows", "ledger"}
    assert manifest["schema"] == "triagebook/bundle/1"
    assert manifest["windows"]["current"] == ["2013-06-03T00:00:00Z", "2013-06-04T00:00:00Z"]
    keys = {"id", "source", "kind", "query", "window", "status", "rows", "sha256", "took_s", "why"}
    assert all(set(entry) >= keys for entry in manifest["ledger"])


def test_absent_files_are_those_that_were_not_had(root):
    files = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
    assert files == [
        "bundle.json",
        "metrics.parquet",
        "tables/t/current.parquet",
        "tables/t/reference.parquet",
        "tables/t/table.json",
    ]
    statuses = {
        e["source"]: e["status"] for e in json.loads((root / "bundle.json").read_text())["ledger"]
    }
    assert statuses["logs:files"] == "unavailable"
    assert statuses["changes"] == "not_configured"


def test_the_hashes_are_sha256_of_the_files(root):
    entries = json.loads((root / "bundle.json").read_text())["ledger"]
    hashes = {entry["sha256"] for entry in entries if entry["sha256"]}
    files = list(root.rglob("*.parquet"))
    assert hashes == {hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_copy_elsewhere_reads_the_same(root, tmp_path):
    moved = tmp_path / "far" / "away=1"
    moved.parent.mkdir()
    root.rename(moved)
    bundle = Bundle.read(moved)
    assert bundle.verify() == []
    assert bundle.problems == []
    assert bundle.tables["t"].current.columns.tolist() == ["ts", "x"]
    assert bundle.tables["t"].spec.unit == {"x": "miles"}
    assert len(bundle.metrics) == 12


def test_reading_writes_nothing(root):
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    bundle = Bundle.read(root)
    assert bundle.metrics is not None
    assert bundle.tables
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before
