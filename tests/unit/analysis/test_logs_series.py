"""Lines fold to templates, troubles are recognised, scraped metrics become comparable series."""

import json

import numpy as np
import pandas as pd
import pytest

from triagebook.analysis.logs import changed_templates, template_of, trouble_of
from triagebook.analysis.series import quantity_of, to_series, unit_of

START = pd.Timestamp("2026-03-01T00:00Z")


@pytest.mark.parametrize(
    ("line", "template"),
    [
        ("batch 17 took 3.5 s", "batch <n> took <n> s"),
        ("at 2026-03-01T10:00:00Z from 10.0.0.1:80", "at <time> from <address>"),
        ("id 0f8fad5b-d9cb-469f-a165-70867728950e", "id <id>"),
        ("read /var/lib/data/x.csv", "read <path>"),
        ("", ""),
    ],
)
def test_what_changes_from_line_to_line_is_folded(line, template):
    assert template_of(line) == template


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("Container killed: OOMKilled (exit code 137)", "pipeline.out_of_memory"),
        ("OSError: [Errno 28] No space left on device", "pipeline.disk_full"),
        ("requests.HTTPError: 401 Client Error: Unauthorized", "pipeline.auth_expired"),
        ("psycopg.OperationalError: connection refused", "pipeline.dependency_down"),
        ("ModuleNotFoundError: No module named 'pyarrow.lib2'", "pipeline.bad_dependency_version"),
        ("KeyError: 'FEATURE_STORE_URL'", "pipeline.bad_config"),
        ("schema validation failed for orders", "pipeline.contract_rejected"),
        ("FileNotFoundError: s3://lake/2026-03-01/part.parquet", "pipeline.input_missing"),
        ("Back-off pulling image: ImagePullBackOff", "pipeline.deploy_failed"),
        ("ZeroDivisionError: division by zero", "pipeline.code_error"),
        ("all went well", None),
    ],
)
def test_known_troubles_are_recognised(line, cause):
    assert trouble_of(line) == cause


def lines(items):
    return pd.DataFrame(
        [(START + pd.Timedelta(minutes=i), s, "task", m) for i, (s, m) in enumerate(items)],
        columns=["ts", "severity", "source", "message"],
    )


def test_new_and_multiplied_errors_are_listed_and_usual_ones_are_not():
    old = lines([("ERROR", "retry 1")] * 20 + [("INFO", "fine")] * 50)
    new = lines(
        [("ERROR", "retry 2")] * 3
        + [("ERROR", "boom 7")]
        + [("WARN", "slow 1")] * 9
        + [("INFO", "x")]
    )
    found = changed_templates(old, new, ratio=0.1)
    assert [(t.template, t.current) for t in found] == [("boom <n>", 1), ("slow <n>", 9)]
    assert changed_templates(old, new.iloc[-1:], 0.1) == []


def scraped(name, values, labels=None, step_s=60):
    return pd.DataFrame(
        {
            "ts": START + pd.to_timedelta(np.arange(len(values)) * step_s, unit="s"),
            "name": name,
            "labels": json.dumps(labels or {}, sort_keys=True),
            "value": np.asarray(values, dtype=float),
        }
    )


def test_counters_become_rates_over_resets_and_gaps():
    values = np.r_[np.arange(0, 600, 6), np.arange(0, 600, 6)].astype(float)
    frame = scraped("requests_total", values).drop(index=range(40, 80))
    (series,) = to_series(frame)
    rate = np.asarray(series.values)
    assert series.unit == "1/s"
    assert rate == pytest.approx(np.full(len(rate), 0.1), abs=0.11)
    assert (rate >= 0).all()
    assert len(rate) == len(frame) - 2  # the gap's own step is left out


def test_histograms_become_quantiles():
    edges = [0.1, 0.2, 0.4, 0.8, np.inf]
    seconds = np.random.default_rng(0).uniform(0.1, 0.4, (40, 500))
    frames = []
    for edge in edges:
        counts = np.cumsum((seconds <= edge).sum(axis=1))
        label = "+Inf" if np.isinf(edge) else str(edge)
        frames.append(scraped("took_seconds_bucket", counts, {"le": label, "route": "/a"}))
    found = {s.name: s for s in to_series(pd.concat(frames))}
    middle = found["took_seconds p50"].values.mean()  # noqa: PD011 - a Series of ours
    assert middle == pytest.approx(np.median(seconds), abs=0.05)
    assert found["took_seconds p99"].unit == "s"
    assert found["took_seconds p50"].labels == {"route": "/a"}


def test_moments_become_ages_and_short_series_are_left_out():
    stamp = START.timestamp()
    (series,) = to_series(scraped("last_success_timestamp_seconds", np.full(30, stamp)))
    assert series.values[-1] == pytest.approx(29 * 60)  # noqa: PD011 - a Series of ours
    assert to_series(scraped("x", np.ones(19))) == []


@pytest.mark.parametrize(
    ("name", "quantity", "unit"),
    [
        ("http_server_request_duration_seconds", "latency", "s"),
        ("node_memory_MemAvailable_bytes", "memory", "bytes"),
        ("DCGM_FI_DEV_FB_USED", "gpu", ""),
        ("container_cpu_cfs_throttled_periods_total", "cpu", ""),
        ("airflow_ti_failures", "errors", ""),
        ("model_feature_psi", "model", ""),
        ("http_requests_per_second", "traffic", "/s"),
        ("disk_read_bytes_per_sec", "disk", "bytes/s"),
        ("jobs_per_minute", "other", "/min"),
        ("something", "other", ""),
    ],
)
def test_quantities_and_units_are_read_from_names(name, quantity, unit):
    assert quantity_of(name) == quantity
    assert unit_of(name) == unit


def test_labels_that_are_no_json_do_no_harm():
    frame = scraped("g", np.random.default_rng(0).normal(size=30)).assign(labels="{broken")
    assert to_series(frame)[0].labels == {"labels": "{broken"}
