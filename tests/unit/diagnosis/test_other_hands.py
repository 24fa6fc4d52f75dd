"""What others changed or broke: a setting that names both cuts, another team's task that did not deliver."""

import pandas as pd
import pytest

from tests.unit.diagnosis.world import END, FIRST, START
from triagebook.analysis.cutoff import Cut
from triagebook.core.models import Alert, Change, Edge, Service, TaskRun, Windows
from triagebook.diagnosis.answer import CHECKS
from triagebook.diagnosis.checks.decisions import config_change
from triagebook.diagnosis.context import Context
from triagebook.evidence.bundle import Bundle, write_bundle

SINCE = END - pd.Timedelta("6h")
HOUR, SECOND = pd.Timedelta("1h"), pd.Timedelta("1s")


def context(tmp_path, changes=(), pipeline=None, topology=None, **service):
    write_bundle(
        tmp_path / "b",
        alert=Alert(starts_at=END, incident_type="unknown"),
        service=Service(name="s", **service),
        windows=Windows(reference=(FIRST, START), current=(START, END)),
        ledger=[],
        changes=list(changes) or None,
        pipeline=pipeline,
        topology=topology,
    )
    return Context(Bundle.read(tmp_path / "b"))


# --- cuts -----------------------------------------------------------------------------------------


def setting(ago, old="0.5", new="0.62", what="svc.limit", kind="config"):
    return Change(ts=SINCE - ago, kind=kind, what=what, **{"from": old, "to": new})


def found_by(tmp_path, *changes):
    cut = Cut(0.5, 0.62, 0.0, 0.1, 400, 0)
    return config_change(context(tmp_path, changes), SINCE, cut)


@pytest.mark.parametrize(
    ("ago", "there"),
    [
        (-10 * 60 * SECOND - SECOND, False),
        (-10 * 60 * SECOND, True),
        (6 * HOUR + SECOND, True),
        (24 * HOUR, True),
        (24 * HOUR + SECOND, False),
    ],
)
def test_a_change_that_names_both_cuts_may_be_a_day_older(ago, there, tmp_path):
    assert (found_by(tmp_path, setting(ago)) is not None) == there


@pytest.mark.parametrize(("ago", "there"), [(6 * HOUR, True), (6 * HOUR + SECOND, False)])
@pytest.mark.parametrize(
    "vague",
    [
        {"new": "0.9"},
        {"old": None, "what": "svc.threshold"},
        {"old": None, "new": None, "what": "svc.cutoff"},
    ],
)
def test_a_change_that_does_not_has_to_be_near(ago, vague, there, tmp_path):
    assert (found_by(tmp_path, setting(ago, **vague)) is not None) == there


def test_both_cuts_named_hours_before_outweigh_a_setting_close_by(tmp_path):
    exact, close = setting(20 * HOUR), setting(HOUR / 2, "3", "4", "svc.threads")
    assert found_by(tmp_path, close, exact).what == "svc.limit"


@pytest.mark.parametrize(("new", "there"), [("0.639", True), ("0.641", False)])
def test_a_cut_is_named_within_two_hundredths(new, there, tmp_path):
    assert (found_by(tmp_path, setting(12 * HOUR, new=new)) is not None) == there


# --- tasks ----------------------------------------------------------------------------------------

THEIRS = "psycopg.OperationalError: connection refused"
WAITED = "sensor timed out: waiting for orders, not delivered"


def runs(*, ours=WAITED, ours_state="failed", ours_in="ours", ours_at=START + 30 * HOUR):
    """Two pipelines, hourly; in the last run theirs fails, and ours."""

    def one(pipeline, task, at, state="success", error=None):
        return TaskRun(
            pipeline=pipeline,
            run=f"{pipeline}{at:%d%H}",
            task=task,
            state=state,
            start=at,
            end=at + pd.Timedelta("5min"),
            error=error,
        )

    good = [
        one(p, t, START + h * HOUR)
        for h in range(28)
        for p, t in (("theirs", "export"), (ours_in, "build"))
    ]
    last = START + 29 * HOUR
    return [
        *good,
        one("theirs", "export", last, "failed", THEIRS),
        one(ours_in, "build", ours_at, ours_state, ours if ours_state == "failed" else None),
    ]


def told(tmp_path, tasks=("ours.build",), **kind):
    topology = [Edge(**{"from": "export", "to": "build", "kind": "feeds"})]
    ctx = context(
        tmp_path, pipeline=runs(**kind), topology=topology, tasks=list(tasks), tables=["orders"]
    )
    (answer,) = CHECKS.get("pipeline.tasks").run(ctx)
    first = max(answer.signals, key=lambda s: s.weight)
    return answer, (first.cause, first.locus)


MISSING = ("pipeline.input_missing", "table:orders")
DOWN = "pipeline.dependency_down"


def test_what_another_team_did_not_deliver_is_missing_at_its_table(tmp_path):
    answer, named = told(tmp_path)
    assert answer.verdict == "bad"
    assert named == MISSING
    assert "export" in answer.statement


@pytest.mark.parametrize(
    ("why", "tasks", "kind"),
    [
        ("their task is ours as well", ("ours.build", "theirs.export"), {}),
        ("nobody says which tasks are ours", (), {}),
        ("ours went well", ("ours.build",), {"ours_state": "success"}),
        ("ours says nothing of waiting", ("ours.build",), {"ours": "ZeroDivisionError: by zero"}),
        ("both are of one pipeline", ("theirs.build",), {"ours_in": "theirs"}),
        ("ours ran after the window", ("ours.build",), {"ours_at": END + HOUR}),
    ],
)
def test_else_the_failed_task_is_named_by_its_own_error(why, tasks, kind, tmp_path):
    _, (cause, _) = told(tmp_path, tasks, **kind)
    assert cause == DOWN, why


def test_our_task_may_be_known_by_its_bare_name(tmp_path):
    assert told(tmp_path, ("build",))[1] == MISSING
