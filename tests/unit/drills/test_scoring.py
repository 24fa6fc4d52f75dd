from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.scenarios.__main__ import main
from tests.scenarios.cases import Case, Guess, judge, play_case
from tests.scenarios.figures import calibration, everyone, figures, firsts
from tests.scenarios.report import report
from triagebook.drills.scenario import Planted, Scenario, Truth

ONSET = datetime(2026, 3, 2, tzinfo=UTC)
UNIT = Planted("data.unit_change", ("column:a.x", "column:b.x"))
SLOW = Planted("pipeline.slow", ("task:p.t",))
RIGHT = ("data.unit_change", "column:b.x")
OTHER = ("drift.feature_shift", "feature:x")


def truth(*planted: Planted, inconclusive: bool = False) -> Truth:
    return Truth(tuple(planted), ONSET if planted else None, 300.0, inconclusive)


@pytest.mark.parametrize(
    ("planted", "verdict", "ranked", "judged"),
    [
        ((UNIT,), "cause_found", [RIGHT], (True, True, False)),
        ((UNIT,), "cause_found", [OTHER, OTHER, RIGHT], (False, True, False)),
        ((UNIT,), "cause_found", [OTHER, OTHER, OTHER, RIGHT], (False, False, False)),
        ((UNIT,), "cause_found", [("data.unit_change", "column:a.y")], (False, False, False)),
        ((UNIT,), "inconclusive", [], (False, False, False)),
        ((UNIT, SLOW), "cause_found", [RIGHT, OTHER], (True, False, False)),
        ((UNIT, SLOW), "cause_found", [("pipeline.slow", "task:p.t"), RIGHT], (True, True, False)),
        ((), "healthy", [("none", "service:s")], (True, True, False)),
        ((), "healthy", [], (True, True, False)),
        ((), "inconclusive", [OTHER], (False, False, True)),
        ((), "cause_found", [OTHER], (False, False, True)),
    ],
)
def test_judges_by_cause_and_locus(planted, verdict, ranked, judged):
    assert judge(truth(*planted), verdict, ranked) == judged


def test_two_faults_of_one_cause_must_both_be_named():
    two = truth(
        Planted("data.unit_change", ("column:a.x",)), Planted("data.unit_change", ("column:a.y",))
    )
    assert judge(two, "cause_found", [("data.unit_change", "column:a.x")]) == (True, False, False)


def test_inconclusive_is_right_only_where_what_decides_is_missing():
    ranked = [OTHER, ("data.unit_change", "column:elsewhere.x")]
    assert judge(truth(UNIT, inconclusive=True), "inconclusive", ranked) == (True, True, False)
    assert judge(truth(UNIT), "inconclusive", ranked) == (False, False, False)
    assert judge(truth(UNIT, inconclusive=True), "cause_found", ranked) == (False, False, False)
    assert judge(truth(UNIT, inconclusive=True), "inconclusive", [OTHER]) == (False, False, False)


def test_a_planted_harmless_movement_is_blamed_when_a_fault_stands_first():
    harmless = truth(Planted("drift.harmless", ("feature:x",)))
    assert judge(harmless, "inconclusive", [OTHER, ("drift.harmless", "feature:x")]) == (
        False,
        True,
        True,
    )


def case(**given) -> Case:
    about = {"scenario": "s", "world": "w", "seed": 0, "incident_type": "drift"}
    return Case(**about, **{"difficulty": "plain", **given})


def test_confidences_of_no_fault_count_together_where_nothing_was_planted():
    guesses = (
        Guess("none", "service:s", 0.4, right=True),
        Guess("drift.harmless", "feature:x", 0.3, right=True),
        Guess("data.stale", "table:t", 0.2, right=False),
    )
    healthy = case(difficulty="healthy", guesses=guesses)
    assert firsts(healthy) == [(pytest.approx(0.7), True)]
    assert everyone(healthy) == [(0.2, False), (pytest.approx(0.7), True)]
    assert everyone(case(truth=((UNIT.cause, UNIT.loci),), guesses=guesses)) == [
        (0.4, True),
        (0.3, True),
        (0.2, False),
    ]


def test_calibration_is_zero_when_nine_of_ten_at_nine_tenths_are_right():
    assert calibration([(0.9, at % 10 > 0) for at in range(100)])["ece"] == pytest.approx(0.0)


def test_bins_hold_equal_counts():
    found = calibration([(at / 100, at % 2 == 0) for at in range(100)])
    assert [b["n"] for b in found["bins"]] == [10] * 10


def test_calibration_measures_overconfidence():
    found = calibration([(0.8, False)] * 20 + [(0.2, False)] * 20)
    assert found["ece"] == pytest.approx(0.5)
    assert calibration([])["ece"] is None


def test_figures_count_onsets_that_were_not_found_apart():
    planted = ((UNIT.cause, UNIT.loci),)
    cases = [
        case(truth=planted, top1=True, top3=True, onset_due=True, onset_steps=-3.0),
        case(truth=planted, onset_due=True),
        case(difficulty="healthy", well=True, verdict="healthy", top1=True, top3=True),
        case(difficulty="healthy", well=True, blamed=True),
        case(error="Traceback"),
    ]
    found = figures(cases)
    assert found["onset"]["median_steps"] == 3.0
    assert found["onset"]["not_found"] == 1
    assert found["with_fault"] == {"cases": 2, "top1": 0.5, "top3": 0.5}
    assert found["healthy"]["blamed_share"] == 0.5
    assert found["by"]["cause"].keys() == {"data.unit_change", "(nothing)", "(broke)"}
    assert len(found["misses"]) == 3
    text = report(found, "python -m tests.scenarios")
    assert "data.unit_change" in text
    assert "broke: Traceback" in text


def test_a_broken_play_is_a_miss_and_shown():
    scenario = Scenario(
        name="s", title="t", world="no such world", incident_type="drift", difficulty="plain"
    )
    found = play_case(scenario, 0)
    assert not found.top1
    assert "no world is called" in found.error


def test_nothing_to_play_is_wrong_usage(tmp_path, capsys):
    assert main(["--library", str(tmp_path)]) == 2
    assert "no scenario matches" in capsys.readouterr().err
