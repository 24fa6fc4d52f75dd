"""What it cost, and what could be done: figures with their range, proposals with their inverse."""

import pandas as pd
import pytest

from tests.unit.diagnosis.test_faults import kilometres, nulls
from tests.unit.diagnosis.world import END, ONSET, make
from triagebook.core.models import Change, Hypothesis, Onset, Severity
from triagebook.diagnosis.actions import _PLAIN, propose
from triagebook.diagnosis.catalogue import CAUSES
from triagebook.diagnosis.context import Context
from triagebook.diagnosis.diagnose import diagnose
from triagebook.diagnosis.impact import toll
from triagebook.diagnosis.severity import severity
from triagebook.evidence.bundle import Bundle


@pytest.fixture(scope="module")
def priced(tmp_path_factory):
    """Return a diagnosis of kilometres for miles after a deploy, at a price a wrong decision."""
    folder = tmp_path_factory.mktemp("w") / "b"
    world = make(seed=61)
    _, locus = kilometres(world)
    world.changes = [
        Change(ts=ONSET - pd.Timedelta("9min"), what="loader", from_="4", to="5", by="ci")
    ]
    bundle = world.bundle(folder)
    bundle.service.price = 2.5
    found, ctx = diagnose(bundle)
    return found, ctx, locus, world


def figure(found, what):
    return next(i for i in found.impact if i.what == what)


def test_each_figure_lies_in_its_range_and_says_how_it_was_computed(priced):
    found = priced[0]
    assert [i.what for i in found.impact] == [
        "minutes since the onset",
        "predictions served since the onset",
        "predictions likely wrong",
        "positive share",
        "cost",
    ]
    for impact in found.impact:
        assert impact.how
        assert impact.low is None or impact.low <= impact.value <= impact.high


def test_rows_and_minutes_are_counted_from_the_onset(priced):
    found, _, _, world = priced
    served = world.predictions["at"]
    rows = int((served.between(found.onset.at, END, inclusive="left")).sum())
    assert figure(found, "predictions served since the onset").value == rows
    minutes = (END - found.onset.at).total_seconds() / 60
    assert figure(found, "minutes since the onset").value == pytest.approx(minutes, abs=0.1)


def test_the_cost_is_the_wrong_ones_times_the_price(priced):
    wrong, cost = (figure(priced[0], w) for w in ("predictions likely wrong", "cost"))
    for part in ("value", "low", "high"):
        assert getattr(cost, part) == pytest.approx(2.5 * getattr(wrong, part), abs=1.3)


def test_the_deploy_is_rolled_back_the_rows_set_aside_the_values_converted(priced):
    found, _, locus, world = priced
    back, aside, correct = found.actions
    assert (back.action, back.target) == ("roll_back", "loader")
    assert back.params == {"from": "5", "to": "4"}
    assert "by ci" in back.dry_run
    assert back.inverse == "deploy 5 again"
    assert (aside.action, aside.target) == ("quarantine", "table:source")
    rows = int((world.raw["at"].between(found.onset.at, END, inclusive="left")).sum())
    assert aside.dry_run.startswith(f"{rows} rows of source")
    assert aside.params == {"since": found.onset.at.isoformat().replace("+00:00", "Z")}
    assert (correct.action, correct.target) == ("correct_data", locus)
    assert correct.params["factor"] == pytest.approx(1.609344)
    assert correct.params["column"] == world.names["amount"]


def test_a_fault_without_a_constant_is_not_converted(tmp_path):
    world = make(seed=62)
    nulls(world)
    found, _ = diagnose(world.bundle(tmp_path / "b"))
    assert [a.action for a in found.actions] == ["quarantine"]


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    folder = tmp_path_factory.mktemp("calm") / "b"
    make(seed=63, per_day=60).bundle(folder)
    return Context(Bundle.read(folder))


@pytest.mark.parametrize("cause", CAUSES)
def test_every_cause_has_a_proposal_that_says_what_it_would_do(cause, calm):
    one = CAUSES[cause]
    first = Hypothesis(
        cause=cause, locus=f"{one.locus}:p.x", confidence=0.9, actions=list(one.moves)
    )
    proposed = propose(calm, first, None)
    assert [a.action for a in proposed] == list(one.moves[:2])
    for action in proposed:
        assert action.mode == "off"
        assert action.target == first.locus
        assert all((action.title, action.dry_run, action.inverse, action.risk))


def test_no_hypothesis_no_proposal_and_no_toll(calm):
    assert propose(calm, None, None) == []
    nothing = toll(calm, None, None)
    assert (nothing.impact, nothing.wrong_share) == ([], None)


def test_rows_of_a_table_that_is_not_there_are_not_counted(calm):
    first = Hypothesis(
        cause="data.corrupted_values",
        locus="column:gone.x",
        confidence=0.9,
        actions=["quarantine"],
    )
    onset = Onset.model_validate({"at": ONSET, "low": ONSET, "high": ONSET, "from": "test"})
    (action,) = propose(calm, first, onset)
    assert action.dry_run == "how many rows it touches is not known"


def test_every_move_of_the_catalogue_is_known_in_words():
    assert {move for cause in CAUSES.values() for move in cause.moves} <= set(_PLAIN)


@pytest.mark.parametrize(
    ("wrong", "critical", "going_on", "level"),
    [
        (0.0499, "low", True, "SEV3"),
        (0.05, "low", True, "SEV2"),
        (0.0501, "low", True, "SEV2"),
        (0.05, "low", False, "SEV3"),
        (0.25, "high", False, "SEV2"),
        (0.2499, "high", False, "SEV3"),
        (0.0049, "high", False, "SEV3"),
        (0.0, "high", True, "SEV4"),
        (1.0, None, True, "SEV2"),
        (None, None, False, "SEV3"),
        (None, "high", False, "SEV3"),
    ],
)
def test_severity_at_its_thresholds_and_once_it_stopped(wrong, critical, going_on, level, priced):
    service = priced[0].service.model_copy(update={"criticality": critical})
    found = severity(service, "cause_found", [], wrong_share=wrong, going_on=going_on, fault=True)
    assert isinstance(found, Severity)
    assert found.level == level
    assert ("still going on" in found.because[-1]) == going_on


@pytest.mark.parametrize("going_on", [True, False])
def test_a_resolved_alert_is_not_said_to_go_on(going_on, priced):
    found = severity(
        priced[0].service.model_copy(update={"criticality": "high"}),
        "cause_found",
        [],
        wrong_share=0.25,
        going_on=going_on,
        fault=True,
        resolved=True,
    )
    assert found.level == ("SEV1" if going_on else "SEV2")
    said = "it went on until the alert was resolved" if going_on else "it has stopped"
    assert found.because[-1].startswith(said)


@pytest.mark.parametrize(
    ("wrong", "level"), [(0.0, "SEV3"), (0.0009, "SEV3"), (0.001, "SEV3"), (0.05, "SEV2")]
)
def test_what_will_meet_a_limit_is_no_sev4_though_nothing_fails_yet(wrong, level, priced):
    service = priced[0].service.model_copy(update={"criticality": "low"})
    found = severity(
        service, "cause_found", [], wrong_share=wrong, going_on=True, fault=True, climbs=True
    )
    assert found.level == level
    assert any("will meet its limit" in said for said in found.because) == (wrong < 0.001)


@pytest.mark.parametrize(
    ("locus", "concerned"),
    [
        ("dependency:partner", False),
        ("dependency:store", True),
        ("service:store", True),
        ("instance:store-7d4f", True),
        ("column:inputs.amount", True),
        ("task:daily.load", True),
    ],
)
def test_only_a_change_of_what_is_to_blame_is_rolled_back(locus, concerned, calm):
    cause = {"dependency": "latency.slow_dependency", "column": "data.unit_change"}
    first = Hypothesis(
        cause=cause.get(locus.partition(":")[0], "resources.memory_leak"),
        locus=locus,
        confidence=0.9,
        actions=["roll_back", "call_owner"],
    )
    change = Change(ts=ONSET, kind="deploy", what="store → 7", to="7")
    calm.results["suspects"] = [(change, "store")]
    made = [a.action for a in propose(calm, first, None)]
    del calm.results["suspects"]
    assert ("roll_back" in made) == concerned
    assert made
