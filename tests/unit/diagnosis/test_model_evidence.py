"""What the model checks say when evidence is of another kind, or is not there."""

import numpy as np
import pandas as pd
import pytest

from tests.unit.diagnosis import model_faults as f
from tests.unit.diagnosis.model_world import END, ONSET, START, model_world
from tests.unit.diagnosis.world import FIRST
from triagebook.core.models import Alert, Change, LedgerEntry, Service, TableSpec, Windows
from triagebook.diagnosis.answer import CHECKS
from triagebook.diagnosis.context import Context
from triagebook.diagnosis.departures import is_skewed, label_departure
from triagebook.diagnosis.diagnose import diagnose
from triagebook.diagnosis.served import served
from triagebook.evidence.bundle import Bundle, write_bundle

MODEL_CHECKS = [c.id for c in CHECKS if c.id.startswith("model.")]


def asked(check, ctx):
    return list(CHECKS.get(check).run(ctx))


def written(folder, *, tables=None, metrics=None, changes=None, ledger=(), metric=None, **service):
    write_bundle(
        folder,
        alert=Alert(incident_type="model_performance", starts_at=END, metric=metric),
        service=Service(name="s", model={"name": "m", "version": "3"}, **service),
        windows=Windows(reference=(FIRST, START), current=(START, END)),
        ledger=list(ledger),
        tables=tables,
        metrics=metrics,
        changes=changes,
    )
    return Bundle.read(folder)


def test_without_tables_every_model_check_says_that_it_does_not_know(tmp_path):
    ctx = Context(written(tmp_path / "b"))
    for check in MODEL_CHECKS:
        said = asked(check, ctx)
        assert said, check
        assert {a.verdict for a in said} == {"unknown"}, check


def test_labels_that_cannot_be_pulled_are_unknown_not_late(tmp_path):
    world = model_world(41, 700)
    world.drop = {"truth"}
    ctx = Context(world.bundle(tmp_path / "b"))
    for check in ("measured_performance", "label_delivery", "labels_plausible", "base_rate"):
        assert {a.verdict for a in asked(f"model.{check}", ctx)} == {"unknown"}, check


def test_a_sample_of_labels_says_nothing_of_their_number(tmp_path):
    world = model_world(42, 700)
    f.labels_missing(world)
    bundle = world.bundle(tmp_path / "b")
    for entry in bundle.ledger:
        if entry.source == "tables:truth":
            entry.status = "truncated"
    (said,) = asked("model.label_delivery", Context(bundle))
    assert said.verdict == "unknown"
    assert "only a sample" in said.statement


def with_labels_inside(tmp_path, edit=lambda t: t, **spec):
    """A bundle whose predictions carry their labels, without times of arrival."""
    world = model_world(43, 700)
    world.score()
    table = world.predictions.merge(world.labels[["key", "real"]], on="key").sort_values("at")
    table = edit(table)
    old, new = table[table["at"] < START], table[table["at"] >= START]
    kept = {
        "role": "predictions",
        "time_column": "at",
        "key_columns": ["key"],
        "score": "score",
        "prediction": "decided",
        "label": "real",
        **spec,
    }
    return Context(written(tmp_path / "b", tables={"p": (TableSpec(**kept), old, new)})), world


def test_labels_inside_the_predictions_are_used(tmp_path):
    def turned(table):
        late = table["at"] >= ONSET
        table.loc[late, "real"] = 1 - table.loc[late, "real"]
        return table

    ctx, _ = with_labels_inside(tmp_path, turned)
    (performance,) = asked("model.measured_performance", ctx)
    assert performance.verdict == "bad"
    assert performance.value < 0.6
    (said,) = asked("model.labels_plausible", ctx)
    assert said.verdict == "bad"
    assert said.signals[0].cause == "model.label_fault"
    (delivery,) = asked("model.label_delivery", ctx)
    assert delivery.verdict == "unknown"


def test_labels_of_many_classes_are_judged_by_right_and_wrong(tmp_path):
    rng = np.random.default_rng(0)

    def classes(table):
        kinds = np.array(["red", "green", "blue"])
        truth = rng.integers(0, 3, len(table))
        wrong = rng.random(len(table)) < np.where(table["at"] >= ONSET, 0.5, 0.1)
        said = np.where(wrong, (truth + 1) % 3, truth)
        return table.assign(real=kinds[truth], decided=kinds[said]).drop(columns="score")

    ctx, _ = with_labels_inside(tmp_path, classes, score=None)
    (said,) = asked("model.measured_performance", ctx)
    assert (said.verdict, said.unit) == ("bad", "accuracy")
    (left,) = asked("model.labels_follow_scores", ctx)
    assert left.verdict == "bad"
    assert left.locus == "segment:*"


@pytest.mark.parametrize(("gap_h", "verdict"), [(0.2, "bad"), (20, "ok")])
def test_a_metric_that_steps_at_a_change_of_model_names_the_version(gap_h, verdict, tmp_path):
    rng = np.random.default_rng(1)
    times = pd.date_range(FIRST, END, freq="30min", inclusive="left")
    values = 0.82 + 0.005 * rng.normal(size=len(times)) - 0.08 * (times >= ONSET)
    metrics = pd.DataFrame({"ts": times, "name": "auc", "labels": "{}", "value": values})
    change = Change(ts=ONSET - pd.Timedelta(hours=gap_h), kind="model", what="m", to="m/4")
    bundle = written(tmp_path / "b", metrics=metrics, changes=[change], metric="auc")
    (said,) = asked("model.version", Context(bundle))
    assert (said.verdict, said.locus) == (verdict, "model:m/4")
    first = diagnose(bundle)[0].hypotheses[0]
    assert (first.cause == "model.bad_version") == (verdict == "bad")


def test_labels_are_compared_at_the_same_age(tmp_path):
    # Positive labels take a day longer: among the newest rows only negatives are in.
    world = model_world(44, 2_500)

    def slow(_world, labels, rng):
        labels = labels.copy()
        one = labels["real"] > 0.5
        hours = np.where(one, rng.uniform(24, 30, len(one)), rng.uniform(1, 4, len(one)))
        labels["came"] = labels["at"] + pd.to_timedelta(hours, unit="h")
        return labels

    world.labelled.append(slow)
    ctx = Context(world.bundle(tmp_path / "b"))
    out = served(ctx)
    assert out.labels.maturity.horizon_s > 24 * 3_600
    raw = out.labels.y[out.late & out.labels.here]
    assert raw.mean() < 0.45  # what a plain comparison would see of 0.55 and more
    assert asked("model.base_rate", ctx)[0].verdict == "ok"
    assert label_departure(ctx).found is None


def test_a_share_of_skew_below_at_and_above_the_threshold():
    from triagebook.analysis.skew import Skew  # noqa: PLC0415 - made by hand here only

    def made(now, before=0.0, natural=0.0):
        return Skew("x", before, now, natural, 20_000, None, "other", 0.0, np.zeros(1))

    assert not is_skewed(made(0.0099))
    assert is_skewed(made(0.01))
    assert is_skewed(made(0.0101))
    assert not is_skewed(made(0.03, before=0.02, natural=0.025))


def test_a_model_change_nobody_can_judge_is_unknown(tmp_path):
    change = Change(ts=ONSET, kind="model", what="m", to="m/4")
    ledger = [LedgerEntry(id="L1", source="changes", kind="changes", status="ok", rows=1)]
    (said,) = asked(
        "model.version", Context(written(tmp_path / "b", changes=[change], ledger=ledger))
    )
    assert said.verdict == "unknown"
    assert "neither rows nor metrics" in said.statement
