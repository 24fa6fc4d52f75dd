"""Metrics, logs, tasks and changes: the monitor is real, the rest is lifelike and gives nothing away."""

import json

import numpy as np
import pandas as pd
import pytest

from triagebook.core.models import Change, TaskRun
from triagebook.drills.worlds.flight_delay.drift import WATCHED

ONSET = pd.Timestamp("2013-06-04T14:00Z")
DURATION = "http_server_request_duration_seconds"


@pytest.fixture(scope="module")
def metrics(faulty):
    return read_metrics(faulty)


def read_metrics(world):
    return pd.read_parquet(world.data / "metrics.parquet")


def lines(world, name):
    text = (world.data / name).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def series(metrics, name, **labels):
    """Return the samples whose labels contain the given ones, by time."""
    rows = metrics[metrics["name"] == name]
    fits = {text: labels.items() <= json.loads(text).items() for text in rows["labels"].unique()}
    return rows[rows["labels"].map(fits)].set_index("ts")["value"]


def test_metrics_have_the_contracts_columns(metrics):
    assert list(metrics.columns) == ["ts", "name", "labels", "value"]
    assert str(metrics["ts"].dtype) == "datetime64[us, UTC]"
    assert metrics["ts"].is_monotonic_increasing
    assert not metrics.duplicated(["ts", "name", "labels"]).any()
    for text in metrics["labels"].unique():
        assert text == json.dumps(json.loads(text), sort_keys=True)


def test_every_metric_has_its_type_and_unit(faulty, metrics):
    meta = json.loads((faulty.data / "metrics.json").read_text(encoding="utf-8"))
    assert set(metrics["name"]) <= set(meta)
    assert {entry["type"] for entry in meta.values()} == {"counter", "gauge", "histogram"}
    assert all(entry["unit"] for entry in meta.values())


def test_the_psi_of_distance_is_that_of_the_data(faulty, metrics):
    served = pd.read_parquet(faulty.data / "tables" / "predictions.parquet")
    clock = served["predicted_at"].dt.hour * 4 + served["predicted_at"].dt.minute // 15
    start, end = pd.Timestamp("2013-04-07T22:00Z"), pd.Timestamp("2013-06-02T22:00Z")
    reference = served[served["predicted_at"].between(start, end, inclusive="left")]
    # The window of the last batch, 21:45, holds the batches of 16:00 to 21:45.
    same_hours = reference[clock.loc[reference.index].between(16 * 4, 21 * 4 + 3)]
    last = served[served["predicted_at"] >= "2013-06-04T16:00Z"]
    edges = np.unique(np.quantile(reference["distance"], np.arange(1, 10) / 10))

    def shares(rows):
        counts = np.bincount(np.searchsorted(edges, rows["distance"]), minlength=len(edges) + 2)
        return (counts + 0.5) / (counts.sum() + 0.5 * len(counts))

    p, q = shares(last), shares(same_hours)
    expected = float(((p - q) * np.log(p / q)).sum())
    shown = series(metrics, "model_feature_psi", feature="distance").iloc[-1]
    assert shown == pytest.approx(expected, rel=1e-9)
    assert shown == pytest.approx(faulty.value)


def test_the_alert_fires_in_the_faulty_world_only(faulty, healthy):
    assert faulty.value > 2 * faulty.threshold
    assert healthy.value < faulty.threshold
    assert ONSET < faulty.alert_at < faulty.at
    watched = read_metrics(healthy)
    for feature in WATCHED:
        assert series(watched, "model_feature_psi", feature=feature).max() < healthy.threshold


def test_only_distance_moves_among_the_watched(faulty, healthy):
    for feature in ("carrier", "origin", "sched_hour", "temp"):
        bad = series(read_metrics(faulty), "model_feature_psi", feature=feature)
        pd.testing.assert_series_equal(
            bad, series(read_metrics(healthy), "model_feature_psi", feature=feature)
        )


def test_warmer_weather_is_a_red_herring_in_both_worlds(healthy):
    assert series(read_metrics(healthy), "model_feature_psi", feature="temp").iloc[-1] > 1


def test_batch_rows_are_the_flights_of_the_batch(faulty, metrics):
    served = pd.read_parquet(faulty.data / "tables" / "predictions.parquet")
    counted = served.groupby("predicted_at").size()
    shown = series(metrics, "batch_rows")
    shown.index = shown.index.floor("15min")
    busy = shown[shown > 0]
    assert (busy == counted.loc[busy.index]).all()
    assert busy.sum() == counted.loc[shown.index[0] :].sum()


def test_a_histogram_is_whole_and_its_counters_reset_once(metrics):
    for instance, resets in (("scorer-1", 1), ("scorer-2", 0)):
        about = {"instance": instance, "http_response_status_code": "200"}
        total = series(metrics, f"{DURATION}_count", **about)
        assert int((total.diff() < 0).sum()) == resets
        widest = series(metrics, f"{DURATION}_bucket", le="+Inf", **about)
        assert (widest == total).all()
        narrow = series(metrics, f"{DURATION}_bucket", le="0.1", **about)
        assert (narrow <= total).all()
        gaps = total.index.to_series().diff().dropna()
        assert gaps.max() > pd.Timedelta(minutes=5)


def test_requests_follow_the_real_day(metrics):
    count = series(
        metrics, f"{DURATION}_count", instance="scorer-2", http_response_status_code="200"
    )
    by_hour = count.diff().groupby(count.index.hour).mean()
    assert by_hour[[14, 18, 21]].min() > 3 * by_hour[[6, 7]].max()


def test_latency_has_a_heavy_tail_and_does_not_move_with_the_fault(metrics):
    about = {"instance": "scorer-2", "http_response_status_code": "200"}

    def share_slower(le, since, until):
        total = series(metrics, f"{DURATION}_count", **about).loc[since:until]
        below = series(metrics, f"{DURATION}_bucket", le=le, **about).loc[since:until]
        return 1 - (below.iloc[-1] - below.iloc[0]) / (total.iloc[-1] - total.iloc[0])

    before = share_slower("0.1", ONSET - pd.Timedelta(days=1), ONSET - pd.Timedelta(hours=16))
    after = share_slower("0.1", ONSET, ONSET + pd.Timedelta(hours=8))
    assert 0.005 < before < 0.05
    assert after == pytest.approx(before, rel=0.5)


def test_tasks_read_as_task_runs_and_all_end_well(faulty):
    runs = [TaskRun(**row) for row in lines(faulty, "tasks.jsonl")]
    assert {(run.pipeline, run.task) for run in runs} == {
        ("flights_15min", "ingest"), ("flights_15min", "build_features"),
        ("flights_15min", "score"), ("labels_daily", "label_join"),
    }  # fmt: skip
    last = {(run.pipeline, run.run, run.task): run.state for run in runs}
    assert set(last.values()) == {"success"}
    failed = [run for run in runs if run.state == "failed"]
    assert len(failed) == 2
    assert all(run.end < faulty.at for run in runs)
    assert all(run.start < run.end for run in runs)
    assert max(run.end for run in failed) < ONSET.to_pydatetime()


def test_a_task_starts_after_the_one_it_waits_for(faulty):
    ended = {}
    runs = [TaskRun(**row) for row in lines(faulty, "tasks.jsonl")]
    for run in runs:
        for task in run.upstream:
            assert run.start >= ended[run.run, task]
        ended[run.run, run.task] = run.end
    assert any(run.upstream for run in runs)


def test_the_first_run_of_the_new_ingest_is_the_first_bad_batch(faulty):
    started = [row for row in lines(faulty, "logs.jsonl") if row["message"] == "ingest v42 started"]
    assert started[0]["ts"].startswith("2013-06-04T14:00:")
    assert started[0]["attributes"]["run"] == "scheduled__2013-06-04T14:00:00Z"


def test_logs_are_in_order_and_give_nothing_away(faulty):
    rows = lines(faulty, "logs.jsonl")
    assert [row["ts"] for row in rows] == sorted(row["ts"] for row in rows)
    assert {row["severity"] for row in rows} == {"INFO", "WARN", "DEBUG"}
    assert 0 < sum(row["severity"] == "WARN" for row in rows) < 0.2 * len(rows)
    text = json.dumps([*rows, *lines(faulty, "changes.jsonl")]).lower()
    for word in ("kilomet", "mile", "unit change", "distance"):
        assert word not in text


def test_logs_differ_between_the_worlds_in_nothing(faulty, healthy):
    assert lines(faulty, "logs.jsonl") == lines(healthy, "logs.jsonl")


def test_the_deploy_stands_beside_red_herrings(faulty):
    found = [Change(**row) for row in lines(faulty, "changes.jsonl")]
    assert [change.ts for change in found] == sorted(change.ts for change in found)
    day = [c for c in found if c.ts >= pd.Timestamp("2013-06-04T00:00Z")]
    assert [(c.ts.strftime("%H:%M"), c.kind, c.to) for c in day] == [
        ("10:55", "deploy", "v119"), ("13:40", "config", "DEBUG"), ("13:55", "deploy", "v42"),
    ]  # fmt: skip
    assert {change.kind for change in found} >= {"deploy", "model", "config", "infra", "schedule"}
