"""Metric names are read by their words; series are held against their usual course."""

import numpy as np
import pandas as pd
import pytest

from triagebook.analysis.failures import endpoint_of, headline_of, key_of, name_in, our_line
from triagebook.analysis.growth import climb
from triagebook.analysis.measures import measure_of
from triagebook.analysis.series import Series
from triagebook.analysis.shift import DAY, HOUR, shift
from triagebook.analysis.telemetry import Names, readings
from triagebook.analysis.units import partial_conversion

MINUTE = 60 * 10**9
RNG = np.random.default_rng(3)


@pytest.fixture(autouse=True)
def _same_draws():
    # Each test draws the same, whichever others ran before.
    RNG.bit_generator.state = np.random.default_rng(3).bit_generator.state


@pytest.mark.parametrize(
    ("name", "labels", "measure"),
    [
        ("http_server_request_duration_seconds", {}, "latency"),
        ("http.server.request.duration", {}, "latency"),
        ("prod.api.pod-3.latency.p99", {}, "latency"),
        ("TargetResponseTime", {}, "latency"),
        ("request_predict_seconds", {}, "inference_time"),
        ("http_client_request_duration_seconds", {}, "dependency_latency"),
        ("http_server_request_duration_seconds_count", {}, "traffic"),
        ("http_requests_per_second", {}, "traffic"),
        ("RequestCount", {}, "traffic"),
        ("HTTPCode_Target_5XX_Count", {}, "errors"),
        ("node_cpu_seconds_total", {"mode": "steal"}, "cpu_steal"),
        ("node_cpu_seconds_total", {"mode": "idle"}, "cpu_idle"),
        ("container_cpu_cfs_throttled_periods_total", {}, "cpu_throttled"),
        ("container_memory_working_set_bytes", {}, "memory_used"),
        ("node_memory_MemAvailable_bytes", {}, "memory_free"),
        ("kube_pod_container_resource_limits", {"resource": "memory"}, "memory_limit"),
        ("node_pressure_memory_stalled_seconds_total", {}, "memory_stall"),
        ("node_filesystem_avail_bytes", {}, "disk_free"),
        ("process_open_fds", {}, "handles_open"),
        ("hikaricp_connections_max", {}, "connections_limit"),
        ("DCGM_FI_DEV_XID_ERRORS", {}, "gpu_xid"),
        ("DCGM_FI_DEV_FB_USED", {}, "gpu_memory_used"),
        ("redis_keyspace_misses_total", {}, "cache_misses"),
        ("jvm_gc_pause_seconds_sum", {}, "gc_time"),
        ("kube_pod_container_status_restarts_total", {}, "restarts"),
        ("model_feature_psi", {}, "quality"),
        ("frobnications", {}, "other"),
    ],
)
def test_a_name_is_read_by_its_words(name, labels, measure):
    assert measure_of(name, labels) == measure


def test_a_service_called_cache_makes_no_cache_metric_of_its_latency():
    assert measure_of("prod.disk-cache.latency.p99", {}, {"disk-cache"}) == "latency"


def course(days, hours, step=5 * MINUTE, size=0.0, shape="step", season=0.5):
    """Return times, values and the onset, two hours before the end, of a series with a daily shape."""
    n = int((days * DAY + hours * HOUR) // step)
    t = np.arange(n) * step + 20_000 * DAY
    onset = t[-1] - 2 * HOUR
    y = season * np.sin(2 * np.pi * t / DAY) + 0.08 * RNG.normal(size=n)
    if shape == "step":
        y = y + size * (t >= onset)
    elif shape == "ramp":
        y = y + size * np.clip((t - onset) / (2 * HOUR), 0, None)
    else:
        y = y + size * ((t >= onset) & (t < onset + HOUR // 2))
    return t, 40 * np.exp(y), int(onset)


@pytest.mark.parametrize("shape", ["step", "ramp", "burst"])
def test_a_departure_is_seen_with_its_shape_and_start(shape):
    t, v, onset = course(4, 6, size=1.0, shape=shape)
    found = shift(t, v, int(t[0]), int(t[-1] - 6 * HOUR), int(t[-1]))
    assert found.clear
    assert found.direction == 1
    assert found.shape == shape
    assert abs(found.start - onset) <= (2 if shape != "ramp" else 8) * 5 * MINUTE
    assert found.low <= found.start <= found.high
    assert found.going_on == (shape != "burst")


def test_a_daily_peak_and_a_constant_are_no_departure():
    t, v, _ = course(4, 6, season=1.2)
    found = shift(t, v, int(t[0]), int(t[-1] - 6 * HOUR), int(t[-1]))
    assert found is None or not found.clear
    assert shift(t, np.full(len(t), 7.0), int(t[0]), int(t[-1] - 6 * HOUR), int(t[-1])) is None


@pytest.mark.parametrize("past", [19, 20])
def test_too_short_a_past_tells_nothing(past):
    t = np.arange(past + 10) * MINUTE
    v = np.r_[np.ones(past), np.full(10, 9.0)]
    found = shift(t, v, 0, int(t[past]), int(t[-1]))
    assert (found is not None) == (past >= 20)


def test_a_coarser_past_is_compared_at_its_own_step():
    t, v, onset = course(3, 6, step=MINUTE)
    cut = t[-1] - 6 * HOUR
    old = t < cut
    bins = (t[old] - t[0]) // (5 * MINUTE)
    coarse = pd.Series(v[old]).groupby(bins).mean().to_numpy()
    times = np.r_[t[0] + np.arange(len(coarse)) * 5 * MINUTE, t[~old]]
    values = np.r_[coarse, v[~old]]
    found = shift(times, values, int(t[0]), int(cut), int(t[-1]))
    assert found is None or not found.clear
    values = np.r_[coarse, v[~old] * np.where(t[~old] >= onset, 2.0, 1.0)]
    assert shift(times, values, int(t[0]), int(cut), int(t[-1])).clear


def test_a_leak_climbs_and_a_heap_does_not():
    t = np.arange(600) * 5 * MINUTE
    start = int(t[450])
    flat = 1e9 * (1 + 0.01 * RNG.normal(size=600))
    assert not climb(t, flat, start).climbs
    leak = flat + np.clip(t - t[450], 0, None) / HOUR * 5e7
    found = climb(t, leak, start)
    assert found.climbs
    assert found.low <= 5e7 <= found.high
    at, low, high = found.hours_to(2.5e9)
    assert low <= at <= high
    teeth = 1e9 * (0.7 + 0.6 * (np.arange(600) % 60) / 60)
    assert not climb(t, teeth, start).climbs


def one(name, **labels):
    t = np.arange(60) * MINUTE
    return Series(name, labels, "other", "", t, np.ones(60))


def test_entities_are_found_by_known_names_by_keys_and_inside_names():
    names = Names(
        "shop",
        components=frozenset({"shop", "till"}),
        dependencies=frozenset({"till"}),
        hosts=frozenset({"h1"}),
        instances={"shop-1": "shop"},
    )
    found = readings(
        [
            one("latency_seconds", service="shop", pod="shop-1", node="h1"),
            one("client_latency_seconds", app="shop", peer="till"),
            one("prod.shop.shop-1.latency.p99"),
            one("prod.shop.out.till.latency"),
            one("node_load1", instance="h1:9100"),
        ],
        names,
        {},
        (0, int(30 * MINUTE), int(60 * MINUTE)),
    )
    who = [(r.component, r.instance, r.host, r.peer) for r in found]
    assert who == [
        ("shop", "shop-1", "h1", None),
        ("shop", None, None, "till"),
        ("shop", "shop-1", None, None),
        ("shop", None, None, "till"),
        (None, None, "h1", None),
    ]
    assert found[3].measure == "dependency_latency"


TRACE = """Traceback (most recent call last):
  File "/opt/jobs/build.py", line 12, in main
    run()
  File "/usr/lib/python3.11/site-packages/pandas/core/frame.py", line 3, in merge
    raise KeyError(key)
KeyError: 'amount'
"""


def test_a_failure_names_its_line_its_key_and_what_it_could_not_reach():
    assert headline_of(TRACE) == "KeyError: 'amount'"
    assert our_line(TRACE) == "/opt/jobs/build.py:12 in main"
    assert key_of("missing environment variable DB_URL") == "DB_URL"
    assert key_of("1 validation error for Settings\nuse_spot\n  Input should be") == "use_spot"
    assert (
        endpoint_of("HTTPSConnectionPool(host='feed.example', port=443): timed out")
        == "feed.example"
    )
    assert name_in('connection to "big-blob" refused', ["big_blob", "blob"]) == "big_blob"
    assert name_in("the blobber", ["blob"]) is None
    text = (
        "no partition of suppliers for today; container mirror_accounts in pod mirror-accounts-12"
    )
    assert name_in(text, ["accounts_in", "suppliers"]) == "suppliers"
    assert name_in(text, ["accounts_in"]) == "accounts_in"
    assert name_in("the feature store timed out", ["store", "feature-store"]) == "feature-store"
    assert name_in("no rows in prod_suppliers", ["suppliers"]) == "suppliers"


@pytest.mark.parametrize("share", [0.01, 0.1, 0.6])
def test_a_conversion_of_some_rows_is_found_where_they_leave_the_range(share):
    rng = np.random.default_rng(31)  # its own: what it draws must not hang on the tests before it
    old = rng.gamma(4, 5, 3_000)
    new = rng.gamma(4, 5, 1_000)
    rows = rng.random(1_000) < share
    new[rows] *= 1_000
    found = partial_conversion(old, new)
    if share < 0.02:
        assert found is None
    else:
        assert found.factor == 1_000
        assert found.after < found.before
    assert partial_conversion(old, rng.gamma(4, 5, 1_000)) is None
