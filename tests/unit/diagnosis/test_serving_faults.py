"""Every cause of latency and of resources, planted in a made-up service, is named first; health is quiet."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.unit.diagnosis.serving_world import (
    HOURS,
    LATE,
    ONSET,
    TIMES,
    Serving,
    change,
    make,
    slower,
)
from triagebook.diagnosis.answer import CHECKS
from triagebook.diagnosis.context import Context
from triagebook.diagnosis.diagnose import diagnose


def surge(w: Serving) -> str:
    slower(w)
    w.edit("http_requests_per_second", lambda v: v * np.where(LATE, 2.2, 1.0))
    return f"service:{w.names['entry']}"


def callee(w: Serving) -> str:
    slower(w)
    w.edit(
        "http_client_request_duration_seconds",
        lambda v: v + np.where(LATE, 0.12, 0.0),
        peer=w.names["store"],
    )
    return f"dependency:{w.names['store']}"


def heavier(w: Serving) -> str:
    slower(w)
    w.edit("model_inference_seconds", lambda v: v * np.where(LATE, 4.0, 1.0))
    change(w, "model", w.names["model"], "7", "8")
    return f"model:{w.names['model']}/8"


def throttled(w: Serving) -> str:
    slower(w)
    w.edit("container_cpu_throttled_ratio", lambda v: v + np.where(LATE, 0.5, 0.0))
    return f"service:{w.names['entry']}"


def pressure(w: Serving) -> str:
    slower(w)
    at = {"node": w.host(0)}
    w.edit("node_memory_stall_ratio", lambda v: v + np.where(LATE, 0.3, 0.0), **at)
    w.edit("node_swap_in_pages", lambda v: v * np.where(LATE, 60.0, 1.0), **at)
    return f"host:{w.host(0)}"


def larger(w: Serving) -> str:
    slower(w)
    w.edit("http_request_size_bytes", lambda v: v * np.where(LATE, 4.0, 1.0))
    return f"service:{w.names['entry']}"


def one_instance(w: Serving) -> str:
    w.edit(
        "http_server_request_duration_seconds",
        lambda v: v * np.where(LATE, 2.5, 1.0),
        quantile="0.99",
    )
    w.edit("app_request_seconds", lambda v: v * np.where(LATE, 5.0, 1.0), pod=w.instances()[2])
    return f"instance:{w.instances()[2]}"


def cold(w: Serving) -> str:
    warm = np.where(LATE & (HOURS < 0.4), 4.0, 1.0)
    w.edit("http_server_request_duration_seconds", lambda v: v * warm)
    w.edit("app_request_seconds", lambda v: v * warm)
    for one in w.instances():
        started = np.where(LATE, ONSET.timestamp() - 30, ONSET.timestamp() - 9e5)
        w.put("process_start_time_seconds", started, service=w.names["entry"], pod=one)
    return f"service:{w.names['entry']}"


def misses(w: Serving) -> str:
    slower(w)
    w.edit("cache_hit_ratio", lambda v: v * np.where(LATE, 0.4, 1.0))
    w.edit(
        "http_client_request_duration_seconds",
        lambda v: v * np.where(LATE, 1.6, 1.0),
        peer=w.names["store"],
    )
    return f"dependency:{w.names['cache']}"


def leak(w: Serving) -> str:
    w.incident_type, w.metric = "resource_exhaustion", "container_memory_bytes"
    w.edit("container_memory_bytes", lambda v: v + 4e8 * HOURS)
    return f"service:{w.names['entry']}"


def step(w: Serving) -> str:
    w.incident_type, w.metric = "resource_exhaustion", "container_memory_bytes"
    w.edit("container_memory_bytes", lambda v: v * np.where(LATE, 1.8, 1.0))
    change(w, "config", f"{w.names['entry']}.batch_rows", "64", "256")
    return f"service:{w.names['entry']}"


def runaway(w: Serving) -> str:
    w.incident_type, w.metric = "resource_exhaustion", "container_cpu_usage"
    w.edit("container_cpu_usage", lambda v: v + np.where(LATE, 1.6, 0.0), pod=w.instances()[1])
    return f"service:{w.names['entry']}"


def gpu_full(w: Serving) -> str:
    w.incident_type, w.metric = "resource_exhaustion", "gpu_memory_used_ratio"
    w.edit("gpu_memory_used_ratio", lambda v: np.where(LATE, 0.985, v), node=w.host(1))
    w.logs.append(
        (
            ONSET + pd.Timedelta("5min"),
            "ERROR",
            w.instances()[1],
            "CUDA out of memory. Tried to allocate 2 GiB",
        )
    )
    return f"host:{w.host(1)}"


def gpu_broken(w: Serving) -> str:
    slower(w)
    w.edit("gpu_xid_errors", lambda v: np.where(LATE, 79.0, v), node=w.host(1))
    return f"host:{w.host(1)}"


def disk(w: Serving) -> str:
    w.incident_type, w.metric = "resource_exhaustion", "node_filesystem_avail_bytes"
    w.edit("node_filesystem_avail_bytes", lambda v: v - 1.8e11 * HOURS, node=w.host(0))
    return f"host:{w.host(0)}"


def handles(w: Serving) -> str:
    w.incident_type, w.metric = "resource_exhaustion", "process_open_fds"
    w.edit("process_open_fds", lambda v: v + 350 * HOURS)
    return f"service:{w.names['entry']}"


def stolen(w: Serving) -> str:
    slower(w, 1.8)
    w.edit("node_cpu_steal_ratio", lambda v: v + np.where(LATE, 0.35, 0.0), node=w.host(1))
    return f"host:{w.host(1)}"


def lowered(w: Serving) -> str:
    w.incident_type, w.metric = "resource_exhaustion", "container_memory_bytes"
    w.edit("container_memory_limit_bytes", lambda v: np.where(LATE, 1e9, v))
    change(w, "config", f"{w.names['entry']}.memory_limit", "2GB", "1GB")
    return f"config:{w.names['entry']}.memory_limit"


FAULTS = {
    "latency.traffic_surge": surge,
    "latency.slow_dependency": callee,
    "latency.heavier_model": heavier,
    "latency.cpu_throttling": throttled,
    "latency.memory_pressure": pressure,
    "latency.larger_requests": larger,
    "latency.bad_instance": one_instance,
    "latency.cold_start": cold,
    "latency.cache_misses": misses,
    "resources.memory_leak": leak,
    "resources.memory_step": step,
    "resources.cpu_runaway": runaway,
    "resources.gpu_memory": gpu_full,
    "resources.gpu_fault": gpu_broken,
    "resources.disk_filling": disk,
    "resources.handle_leak": handles,
    "resources.noisy_neighbour": stolen,
    "resources.limit_lowered": lowered,
}


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("cause", FAULTS)
def test_a_planted_fault_is_named_first_where_it_is(cause, seed, tmp_path):
    world = make(seed)
    locus = FAULTS[cause](world)
    found, _ = diagnose(world.bundle(tmp_path / "b"))
    first = found.hypotheses[0]
    assert (first.cause, first.locus) == (cause, locus)
    assert found.verdict == "cause_found"
    assert found.onset is not None
    # A climb tells only about when it began.
    assert abs((found.onset.at - ONSET).total_seconds()) <= 30 * 60


def deploy_of_nothing(w: Serving) -> None:
    change(w, "deploy", w.names["entry"], "v1", "v2")


def peak_within_capacity(w: Serving) -> None:
    w.edit("http_requests_per_second", lambda v: v * np.where(LATE, 1.3, 1.0))


def saw_tooth(w: Serving) -> None:
    w.incident_type, w.metric = "resource_exhaustion", "container_memory_bytes"
    phase = np.arange(len(TIMES)) % 90 / 90
    w.edit("container_memory_bytes", lambda v: v * (0.7 + 0.6 * phase))


def every_night(w: Serving) -> None:
    hour = np.asarray(TIMES.hour)
    w.edit(
        "http_server_request_duration_seconds",
        lambda v: v * np.where((hour >= 16) & (hour < 18), 1.8, 1.0),
    )


def nothing(w: Serving) -> None:
    assert w.series


@pytest.mark.parametrize("seed", [3, 4])
@pytest.mark.parametrize(
    "calm", [nothing, deploy_of_nothing, peak_within_capacity, saw_tooth, every_night]
)
def test_what_only_looks_alarming_is_healthy(calm, seed, tmp_path):
    world = make(seed)
    calm(world)
    found, _ = diagnose(world.bundle(tmp_path / "b"))
    assert found.verdict == "healthy", found.hypotheses[:2]


@pytest.mark.parametrize("cause", FAULTS)
def test_a_check_says_only_what_it_declares(cause, tmp_path):
    world = make(5)
    FAULTS[cause](world)
    ctx = Context(world.bundle(tmp_path / "b"))
    for check in CHECKS:
        for answer in check.run(ctx):
            for signal in answer.signals:
                if signal.headline and signal.weight > 0:
                    assert signal.cause in check.finds, check.id
                elif signal.weight < 0:
                    assert signal.cause in (*check.opposes, *check.finds), (check.id, signal.cause)
