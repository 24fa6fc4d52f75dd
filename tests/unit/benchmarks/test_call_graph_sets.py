"""The benchmarks over call graphs answer in their format on a tiny set, with truth and without."""

import gzip
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parents[3]
DAY = "2001-02-03"
START = datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC)


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "tests.benchmarks", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def table(rows, rng, *, change=0.0):
    """Latency, availability and requests of a caller `up` and its callee `down`."""
    out = {}
    for node, calls in (("up", 100.0), ("down", 200.0)):
        late = rng.normal(1, 0.02, rows)
        late[2:4] += change if node == "up" else change / 2
        out[node, "latency", "Average"] = late
        out[node, "availability", "Average"] = np.full(rows, 100.0)
        out[node, "requests", "Sum"] = np.full(rows, calls)
    frame = pd.DataFrame(out, index=1000.0 + 300 * np.arange(rows))
    frame.columns.names = ["microservice", "metric", "statistic"]
    frame.index.name = "unix_timestamp"
    return frame


@pytest.fixture
def graph_set(tmp_path):
    rng = np.random.default_rng(0)
    level = tmp_path / "lev"
    issue = level / "train" / "issue_7"
    issue.mkdir(parents=True)
    (level / "noissue").mkdir()
    pd.DataFrame([[0.0, 1.0], [0.0, 0.0]], ["up", "down"], ["up", "down"]).to_csv(
        level / "graph.csv"
    )
    table(100, rng).to_csv(level / "noissue" / "metrics.csv")
    table(5, rng, change=1.0).to_csv(issue / "metrics.csv")
    target = {
        "target": {"node": "up", "metric": "latency", "agg": "Average", "timestamp": 1600},
        "root_cause": {"node": "down", "metric": None},
    }
    (issue / "target.json").write_text(json.dumps(target))
    return tmp_path


def test_a_call_graph_is_answered_and_scored(graph_set):
    done = run("petshop", graph_set, "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["benchmark"] == "petshop"
    assert answer["score"] == {"top1": 1.0, "top3": 1.0, "specificity": 1.0}
    assert answer["cases"][0] == {"case": "lev/train/issue_7", "ranking": ["down", "up"]}
    assert [c["case"] for c in answer["cases"][1:]] == [
        f"lev/noissue/up|latency|Average/{row}" for row in range(50, 100, 5)
    ]
    assert all(c["ranking"] == [] for c in answer["cases"][1:])


def test_without_truth_the_score_is_null_and_the_cases_are_the_same(graph_set):
    before = json.loads(run("petshop", graph_set, "--json").stdout)
    file = graph_set / "lev" / "train" / "issue_7" / "target.json"
    spec = json.loads(file.read_text())
    del spec["root_cause"]
    file.write_text(json.dumps(spec))
    after = json.loads(run("petshop", graph_set, "--json").stdout)
    assert after["score"] is None
    assert after["cases"] == before["cases"]


@pytest.fixture
def telemetry_set(tmp_path):
    """Two services, a calling b; after the moment b logs an error in each call."""
    at = int(START.timestamp() * 1e9)
    for part, begin, broken in (("construct", at - 3600 * 10**9, False), ("rca", at, True)):
        base = tmp_path / part / DAY
        for kind in ("log", "trace", "metric"):
            (base / kind).mkdir(parents=True)
        logs = ["Timestamp,TimeUnixNano,Node,PodName,Container,TraceID,SpanID,Log"]
        spans = [
            "TraceID,SpanID,ParentID,PodName,OperationName,StartTimeUnixNano,EndTimeUnixNano,Duration"
        ]
        for i in range(20):
            t = begin + i * 10**9
            for node, span, parent in (("a", "s0", "root"), ("b", "s1", "s0")):
                pod = f"{node}-svc-12ab-xyz"
                spans.append(f"t{i}{part},{span},{parent},{pod},get,{t},{t + 5_000_000},5")
                bad = broken and node == "b"
                text = f"{'ERROR' if bad else 'INFO'} x.Y#{9 if bad else 3} [done, {i}]"
                line = json.dumps(json.dumps({"log": text, "stream": "stdout"}))
                # The line holds commas and its quotes are doubled, as in the original.
                quoted = '"' + json.loads(line).replace('"', '""') + '"'
                logs.append(f"x,{t},h,{pod},server,t{i}{part},{span},{quoted}")
        for kind, lines in (("log", logs), ("trace", spans)):
            with gzip.open(base / kind / f"04_05_{kind}.csv.gz", "wt") as file:
                file.write("\n".join(lines) + "\n")
        for node in "ab":
            seconds = at / 1e9 - 3000 + 60 * np.arange(53)
            frame = pd.DataFrame({"Time": "x", "TimeStamp": seconds, "PodName": node, "Cpu": 5.0})
            frame.to_csv(base / "metric" / f"{node}-svc-12ab-xyz_metric.csv.gz", index=False)
    faults = {"04": [{"inject_time": f"{START:%Y-%m-%d %H:%M:%S}", "inject_pod": "b-svc-9-z"}]}
    (tmp_path / "rca" / DAY / f"{DAY}-fault_list.json").write_text(json.dumps(faults))
    return tmp_path


def test_telemetry_is_answered_and_scored(telemetry_set):
    done = run("nezha", telemetry_set, "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["score"] == {"as1": 1.0, "as3": 1.0}
    assert answer["cases"] == [{"case": "2001-02-03 04:05:06", "ranking": ["b-svc"]}]


def test_faults_without_truth_are_answered_too(telemetry_set):
    file = telemetry_set / "rca" / DAY / f"{DAY}-fault_list.json"
    faults = json.loads(file.read_text())
    del faults["04"][0]["inject_pod"]
    file.write_text(json.dumps(faults))
    answer = json.loads(run("nezha", telemetry_set, "--json").stdout)
    assert answer["score"] is None
    assert answer["cases"] == [{"case": "2001-02-03 04:05:06", "ranking": ["b-svc"]}]


@pytest.mark.parametrize("name", ["petshop", "nezha"])
def test_missing_data_ends_with_a_message_and_two(name, tmp_path):
    for folder in (tmp_path / "none", tmp_path):
        done = run(name, folder)
        assert done.returncode == 2
        assert name in done.stderr
        assert str(folder) in done.stderr
        assert "Traceback" not in done.stderr


def test_an_unknown_benchmark_ends_with_the_known_ones(tmp_path):
    done = run("nothing", tmp_path)
    assert done.returncode == 2
    assert "petshop" in done.stderr
