"""Every question of every pack, taken by promtool, which also says what it answers."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.live.servers import need
from triagebook.analysis.measures import measure_of
from triagebook.core.errors import SettingsError
from triagebook.sources.metrics._packs import Counter, Gauge, Histogram, Mean, names, pack

if TYPE_CHECKING:
    from pathlib import Path

    from triagebook.sources.metrics._packs import Pack, Wanted

MATCH = ('job="model"', 'pod="a\\"b"')
# Once a minute: a counter that grows by one a second, a sum that grows twice as fast.
GROWS, TWICE, LEVEL = "0+60x60", "0+120x60", "5x60"
P99 = 0.1 + 0.9 * (0.99 * 60 - 30) / 30


def labelled(metric: str, by: list[str], values: str, **more: str) -> dict[str, str]:
    labels = dict.fromkeys(by, "x") | {"job": "model", "pod": 'a"b'} | more
    inner = ",".join(f"{name}={json.dumps(value)}" for name, value in labels.items())
    return {"series": f"{metric}{{{inner}}}", "values": values}


def scraped(found: Pack, *, older: bool) -> list[dict[str, str]]:
    """Return what a server of that stack exposes: each metric once, with all its labels."""
    by: dict[tuple[str, str], set[str]] = {}
    for entry in found.entries:
        name = entry.once[-1] if older and entry.once else entry.metric
        if isinstance(entry, Histogram):
            by.setdefault((f"{name}_bucket", "bucket"), set()).update(entry.by)
        elif isinstance(entry, Mean):
            by.setdefault((name, TWICE), set()).update(entry.by)
        else:
            values = GROWS if isinstance(entry, Counter) else LEVEL
            by.setdefault((name, values), set()).update(entry.by)
    series = []
    for (name, values), labels in by.items():
        if values == "bucket":
            for le, grows in (("0.1", "0+30x60"), ("1", GROWS), ("+Inf", GROWS)):
                series.append(labelled(name, sorted(labels), grows, le=le))
        else:
            series.append(labelled(name, sorted(labels), values))
    return series


def expected(found: Pack, wanted: Wanted) -> float:
    if wanted.name.endswith((" p50", " p99")):
        return 0.1 if wanted.name.endswith("p50") else P99
    if wanted.name.endswith(" mean"):
        return 2.0
    gauges = {name for one in found.gauge for name in (one.metric, *one.once)}
    return 5.0 if wanted.name in gauges else 1.0


def promtool(folder: Path, what: str, content: dict[str, Any]) -> None:
    path = folder / f"{what}.json"  # JSON is YAML
    path.write_text(json.dumps(content))
    run = subprocess.run(
        ["promtool", what, "rules", str(path)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.live
@pytest.mark.parametrize("older", [False, True], ids=["now", "once"])
@pytest.mark.parametrize("name", names())
def test_every_question_is_taken_and_answers_what_it_should(name, older, tmp_path):
    need("promtool")
    found = pack(name)
    series = scraped(found, older=older)
    there = {one["series"].partition("{")[0] for one in series}
    wanted = found.wanted(there, MATCH)
    assert len(wanted) == len(found.entries) + len(found.histogram)  # two shares of each
    rules = [
        {"record": f"pack:question:{number}", "expr": one.over(300)}
        for number, one in enumerate(wanted)
    ]
    promtool(tmp_path, "check", {"groups": [{"name": name, "rules": rules}]})
    asked = [
        {
            "expr": f"round(max({one.over(300)}), 0.001)",
            "eval_time": "50m",
            "exp_samples": [{"labels": "{}", "value": round(expected(found, one), 3)}],
        }
        for one in wanted
    ]
    # A second pod that is not asked about must change nothing.
    others = [
        {**one, "series": one["series"].replace('a\\"b', "other")}
        for one in series
        if "pod" in one["series"]
    ]
    tests = [{"interval": "1m", "input_series": series + others, "promql_expr_test": asked}]
    promtool(tmp_path, "test", {"rule_files": [], "evaluation_interval": "1m", "tests": tests})


@pytest.mark.parametrize("name", names())
def test_a_pack_asks_only_for_what_is_there(name):
    found = pack(name)
    assert found.wanted(set(), MATCH) == []
    for metric in found.metrics:
        for one in found.wanted({metric}, MATCH):
            assert set(one.needs) <= {metric}


@pytest.mark.parametrize("name", names())
def test_a_pack_says_where_its_metrics_are_documented_and_in_what_unit(name):
    found = pack(name)
    assert found.source.startswith("https://")
    assert all(one.unit for one in (*found.histogram, *found.mean, *found.counter))
    for entry in found.entries:
        assert len(set(entry.by)) == len(entry.by)
    assert all(isinstance(one, Gauge) for one in found.gauge)


@pytest.mark.parametrize(
    ("metric", "measure"),
    [
        ("airflow_ti_failures", "task_errors"),
        ("bentoml_service_request_in_progress", "queue_depth"),
        ("bentoml_service_request_total", "traffic"),
        ("container_cpu_cfs_throttled_periods_total", "cpu_throttled"),
        ("container_memory_working_set_bytes", "memory_used"),
        ("http_client_request_duration_seconds p99", "dependency_latency"),
        ("http_server_request_duration_seconds p99", "latency"),
        ("http_server_request_duration_seconds_count", "traffic"),
        ("kube_pod_container_status_last_terminated_reason", "restarts"),
        ("node_filefd_allocated", "handles_open"),
        ("node_filefd_maximum", "handles_limit"),
        ("node_filesystem_avail_bytes", "disk_free"),
        ("node_pressure_io_stalled_seconds_total", "io_stall"),
        ("nv_inference_pending_request_count", "queue_depth"),
        ("nv_inference_queue_duration_us mean", "queue_time"),
        ("nv_inference_request_failure", "errors"),
        ("ray_serve_deployment_processing_latency_ms p50", "latency"),
        ("ray_serve_replica_processing_queries", "queue_depth"),
        ("request_predict_seconds p99", "inference_time"),
        ("revision_app_request_count", "traffic"),
        ("vllm:num_requests_running", "queue_depth"),
        ("vllm:num_requests_waiting", "queue_depth"),
        ("vllm:prefix_cache_queries_total", "other"),
        ("vllm:time_to_first_token_seconds p99", "latency"),
        ("DCGM_FI_DEV_XID_ERRORS", "gpu_xid"),
    ],
)
def test_what_a_pack_asks_for_is_read_as_what_it_is(metric, measure):
    every = {one.name for name in names() for one in pack(name).wanted(set(pack(name).metrics), ())}
    assert metric in every
    assert measure_of(metric) == measure


def test_an_unknown_stack_names_the_nearest():
    with pytest.raises(SettingsError, match="no stack is called 'trition'") as caught:
        pack("trition")
    assert caught.value.hint == "did you mean 'triton'?"
