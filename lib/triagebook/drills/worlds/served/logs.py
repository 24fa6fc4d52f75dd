"""What is logged all day long: access lines, application chatter, cluster events, task logs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from triagebook.drills.worlds.served.clock import moment
from triagebook.drills.worlds.served.stage import Line

if TYPE_CHECKING:
    from triagebook.drills.worlds.served.batch import Try
    from triagebook.drills.worlds.served.running import State
    from triagebook.drills.worlds.served.stage import Stage

_AGENTS = (
    "okhttp/4.12.0",
    "python-requests/2.32.3",
    "Mozilla/5.0 (X11; Linux x86_64)",
    "Go-http-client/2.0",
)


def chatter(stage: Stage, state: State, tries: list[Try]) -> list[Line]:
    """Return the normal lines of the last part of the reference and of the current window."""
    clock = stage.clock
    since = max(clock.start, clock.split - 2.5 * (clock.end - clock.split))
    lines = [
        *_access(stage, state, since),
        *_application(stage, state, since),
        *_cluster(stage, since),
    ]
    recent = [t for t in tries if t.start is not None and t.start > since - 1800]
    for item in recent[-160:]:
        lines.extend(_task(stage, item))
    return lines


def frame(lines: list[Line], start: float, end: float) -> pd.DataFrame:
    """Return lines as a bundle holds them, by time."""
    kept = sorted(
        (x for x in lines if start <= x.at < end), key=lambda x: (x.at, x.source, x.message)
    )
    return pd.DataFrame(
        {
            "ts": pd.to_datetime([round(x.at * 1000) for x in kept], unit="ms", utc=True).as_unit("us"),
            "severity": [x.severity for x in kept],
            "source": [x.source for x in kept],
            "message": [x.message for x in kept],
            "attributes": [json.dumps(x.attributes, sort_keys=True) for x in kept],
        }
    )  # fmt: skip


def _when(stage: Stage, state: State, since: float, count: int) -> list[tuple[float, int]]:
    """Draw moments in proportion to the load, each with its sample."""
    clock = stage.clock
    weight = np.where(clock.at >= since, state.rate * clock.step, 0)
    picked = stage.rng.choice(clock.size, size=count, p=weight / weight.sum())
    return [
        (float(clock.at[i] + stage.rng.uniform(0, clock.step_s)), int(i))  # noqa: PD008 - not pandas
        for i in sorted(picked)
    ]


def _access(stage: Stage, state: State, since: float) -> list[Line]:
    plant = stage.plant
    gateway, lines = plant.units["gateway"], []
    style = int(stage.rng.integers(2))
    body = state.units["gateway"].latency
    routes = stage.rng.choice(len(plant.routes), size=700, p=plant.route_shares)
    for (at, i), which in zip(_when(stage, state, since, 700), routes, strict=True):
        route = plant.routes[int(which)]
        failed = bool(stage.rng.random() < state.units["gateway"].fail[i])
        took = float(body.body_s[i] * np.exp(stage.rng.normal(-(body.sigma**2) / 2, body.sigma)))
        left = float(stage.rng.random())
        for share, more_s in body.parts.values():
            left -= float(share[i])
            if left < 0:
                took += float(more_s[i])
                break
        took = min(took, body.cap_s)
        status, pod = (
            (int(stage.rng.choice([500, 503, 504])) if failed else 200),
            gateway.pods[int(stage.rng.integers(len(gateway.pods)))],
        )
        size = int(stage.rng.integers(180, 4000))
        if style == 0:
            agent = _AGENTS[int(stage.rng.integers(len(_AGENTS)))]
            stamp = moment(at).strftime("%d/%b/%Y:%H:%M:%S +0000")
            text = f'10.{int(stage.rng.integers(256))}.{int(stage.rng.integers(256))}.{int(stage.rng.integers(1, 255))} - - [{stamp}] "POST {route} HTTP/1.1" {status} {size} "-" "{agent}" rt={took:.3f}'
        else:
            text = json.dumps(
                {
                    "method": "POST",
                    "path": route,
                    "status": status,
                    "bytes": size,
                    "duration_ms": round(took * 1000, 1),
                    "trace_id": stage.namer.text(16),
                }
            )
        lines.append(Line(at, "ERROR" if failed else "INFO", pod, text))
    return lines


def _application(stage: Stage, state: State, since: float) -> list[Line]:
    plant = stage.plant
    api, model, store = plant.units["api"], plant.units["model"], plant.units["features"]
    cache, database = plant.units["cache"], plant.units["database"]

    def n(low: int, high: int) -> int:
        return int(stage.rng.integers(low, high))

    makers: list[tuple[float, str, Any]] = [
        (5, "DEBUG", lambda i: (_pod(stage, state, "api", i), f"scored {n(1, 60)} items with {plant.model} in {1000 * state.units['model'].latency.body_s[i] * stage.between(0.6, 1.6):.1f} ms")),
        (3, "INFO", lambda i: (_pod(stage, state, "api", i), f"request_id={stage.namer.text(12)} status=ok user={n(10**5, 10**7)}")),
        (1.2, "INFO", lambda _: (store.pods[n(0, len(store.pods))], f"refreshed {n(100, 9000)} entries of {stage.batch.tables['online']}")),
        (0.8, "INFO", lambda _: (model.pods[n(0, len(model.pods))], f"batch of {n(1, 33)} executed, queue {n(0, 5)}")),
        (0.5, "INFO", lambda _: (database.name, f"LOG:  checkpoint complete: wrote {n(50, 900)} buffers ({stage.between(0.1, 4):.1f}%); write={stage.between(1, 30):.3f} s")),
        (0.5, "INFO", lambda _: (cache.name, f"DB 0: {n(10**4, 10**6)} keys ({n(10**3, 10**5)} volatile) in {n(10, 20) * 65536} slots HT.")),
        (0.12, "WARN", lambda i: (_pod(stage, state, "api", i), f"retrying call to {plant.external}: attempt 2 of 3")),
        (0.06, "WARN", lambda i: (_pod(stage, state, "api", i), f"client closed connection before response, request_id={stage.namer.text(12)}")),
        (0.03, "ERROR", lambda i: (_pod(stage, state, "api", i), f"ValueError: field 'ts' of request {stage.namer.text(8)} is not ISO 8601")),
    ]  # fmt: skip
    if api.runtime == "jvm":
        makers.append(
            (
                0.6,
                "INFO",
                lambda i: (
                    _pod(stage, state, "api", i),
                    f"[gc] GC({n(100, 90000)}) Pause Young (Normal) (G1 Evacuation Pause) {n(300, 900)}M->{n(100, 300)}M({n(900, 2000)}M) {stage.between(2, 30):.3f}ms",
                ),
            )
        )
    weights = np.array([m[0] for m in makers])
    kinds = stage.rng.choice(len(makers), size=900, p=weights / weights.sum())
    lines = []
    for (at, i), kind in zip(_when(stage, state, since, 900), kinds, strict=True):
        source, text = makers[int(kind)][2](i)
        lines.append(Line(at, makers[int(kind)][1], source, text))
    fails = state.units["api"].fail
    for at, i in _when(stage, state, since, 400):
        if stage.rng.random() < fails[i] and fails[i] > 0.01:
            lines.append(
                Line(
                    at,
                    "ERROR",
                    _pod(stage, state, "api", i),
                    f"request_id={stage.namer.text(12)} failed after {stage.between(0.5, 9):.2f} s: upstream request timed out",
                )
            )
    return lines


def _pod(stage: Stage, state: State, role: str, i: int) -> str:
    up = np.flatnonzero(state.units[role].up[:, i] > 0.5)
    unit = stage.plant.units[role]
    return unit.pods[int(stage.rng.choice(up))] if len(up) else unit.pods[0]


def _cluster(stage: Stage, since: float) -> list[Line]:
    plant = stage.plant
    lines = []
    for at in stage.moments(since, stage.clock.end, 3, 60):
        host = plant.hosts[int(stage.rng.integers(len(plant.hosts)))].name
        text = stage.namer.pick((
            f"Successfully pulled image of job {stage.namer.text(6)} in {stage.between(0.4, 9):.2f}s",
            f"Node {host} status is now: NodeHasSufficientMemory",
            "Readiness probe failed: HTTP probe failed with statuscode: 503",
            f"Successfully assigned {plant.namespace}/job-{stage.namer.text(5)} to {host}",
        ))  # fmt: skip
        severity = "WARN" if text.startswith("Readiness") else "INFO"
        lines.append(Line(at, severity, "kubelet", text, {"kind": "Event", "host": host}))
    return lines


def _task(stage: Stage, item: Try) -> list[Line]:
    """Return what a scheduler's task log says around one try."""
    assert item.start is not None  # noqa: S101 - the caller keeps those that started
    task, source = item.task, item.task.path
    name = f"<TaskInstance: {task.pipeline}.{task.name} {item.run} [running]>"
    start = item.start
    lines = [
        Line(start + 0.2, "INFO", source, f"Dependencies all met for {name}"),
        Line(start + 0.9, "INFO", source, f"Starting attempt {item.number} of {task.retries + 1}"),
    ]
    usual = item.end if item.end is not None else stage.clock.end
    if task.step == "wait":
        where = f"{stage.batch.systems['objects']}://{stage.batch.tables['source']}"
        text = f"Poking for {where}/dt={moment(item.scheduled):%Y-%m-%d-%H}/_SUCCESS"
        pokes = min(int((usual - start) / 60) + 1, 25)
        lines += [Line(start + 1.5 + 60 * k, "INFO", source, text) for k in range(pokes)]
    else:
        lines.append(
            Line(start + 2.5, "INFO", source, f"Reading from {task.uses[0]}: {item.rows:.0f} rows")
        )
    if item.state == "success" and item.end is not None:
        if task.step in ("features", "train"):
            lines.append(
                Line(
                    item.end - 1.5,
                    "INFO",
                    source,
                    f"INFO DAGScheduler: Job {int(stage.rng.integers(1, 90))} finished: save at NativeMethodAccessorImpl.java:0, took {item.end - start:.6f} s",
                )
            )
        lines.append(
            Line(item.end - 0.4, "INFO", source, f"Done. Returned value was: {item.rows:.0f}")
        )
        lines.append(
            Line(
                item.end - 0.1,
                "INFO",
                source,
                f"Marking task as SUCCESS. dag_id={task.pipeline}, task_id={task.name}, run_id={item.run}",
            )
        )
    elif item.error is not None and item.end is not None:
        lines.append(Line(item.end - 0.6, "ERROR", source, item.error))
        last = "FAILED" if item.state == "failed" and item.number > task.retries else "UP_FOR_RETRY"
        lines.append(
            Line(
                item.end - 0.1,
                "WARN" if last != "FAILED" else "ERROR",
                source,
                f"Marking task as {last}. dag_id={task.pipeline}, task_id={task.name}, run_id={item.run}",
            )
        )
    return lines
