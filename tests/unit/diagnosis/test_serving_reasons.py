"""What tells one cause of slowness from its look-alikes: order, place, thresholds, and what was not seen."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.unit.diagnosis.serving_world import (
    END,
    HOURS,
    LATE,
    ONSET,
    START,
    TIMES,
    Serving,
    change,
    make,
    slower,
)
from triagebook.analysis.series import Series
from triagebook.analysis.shift import Shift
from triagebook.analysis.telemetry import Reading
from triagebook.core.models import Alert, IncidentType, TaskRun
from triagebook.diagnosis.checks.hosts import MUCH_CORES, _takes_much
from triagebook.diagnosis.checks.resources import _always_on, _daily, _trend
from triagebook.diagnosis.context import Context
from triagebook.diagnosis.diagnose import diagnose
from triagebook.diagnosis.first_failure import failed_by_alert
from triagebook.evidence.bundle import Bundle

SECONDS = np.asarray(TIMES.as_unit("ns").asi8) / 1e9


def first_of(world: Serving, tmp_path, without: tuple[str, ...] = ()):
    found, _ = diagnose(world.bundle(tmp_path / "b", without))
    return found.hypotheses[0]


def restarts(world: Serving, last_h: float) -> None:
    """Let all instances start in turn, one every twelve minutes, until so many hours after the onset."""
    for i, one in enumerate(world.instances()):
        started = np.full(len(TIMES), ONSET.timestamp() - 9e5)
        for k in range(int(last_h * 5) + 1):
            if k % 4 == i:
                at = ONSET.timestamp() + 720 * k
                started = np.where(at <= SECONDS, at, started)
        world.put("process_start_time_seconds", started, service=world.names["entry"], pod=one)


@pytest.mark.parametrize(("last_h", "cold"), [(1.8, True), (1.5, True), (1.3, False), (0.2, False)])
def test_cold_until_three_quarters_of_an_hour_after_the_last_start(last_h, cold, tmp_path):
    # The symptom lasts for two hours: it outlives the last start by 12, 36, 48 and 120 minutes.
    world = make(11)
    slower(world)
    world.edit("container_cpu_usage", lambda v: v * np.where(LATE, 1.35, 1.0))
    restarts(world, last_h)
    first = first_of(world, tmp_path)
    assert (first.cause == "latency.cold_start") is cold, first


@pytest.mark.parametrize(("factor", "blamed"), [(5.0, True), (1.1, False)])
def test_one_of_two_instances(factor, blamed, tmp_path):
    world = make(12)
    for one in world.instances()[2:]:
        for key in [k for k in world.series if ("pod", one) in k[1]]:
            del world.series[key]
    world.edit("http_server_request_duration_seconds", lambda v: v * np.where(LATE, 2.0, 1.0))
    world.edit(
        "app_request_seconds",
        lambda v: v * np.where(LATE, factor, 1.0),
        pod=world.instances()[0],
    )
    found, _ = diagnose(world.bundle(tmp_path / "b"))
    hit = [h for h in found.hypotheses if h.cause == "latency.bad_instance"]
    assert bool(hit) is blamed
    if blamed:
        assert found.hypotheses[0].locus == f"instance:{world.instances()[0]}"


def test_instances_hidden_in_names_are_compared(tmp_path):
    world = make(13)
    for key in [k for k in world.series if k[0] == "app_request_seconds"]:
        del world.series[key]
    n = world.names["entry"]
    for i, one in enumerate(world.instances()):
        level = 0.06 * np.exp(0.05 * world.rng.normal(size=len(TIMES)))
        world.put(f"live.{n}.{one}.latency.mean", level * np.where(LATE & (i == 2), 4.0, 1.0))
    world.edit("http_server_request_duration_seconds", lambda v: v * np.where(LATE, 1.8, 1.0))
    first = first_of(world, tmp_path)
    assert (first.cause, first.locus) == (
        "latency.bad_instance",
        f"instance:{world.instances()[2]}",
    )


@pytest.mark.parametrize(("then", "named"), [(3.0, True), (2.0, False)])
def test_a_surge_served_for_hours_is_blamed_when_it_is_felt_at_its_highest(then, named, tmp_path):
    world = make(14)
    load = np.interp(HOURS, [0, 1.6, 1.75, 2], [2.2, 2.2, then, then])
    world.edit("http_requests_per_second", lambda v: v * np.where(LATE, load, 1.0))
    felt = np.where(HOURS >= 1.7, 3.0, 1.0)
    world.edit("http_server_request_duration_seconds", lambda v: v * felt)
    world.edit("app_request_seconds", lambda v: v * felt)
    world.edit("container_cpu_throttled_ratio", lambda v: v + np.where(HOURS >= 1.7, 0.3, 0.0))
    first = first_of(world, tmp_path)
    assert (first.cause == "latency.traffic_surge") is named, first


def test_a_mean_is_held_against_a_mean(tmp_path):
    # One call in twenty takes long: our 99th percentile rises by seconds, the means by as much as each other.
    world = make(15)
    n = world.names
    rise = np.where(LATE, 0.05, 0.0)
    world.edit(
        "http_server_request_duration_seconds",
        lambda v: v + 20 * rise,
        quantile="0.99",
    )
    world.edit("app_request_seconds", lambda v: v + rise)
    world.put(
        "http_request_latency_seconds_mean",
        0.08 * np.exp(0.05 * world.rng.normal(size=len(TIMES))) + rise,
        service=n["entry"],
    )
    for key in [k for k in world.series if k[0] == "http_client_request_duration_seconds"]:
        values = world.series.pop(key)
        shift = rise if ("peer", n["store"]) in key[1] else 0.0
        world.series["http_client_latency_seconds_mean", key[1]] = values + shift
    first = first_of(world, tmp_path)
    assert (first.cause, first.locus) == (
        "latency.slow_dependency",
        f"dependency:{n['store']}",
    )


def test_a_heavier_model_where_its_own_time_is_not_measured(tmp_path):
    world = make(16)
    for key in [k for k in world.series if k[0] == "model_inference_seconds"]:
        del world.series[key]
    slower(world)
    world.edit("container_cpu_usage", lambda v: v * np.where(LATE, 1.8, 1.0))
    world.edit("container_cpu_throttled_ratio", lambda v: v + np.where(LATE, 0.3, 0.0))
    change(world, "model", world.names["model"], "7", "8", before_min=1)
    first = first_of(world, tmp_path)
    assert (first.cause, first.locus) == (
        "latency.heavier_model",
        f"model:{world.names['model']}/8",
    )


@pytest.mark.parametrize(("degrees", "named"), [(85.0, True), (60.0, False)])
def test_a_hot_card_among_cool_ones(degrees, named, tmp_path):
    world = make(17)
    slower(world)
    for i in range(2):
        warm = np.where(LATE & (i == 1), degrees, 57.0)
        world.put(
            "gpu_temperature",
            warm * np.exp(0.01 * world.rng.normal(size=len(TIMES))),
            node=world.host(i),
        )
    found, _ = diagnose(world.bundle(tmp_path / "b"))
    hit = [h for h in found.hypotheses if h.cause == "resources.gpu_fault"]
    assert [h.locus for h in hit] == ([f"host:{world.host(1)}"] if named else [])


@pytest.mark.parametrize("changes", [True, False])
def test_held_back_without_asking_for_more_is_a_lower_limit_where_nothing_could_say_so(
    changes, tmp_path
):
    world = make(18)
    slower(world)
    world.edit("container_cpu_throttled_ratio", lambda v: v + np.where(LATE, 0.5, 0.0))
    first = first_of(world, tmp_path, () if changes else ("changes",))
    assert first.cause == ("latency.cpu_throttling" if changes else "resources.limit_lowered")


def test_what_came_back_early_explains_nothing_that_goes_on(tmp_path):
    world = make(19)
    ctx_world = world
    slower(ctx_world)
    at = {"node": world.host(0)}
    brief = LATE & (HOURS < 0.5)
    world.edit("node_cpu_steal_ratio", lambda v: v + np.where(brief, 0.3, 0.0), **at)
    ctx = Context(world.bundle(tmp_path / "b"))
    steal = [r for r in ctx.readings if r.measure == "cpu_steal" and r.host == world.host(0)]
    assert ctx.scene.order(steal[0]) == -1.5


def test_the_sum_of_series_bears_a_past_at_a_coarser_step(tmp_path):
    world = make(20)
    kept: dict[tuple[str, tuple[tuple[str, str], ...]], np.ndarray] = {}
    for i, (key, values) in enumerate(world.series.items()):
        if key[0] == "http_requests_per_second":
            # One sample of ten before the window, each instance at its own moments, and of its own size.
            old = np.asarray(TIMES < START) & ((np.arange(len(TIMES)) + 3 * i) % 10 != 0)
            kept[key] = np.where(old, np.nan, values * (1 + 5 * (i % 2)))
    world.series.update(kept)
    ctx = Context(world.bundle(tmp_path / "b"))
    total = ctx.scene.total("traffic")
    assert total is not None
    assert total.shift is None or not total.shift.clear


def test_the_sum_goes_on_where_instances_are_replaced_by_others(tmp_path):
    world = make(32)
    for key in [k for k in world.series if k[0] == "http_requests_per_second"]:
        values = world.series.pop(key)
        who = dict(key[1])
        for pod, alive in ((who["pod"], ~LATE), (f"{who['pod']}-new", LATE)):
            labels = tuple(sorted({**who, "pod": pod}.items()))
            world.series[key[0], labels] = np.where(alive, values, np.nan)
    ctx = Context(world.bundle(tmp_path / "b"))
    total = ctx.scene.total("traffic")
    assert total is not None
    assert total.series.times[-1] >= (END - pd.Timedelta("10min")).value
    assert total.shift is None or not total.shift.clear


def test_a_task_fills_its_memory_each_time_it_runs(tmp_path):
    world = make(21)
    world.incident_type, world.metric = "resource_exhaustion", "container_memory_bytes"
    hours = (np.asarray(TIMES.hour) + np.asarray(TIMES.minute) / 60) % 6
    running = hours < 0.7
    grown = np.where(np.asarray(TIMES) >= START, 1.5, 1.0)
    use = np.where(running, 1e9 + 5e9 * hours * grown, np.nan)
    world.put("container_memory_bytes", use, task="nightly_batch", pipeline="p")
    found, _ = diagnose(world.bundle(tmp_path / "b"))
    assert all(h.cause != "resources.memory_leak" for h in found.hypotheses)


@pytest.mark.parametrize(("grows", "named"), [(0.04, True), (0.0, False)])
def test_growth_is_read_at_one_hour_of_the_day(grows, named, tmp_path):
    # Three days from 12:00 on: half days at both ends, of other hours than the whole ones.
    world = make(22)
    world.incident_type, world.metric = "resource_exhaustion", "container_cpu_usage"
    days = np.asarray((TIMES - TIMES[0]) / pd.Timedelta("1D"))
    up = 1 + grows * days
    world.edit("http_requests_per_second", lambda v: v * up)
    ctx = Context(world.bundle(tmp_path / "b"))
    total = ctx.scene.total("traffic")
    assert total is not None
    past = total.series.within(0, START.value)
    days_seen, level = _daily(past.times, past.values)
    rise = _trend(days_seen, level)
    assert rise > 0.05 if named else abs(rise) < 0.03


def access(world: Serving, surge: float = 1.0, slow: float = 1.0) -> None:
    """Write lines of an access log, as many as requests come, and what they took."""
    rng, n = world.rng, world.names
    weight = np.where(LATE, surge, 1.0)
    weight = np.where(np.asarray(TIMES) >= END - pd.Timedelta("1D"), weight, 0.0)
    picked = np.sort(rng.choice(len(TIMES), size=1500, p=weight / weight.sum()))
    for i in picked:
        took = 0.08 * np.exp(0.3 * rng.normal()) * (slow if LATE[i] else 1.0)
        at = TIMES[i] + pd.Timedelta(seconds=int(rng.integers(0, 110)))
        pod = world.instances()[int(rng.integers(4))]
        world.logs.append(
            (
                at,
                "INFO",
                pod,
                f'10.1.2.3 - - "POST /v1/{n["other"]} HTTP/1.1" 200 812 rt={took:.3f}',
            )
        )
    world.logs.sort()


def test_without_metrics_a_surge_is_read_from_the_access_log(tmp_path):
    world = make(23)
    access(world, surge=2.5, slow=2.0)
    first = first_of(world, tmp_path, ("metrics",))
    assert (first.cause, first.locus) == (
        "latency.traffic_surge",
        f"service:{world.names['entry']}",
    )


def test_misses_that_slow_nothing_are_no_reason_for_worse_answers(tmp_path):
    listed = {}
    for about in ("model_performance", "unknown"):
        world = make(28)
        world.incident_type, world.metric = about, ""
        world.edit("cache_hit_ratio", lambda v: v * np.where(LATE, 0.6, 1.0))
        found, _ = diagnose(world.bundle(tmp_path / about))
        listed[about] = next(
            h.confidence for h in found.hypotheses if h.cause == "latency.cache_misses"
        )
    assert listed["model_performance"] < 0.5 * listed["unknown"]


def test_quiet_log_lines_are_no_proof_of_health(tmp_path):
    world = make(24)
    access(world)
    found, _ = diagnose(world.bundle(tmp_path / "b", ("metrics",)))
    assert found.verdict == "inconclusive"
    told = [f for f in found.findings if f.check in ("latency.symptom", "latency.traffic")]
    assert {f.verdict for f in told} == {"unknown"}


@pytest.mark.parametrize(("lines", "named"), [(7, False), (8, True), (40, True)])
def test_without_metrics_one_instance_says_that_it_is_slow(lines, named, tmp_path):
    world = make(25)
    access(world)
    for k in range(lines):
        world.logs.append(
            (
                ONSET + pd.Timedelta(minutes=2 + k),
                "WARN",
                world.instances()[1],
                f"request took {1.2 + k / 100:.2f} s, over budget 0.5 s",
            )
        )
    world.logs.sort()
    first = first_of(world, tmp_path, ("metrics",))
    assert (first.locus == f"instance:{world.instances()[1]}") is named


def test_when_all_instances_warn_none_is_blamed(tmp_path):
    world = make(26)
    access(world)
    for k in range(40):
        world.logs.append(
            (
                ONSET + pd.Timedelta(minutes=2 + k),
                "WARN",
                world.instances()[k % 4],
                "request took 1.20 s, over budget 0.5 s",
            )
        )
    world.logs.sort()
    found, _ = diagnose(world.bundle(tmp_path / "b", ("metrics",)))
    assert all(h.cause != "latency.bad_instance" for h in found.hypotheses)


@pytest.mark.parametrize(
    ("labels", "title", "expected"),
    [
        ({"task": "t_one", "pipeline": "p"}, "", "t_one"),
        ({}, "task t_two of p failed", "t_two"),
        ({}, "something failed", None),
        # Two pipelines have a task of this name; the one that is named too.
        ({"task": "shared", "dag": "q"}, "", "shared"),
        ({"task": "shared"}, "", None),
    ],
)
def test_the_task_an_alert_names(labels, title, expected, tmp_path):
    world = make(27)
    bundle = world.bundle(tmp_path / "b")
    service = bundle.service.model_copy(
        update={"tasks": ["p.t_one", "p.t_two", "p.shared", "q.shared"]}
    )
    alert = Alert(incident_type=IncidentType.PIPELINE_FAILURE, title=title, labels=labels)
    ctx = Context(_with(bundle, service, alert))
    found = failed_by_alert(ctx)
    assert (found.task if isinstance(found, TaskRun) else None) == expected
    if labels.get("dag"):
        assert found is not None
        assert found.pipeline == "q"


def _with(bundle, service, alert):
    manifest = bundle.manifest.model_copy(update={"service": service, "alert": alert})
    return Bundle(bundle.root, manifest, [])


@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        ("deploy", "pipeline.code_error"),
        ("config", "pipeline.bad_config"),
        (None, "pipeline.code_error"),
    ],
)
def test_a_failed_task_without_runs_is_a_modest_guess(kind, cause, tmp_path):
    world = make(28)
    world.incident_type = "pipeline_failure"
    n = world.names["other"]
    if kind:
        change(world, kind, f"{n}_load.some_key" if kind == "config" else f"{n}_load job", "4", "5")
    bundle = world.bundle(tmp_path / "b", ("metrics", "logs"))
    service = bundle.service.model_copy(update={"tasks": [f"{n}_daily.{n}_load"]})
    alert = bundle.alert.model_copy(update={"labels": {"task": f"{n}_load"}})
    found, _ = diagnose(_with(bundle, service, alert))
    first = next(h for h in found.hypotheses if h.cause != "none")
    assert first.cause == cause
    assert first.confidence < 0.75
    if cause == "pipeline.code_error":
        assert first.locus == f"task:{n}_daily.{n}_load"


def consumer(world: Serving) -> str:
    """Make it one that takes messages from a queue and answers nobody."""
    n = world.names
    answers = ("http_", "app_request", "cache_hit", "model_inference")
    for key in [k for k in world.series if k[0].startswith(answers)]:
        del world.series[key]
    noisy = np.exp(0.05 * world.rng.normal(size=len(TIMES)))
    world.put("consumer_messages_per_second", 100 * noisy, service=n["entry"])
    world.put("consumer_lag", 40 * noisy[::-1], service=n["entry"])
    world.metric = "consumer_lag"
    return n["entry"]


@pytest.mark.parametrize("cause", ["latency.traffic_surge", "latency.cpu_throttling"])
def test_what_waits_for_a_consumer_of_a_queue_is_its_symptom(cause, tmp_path):
    world = make(29)
    name = consumer(world)
    world.edit("consumer_lag", lambda v: v * np.where(LATE, 8.0, 1.0))
    if cause == "latency.traffic_surge":
        world.edit("consumer_messages_per_second", lambda v: v * np.where(LATE, 2.2, 1.0))
    else:
        world.edit("container_cpu_throttled_ratio", lambda v: v + np.where(LATE, 0.5, 0.0))
    first = first_of(world, tmp_path)
    assert (first.cause, first.locus) == (cause, f"service:{name}")


def test_a_consumer_that_keeps_up_is_blamed_for_nothing(tmp_path):
    world = make(30)
    consumer(world)
    first = first_of(world, tmp_path)
    assert first.cause == "none"


def _cpu(gain: float, unit: str, measure: str = "cpu_used") -> Reading:
    series = Series("c", {}, "cpu", unit, np.array([], dtype=np.int64), np.array([]))
    moved = Shift(1, 1.0, 1.0 + gain, 0.5, 5.0, 3.0, 0, 0, 0, 1, 60.0, "step", going_on=True)
    return Reading(series, measure, shift=moved)


@pytest.mark.parametrize(
    ("unit", "measure", "limit"),
    [
        ("s/s", "cpu_used", MUCH_CORES),
        ("%", "cpu_share", 10.0),
        ("share", "cpu_share", 0.1),
        ("", "cpu_share", 10.0),
    ],
)
def test_a_stranger_takes_much_from_half_a_core_on(unit, measure, limit):
    assert not _takes_much(_cpu(0.98 * limit, unit, measure))
    assert _takes_much(_cpu(1.001 * limit, unit, measure))
    assert _takes_much(_cpu(1.5 * limit, unit, measure))


@pytest.mark.parametrize(("minutes", "on"), [(2, False), (5, False), (7, True), (10, True)])
def test_a_job_is_always_on_when_most_stretches_of_ten_minutes_have_samples(minutes, on):
    # In each ten stretches it runs in so many.
    stretch = np.arange(0, 400)
    times = stretch[stretch % 10 < minutes] * 600_000_000_000
    series = Series("m", {}, "memory", "bytes", times, np.ones(len(times)))
    assert _always_on(Reading(series, "memory_used", task="t")) is on


@pytest.mark.parametrize(("threshold", "within"), [(0.2, False), (0.9, True)])
def test_a_threshold_of_a_percentile_is_held_against_that_percentile(threshold, within, tmp_path):
    # Of the entry's series only the 99th percentile, 0.24 s and 0.6 s when slow, is what is alerted on.
    world = make(31)
    slower(world)
    bundle = world.bundle(tmp_path / "b")
    alert = bundle.alert.model_copy(update={"threshold": threshold, "title": "p99 latency is high"})
    ctx = Context(_with(bundle, bundle.service, alert))
    over = ctx.scene.over_target
    assert over is not None
    assert (over < 0.15) is within
