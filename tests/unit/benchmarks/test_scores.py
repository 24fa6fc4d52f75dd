"""The benchmarks score by their published rules, and give complete cases where the truth is absent."""

import json

import numpy as np
import pandas as pd
import pytest

from tests.benchmarks import mscloud, nab, perf

MINUTES = pd.Series(pd.date_range("2020-01-01", periods=1_000, freq="5min"))


def window(first, last):
    return [str(MINUTES[first]), str(MINUTES[last])]


@pytest.mark.parametrize(
    ("rows", "points"),
    [
        ([], -1.0),
        # The left edge is worth one, the middle less, the right edge next to nothing.
        ([400], 1.0),
        ([450], (2 / (1 + np.exp(-5 * 51 / 101)) - 1) / (2 / (1 + np.exp(-5)) - 1)),
        ([400, 420, 500], 1.0),
        # Before any window a false alarm costs all of its weight, and close behind one hardly any.
        ([200], -1.0 - 0.11),
        ([501], -1.0 + 0.11 * (2 / (1 + np.exp(5 * 1 / 100)) - 1)),
        ([900], -1.0 - 0.11),
        # The first 15 % are not judged.
        ([149], -1.0),
        ([150], -1.0 - 0.11),
    ],
)
def test_nab_scores_by_the_standard_profile(rows, points):
    assert nab.score_file(MINUTES, rows, [window(400, 500)]) == (pytest.approx(points), 1)


def test_nab_does_not_count_windows_in_the_ignored_part():
    points, count = nab.score_file(MINUTES, [120, 700], [window(100, 140), window(700, 800)])
    assert (points, count) == (pytest.approx(1.0), 1)


@pytest.mark.parametrize(
    ("events", "rows", "counts"),
    [
        ([], [], (0, 0, 0)),
        ([(10, 12)], [10], (1, 0, 0)),
        ([(10, 12)], [17], (1, 0, 0)),
        ([(10, 12)], [18], (0, 1, 1)),
        ([(10, 12)], [9], (0, 1, 1)),
        # Neighbouring events are two, and one detection may find both.
        ([(10, 12), (14, 15)], [16], (2, 0, 0)),
        ([], [20, 25, 30], (0, 2, 0)),
        ([], [20, 25], (0, 1, 0)),
        ([], [20, 26], (0, 2, 0)),
        ([], list(range(20, 30)), (0, 1, 0)),
        ([], list(range(20, 31)), (0, 2, 0)),
    ],
)
def test_events_and_false_alarms_are_counted(events, rows, counts):
    labels = np.zeros(60, dtype=int)
    for first, last in events:
        labels[first : last + 1] = 1
    assert mscloud.score_file(labels, rows) == counts


def series(label=None):
    values = 50 + np.random.default_rng(0).normal(0, 1, 1_000)
    values[600] = 200
    table = pd.DataFrame({"timestamp": MINUTES.astype(str), "value": values})
    return table if label is None else table.assign(Label=(np.arange(1_000) == 600).astype(int))


def test_nab_with_and_without_truth(tmp_path):
    (tmp_path / "group").mkdir()
    series().to_csv(tmp_path / "group" / "one.csv", index=False)
    bare = nab.run(tmp_path)
    assert bare["score"] is None
    assert bare["cases"] == [{"case": "group/one.csv", "detections": [str(MINUTES[600])]}]
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "combined_windows.json").write_text(
        json.dumps({"group/one.csv": [window(600, 650)]})
    )
    whole = nab.run(tmp_path)
    assert whole["cases"] == bare["cases"]
    assert whole["score"] == {"score": pytest.approx(100)}


def test_mscloud_with_and_without_truth(tmp_path):
    for name in ("some-latency", "some-rate"):
        (tmp_path / name).mkdir()
        series().to_csv(tmp_path / name / "one.csv", index=False)
    bare = mscloud.run(tmp_path)
    assert bare["score"] is None
    assert [case["detections"] for case in bare["cases"]] == [[600], [600]]
    series(label=True).to_csv(tmp_path / "some-latency" / "one.csv", index=False)
    series(label=True).assign(Label=0).to_csv(tmp_path / "some-rate" / "one.csv", index=False)
    whole = mscloud.run(tmp_path)
    assert whole["cases"] == bare["cases"]
    assert whole["score"] == {"latency_f1": 1.0, "all_f1": 2 / 3, "mean_domain_f1": 0.5}


@pytest.mark.slow
def test_perf_with_and_without_truth(tmp_path):
    rng = np.random.default_rng(0)

    def rows(n):
        x = rng.normal(size=n)
        score = 1 / (1 + np.exp(-2 * x))
        return pd.DataFrame(
            {
                "id": np.arange(n),
                "x": x,
                "year": 2020,
                "prediction": (score > 0.5).astype(int),
                "predicted_probability": score,
                "bought": (rng.random(n) < score).astype(int),
            }
        )

    rows(26_000).to_parquet(tmp_path / "shop_reference.pq")
    now = rows(10_400)
    now.drop(columns="bought").to_parquet(tmp_path / "shop_2021.pq")
    bare = perf.run(tmp_path)
    assert bare["score"] is None
    assert [(case["case"], case["chunk"]) for case in bare["cases"]] == [
        ("shop_2021.pq", 0),
        ("shop_2021.pq", 1),
    ]
    now[["id", "bought"]].to_parquet(tmp_path / "shop_2021_target.pq")
    whole = perf.run(tmp_path)
    assert whole["cases"] == bare["cases"]
    assert whole["score"]["auc_mae"] < 0.015
    assert whole["score"]["false_alarms"] == 0
    assert whole["score"]["drops"] == whole["score"]["drops_found"] == 0


def test_perf_needs_a_reference(tmp_path):
    pd.DataFrame({"id": [1], "predicted_probability": [0.5]}).to_parquet(tmp_path / "alone.pq")
    with pytest.raises(FileNotFoundError, match="_reference"):
        perf.run(tmp_path)
