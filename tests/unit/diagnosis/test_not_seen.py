"""What was asked for and not had is said to be unknown, with the pull that failed; never fine."""

import numpy as np
import pandas as pd
import pytest

from tests.unit.diagnosis.world import END, START, make
from triagebook.core.models import Alert, LedgerEntry, Service, TableSpec, TaskRun, Windows
from triagebook.diagnosis.answer import CHECKS
from triagebook.diagnosis.context import Context
from triagebook.diagnosis.diagnose import diagnose, replay
from triagebook.evidence.bundle import Bundle, write_bundle

FIRST = START - pd.Timedelta("28D")
KINDS = ("metrics", "logs", "tables", "changes", "pipeline")


def written(folder, kind="drift", ledger=(), service=None, **parts):
    write_bundle(
        folder,
        alert=Alert(incident_type=kind, starts_at=END),
        service=service or Service(name="s"),
        windows=Windows(reference=(FIRST, START), current=(START, END)),
        ledger=list(ledger),
        **parts,
    )
    return Bundle.read(folder)


def failed(kind, number):
    return LedgerEntry(
        id=f"L{number:02d}", source=kind, kind=kind, status="unavailable", why="no answer in 4 s"
    )


@pytest.mark.parametrize("kind", ["drift", "unknown"])
def test_when_every_source_failed_every_answer_is_unknown_and_cites_its_pull(kind, tmp_path):
    ledger = [failed(source, n) for n, source in enumerate(KINDS, 1)]
    found, _ = diagnose(written(tmp_path / "b", kind, ledger))
    assert found.verdict == "inconclusive"
    assert {f.verdict for f in found.findings} == {"unknown"}
    assert all(set(f.evidence) <= {e.id for e in ledger} for f in found.findings)
    silent = [f.check for f in found.findings if not f.evidence]
    assert silent == []
    assert any("no answer in 4 s" in f.statement for f in found.findings)
    assert "Not seen: tables, metrics, logs, changes" in found.summary


ASKS = {
    "logs": ("logs.new_errors", "Logs were not seen"),
    "changes": ("changes.before_onset", "Changes were not seen"),
    "pipeline": ("pipeline.tasks", "Task runs were not seen"),
    "metrics": ("latency.symptom", "Latency and errors could not be seen"),
    "tables": ("drift.inputs_moved", "No table could be compared"),
}


@pytest.mark.parametrize("kind", ASKS)
def test_one_source_that_failed_is_named_with_its_reason(kind, tmp_path):
    check, words = ASKS[kind]
    ctx = Context(written(tmp_path / "b", ledger=[failed(kind, 7)]))
    (answer, *_) = CHECKS.get(check).run(ctx)
    assert answer.verdict == "unknown"
    assert answer.statement == f"{words}: no answer in 4 s"
    assert answer.evidence == ["L07"]


@pytest.mark.parametrize("kind", ASKS)
def test_a_source_that_nobody_configured_is_told_from_one_that_failed(kind, tmp_path):
    check, words = ASKS[kind]
    ctx = Context(written(tmp_path / "b"))
    (answer, *_) = CHECKS.get(check).run(ctx)
    assert answer.statement.startswith(words)
    assert "not configured" in answer.statement or "no rows" in answer.statement


@pytest.mark.parametrize("status", ["ok", "stale", "truncated", "empty"])
def test_an_empty_answer_is_an_answer(status, tmp_path):
    ledger = [LedgerEntry(id="L01", source="pipeline", status=status, rows=0)]
    (answer,) = CHECKS.get("pipeline.tasks").run(
        Context(written(tmp_path / "b", ledger=ledger, pipeline=[]))
    )
    assert (answer.verdict, answer.evidence) == ("ok", ["L01"])


def ramp(rows, start, end, **columns):
    times = pd.date_range(start, end, periods=rows + 1)[:-1]
    return pd.DataFrame({"t": times, **columns})


def test_a_missing_time_column_names_file_and_columns(tmp_path):
    rng = np.random.default_rng(0)
    frames = [pd.DataFrame({"x": rng.normal(size=n), "y": 1.0}) for n in (500, 200)]
    spec = TableSpec(role="raw", time_column="when")
    found, _ = diagnose(written(tmp_path / "b", tables={"odd": (spec, *frames)}))
    (said,) = [f for f in found.findings if f.locus == "table:odd"]
    assert said.verdict == "unknown"
    for words in ("reference.parquet", "current.parquet", "'when'", "x, y"):
        assert words in said.statement
    # Rows can be compared all the same, only not in time.
    assert any(f.check == "drift.inputs_moved" and f.verdict == "ok" for f in found.findings)


def test_times_that_are_none_name_the_file(tmp_path):
    old = ramp(300, FIRST, START, x=1.0)
    new = ramp(100, START, END, x=1.0).assign(t="at noon")
    spec = TableSpec(role="raw", time_column="t")
    found, _ = diagnose(written(tmp_path / "b", tables={"odd": (spec, old, new)}))
    said = [f for f in found.findings if f.locus == "table:odd" and f.verdict == "unknown"]
    assert any("current.parquet" in f.statement for f in said)


@pytest.mark.parametrize("side", ["reference", "current"])
@pytest.mark.parametrize("damage", ["half", "empty", "text"])
def test_a_file_that_is_no_parquet_is_named_with_its_size(side, damage, tmp_path):
    rng = np.random.default_rng(0)
    frames = (
        ramp(600, FIRST, START, x=rng.normal(size=600)),
        ramp(200, START, END, x=rng.normal(size=200)),
    )
    spec = TableSpec(role="raw", time_column="t")
    written(tmp_path / "b", tables={"odd": (spec, *frames)})
    path = tmp_path / "b" / "tables" / "odd" / f"{side}.parquet"
    data = {"half": path.read_bytes()[: path.stat().st_size // 2], "empty": b"", "text": b"a,b\n"}
    path.write_bytes(data[damage])
    found = replay(tmp_path / "b")
    (said,) = [f for f in found.findings if f.locus == "table:odd"]
    assert said.verdict == "unknown"
    assert f"{side}.parquet cannot be read ({len(data[damage])} bytes)" in said.statement
    assert found.verdict == "inconclusive"
    assert not [f.statement for f in found.findings if "failed:" in f.statement]


def test_columns_of_other_types_are_a_change_of_the_schema(tmp_path):
    rng = np.random.default_rng(0)
    old = ramp(600, FIRST, START, x=rng.normal(size=600), y=rng.normal(size=600))
    new = ramp(200, START, END, x=[f"{v:.2f} km" for v in rng.normal(size=200)], y=1.5)
    spec = TableSpec(role="raw", time_column="t")
    found, _ = diagnose(written(tmp_path / "b", tables={"odd": (spec, old, new)}))
    first = found.hypotheses[0]
    assert (first.cause, first.locus) == ("data.schema_change", "table:odd")
    (said,) = [f for f in found.findings if f.check == "data.schema_change"]
    assert "x (float64 →" in said.statement
    assert said.value == 1


def task(name, start, state="success", took_s=60.0, **more):
    return TaskRun(
        pipeline="p",
        task=name,
        state=state,
        start=start,
        end=start + pd.Timedelta(seconds=took_s),
        **more,
    )


def hourly(name, **more):
    return [task(name, END - pd.Timedelta(hours=h), **more) for h in range(3, 100)]


def tasks_of(tmp_path, runs, **more):
    ctx = Context(written(tmp_path / "b", pipeline=runs, **more))
    (answer,) = CHECKS.get("pipeline.tasks").run(ctx)
    return answer


def test_a_failure_without_a_text_is_read_from_the_logs(tmp_path):
    at = END - pd.Timedelta("2h")
    logs = pd.DataFrame(
        {
            "ts": [at + pd.Timedelta("10s"), at + pd.Timedelta("3h")],
            "severity": "ERROR",
            "source": "task.load",
            "message": ["MemoryError: cannot hold 9 GB", "401 Unauthorized"],
            "attributes": "{}",
        }
    )
    answer = tasks_of(tmp_path, [*hourly("load"), task("load", at, "failed")], logs=logs)
    assert answer.signals[0].cause == "pipeline.out_of_memory"
    assert answer.locus == "task:p.load"


def test_a_failure_that_nobody_explains_is_code_until_told_otherwise(tmp_path):
    runs = [*hourly("load"), task("load", END - pd.Timedelta("2h"), "failed")]
    answer = tasks_of(tmp_path, runs)
    assert answer.signals[0].cause == "pipeline.code_error"
    assert answer.signals[0].weight < 3
    assert "no error text" in answer.statement


def test_the_failure_furthest_upstream_is_blamed_though_others_fell_first(tmp_path):
    at = END - pd.Timedelta("2h")
    runs = [
        *hourly("load"),
        task("load", at, "failed", took_s=300, error="connection refused"),
        task("build", at, "failed", took_s=30, upstream=["load"], error="KeyError: 'x'"),
    ]
    answer = tasks_of(tmp_path, runs)
    assert "Task load of p failed first" in answer.statement
    assert "build did not run after it" in answer.statement


def test_failures_as_frequent_as_ever_are_usual(tmp_path):
    runs = []
    for number, run in enumerate(hourly("load")):
        runs.append(run.model_copy(update={"state": "failed" if number % 5 == 0 else "success"}))
    answer = tasks_of(tmp_path, runs)
    assert answer.verdict == "ok"
    assert "as usual" in answer.statement


@pytest.mark.parametrize(("took_s", "verdict"), [(95, "ok"), (96, "ok"), (97, "bad")])
def test_a_task_is_late_well_beyond_what_it_ever_took(took_s, verdict, tmp_path):
    runs = [*hourly("load"), task("load", END - pd.Timedelta("1h"), took_s=took_s)]
    (answer,) = CHECKS.get("pipeline.late").run(Context(written(tmp_path / "b", pipeline=runs)))
    assert answer.verdict == verdict
    if verdict == "bad":
        assert (answer.locus, answer.value) == ("task:p.load", took_s)


LOCI = {
    "No space left on device": "host:h1",
    "feed: connection refused": "dependency:feed",
    "connection refused": "dependency:unknown",
    "schema validation failed for orders": "table:orders",
    "FileNotFoundError: part.parquet": "table:unknown",
    "ImagePullBackOff": "model:m/7",
    "missing variable X": "config:unknown",
    "ZeroDivisionError": "task:p.load",
}


@pytest.mark.parametrize("error", LOCI)
def test_a_failure_is_named_at_what_it_is_about(error, tmp_path):
    service = Service(
        name="s",
        hosts={"load": "h1"},
        dependencies=["lake", "feed"],
        model={"name": "m", "version": "7"},
    )
    frame = ramp(30, FIRST, START, x=1.0)
    answer = tasks_of(
        tmp_path,
        [*hourly("load"), task("load", END - pd.Timedelta("2h"), "failed", error=error)],
        service=service,
        tables={"orders": (TableSpec(time_column="t"), frame, frame)},
    )
    assert answer.locus == LOCI[error]


def test_a_table_that_could_not_be_had_keeps_an_alert_from_being_called_unfounded(tmp_path):
    world = make(61, 700)
    whole, _ = diagnose(world.bundle(tmp_path / "whole"))
    assert whole.verdict == "healthy"
    assert [a.action for a in whole.actions] == ["close"]
    world.drop = {"served"}
    found, _ = diagnose(world.bundle(tmp_path / "b"))
    assert found.verdict == "inconclusive"
    assert found.actions == []
    assert "served" in found.summary.partition("Not seen: ")[2]
