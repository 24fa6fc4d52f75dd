"""Faults of the model are drawn on the rows that left what was expected of them."""

import numpy as np
import pandas as pd
import pytest

from tests.unit.diagnosis import model_faults as f
from tests.unit.diagnosis.model_world import model_world
from triagebook.charts._style import CHARTS
from triagebook.charts.departed import departed
from triagebook.diagnosis.diagnose import diagnose

# By fault: how far the rows lie off, in the reference and since the onset.
FAULTS = [
    (f.riskier_group, 2, (-0.05, 0.05), (0.2, 0.5), "labels less"),
    (f.low_in_group, 2, (0.0, 0.1), (0.15, 0.9), "scores lie"),
    (f.flat_version, 11, (0.0, 0.1), (0.1, 0.9), "scores lie"),
]


@pytest.mark.parametrize(("fault", "seed", "before", "since", "said"), FAULTS)
def test_the_rows_that_left_lie_off_since_the_onset_only(
    fault, seed, before, since, said, tmp_path
):
    world = model_world(seed, 2_500 if fault is f.riskier_group else 700)
    cause, locus = fault(world)
    found, ctx = diagnose(world.bundle(tmp_path / "b"))
    assert found.hypotheses[0].cause == cause
    left = departed(ctx, cause)
    assert left is not None
    assert said in left.title
    assert (np.diff(left.times) >= 0).all()
    hit = left.times >= pd.Timestamp(found.onset.at).value
    off = left.values  # noqa: PD011 - no pandas here
    assert before[0] < off[~left.late].mean() < before[1]
    assert since[0] < off[hit].mean() < since[1]
    if locus.startswith("segment:"):
        assert locus.partition(":")[2].replace("=", " = ") in left.title
    ctx.results["diagnosis"] = found
    drawn = CHARTS.get("symptom")(ctx, "wide")
    assert left.title in drawn.alt


@pytest.mark.parametrize("cause", ["data.unit_change", "model.concept_drift", "model.bad_version"])
def test_where_nothing_left_there_is_nothing_of_it_to_draw(cause, tmp_path):
    world = model_world(31, 700)
    f.healthy(world)
    _, ctx = diagnose(world.bundle(tmp_path / "b"))
    assert departed(ctx, cause) is None
