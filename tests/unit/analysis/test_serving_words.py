"""Words and shapes that tell serving faults apart: metric names, log lines, counters, coarse pasts."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from triagebook.analysis.failures import key_of
from triagebook.analysis.log_series import LEAST, is_request, request_series, seconds_of
from triagebook.analysis.logs import serving_trouble_of, trouble_of
from triagebook.analysis.measures import measure_of
from triagebook.analysis.series import to_series
from triagebook.analysis.statistic import statistic_of
from triagebook.analysis.telemetry import Names, readings


@pytest.mark.parametrize(
    ("name", "measure"),
    [
        ("a.predict_time.mean", "inference_time"),
        ("InferenceTime", "inference_time"),
        ("http.server.handled", "traffic"),
        ("a.http.hits", "traffic"),
        ("redis_keyspace_hits_total", "cache_hits"),
        ("a.hits", "cache_hits"),
        ("x.FaultCount", "errors"),
        ("node_page_fault_count_major", "major_faults"),
        ("RunningTaskCount", "replicas"),
        ("k8s.deployment.available", "replicas"),
        ("a.started_at", "uptime"),
        ("a.io.written", "disk_writes"),
        ("a.files.limit", "handles_limit"),
        ("process.open_file_descriptor.count", "handles_open"),
        ("a.dbpool.used", "connections_open"),
        ("a.dbpool.size", "connections_limit"),
        ("a.load", "load"),
        ("FreeableMemory", "memory_free"),
        ("app.request.items", "batch_size"),
    ],
)
def test_names_are_read_by_their_words(name, measure):
    assert measure_of(name) == measure


def test_what_a_card_label_tells_is_told_of_a_card():
    assert measure_of("hw.temperature", {"gpu": "0"}) == "gpu_temperature"
    assert measure_of("hw.temperature", {"sensor": "0"}) == "other"


@pytest.mark.parametrize(
    ("line", "seconds"),
    [
        ('10.0.0.1 - - "POST /v1/x HTTP/1.1" 200 812 "-" rt=0.250', 0.25),
        ('{"method": "POST", "path": "/v1", "duration_ms": 37.5}', 0.0375),
        ("request took 1.5 s, over budget", 1.5),
        ("handled in time, latency=20ms", 0.02),
        ("elapsed: 4 us", 4e-6),
        ("cart=12", None),
        ("took off", None),
        ("took 12 items", None),
        ("took 12 ms", 0.012),
    ],
)
def test_how_long_a_request_took_by_its_line(line, seconds):
    found = seconds_of(line)
    assert found == (None if seconds is None else pytest.approx(seconds))


def test_lines_of_requests():
    assert is_request('"GET /health HTTP/1.1" 200')
    assert is_request('{"method": "POST", "path": "/v1/score"}')
    assert not is_request("budget / plan for POST offices")


def _levels(series) -> np.ndarray:
    return series.values  # noqa: PD011 - an array of ours


def _lines(count: int) -> pd.DataFrame:
    times = pd.date_range("2026-01-01", periods=count, freq="30s", tz="UTC")
    message = '"GET /x HTTP/1.1" 200 rt=0.2'
    return pd.DataFrame({"ts": times, "source": "web-1", "message": message})


@pytest.mark.parametrize(("count", "series"), [(LEAST - 1, 0), (LEAST, 2), (LEAST + 1, 2)])
def test_requests_are_counted_from_so_many_lines_on(count, series):
    found = request_series(_lines(count), lambda _: "web")
    assert len(found) == series
    if series:
        rate, took = found
        assert np.median(_levels(rate)) == pytest.approx(1 / 30, rel=0.5)
        assert _levels(took) == pytest.approx(0.2)
    assert request_series(_lines(count), lambda _: None) == []


def test_a_setting_is_named_and_no_word_of_the_scheduler():
    text = (
        "Variable window_days does not exist\nMarking task as FAILED. dag_id=a_flow, task_id=b_step"
    )
    assert key_of(text) == "window_days"
    assert key_of("Marking task as FAILED. dag_id=a_flow, task_id=b_step, run_id=x_1") is None


def test_what_was_removed_from_a_package_is_a_package_that_no_longer_fits():
    text = "AttributeError: `np.x` was removed in the NumPy 2.0 release. Use `np.y` instead."
    assert trouble_of(text) == "pipeline.bad_dependency_version"
    assert trouble_of("AttributeError: row was removed from the queue") != (
        "pipeline.bad_dependency_version"
    )


def test_a_pool_that_gives_nothing_is_exhausted():
    line = "Connection is not available, request timed out after 30000ms"
    assert serving_trouble_of(line) == "resources.handle_leak"


def _frame(times: np.ndarray, values: np.ndarray, name: str, **labels: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "ts": pd.to_datetime((times * 1e9).astype("int64"), utc=True),
            "name": name,
            "labels": json.dumps(labels),
            "value": values.astype(float),
        }
    )


@pytest.mark.parametrize("coarser", [2, 10, 15, 60])
def test_a_counter_keeps_a_past_at_a_coarser_step(coarser):
    old = np.arange(0, 86_400, 60 * coarser)
    new = np.arange(86_400, 108_000, 60)
    times = np.concatenate([old, new])
    (one,) = to_series(_frame(times, 5.0 * times, "requests_total"))
    assert (one.times < 86_400e9).sum() >= len(old) - 2
    assert _levels(one) == pytest.approx(5.0)


def test_a_counters_gap_is_left_out():
    times = np.concatenate([np.arange(0, 6_000, 60), np.arange(12_000, 18_000, 60)])
    (one,) = to_series(_frame(times, 5.0 * times, "requests_total"))
    assert len(one.times) == len(times) - 2


def test_a_clock_that_is_held_down_counts_nothing():
    times = np.arange(0, 18_000, 60)
    (clock,) = to_series(_frame(times, np.where(times < 9_000, 1410.0, 285.0), "gpu_clock"))
    assert _levels(clock)[0] == 1410.0
    assert _levels(clock)[-1] == 285.0


def test_what_counts_and_is_reset_is_a_counter_still():
    times = np.arange(0, 18_000, 60)
    (one,) = to_series(_frame(times, np.where(times < 9_000, times, times - 9_000.0), "served"))
    assert one.unit == "1/s"
    assert np.median(_levels(one)) == pytest.approx(1.0)
    assert _levels(one).min() >= 0.0


def test_what_a_task_writes_is_no_request():
    times = np.arange(0, 18_000, 60)
    frame = pd.concat(
        [
            _frame(times, np.full(300, 50.0), "batch_records", task="t_load"),
            _frame(times, np.full(300, 50.0), "batch_records", service="web"),
        ]
    )
    names = Names("web", tasks=frozenset({"t_load"}))
    found = {r.task: r.measure for r in readings(to_series(frame), names, {}, (0, 9, 18))}
    assert found == {"t_load": "rows", None: "batch_size"}


@pytest.mark.parametrize(
    ("unit", "measure"),
    [("", "latency"), ("ms", "latency"), ("h", "latency"), ("PSI", "other"), ("%", "other")],
)
def test_what_is_measured_in_no_unit_of_time_is_no_latency(unit, measure):
    frame = _frame(np.arange(0, 18_000, 60), np.full(300, 0.2), "request_elapsed", service="web")
    series = to_series(frame, {"request_elapsed": {"unit": unit}})
    (found,) = readings(series, Names("web"), {}, (0, 9, 18))
    assert found.measure == measure


@pytest.mark.parametrize(
    ("name", "labels", "statistic"),
    [
        ("http_request_seconds p99", {}, "p99"),
        ("http_request_seconds_p95", {}, "p95"),
        ("a.latency.mean", {}, "mean"),
        ("Latency", {"stat": "Average"}, "mean"),
        ("request_seconds", {"quantile": "0.5"}, "p50"),
        ("request_seconds", {"quantile": "0.999"}, "p999"),
        ("p99 latency of web above 0.3 s", {}, "p99"),
        ("http_request_seconds", {"service": "web"}, ""),
        ("gp100_seconds", {}, ""),
    ],
)
def test_the_statistic_a_name_speaks_of(name, labels, statistic):
    assert statistic_of(name, labels) == statistic
