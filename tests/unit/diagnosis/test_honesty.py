"""What was not seen is unknown, what breaks costs itself, and the same bundle gives the same answer."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from tests.unit.diagnosis.test_faults import kilometres
from tests.unit.diagnosis.world import ONSET, make
from triagebook.analysis import logs
from triagebook.core.models import Alert, Service, TableSpec, TaskRun, Windows, to_json
from triagebook.diagnosis import diagnose as module
from triagebook.diagnosis.answer import Answer, Signal
from triagebook.diagnosis.confidence import CAP
from triagebook.diagnosis.context import Context
from triagebook.diagnosis.diagnose import diagnose, replay
from triagebook.diagnosis.ranking import rank
from triagebook.diagnosis.severity import severity
from triagebook.evidence.bundle import Bundle, write_bundle

END = pd.Timestamp("2026-03-18T18:00Z")


def without_timings(diagnosis):
    return json.loads(to_json(diagnosis.model_copy(update={"timings": {}})))


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    world = make(seed=41)
    kilometres(world)
    folder = tmp_path_factory.mktemp("w") / "b"
    world.bundle(folder)
    return folder


def test_the_same_bundle_gives_the_same_diagnosis(broken, tmp_path):
    first, _ = diagnose(Bundle.read(broken))
    moved = shutil.copytree(broken, tmp_path / "elsewhere" / "evidence")
    assert without_timings(replay(moved)) == without_timings(first)


def test_confidences_and_what_is_left_add_up_to_one(broken):
    found, _ = diagnose(Bundle.read(broken))
    total = sum(h.confidence for h in found.hypotheses) + found.none_of_these
    assert total == pytest.approx(1, abs=1e-3)
    ordered = [h.confidence for h in found.hypotheses]
    assert ordered == sorted(ordered, reverse=True)


def test_every_finding_cites_pulls_of_the_ledger_and_ids_are_unique(broken):
    found, _ = diagnose(Bundle.read(broken))
    known = {e.id for e in found.ledger}
    assert all(set(f.evidence) <= known for f in found.findings)
    # What is said to be so rests on something that was pulled.
    assert [f.check for f in found.findings if f.verdict != "unknown" and not f.evidence] == []
    assert len({f.id for f in found.findings}) == len(found.findings)
    named = {i for h in found.hypotheses for i in (*h.for_, *h.against)}
    assert named <= {f.id for f in found.findings}


@pytest.mark.parametrize("table", ["served", "truth"])
def test_a_source_without_an_answer_is_unknown_and_never_fine(table, tmp_path):
    world = make(seed=42)
    kilometres(world)
    world.drop = {table}
    found, _ = diagnose(world.bundle(tmp_path / "b"))
    gone = {e.id for e in found.ledger if e.status == "unavailable"}
    assert gone
    for finding in found.findings:
        if finding.evidence and set(finding.evidence) <= gone:
            assert finding.verdict == "unknown"
    asked = {"served": "model.output_moved", "truth": "model.measured_performance"}[table]
    assert [f.verdict for f in found.findings if f.check == asked] == ["unknown"]
    assert found.hypotheses[0].cause == "data.unit_change"


def empty(tmp_path, **parts):
    write_bundle(
        tmp_path / "e",
        alert=Alert(incident_type=parts.pop("incident_type", "drift"), starts_at=END),
        service=Service(name="s", tasks=["p.load"], dependencies=["feed"], hosts={"load": "h1"}),
        windows=Windows(
            reference=(END - pd.Timedelta("30D"), END - pd.Timedelta("2D")),
            current=(END - pd.Timedelta("2D"), END),
        ),
        ledger=[],
        **parts,
    )
    return Bundle.read(tmp_path / "e")


@pytest.mark.parametrize("kind", ["drift", "unknown", "latency", "nonsense"])
def test_no_evidence_at_all_is_inconclusive(kind, tmp_path):
    found, _ = diagnose(empty(tmp_path, incident_type=kind))
    assert found.verdict == "inconclusive"
    assert not any(f.verdict == "bad" for f in found.findings)
    assert found.onset is None


def at(n):
    return pd.date_range(END - pd.Timedelta("1D"), END - pd.Timedelta("1h"), periods=n)


BROKEN_TABLES = {
    "no time column": (pd.DataFrame({"x": np.arange(50.0)}), pd.DataFrame({"x": np.arange(50.0)})),
    "no rows now": (
        pd.DataFrame({"t": at(50), "x": np.arange(50.0)}),
        pd.DataFrame({"t": at(0), "x": []}),
    ),
    "all null": (
        pd.DataFrame({"t": at(50), "x": [None] * 50}),
        pd.DataFrame({"t": at(50), "x": [None] * 50}),
    ),
    "other types": (
        pd.DataFrame({"t": at(50), "x": np.arange(50.0)}),
        pd.DataFrame({"t": at(50), "x": ["a"] * 50}),
    ),
    "one row": (pd.DataFrame({"t": at(1), "x": [1.0]}), pd.DataFrame({"t": at(1), "x": [2.0]})),
    "infinite": (
        pd.DataFrame({"t": at(400), "x": np.r_[np.arange(399.0), np.inf]}),
        pd.DataFrame({"t": at(400), "x": np.r_[np.arange(399.0), -np.inf]}),
    ),
    "lists": (
        pd.DataFrame({"t": at(30), "x": [[1]] * 30}),
        pd.DataFrame({"t": at(30), "x": [[2]] * 30}),
    ),
}


@pytest.mark.parametrize("kind", ["drift", "unknown"])
@pytest.mark.parametrize("name", BROKEN_TABLES)
def test_a_table_that_is_odd_costs_no_more_than_itself(name, kind, tmp_path):
    old, new = BROKEN_TABLES[name]
    spec = TableSpec(role="raw", time_column="t" if "t" in old else None)
    found, _ = diagnose(empty(tmp_path, incident_type=kind, tables={"odd": (spec, old, new)}))
    assert not [f.statement for f in found.findings if "failed:" in f.statement]


def test_half_a_file_is_named(broken, tmp_path):
    copy = shutil.copytree(broken, tmp_path / "b")
    path = copy / "tables" / "source" / "current.parquet"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    found, _ = diagnose(Bundle.read(copy))
    (finding,) = [f for f in found.findings if f.verdict == "unknown" and f.locus == "table:source"]
    assert "current.parquet" in finding.statement
    assert not [f.statement for f in found.findings if "failed:" in f.statement]
    # The next table downstream still shows it.
    assert found.hypotheses[0].cause == "data.unit_change"


def test_a_check_that_raises_costs_its_own_finding(broken, monkeypatch):
    ask = module._ask

    def one_raises(ctx: Context, check_id: str):
        if check_id == "data.keys":
            monkeypatch.setattr(Context, "view", lambda _self, _name: 1 / 0)
            try:
                return ask(ctx, check_id)
            finally:
                monkeypatch.undo()
        return ask(ctx, check_id)

    with monkeypatch.context() as patch:
        patch.setattr(module, "_ask", one_raises)
        found, _ = diagnose(Bundle.read(broken))
    (finding,) = [f for f in found.findings if f.check == "data.keys"]
    assert finding.verdict == "unknown"
    assert "ZeroDivisionError" in finding.statement
    assert found.hypotheses[0].cause == "data.unit_change"


def runs(error):
    def one(task, hour, state, upstream, text=None):
        start = END - pd.Timedelta(hours=hour)
        return TaskRun(
            pipeline="p",
            run=f"r{hour}",
            task=task,
            state=state,
            start=start,
            end=start + pd.Timedelta("5min"),
            upstream=upstream,
            error=text,
        )

    good = [
        one(t, h, "success", u)
        for h in range(3, 60)
        for t, u in (("load", []), ("build", ["load"]))
    ]
    return [
        *good,
        one("load", 2, "failed", [], error),
        one("build", 2, "upstream_failed", ["load"]),
    ]


LINES = {
    "pipeline.out_of_memory": "Killed: exit code 137 (OOMKilled)",
    "pipeline.disk_full": "OSError: [Errno 28] No space left on device: '/tmp/x'",
    "pipeline.auth_expired": "403 Forbidden: token expired for feed",
    "pipeline.dependency_down": "ConnectionError: feed: connection refused",
    "pipeline.bad_dependency_version": "ImportError: cannot import name 'x'",
    "pipeline.bad_config": "missing environment variable DB_URL",
    "pipeline.input_missing": "FileNotFoundError: orders/2026-03-18.parquet",
    "pipeline.contract_rejected": "data validation failed: orders: 3 expectations",
    "pipeline.deploy_failed": "failed to load model m from registry",
    "pipeline.code_error": "Traceback (most recent call last):\nZeroDivisionError: division by zero",
}


@pytest.mark.parametrize("cause", LINES)
def test_a_failed_task_is_named_by_its_error_and_what_followed_is_not_blamed(cause, tmp_path):
    assert {c for c, _ in logs.TROUBLES} == {*LINES, "pipeline.slow"}
    found, _ = diagnose(empty(tmp_path, incident_type="unknown", pipeline=runs(LINES[cause])))
    first = found.hypotheses[0]
    assert first.cause == cause
    assert found.verdict == "cause_found"
    assert found.incident_type == "pipeline_failure"
    if first.locus.startswith("task:"):
        assert first.locus == "task:p.load"
    (finding,) = [f for f in found.findings if f.check == "pipeline.tasks"]
    assert "build did not run after it" in finding.statement


def signal(cause, locus, weight, headline="h"):
    return Signal(cause, locus, weight, headline=headline)


def ranked(*answers):
    pairs = []
    for number, answer in enumerate(answers, 1):
        finding = type("F", (), {"id": f"F{number:02d}", "check": "made.up"})()
        pairs.append((answer, finding))
    return rank(pairs, "s")


def answer(*signals, verdict="bad"):
    return Answer(locus="service:s", verdict=verdict, statement="x", signals=signals)


def test_weights_add_up_and_are_capped():
    found, _ = ranked(answer(signal("data.stale", "table:t", 50.0), signal("none", "*", -9.0)))
    assert found[0].cause == "data.stale"
    assert found[0].confidence == pytest.approx(np.exp(CAP) / (1 + np.exp(CAP)), abs=0.02)


def test_what_is_unknown_speaks_for_nothing():
    found, left = ranked(answer(signal("data.stale", "table:t", 5.0), verdict="unknown"))
    assert all(not h.for_ for h in found)
    assert left > 0.4


def test_the_best_explanation_of_a_column_takes_from_the_others():
    alone, _ = ranked(answer(signal("data.corrupted_values", "column:t.x", 2.0)))
    both, _ = ranked(
        answer(
            signal("data.corrupted_values", "column:t.x", 2.0),
            signal("data.unit_change", "column:t.x", 4.0),
        )
    )
    rest = {h.cause: h.confidence for h in both}
    assert rest["data.unit_change"] > 0.8
    assert rest.get("data.corrupted_values", 0) < alone[0].confidence / 3


@pytest.mark.parametrize(
    ("wrong", "criticality", "level"),
    [
        (0.2499, "high", "SEV2"),
        (0.25, "high", "SEV1"),
        (0.2501, "high", "SEV1"),
        (0.9, "medium", "SEV2"),
        (0.0499, "medium", "SEV3"),
        (0.05, "medium", "SEV2"),
        (0.0049, "high", "SEV3"),
        (0.005, "high", "SEV2"),
        (0.0009, "medium", "SEV4"),
        (0.001, "medium", "SEV3"),
        (None, "high", "SEV2"),
        (None, "low", "SEV3"),
    ],
)
def test_severity_follows_its_table(wrong, criticality, level):
    found = severity(
        Service(criticality=criticality),
        "cause_found",
        [],
        wrong_share=wrong,
        going_on=True,
        fault=True,
    )
    assert found.level == level
    assert found.because


def test_what_has_stopped_is_one_level_less_and_no_fault_is_the_least():
    kind = {"wrong_share": 0.5, "fault": True}
    service = Service(criticality="high")
    assert severity(service, "cause_found", [], going_on=False, **kind).level == "SEV2"
    assert severity(service, "healthy", [], going_on=True, **kind).level == "SEV4"


def test_impact_lies_in_its_range_and_actions_name_what_they_touch(broken):
    found, _ = diagnose(Bundle.read(broken))
    for impact in found.impact:
        if impact.low is not None:
            assert impact.low <= impact.value <= impact.high
    kinds = [a.action for a in found.actions]
    assert kinds == ["quarantine", "correct_data"]
    assert found.actions[1].params["factor"] == pytest.approx(1.609344)
    assert all(a.dry_run and a.inverse and a.risk for a in found.actions)
    assert abs(found.onset.at - ONSET) <= pd.Timedelta("45min")
