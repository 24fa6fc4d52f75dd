from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from triagebook.core.errors import BundleError
from triagebook.core.models import (
    Alert,
    Change,
    Edge,
    LedgerEntry,
    Service,
    TableSpec,
    TaskRun,
    Windows,
)
from triagebook.evidence.bundle import Bundle, write_bundle

if TYPE_CHECKING:
    from pathlib import Path

WINDOWS = {
    "reference": ["2013-06-01T00:00:00Z", "2013-06-03T00:00:00Z"],
    "current": ["2013-06-03T00:00:00Z", "2013-06-04T00:00:00Z"],
}
ALERT = {"sender": "alertmanager", "status": "firing", "starts_at": "2013-06-03T12:00:00"}


def others(root: Path, ledger: Any = None, **files: Any) -> Path:
    """Write a bundle as somebody else would, with what the test gives and no more."""
    root.mkdir(parents=True, exist_ok=True)
    manifest = {"alert": ALERT, "service": {"name": "s"}, "windows": WINDOWS, "ledger": ledger}
    manifest = {"schema": "triagebook/bundle/1", **manifest}
    (root / "bundle.json").write_text(json.dumps(manifest))
    for name, content in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, pd.DataFrame):
            content.to_parquet(path.with_suffix(".parquet"))
        else:
            path.with_suffix(".json").write_text(json.dumps(content))
    return root


def frame(days: list[str], **columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"ts": pd.to_datetime(days), **columns})


def full(into: Path, **more: Any) -> Path:
    entry = {"status": "ok", "rows": 1}
    return write_bundle(
        into,
        alert=Alert.model_validate(ALERT),
        service=Service(name="s"),
        windows=Windows.model_validate(WINDOWS),
        incident_id="I1",
        ledger=[
            LedgerEntry(id="L01", source="metrics:files", kind="metrics", **entry),
            LedgerEntry(id="L02", source="logs:files", kind="logs", **entry),
            LedgerEntry(
                id="L03", source="tables:t", kind="tables", window=WINDOWS["reference"], **entry
            ),
            LedgerEntry(
                id="L04", source="tables:t", kind="tables", window=WINDOWS["current"], **entry
            ),
            LedgerEntry(id="L05", source="changes:files", kind="changes", **entry),
            LedgerEntry(id="L06", source="pipeline:files", kind="pipeline", **entry),
            LedgerEntry(id="L07", source="topology", kind="topology", **entry),
        ],
        metrics=frame(["2013-06-01"], name="m", labels="{}", value=1.0).assign(
            ts=lambda d: d["ts"].dt.tz_localize("UTC")
        ),
        metrics_meta={"m": {"type": "gauge", "unit": "s"}},
        logs=frame(
            ["2013-06-01"], severity="INFO", source="a", message="b", attributes="{}"
        ).assign(ts=lambda d: d["ts"].dt.tz_localize("UTC")),
        tables={
            "t": (
                TableSpec(role="raw", time_column="ts"),
                pa.table({"ts": ["2013-06-01T00:00:00Z"], "x": pa.array([1], pa.int8())}),
                frame(["2013-06-03"], x=2),
            )
        },
        changes=[Change(ts="2013-06-02", kind="deploy", what="w", from_="1", to="2")],
        pipeline=[TaskRun(pipeline="p", task="t", run="r", try_=1)],
        topology=[Edge(from_="a", to="b", kind="feeds")],
        **more,
    )


def test_what_is_written_is_read(tmp_path):
    bundle = Bundle.read(full(tmp_path / "b"))
    assert bundle.manifest.incident_id == "I1"
    assert bundle.metrics["value"].tolist() == [1.0]
    assert bundle.metrics_meta == {"m": {"type": "gauge", "unit": "s"}}
    assert bundle.logs["message"].tolist() == ["b"]
    assert bundle.tables["t"].spec.role == "raw"
    assert bundle.tables["t"].reference["ts"].tolist() == [pd.Timestamp("2013-06-01", tz="UTC")]
    assert bundle.tables["t"].current["x"].tolist() == [2]
    assert bundle.changes[0].from_ == "1"
    assert bundle.pipeline[0].start is None
    assert bundle.topology[0].from_ == "a"
    assert bundle.problems == []
    assert bundle.tables["t"].problems == []
    assert [entry.id for entry in bundle.ledger] == [f"L0{i}" for i in range(1, 8)]


def test_the_keys_in_the_files_are_those_of_the_contract(tmp_path):
    root = full(tmp_path / "b")
    manifest = json.loads((root / "bundle.json").read_text())
    assert manifest["schema"] == "triagebook/bundle/1"
    assert manifest["windows"] == WINDOWS
    change = json.loads((root / "changes.json").read_text())[0]
    assert change["from"] == "1"
    assert "try" in json.loads((root / "pipeline.json").read_text())[0]
    assert json.loads((root / "topology.json").read_text())[0]["from"] == "a"
    schema = pq.read_schema(root / "metrics.parquet")
    assert schema.field("ts").type == pa.timestamp("us", "UTC")
    assert schema.field("value").type == pa.float64()
    assert pq.read_schema(root / "tables/t/reference.parquet").field("x").type == pa.int8()


def test_hashes_are_true_and_a_change_is_seen(tmp_path):
    root = full(tmp_path / "b")
    assert all(len(entry.sha256) == 64 for entry in Bundle.read(root).ledger)
    assert Bundle.read(root).verify() == []
    with (root / "tables/t/current.parquet").open("ab") as file:
        file.write(b"x")
    (root / "logs.parquet").unlink()
    assert Bundle.read(root).verify() == [
        "L02 logs:files: logs.parquet is not there",
        "L04 tables:t: tables/t/current.parquet was changed",
    ]


def test_a_bundle_is_there_as_a_whole_or_not_at_all(tmp_path):
    full(tmp_path / "b")
    before = (tmp_path / "b" / "bundle.json").read_bytes()
    with pytest.raises(BundleError, match="never changed"):
        full(tmp_path / "b")
    assert (tmp_path / "b" / "bundle.json").read_bytes() == before
    with pytest.raises(BundleError, match=r"cannot be called '\.\./x'"):
        write_bundle(
            tmp_path / "c",
            alert=Alert(),
            service=Service(),
            windows=Windows.model_validate(WINDOWS),
            ledger=[],
            tables={"../x": (TableSpec(), None, None)},
        )
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_absent_is_not_empty(tmp_path):
    bundle = Bundle.read(others(tmp_path / "b", changes=[]))
    assert bundle.changes == []
    assert bundle.pipeline is None
    assert bundle.topology is None
    assert bundle.metrics is None
    assert bundle.logs is None
    assert bundle.tables == {}
    assert bundle.metrics_meta == {}


def test_naive_times_are_utc_but_for_the_local_column(tmp_path):
    table = frame(["2013-06-03T10:00"], local=pd.to_datetime(["2013-06-03T06:00"]), at=[1370253600])
    spec = {"time_column": "at", "local_time_column": "local", "importance": None, "color": "red"}
    bundle = Bundle.read(others(tmp_path / "b", tables__t__current=table, tables__t__table=spec))
    found = bundle.tables["t"]
    assert found.problems == []
    assert found.current["ts"].iloc[0] == pd.Timestamp("2013-06-03T10:00Z")
    assert found.current["at"].iloc[0] == pd.Timestamp("2013-06-03T10:00Z")
    assert found.current["local"].iloc[0] == pd.Timestamp("2013-06-03T06:00")
    assert bundle.alert.starts_at.utcoffset().total_seconds() == 0


def test_a_broken_table_costs_itself(tmp_path):
    root = others(
        tmp_path / "b",
        ledger=[{"id": "L07", "source": "tables:bad", "kind": "tables", "status": "ok"}],
        tables__bad__current=frame(["2013-06-03"]),
        tables__good__current=frame(["2013-06-03"]),
        tables__good__table={"time_column": "tss", "key_columns": "id", "freshness_s": "soon"},
    )
    path = root / "tables/bad/current.parquet"
    path.write_bytes(path.read_bytes()[:-30])
    (root / "tables/bad/table.json").write_text("{half")
    bundle = Bundle.read(root)
    bad, good = bundle.tables["bad"], bundle.tables["good"]
    assert bad.current is None
    assert any("table bad: current.parquet cannot be read" in p for p in bad.problems)
    assert any("table bad: table.json is no JSON" in p for p in bad.problems)
    assert len(good.current) == 1
    assert good.spec.key_columns == ["id"]
    assert any("no column 'tss'" in p for p in good.problems)
    assert any("'freshness_s' left out" in p for p in good.problems)
    statuses = {entry.source: (entry.id, entry.status) for entry in bundle.ledger}
    assert statuses == {"tables:bad": ("L07", "unavailable"), "tables:good": ("L08", "ok")}
    assert "L07 tables:bad says ok, but" in bundle.problems[0]


def test_files_without_an_entry_get_one_and_ids_do_not_clash(tmp_path):
    ledger = [
        {"id": "L02", "source": "tables:orders", "kind": "tables", "status": "unavailable"},
        {"id": "L9", "source": "metrics:gpu", "status": "unavailable", "why": "down"},
        {"id": "x", "source": "logs", "kind": "logs", "status": "not_configured"},
    ]
    metrics = frame(["2013-06-01"], name="m", value=1.0)
    table = frame(["2013-06-03"])
    root = others(
        tmp_path / "b", ledger, metrics=metrics, tables__rides__current=table, topology=[]
    )
    bundle = Bundle.read(root)
    kept = bundle.ledger[:3]
    assert [(e.id, e.status) for e in kept] == [
        ("L02", "unavailable"),
        ("L9", "unavailable"),
        ("x", "not_configured"),
    ]
    added = {entry.source: entry for entry in bundle.ledger[3:]}
    assert {s: e.id for s, e in added.items()} == {
        "metrics": "L10",
        "tables:rides": "L11",
        "topology": "L12",
    }
    assert added["tables:rides"].window == bundle.windows.current
    assert bundle.evidence_ids("tables", "rides") == ["L11"]
    assert bundle.evidence_ids("tables", "orders") == ["L02"]
    assert bundle.evidence_ids("tables") == ["L11"]
    assert bundle.missing_ids("tables") == ["L02"]
    assert bundle.evidence_ids("metrics", "gpu") == ["L9"]
    assert bundle.evidence_ids("metrics", "latency") == ["L10"]
    assert bundle.evidence_ids("logs") == ["x"]
    assert bundle.evidence_ids("pipeline") == []
    assert [entry.id for entry in Bundle.read(root).ledger] == [e.id for e in bundle.ledger]


def test_evidence_of_one_window_can_be_asked_for(tmp_path):
    bundle = Bundle.read(full(tmp_path / "b"))
    assert bundle.evidence_ids("tables", "t") == ["L03", "L04"]
    assert bundle.evidence_ids("tables", "t/current") == ["L04"]
    assert bundle.evidence_ids("tables", "other") == []


def test_an_entry_that_promises_what_is_not_there_is_unavailable(tmp_path):
    ledger = [{"id": "A", "source": "pipeline:airflow", "kind": "pipeline", "status": "ok"}]
    bundle = Bundle.read(others(tmp_path / "b", ledger))
    assert bundle.ledger[0].status == "unavailable"
    assert bundle.ledger[0].why == "pipeline.json: not in the bundle"


def test_odd_entries_and_items_cost_themselves(tmp_path):
    ledger = [{"source": "logs:loki", "status": "exploded"}, 7, {"id": 3, "status": "empty"}]
    tasks = [
        {"task": "a", "run": 17, "try": "2", "start": None, "log": [None, None]},
        {"task": "b", "start": "yesterday"},
        {"pipeline": "p"},
        {"task": "c", "upstream": None},
    ]
    changes = [{"ts": "2013-06-02", "from": 41}, {"what": "no time"}, {"ts": "2013-06-01"}]
    root = others(tmp_path / "b", ledger, pipeline=tasks, changes=changes, metrics=None)
    (root / "metrics.json").write_text("[]")
    bundle = Bundle.read(root)
    assert [(e.id, e.status) for e in bundle.ledger[:2]] == [
        ("entry-1", "unavailable"),
        ("3", "empty"),
    ]
    assert [task.task for task in bundle.pipeline] == ["a", "b", "c"]
    assert bundle.pipeline[0].run == "17"
    assert bundle.pipeline[0].try_ == 2
    assert [change.from_ for change in bundle.changes] == [None, "41"]
    assert bundle.metrics_meta == {}
    text = "\n".join(bundle.problems)
    assert "pipeline.json: 'start' left out" in text
    assert "changes.json: ts: Field required" in text
    assert "status 'exploded' is not known" in text
    assert "metrics.json: expected an object" in text


def test_frames_without_their_columns_are_problems(tmp_path):
    root = others(tmp_path / "b", metrics=frame(["2013-06-01"], nom=1), logs=frame(["2013-06-01"]))
    bundle = Bundle.read(root)
    assert bundle.metrics is None
    assert bundle.logs is None
    assert "metrics.parquet has no column 'name', 'value'" in "\n".join(bundle.problems)
    assert "logs.parquet has no column 'message'" in "\n".join(bundle.problems)


def test_labels_as_a_map_and_rows_without_a_time(tmp_path):
    metrics = frame(["2013-06-01", None], name="m", value=1.0, labels=[{"b": "1", "a": "2"}] * 2)
    bundle = Bundle.read(others(tmp_path / "b", metrics=metrics))
    assert bundle.metrics["labels"].tolist() == ['{"a": "2", "b": "1"}']
    assert "metrics.parquet: 1 of 2 rows have no time" in bundle.problems


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{half", "bundle.json is no JSON"),
        ("[]", "expected an object"),
        ("{}", "windows: expected an object, got NoneType"),
        ('{"schema": "triagebook/bundle/9"}', "schema is 'triagebook/bundle/9'"),
        ('{"windows": {"reference": ["x", "y"]}}', "windows"),
    ],
)
def test_a_bad_manifest_says_what_to_do(tmp_path, content, message):
    (tmp_path / "bundle.json").write_text(content)
    with pytest.raises(BundleError, match=message) as caught:
        Bundle.read(tmp_path)
    assert caught.value.hint


def test_no_folder_and_no_manifest_say_what_to_do(tmp_path):
    with pytest.raises(BundleError, match="no such folder"):
        Bundle.read(tmp_path / "none")
    with pytest.raises(BundleError, match=r"holds no bundle\.json"):
        Bundle.read(tmp_path)


def test_a_manifest_of_windows_alone_is_enough(tmp_path):
    (tmp_path / "bundle.json").write_text(json.dumps({"windows": WINDOWS, "note": "kept"}))
    bundle = Bundle.read(tmp_path)
    assert bundle.service.name == "unknown"
    assert bundle.manifest.model_extra == {"note": "kept"}
    assert bundle.ledger == []


@pytest.mark.parametrize(
    ("given", "titles", "said"),
    [
        (None, [], 0),
        ([{"title": "a", "more": 1}, {"title": "b", "labels": None}], ["a", "b"], 0),
        ([{"title": "a"}, "b"], ["a"], 1),
        ("a", [], 1),
    ],
)
def test_alerts_of_others_are_read_leniently(tmp_path: Path, given: Any, titles: Any, said: int):
    content = {"windows": WINDOWS, "alert": ALERT, "alerts": given}
    (tmp_path / "bundle.json").write_text(json.dumps(content))
    bundle = Bundle.read(tmp_path)
    assert [alert.title for alert in bundle.alerts] == titles
    assert len(bundle.problems) == said
