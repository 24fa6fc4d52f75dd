"""The sums behind the confidences: priors, caps, what competes with what, and what is kept."""

from functools import partial

import numpy as np
import pytest

from triagebook.core.errors import RegistryError
from triagebook.diagnosis import ranking
from triagebook.diagnosis.answer import Answer, Signal
from triagebook.diagnosis.confidence import CAP, probabilities
from triagebook.diagnosis.ranking import EXPECTED_PRIOR, HARD, KEEP, PRIOR, SEEN, rank


@pytest.fixture(autouse=True)
def _plain_softmax(monkeypatch):
    # What is summed is tested here; the fitted numbers that follow are others' concern.
    plain = partial(probabilities, sharpness=1.0, nothing=0.0)
    monkeypatch.setattr(ranking, "probabilities", plain)


def ranked(*answers):
    """Rank answers whose findings are F01, F02, …; confidences by (cause, locus)."""
    pairs = [
        (a, type("F", (), {"id": f"F{n:02d}", "check": "made.up"})())
        for n, a in enumerate(answers, 1)
    ]
    found, left = rank(pairs, "s")
    assert sum(h.confidence for h in found) + left == pytest.approx(1, abs=1e-3)
    return {(h.cause, h.locus): h for h in found}, left


def said(*signals, verdict="bad"):
    return Answer(locus="service:s", verdict=verdict, statement="x", signals=signals)


def signal(cause, locus, weight, headline="h", mechanism="m"):
    return Signal(cause, locus, weight, headline=headline, mechanism=mechanism)


NOTHING = ("none", "service:s")
STALE = ("data.stale", "table:t")


def test_nothing_said_leaves_nothing_and_none_of_these():
    found, left = ranked()
    odds = np.exp(EXPECTED_PRIOR)
    assert found[NOTHING].confidence == pytest.approx(odds / (1 + odds), abs=1e-4)
    assert left == pytest.approx(1 / (1 + odds), abs=1e-4)


def test_confidence_is_the_softmax_of_prior_and_evidence():
    found, left = ranked(said(signal(*STALE, 2.0)), said(signal(*STALE, 0.5)))
    odds = np.exp([PRIOR + 2.5, EXPECTED_PRIOR])
    total = odds.sum() + 1
    assert found[STALE].confidence == pytest.approx(odds[0] / total, abs=1e-4)
    assert found[NOTHING].confidence == pytest.approx(odds[1] / total, abs=1e-4)
    assert left == pytest.approx(1 / total, abs=1e-4)
    assert found[STALE].for_ == ["F01", "F02"]


@pytest.mark.parametrize(
    ("weight", "there"), [(-1.0, False), (0.29, False), (0.3, True), (0.31, True)]
)
def test_a_hypothesis_has_to_be_spoken_for(weight, there):
    found, _ = ranked(said(signal(*STALE, weight)))
    assert (STALE in found) == there


def test_what_has_no_headline_opens_no_hypothesis():
    found, _ = ranked(said(signal(*STALE, 3.0, headline="")))
    assert set(found) == {NOTHING}


def test_a_star_speaks_to_every_locus_of_a_cause_and_opens_none():
    other = ("data.stale", "table:u")
    found, _ = ranked(
        said(signal(*STALE, 2.0), signal(*other, 2.0)),
        said(Signal("data.stale", "*", -1.0), Signal("data.missing_rows", "*", 3.0)),
    )
    assert found[STALE].confidence == found[other].confidence
    assert found[STALE].against == ["F02"]
    assert not any(cause == "data.missing_rows" for cause, _ in found)


@pytest.mark.parametrize(("weight", "cited"), [(-0.29, False), (-0.3, True), (-0.31, True)])
def test_what_hardly_weighs_is_not_cited(weight, cited):
    found, _ = ranked(said(signal(*STALE, 3.0)), said(Signal(*STALE, weight)))
    assert (found[STALE].against == ["F02"]) == cited


def test_the_strongest_evidence_is_named_first_and_gives_the_headline():
    found, _ = ranked(
        said(signal(*STALE, 1.0, "weak", "little")), said(signal(*STALE, 2.0, "strong", "much"))
    )
    assert found[STALE].for_ == ["F02", "F01"]
    assert (found[STALE].headline, found[STALE].mechanism) == ("strong", "much")


def test_the_unknown_costs_nothing_some_of_its_odds():
    sure, left = ranked(said(verdict="ok"))
    unsure, less = ranked(*[said(verdict="unknown")] * 4)  # of one subject: counted once
    before, after = sure[NOTHING].confidence / left, unsure[NOTHING].confidence / less
    assert after == pytest.approx(before * np.exp(-0.15), rel=1e-3)


@pytest.mark.parametrize(("weight", "less"), [(HARD - 0.01, 0.0), (HARD, 1.5), (HARD + 0.01, 1.5)])
def test_plain_evidence_of_a_fault_takes_from_seasons(weight, less):
    season = ("drift.seasonal", "feature:x")
    found, _ = ranked(said(signal(*STALE, weight)), said(signal(*season, 2.0)))
    ratio = np.log(found[STALE].confidence / found[season].confidence)
    assert ratio == pytest.approx(PRIOR + weight - (EXPECTED_PRIOR + 2.0 - less), abs=0.01)
    assert (found[season].against == ["F01"]) == bool(less)


@pytest.mark.parametrize("weight", [CAP - PRIOR - 0.1, CAP - PRIOR, CAP - PRIOR + 50])
def test_no_evidence_is_surer_than_the_cap(weight):
    found, _ = ranked(said(signal(*STALE, weight), Signal("none", "*", -9.0)))
    most = np.exp(CAP) / (1 + np.exp(CAP))
    assert found[STALE].confidence <= most
    assert found[STALE].confidence == pytest.approx(
        np.exp(min(PRIOR + weight, CAP)) / (1 + np.exp(min(PRIOR + weight, CAP))), abs=0.001
    )


def test_explanations_of_one_column_compete_and_of_two_do_not():
    here, there = ("data.unit_change", "column:t.x"), ("drift.feature_shift", "feature:x")
    apart = ("drift.feature_shift", "feature:y")
    found, _ = ranked(said(signal(*here, 3.0), signal(*there, 2.0), signal(*apart, 2.0)))
    assert found[apart].confidence == pytest.approx(
        found[there].confidence * np.exp(0.5 * (PRIOR + 3.0)), rel=0.01
    )


def test_two_seasons_stand_for_all():
    seasons = [("drift.seasonal", f"feature:{n}") for n in "abcd"]
    found, _ = ranked(said(*[signal(*s, 2.0 + i / 10) for i, s in enumerate(seasons)]))
    kept = {key for key in found if key[0] == "drift.seasonal"}
    assert kept == set(seasons[2:])


def test_six_are_kept_and_the_rest_is_none_of_these():
    many = [("data.stale", f"table:t{n}") for n in range(9)]
    found, left = ranked(said(*[signal(*key, 2.0) for key in many]))
    assert len(found) == KEEP
    # Ties are settled by name, so that the same bundle gives the same list.
    assert [locus for _, locus in found] == [f"table:t{n}" for n in range(KEEP)]
    assert left > 3 * found[many[0]].confidence


def test_the_order_of_the_answers_does_not_matter_to_the_confidences():
    answers = [
        said(signal(*STALE, 1.7)),
        said(signal("data.unit_change", "column:t.x", 2.2)),
        said(Signal("data.stale", "*", -0.4)),
    ]
    there, back = ranked(*answers)[0], ranked(*answers[::-1])[0]
    assert {k: h.confidence for k, h in there.items()} == {k: h.confidence for k, h in back.items()}


def test_a_cause_outside_the_catalogue_is_an_error():
    with pytest.raises(RegistryError, match=r"data\.gremlins"):
        ranked(said(signal("data.gremlins", "table:t", 1.0)))


@pytest.mark.parametrize("lost", [0.0, 0.1, 0.5, 1.0])
def test_tables_that_were_not_seen_keep_nothing_from_being_sure(lost):
    calm = said(signal("none", "*", 9.0, headline=""), verdict="ok")
    finding = type("F", (), {"id": "F01", "check": "made.up"})()
    found, left = rank([(calm, finding)], "s", lost)
    weight = CAP if lost == 0 else SEEN * (1 - lost)
    assert found[0].confidence == pytest.approx(np.exp(weight) / (np.exp(weight) + 1), abs=1e-4)
    assert left == pytest.approx(1 - found[0].confidence, abs=1e-4)


def test_columns_that_lost_their_values_together_stand_for_one_event():
    lost = [signal("data.missing_values", f"column:t.c{n}", 3.0 - n / 10) for n in range(5)]
    other = signal("data.missing_values", "column:u.c0", 1.0)
    found, _ = ranked(said(*lost, other))
    named = [locus for cause, locus in found if cause == "data.missing_values"]
    assert named == ["column:t.c0", "column:t.c1", "column:u.c0"]


def test_the_fitted_numbers_keep_the_order_and_leave_a_share():
    share, none = probabilities(np.array([9.0, 2.0, 0.0, -3.0]))
    assert list(share) == sorted(share, reverse=True)
    assert share.sum() + none == pytest.approx(1)
    assert 0.9 < share[0] < 0.99
    assert none > 0.005
