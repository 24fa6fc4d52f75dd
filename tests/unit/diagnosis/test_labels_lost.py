"""Positive labels that stay away or are few, and features served otherwise while nothing else moved."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.unit.diagnosis import model_faults as f
from tests.unit.diagnosis.model_world import model_world
from triagebook.analysis.labels import Fit
from triagebook.analysis.skew import Skew
from triagebook.diagnosis.answer import CHECKS
from triagebook.diagnosis.checks import delivery, labels
from triagebook.diagnosis.checks import skew as checked
from triagebook.diagnosis.checks.delivery import label_delivery
from triagebook.diagnosis.context import Context
from triagebook.diagnosis.departures import Departure, Manner
from triagebook.diagnosis.ranking import rank


def asked(tmp_path, seed, fault, kind="model_performance", per_day=700):
    world = model_world(seed, per_day)
    world.incident_type = kind
    fault(world)
    bundle = world.bundle(tmp_path / "b")
    return Context(bundle, bundle.alert.incident_type)


def weights(answer):
    return {s.cause: s.weight for s in answer.signals}


def stay_away(real, share):
    """Let a share of the labels of one value not come."""

    def fault(world):
        f._labels(world, lambda t, hit, _r: t[~(hit & (t["real"] == real).to_numpy())], share)

    return fault


# --- labels that do not come ----------------------------------------------------------------------


def test_positive_labels_that_stay_away_are_a_fault_of_the_labels(tmp_path):
    (answer,) = label_delivery(asked(tmp_path, 31, stay_away(1.0, 0.9), per_day=400))
    assert answer.verdict == "bad"
    assert "as many labels stay away as positive ones are missing" in answer.statement
    told = weights(answer)
    assert told["model.label_fault"] > 4
    assert told["model.concept_drift"] == told["drift.label_shift"] == -3.0


def test_labels_of_either_kind_that_stay_away_speak_against_nothing_else(tmp_path):
    (answer,) = label_delivery(asked(tmp_path, 32, f.labels_missing))
    assert answer.verdict == "bad"
    assert "positive" not in answer.statement
    assert set(weights(answer)) == {"model.label_fault", "none"}


def test_fewer_positive_labels_that_all_came_do_not_stay_away(tmp_path):
    (answer,) = label_delivery(asked(tmp_path, 3, f.fewer_positives))
    assert answer.verdict == "ok"
    assert weights(answer) == {"model.label_fault": -0.8}


def picked(monkeypatch, *, due=0.5, came=0.3, missing=0.4, rows=10_000):
    """Ask about labels of which so many are positive, and so many should be, of which some are missing."""
    y = (np.arange(rows) < round(came * rows)).astype(float)
    had = SimpleNamespace(y=y, expected=np.full(rows, due))
    how = SimpleNamespace(hit=np.arange(rows))
    monkeypatch.setattr(delivery, "manner", lambda _ctx: how)
    return delivery._of_one_kind(None, had, missing)


@pytest.mark.parametrize(
    ("due", "came", "told"), [(0.75, 0.701, False), (0.75, 0.7, True), (0.75, 0.699, True)]
)
def test_a_twentieth_of_the_labels_has_to_lack(due, came, told, monkeypatch):
    assert (picked(monkeypatch, due=due, came=came) is not None) == told


@pytest.mark.parametrize(("came", "told"), [(0.31, False), (0.3, True), (0.29, True)])
def test_of_few_labels_four_standard_errors_have_to_lack(came, told, monkeypatch):
    # Of a hundred labels, half of them due, an error is a twentieth.
    assert (picked(monkeypatch, came=came, rows=100) is not None) == told


@pytest.mark.parametrize(("missing", "told"), [(0.0999, False), (0.1, True), (0.1001, True)])
def test_half_of_what_lacks_has_to_stay_away(missing, told, monkeypatch):
    assert (picked(monkeypatch, missing=missing) is not None) == told


@pytest.mark.parametrize(("rows", "told"), [(49, False), (50, True), (51, True)])
def test_fifty_labels_are_needed(rows, told, monkeypatch):
    assert (picked(monkeypatch, came=0.0, rows=rows) is not None) == told


def test_more_positive_labels_than_due_do_not_stay_away(monkeypatch):
    assert picked(monkeypatch, came=0.7) is None


def test_where_labels_did_not_leave_the_scores_none_of_a_kind_stays_away(monkeypatch):
    monkeypatch.setattr(delivery, "manner", lambda _ctx: None)
    assert delivery._of_one_kind(None, SimpleNamespace(), 0.5) is None


# --- labels of which few are left -----------------------------------------------------------------


def written_as_negative(share):
    def fault(world):
        f._labels(world, lambda t, hit, _r: f._real(t, hit, 0.0), share)

    return fault


def test_few_positive_labels_left_of_any_row_are_lost(tmp_path, monkeypatch):
    monkeypatch.setattr(labels, "moved_inputs", lambda *_: False)  # none did; asking takes seconds
    (answer,) = CHECKS.get("model.labels_plausible").run(
        asked(tmp_path, 33, written_as_negative(0.85), per_day=300)
    )
    assert answer.verdict == "bad"
    assert "of the positive ones to expect are left" in answer.statement
    assert answer.signals[0].cause == "model.label_fault"
    assert answer.signals[0].weight > 4


def judged(monkeypatch, left, *, structured=0.0, scores_moved=False):
    """Judge labels that wrong ones and a changed world explain alike, of which so many are left."""
    strayed = SimpleNamespace(found=object()) if scores_moved else None
    for name, result in {
        "score_departure": strayed,
        "moved_inputs": False,
        "_change_near": None,
        "_kept": left,
        "_arrival": None,
    }.items():
        monkeypatch.setattr(labels, name, lambda *_a, result=result: result)
    fault, world = (Fit(way, 0.5, 40.0, np.zeros(100)) for way in ("positives_lost", "prior"))
    how = Manner(fault, world, world, np.arange(100), structured)
    departure = Departure(None, np.arange(100), 100)
    return labels._by_manner(None, departure, how, "table:t", [])


@pytest.mark.parametrize(("left", "few"), [(0.3499, True), (0.35, False), (0.3501, False)])
def test_fewer_than_a_third_left_are_few(left, few, monkeypatch):
    answer = judged(monkeypatch, left)
    assert answer.signals[0].weight == pytest.approx(2.8 if few else 0.8)
    assert ("of the positive ones to expect are left" in answer.statement) == few


@pytest.mark.parametrize("other", [{"structured": 9.1}, {"scores_moved": True}])
def test_where_rows_differ_or_scores_moved_the_world_may_lose_as_many(other, monkeypatch):
    assert (
        judged(monkeypatch, 0.1, **other).signals[0].weight
        == judged(monkeypatch, 0.9, **other).signals[0].weight
    )


def kept(monkeypatch, came, due, rows=100):
    y = (np.arange(rows) < came).astype(float)
    had = SimpleNamespace(y=y, expected=np.full(rows, due / rows))
    monkeypatch.setattr(labels, "served", lambda _ctx: SimpleNamespace(labels=had))
    return labels._kept(None, SimpleNamespace(hit=np.arange(rows)))


@pytest.mark.parametrize(("due", "share"), [(19.99, 1.0), (20.01, 4 / 20.01), (40.0, 0.1)])
def test_twenty_positive_labels_have_to_be_due(due, share, monkeypatch):
    assert kept(monkeypatch, 4, due) == pytest.approx(share)


@pytest.mark.parametrize("out", [None, SimpleNamespace(labels=None)])
def test_without_labels_none_are_lost(out, monkeypatch):
    monkeypatch.setattr(labels, "served", lambda _ctx: out)
    assert labels._kept(None, SimpleNamespace(hit=np.arange(10))) == 1


# --- features served otherwise --------------------------------------------------------------------


def served_old(share):
    return lambda world: f._served(world, "amount", lambda s: s.shift(900), share)


def test_skew_outweighs_that_no_input_moved(tmp_path):
    ctx = asked(tmp_path, 34, served_old(0.3), "drift", 200)
    ctx.importance = {}  # takes a second to learn, and decides nothing here
    quiet, skewed = (
        a
        for check in ("drift.inputs_moved", "model.serving_skew")
        for a in CHECKS.get(check).run(ctx)
    )
    assert quiet.verdict == "ok"
    assert weights(quiet)["none"] == 3.0
    pairs = [(a, SimpleNamespace(id=f"F{n}", check="c")) for n, a in enumerate((quiet, skewed))]
    first = rank(pairs, "s")[0][0]
    assert first.cause == "model.serving_skew"


@pytest.mark.parametrize(("share", "against"), [(0.0499, -2.0), (0.05, -4.0), (0.0501, -4.0)])
def test_skew_of_a_twentieth_of_the_rows_speaks_plainly_against_none(share, against, monkeypatch):
    odd = Skew("x", 0.0, share, 0.0, 20_000, None, "other", 9.0, np.zeros(1))
    out = SimpleNamespace(timed=False, view=SimpleNamespace(name="served"))
    for name, result in {"served": out, "skews": [odd], "differing": [odd]}.items():
        monkeypatch.setattr(checked, name, lambda _ctx, result=result: result)
    ctx = SimpleNamespace(importance={}, tables={}, cite=lambda *_: [])
    (answer,) = CHECKS.get("model.serving_skew").run(ctx)
    assert weights(answer)["none"] == against
