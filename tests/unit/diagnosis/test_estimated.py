"""Performance estimated without labels: right where the world only shifts, doubted where labels say otherwise."""

import numpy as np
import pytest

from tests.unit.diagnosis.model_world import ONSET, model_world
from triagebook.charts._style import CHARTS
from triagebook.diagnosis.answer import CHECKS
from triagebook.diagnosis.context import Context
from triagebook.diagnosis.diagnose import diagnose


def _turned(_world, _rows, chance, late):
    return np.where(late, 1 - chance, chance)


def asked(ctx):
    list(CHECKS.get("model.measured_performance").run(ctx))
    (answer,) = CHECKS.get("model.estimated_performance").run(ctx)
    return answer


def test_a_healthy_model_is_estimated_near_what_it_was(tmp_path):
    world = model_world(51, 1_500)
    answer = asked(Context(world.bundle(tmp_path / "b")))
    assert answer.verdict == "ok"
    assert answer.unit == "AUC"
    assert abs(answer.effect) < 0.04
    assert answer.signals == ()
    assert "It cannot see labels that follow the inputs by another rule" in answer.statement


def test_rows_that_are_hard_to_tell_apart_are_seen_without_labels(tmp_path):
    world = model_world(52, 1_500)
    # All rows of now are alike in what tells labels apart.
    for table in (world.features, world.predictions):
        late = world.late(table)
        for name, value in (("amount", 50.0), ("warmth", 15.0)):
            column = world.names[name]
            table[column] = table[column].where(~late, value)
    world.labelled.append(lambda _w, labels, _rng: labels[labels["came"] < ONSET])
    answer = asked(Context(world.bundle(tmp_path / "b")))
    assert answer.verdict == "bad"
    assert answer.effect < -0.1
    assert [(s.cause, s.weight) for s in answer.signals] == [("none", -0.5)]


def test_an_estimate_that_labels_contradict_is_not_trusted(tmp_path):
    world = model_world(53, 1_500)
    world.chance.append(_turned)
    answer = asked(Context(world.bundle(tmp_path / "b")))
    assert answer.verdict == "unknown", answer.statement
    assert "Not to be trusted here: labels that are in say" in answer.statement
    assert answer.signals == ()


def test_a_regression_is_estimated_by_its_error(tmp_path):
    world = model_world(54, 1_500, number=True)
    answer = asked(Context(world.bundle(tmp_path / "b")))
    assert answer.unit == "mean absolute error"
    assert answer.verdict == "ok"


def test_too_few_labels_are_said_to_be_too_few(tmp_path):
    world = model_world(55, 700)
    world.labelled.append(lambda _w, labels, _rng: labels.iloc[:: len(labels) // 400])
    answer = asked(Context(world.bundle(tmp_path / "b")))
    assert answer.verdict == "unknown"
    assert answer.statement.startswith("Estimated performance is unknown: ")


@pytest.mark.parametrize("width", ["wide", "narrow"])
def test_the_chart_shows_both(tmp_path, width):
    world = model_world(56, 1_500)
    _, ctx = diagnose(world.bundle(tmp_path / "b"))
    drawn = CHARTS.get("outlook")(ctx, width)
    assert "estimated 0." in drawn.alt
    points = ctx.results["outlook_points"]
    assert any(p.measured is not None and p.estimate is None for p in points)
    assert any(p.estimate is not None for p in points)
