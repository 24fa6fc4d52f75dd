"""Each fault of the model family is named first at its place; its healthy look-alikes stay quiet."""

import pandas as pd
import pytest

from tests.unit.diagnosis import model_faults as f
from tests.unit.diagnosis.model_world import model_world
from triagebook.diagnosis.catalogue import EXPECTED
from triagebook.diagnosis.diagnose import diagnose

FAULTS = [
    # (fault, seed, rows a day, onset within hours or None)
    (f.relation_turned, 11, 700, 3),
    (f.riskier_group, 2, 2_500, 3),
    (f.turned_group, 3, 700, 3),
    (f.safer_place, 4, 2_500, 3),
    (f.odds_up, 5, 2_500, 3),
    (f.more_positives, 11, 700, 3),
    (f.fewer_positives, 3, 2_500, 3),
    (f.other_crowd, 3, 2_500, 3),
    (f.noise_in_group, 11, 700, 3),
    (f.low_in_group, 2, 700, 1),
    (f.frozen_in_place, 3, 2_500, 1),
    (f.flat_version, 11, 700, 1),
    (f.blind_version, 2, 2_500, 1),
    (f.bad_canary, 3, 700, 1),
    (f.version_by_log, 4, 700, 1),
    (f.decays, 11, 700, None),
    (f.decays_untrained, 2, 700, None),
    (f.decays_unchanged, 3, 700, None),
    (f.labels_late, 11, 700, 3),
    (f.labels_missing, 2, 700, 3),
    (f.labels_flipped, 3, 2_500, 1),
    (f.labels_inverted, 4, 700, 1),
    (f.labels_all_zero, 5, 700, 1),
    (f.labels_shuffled, 6, 2_500, 1),
    (f.labels_recoded, 7, 700, 1),
    (f.labels_contradict, 8, 700, 1),
    (f.served_scaled, 11, 700, 1),
    (f.served_constant, 2, 700, 1),
    (f.served_old, 3, 700, 1),
    (f.served_nothing, 4, 700, 1),
    (f.served_other_group, 5, 700, 2),
    (f.cut_raised, 11, 700, 1),
    (f.cut_lowered, 2, 700, 2),
    (f.cut_by_sentence, 3, 700, 1),
]
QUANTITIES = [
    (f.riskier_group, 21, 700),
    (f.low_in_group, 22, 700),
    (f.flat_version, 23, 700),
    (f.labels_shuffled, 24, 700),
    (f.labels_rescaled, 25, 700),
    (f.served_scaled, 26, 700),
    (f.decays_untrained, 27, 700),
]
QUIET = [
    f.healthy,
    f.equal_version,
    f.trained_on_time,
    f.labels_always_late,
    f.served_rounded_always,
]


def diagnosed(fault, seed, per_day, tmp_path, **kind):
    world = model_world(seed, per_day, **kind)
    truth = fault(world)
    return world, truth, diagnose(world.bundle(tmp_path / "b"))[0]


@pytest.mark.parametrize(("fault", "seed", "per_day", "within_h"), FAULTS)
def test_the_fault_is_named_first_at_its_place(fault, seed, per_day, within_h, tmp_path):
    world, truth, found = diagnosed(fault, seed, per_day, tmp_path)
    first = found.hypotheses[0]
    assert (first.cause, first.locus) == truth
    assert found.verdict == "cause_found"
    assert first.for_
    assert first.headline.endswith(".")
    assert not [x.statement for x in found.findings if "failed:" in x.statement]
    if within_h is not None:
        assert abs(found.onset.at - world.onset) <= pd.Timedelta(hours=within_h)


@pytest.mark.parametrize(("fault", "seed", "per_day"), QUANTITIES)
def test_a_regression_is_judged_alike(fault, seed, per_day, tmp_path):
    _, truth, found = diagnosed(fault, seed, per_day, tmp_path, number=True)
    assert (found.hypotheses[0].cause, found.hypotheses[0].locus) == truth
    assert found.verdict == "cause_found"


@pytest.mark.parametrize(("seed", "per_day"), [(31, 700), (32, 2_500)])
@pytest.mark.parametrize("fault", QUIET, ids=lambda q: q.__name__)
def test_what_is_no_fault_stays_quiet(fault, seed, per_day, tmp_path):
    _, _, found = diagnosed(fault, seed, per_day, tmp_path)
    assert found.verdict != "cause_found"
    assert found.hypotheses[0].cause in EXPECTED
    said = [x for x in found.findings if x.check.startswith("model.") and x.verdict == "bad"]
    assert [x.statement for x in said] == []
