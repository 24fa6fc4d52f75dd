from __future__ import annotations

import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from triagebook.core.errors import SourceError
from triagebook.core.models import Alert, Windows
from triagebook.core.settings import Settings
from triagebook.evidence.collect import collect
from triagebook.sources.base import Answer, Glance, OwnSettings, Question, Source
from triagebook.sources.kinds import REGISTRIES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from triagebook.evidence.bundle import Bundle

T0 = datetime(2013, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
WINDOWS = Windows(reference=(T0, T0 + 2 * DAY), current=(T0 + 2 * DAY, T0 + 3 * DAY))
ALL = [T0 + timedelta(hours=h) for h in range(0, 72, 6)]
RELEASE = threading.Event()


class OddSettings(OwnSettings):
    does: str


class Odd(Source):
    """Does what its settings say, and none of it is right."""

    Settings = OddSettings

    def pull(self, question: Question) -> Any:  # noqa: ARG002 - the contract's signature
        does = self.settings.does
        if does == "hang":
            RELEASE.wait(60)
        if does == "raise":
            raise SourceError("the system is down", "start it")
        if does == "crash":
            raise ZeroDivisionError("oops")
        if does == "exit":
            sys.exit(3)
        if does == "dict":
            return {"rows": []}
        rows = {
            "rows_dict": {"ts": []},
            "naive": pd.DataFrame({"ts": pd.to_datetime([T0.replace(tzinfo=None)]), **VALUES}),
            "outside": pd.DataFrame({"ts": [T0, T0 - DAY, T0 + 3 * DAY], **VALUES}),
            "short": pd.DataFrame({"ts": [T0]}),
        }.get(does, [{"nothing": "right"}])
        return Answer(rows=rows, query=does)

    def glance(self, question: Question) -> Any:  # noqa: ARG002 - the contract's signature
        if self.settings.does == "raise":
            raise SourceError("the system is down", "start it")
        return Glance(rows=1) if self.settings.does == "ok" else None


VALUES = {"name": "m", "value": 1.0, "message": "m"}


@pytest.fixture(autouse=True)
def odd_sources(monkeypatch) -> Iterator[None]:
    for registry in REGISTRIES.values():
        registry.names()  # what ships is loaded first, and stays
        monkeypatch.setitem(registry._items, "odd", Odd)
    RELEASE.clear()
    yield
    RELEASE.set()


def settings(**service: Any) -> Settings:
    return Settings(service=[{"name": "s", **service}])


def collected(root: Path, into: str = "b", **service: Any) -> Bundle:
    made = settings(**{k: v for k, v in service.items() if k not in ("budget_s", "sources")})
    if "sources" in service:
        made = Settings(service=made.services, sources=service["sources"])
    return collect(
        made,
        made.services[0],
        Alert(starts_at=T0 + 2 * DAY),
        WINDOWS,
        root=root,
        incident_id="I1",
        budget_s=service.get("budget_s", 20),
        into=root / into,
    )


def table(path: Path, ts: list[datetime] | pa.Array = ALL, **columns: Any) -> None:
    pq.write_table(pa.table({"ts": ts, "x": list(range(len(ts))), **columns}), path)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    table(tmp_path / "t.parquet")
    metrics = pd.DataFrame(
        {"ts": ALL, "name": "m", "labels": '{"b": "1", "a": "2"}', "value": "+Inf"}
    )
    metrics.to_parquet(tmp_path / "m.parquet")
    (tmp_path / "m.json").write_text('{"m": {"type": "gauge", "unit": "s"}}')
    (tmp_path / "l.jsonl").write_text('{"ts": "2013-06-01T00:00:00Z", "message": "hello"}\n')
    (tmp_path / "c.jsonl").write_text(
        '{"ts": "2013-06-02", "what": "ingest", "from": 41, "to": 42}\n'
    )
    (tmp_path / "p.jsonl").write_text('{"pipeline": "p", "task": "t", "start": "2013-06-02"}\n')
    return tmp_path


EVERYTHING: dict[str, Any] = {
    "metrics": [{"path": "m.parquet"}],
    "logs": [{"path": "l.jsonl"}],
    "tables": {"t": {"path": "t.parquet", "time_column": "ts", "role": "raw"}},
    "changes": [{"path": "c.jsonl"}],
    "pipeline": [{"path": "p.jsonl"}],
    "topology": [{"from": "a", "to": "b"}],
}


def by_source(bundle: Bundle) -> dict[str, Any]:
    return {
        f"{e.source}{'/' + e.part if getattr(e, 'part', None) else ''}": e for e in bundle.ledger
    }


def test_everything_configured_is_collected(data):
    bundle = collected(data, **EVERYTHING)
    assert [(e.id, e.source, e.status, e.rows) for e in bundle.ledger] == [
        ("L01", "metrics:files", "ok", 12),
        ("L02", "logs:files", "ok", 1),
        ("L03", "tables:t", "ok", 8),
        ("L04", "tables:t", "ok", 4),
        ("L05", "changes:files", "ok", 1),
        ("L06", "pipeline:files", "ok", 1),
        ("L07", "topology", "ok", 1),
    ]
    assert bundle.metrics_meta["m"]["unit"] == "s"
    assert bundle.metrics["labels"].unique().tolist() == ['{"a": "2", "b": "1"}']
    assert bundle.tables["t"].current["x"].tolist() == [8, 9, 10, 11]
    assert bundle.tables["t"].spec.role == "raw"
    assert bundle.changes[0].from_ == "41"
    assert bundle.pipeline[0].task == "t"
    assert bundle.manifest.incident_id == "I1"
    assert bundle.verify() == []
    assert bundle.problems == []
    assert sorted(p.name for p in data.iterdir() if p.name.startswith(".")) == []


def test_two_collections_are_the_same_but_for_the_clock(data):
    first, again = (collected(data, into, **EVERYTHING) for into in ("a", "b"))
    for one, other in zip(first.ledger, again.ledger, strict=True):
        assert one.model_copy(update={"took_s": 0}) == other.model_copy(update={"took_s": 0})


def test_what_is_not_configured_says_so(tmp_path):
    bundle = collected(tmp_path)
    assert [e.source for e in bundle.ledger] == [
        "metrics",
        "logs",
        "tables",
        "changes",
        "pipeline",
        "topology",
    ]
    assert {e.status for e in bundle.ledger} == {"not_configured"}
    assert [p.name for p in bundle.root.iterdir()] == ["bundle.json"]


def test_a_service_that_nobody_configured_is_a_bundle_too(tmp_path):
    bundle = collect(
        Settings(),
        None,
        Alert(service="who"),
        WINDOWS,
        root=tmp_path,
        incident_id=None,
        into=tmp_path / "b",
    )
    assert bundle.service.name == "who"
    assert bundle.ledger[0].why == "no such service in triagebook.toml"


@pytest.mark.parametrize(
    ("does", "why"),
    [
        ("raise", "the system is down (start it)"),
        ("crash", "ZeroDivisionError: oops"),
        ("exit", "SystemExit: 3"),
        ("dict", "gave a dict, expected an Answer"),
        ("rows_dict", "gave a dict, expected a table"),
        ("short", "has no column"),
        ("hang", "no answer in 0.3 s"),
    ],
)
@pytest.mark.parametrize("kind", ["metrics", "logs"])
def test_a_source_that_fails_costs_its_own_entry(data, kind, does, why):
    odd = {"source": "odd", "does": does, "budget": 0.3 if does == "hang" else 20}
    service = {**EVERYTHING, kind: [odd]}
    bundle = collected(data, **service)
    entries = by_source(bundle)
    assert entries[f"{kind}:odd"].status == "unavailable"
    assert why in entries[f"{kind}:odd"].why
    assert getattr(bundle, kind) is None
    others = [entry.status for name, entry in entries.items() if name != f"{kind}:odd"]
    assert others == ["ok"] * 6


@pytest.mark.parametrize("kind", ["changes", "pipeline"])
def test_rows_of_nonsense_are_an_entry_that_says_so(data, kind):
    bundle = collected(data, **{**EVERYTHING, kind: [{"source": "odd", "does": "rows"}]})
    assert "none of 1 rows can be used" in by_source(bundle)[f"{kind}:odd"].why
    assert getattr(bundle, kind) is None


def test_naive_times_are_utc_and_rows_outside_the_window_are_left_out(tmp_path):
    pulls = [{"source": "odd", "does": "naive"}, {"source": "odd", "does": "outside"}]
    bundle = collected(tmp_path, metrics=pulls)
    assert bundle.metrics["ts"].tolist() == [pd.Timestamp(T0)] * 2
    entries = by_source(bundle)
    assert entries["metrics:odd-2"].why == "2 rows outside the window were left out"
    assert bundle.verify() == []


def test_ten_of_thirty_hang_and_the_rest_is_there_in_time(data):
    tables: dict[str, Any] = {
        f"n{i:02d}": {"path": "t.parquet", "time_column": "ts"} for i in range(10)
    }
    logs = [{"source": "odd", "does": "hang"} for _ in range(10)]
    begin = time.monotonic()
    bundle = collected(data, tables=tables, logs=logs, budget_s=3)
    took_s = time.monotonic() - begin
    assert 3 <= took_s < 8
    statuses = [e.status for e in bundle.ledger if e.kind == "tables"]
    assert statuses == ["ok"] * 20
    hung = [e for e in bundle.ledger if e.kind == "logs"]
    assert [e.source for e in hung][:3] == ["logs:odd", "logs:odd-2", "logs:odd-3"]
    assert {e.why.split(" (")[0] for e in hung} == {"no answer in 3 s"}


def test_more_hang_than_there_are_threads_and_it_still_ends(tmp_path):
    bundle = collected(
        tmp_path, logs=[{"source": "odd", "does": "hang"} for _ in range(70)], budget_s=0.5
    )
    whys = [entry.why.split(" (")[0] for entry in bundle.ledger if entry.kind == "logs"]
    assert whys[0] == "no answer in 0.5 s"
    assert whys[-1] == "not asked: the budget of 0.5 s was used up by other pulls"


def test_a_hanging_source_does_not_keep_the_process_from_ending():
    code = (
        "import time\n"
        "from triagebook.evidence.parallel import Job, run_all\n"
        "print(run_all([Job(lambda stop: time.sleep(600), 600)], 0.2)[0].error.message)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert "no answer in 0.2" in done.stdout


@pytest.mark.parametrize(
    ("freshness_s", "status"), [(21_599, "stale"), (21_600, "ok"), (21_601, "ok")]
)
def test_a_table_is_stale_when_its_newest_row_is_too_old(data, freshness_s, status):
    spec = {"path": "t.parquet", "time_column": "ts", "freshness_s": freshness_s}
    entries = by_source(collected(data, tables={"t": spec}))
    assert entries["tables:t/current"].status == status
    assert entries["tables:t/reference"].status == "ok"
    assert (
        "the newest row is of 2013-06-03T18:00:00Z" in (entries["tables:t/current"].why or "")
    ) == (status == "stale")


def test_a_sample_is_truncated_and_keeps_the_true_count(data):
    spec = {"path": "t.parquet", "time_column": "ts", "row_limit": 5}
    bundle = collected(data, tables={"t": spec})
    entries = by_source(bundle)
    assert entries["tables:t/reference"].status == "truncated"
    assert entries["tables:t/reference"].rows == 5
    assert entries["tables:t/reference"].rows_total == 8
    assert "a sample of 5 of 8 rows" in entries["tables:t/reference"].why
    assert entries["tables:t/current"].status == "ok"
    assert len(bundle.tables["t"].reference) == 5


def test_labels_are_cut_by_the_time_they_arrived(tmp_path):
    table(tmp_path / "t.parquet", came=[t + DAY for t in ALL])
    spec = {"path": "t.parquet", "time_column": "ts", "label_time_column": "came", "role": "labels"}
    bundle = collected(tmp_path, tables={"t": spec})
    assert bundle.tables["t"].current["x"].tolist() == [4, 5, 6, 7]


def test_one_window_may_fail_where_the_other_is_there(tmp_path):
    (tmp_path / "d").mkdir()
    table(tmp_path / "d" / "may.parquet", ALL[:8])
    (tmp_path / "d" / "june.parquet").write_bytes(
        (tmp_path / "d" / "may.parquet").read_bytes()[:200]
    )
    bundle = collected(tmp_path, tables={"t": {"path": "d", "time_column": "ts"}})
    entries = by_source(bundle)
    assert entries["tables:t/reference"].status == "truncated"
    assert entries["tables:t/current"].status == "unavailable"
    assert "june.parquet cannot be read (200 bytes" in entries["tables:t/current"].why
    assert len(bundle.tables["t"].reference) == 8
    assert bundle.tables["t"].current is None
    assert bundle.missing_ids("tables", "t") == ["L04"]


def test_columns_of_other_types_in_both_windows_stay_what_they_are(tmp_path):
    rows = [f"{t.isoformat()},{i if t < T0 + 2 * DAY else 'n/a'}" for i, t in enumerate(ALL)]
    (tmp_path / "t.csv").write_text("ts,x\n" + "\n".join(rows))
    bundle = collected(tmp_path, tables={"t": {"path": "t.csv", "time_column": "ts"}})
    assert bundle.tables["t"].current["x"].tolist() == ["n/a"] * 4


def test_bad_tables_are_entries_that_name_the_file_and_why(tmp_path):
    table(tmp_path / "none.parquet", pa.array([None, None], pa.timestamp("us")))
    table(tmp_path / "empty.parquet", pa.array([], pa.timestamp("us")))
    table(tmp_path / "other.parquet")
    (tmp_path / "half.parquet").write_bytes((tmp_path / "other.parquet").read_bytes()[:300])
    tables = {
        name: {"path": f"{name}.parquet", "time_column": "ts"}
        for name in ("none", "empty", "half", "gone")
    }
    tables["other"] = {"path": "other.parquet", "time_column": "at"}
    tables["typo"] = {"path": "other.parquet", "time_column": "ts", "row_limits": 5}
    tables["odd"] = {"path": "other.parquet", "time_column": "ts", "source": "filse"}
    tables["../up"] = {"path": "other.parquet", "time_column": "ts"}
    bundle = collected(tmp_path, tables=tables)
    now = {e.source: e for e in bundle.ledger if getattr(e, "part", "") == "current"}
    assert now["tables:empty"].status == "empty"
    expected = {
        "none": "'ts' of none.parquet holds no time in any of 2 rows",
        "half": "half.parquet cannot be read (300 bytes",
        "gone": "no file at",
        "other": "other.parquet has no column 'at'",
        "typo": "unknown key 'row_limits'; did you mean 'row_limit'?",
        "odd": "no source is called 'filse'",
        "../up": "cannot be called '../up'",
    }
    for name, why in expected.items():
        assert now[f"tables:{name}"].status == "unavailable"
        assert why in now[f"tables:{name}"].why
    assert list(bundle.tables) == ["empty"]


def test_a_named_source_lends_its_keys_to_its_pulls(data):
    bundle = collected(
        data,
        tables={"t": {"source": "lake", "path": "t.parquet", "time_column": "ts"}},
        sources={"lake": {"type": "files", "row_limit": 3}},
    )
    assert [e.rows for e in bundle.ledger if e.kind == "tables"] == [3, 3]


def test_on_a_replay_the_alert_stands_where_the_data_does(data):
    bundle = collected(data, **EVERYTHING, replayed_to=T0 + 3 * DAY)
    assert bundle.alert.starts_at == T0 + 3 * DAY
    assert bundle.alert.annotations["clock"] == "replayed"
