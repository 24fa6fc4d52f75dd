"""Decisions that are wrong beyond the usual are counted where their labels are in."""

import numpy as np
import pytest

from tests.unit.diagnosis import model_faults as f
from tests.unit.diagnosis.model_world import model_world
from triagebook.diagnosis.diagnose import diagnose


def wrong(found):
    return [i for i in found.impact if i.what == "predictions likely wrong"]


@pytest.mark.parametrize(
    ("fault", "seed"), [(f.riskier_group, 2), (f.noise_in_group, 11), (f.flat_version, 11)]
)
def test_wrong_decisions_are_counted_where_the_fault_is(fault, seed, tmp_path):
    world = model_world(seed, 2_500)
    cause, _ = fault(world)
    found, _ = diagnose(world.bundle(tmp_path / "b"))
    assert found.hypotheses[0].cause == cause
    (said,) = wrong(found)
    # What was made: decisions whose label differs, beyond as many as before, of all rows since then.
    real = world.predictions.set_index("key", drop=False)
    labels = world.labels.drop_duplicates(subset="key").set_index("key")
    is_wrong = real["decided"].to_numpy() != (labels["real"].reindex(real.index).to_numpy() >= 0.5)
    late = (real["at"] >= world.onset).to_numpy()
    beyond = (is_wrong[late].mean() - is_wrong[~late].mean()) * late.sum()
    assert said.low <= max(beyond, 0.0) <= said.high
    assert said.low <= said.value <= said.high
    assert "labelled decisions" in said.how
    assert "of decisions since the onset are likely wrong" in found.severity.because[0]


@pytest.mark.parametrize("fault", [f.labels_flipped, f.labels_all_zero])
def test_labels_at_fault_count_no_decision_as_wrong(fault, tmp_path):
    world = model_world(3, 2_500)
    fault(world)
    found, _ = diagnose(world.bundle(tmp_path / "b"))
    assert found.hypotheses[0].cause == "model.label_fault"
    assert not wrong(found)


def test_a_quantity_has_no_wrong_decisions(tmp_path):
    world = model_world(21, 700, number=True)
    f.riskier_group(world)
    found, _ = diagnose(world.bundle(tmp_path / "b"))
    assert not wrong(found)
    assert np.isfinite([i.value for i in found.impact]).all()
