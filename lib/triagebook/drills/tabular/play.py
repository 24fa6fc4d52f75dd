"""Play a scenario of a table world: from its rows to a bundle's parts."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits  # it has no types

from triagebook.core.models import LedgerEntry, Windows
from triagebook.drills.scenario import Play, Truth
from triagebook.drills.tabular import (
    faults_columns,
    faults_drift,
    faults_model,
    faults_pipeline,
    faults_tables,
    herrings,
)
from triagebook.drills.tabular.alarm import raise_alert
from triagebook.drills.tabular.company import TABLES
from triagebook.drills.tabular.deeds import FAULTS, HERRINGS, check
from triagebook.drills.tabular.flow import build_features, collect_labels, score, train_models
from triagebook.drills.tabular.logs import logs
from triagebook.drills.tabular.material import LOGIT, Y
from triagebook.drills.tabular.monitors import watch
from triagebook.drills.tabular.naming import draw_naming
from triagebook.drills.tabular.runs import Simulator, as_task_runs
from triagebook.drills.tabular.surroundings import (
    describe_service,
    describe_tables,
    describe_topology,
    everyday_changes,
)
from triagebook.drills.tabular.telemetry import telemetry

if TYPE_CHECKING:
    from collections.abc import Callable

    from triagebook.drills.scenario import Scenario, World
    from triagebook.drills.tabular.runs import Runs
    from triagebook.drills.tabular.stage import Stage

ALL = (faults_columns, faults_drift, faults_model, faults_pipeline, faults_tables, herrings)
"""Imported so that they register what they can plant."""
KINDS = ("metrics", "logs", "changes", "pipeline", "topology")


def causes() -> frozenset[str]:
    """Return the causes that table worlds plant."""
    return frozenset(FAULTS)


def kinds() -> frozenset[str]:
    """Return the red herrings that table worlds know."""
    return frozenset(HERRINGS)


def generator(world: str, scenario: Scenario, seed: int) -> np.random.Generator:
    """Return the randomness of one play: another company for each scenario and each seed."""
    return np.random.default_rng([seed, zlib.crc32(f"{world}/{scenario.name}".encode())])


def perform(
    world: World,
    scenario: Scenario,
    rng: np.random.Generator,
    set_up: Callable[[Scenario, np.random.Generator], Stage],
) -> Play:
    """Play.

    Parameters
    ----------
    world : World
    scenario : Scenario
    rng : Generator
    set_up : callable
        Makes the stage with the world's rows, faults planted.

    Raises
    ------
    ScenarioError
        A fault or red herring that the world cannot play, or a target it does not have.
    """
    check(world, scenario)
    with threadpool_limits(1):
        return _perform(scenario, rng, set_up)


def _perform(
    scenario: Scenario,
    rng: np.random.Generator,
    set_up: Callable[[Scenario, np.random.Generator], Stage],
) -> Play:
    stage = set_up(scenario, rng)
    stage.play("world")
    stage.facts["events"] = stage.main.copy()
    stage.play("raw")
    train_models(stage)
    stage.play("models")
    runs = Simulator(stage).play()
    _land(stage, runs)
    stage.features = build_features(stage.company, stage.main, stage.side)
    stage.play("features")
    score(stage, runs)
    collect_labels(stage, runs)
    everyday_changes(stage)
    naming = draw_naming(stage.company, rng)
    series = [*watch(stage), *telemetry(stage, runs)]
    for one in series:
        naming.add(one.word, one.kind, one.entity, one.ts, one.points, **one.extra)
    metrics = naming.frame()
    setting = stage.setting
    start, split, now = (
        t.to_pydatetime(warn=False) for t in (setting.start, setting.split, setting.now)
    )
    windows = Windows(reference=(start, split), current=(split, now))
    metrics = metrics[(metrics["ts"] >= setting.start) & (metrics["ts"] < setting.now)]
    parts: dict[str, Any] = {
        "metrics": metrics.reset_index(drop=True),
        "logs": logs(stage, runs),
        "changes": sorted(
            (c for c in stage.changes if start <= c.ts < now), key=lambda change: change.ts
        ),
        "pipeline": as_task_runs(stage, runs),
        "topology": describe_topology(stage),
    }
    meta = naming.meta if rng.random() < 0.7 or stage.company.metric_style == "statsd" else None
    tables = _tables(stage)
    alert = raise_alert(stage, series, naming)
    ledger = _ledger(stage, windows, parts, tables)
    for kind in KINDS:
        if kind in scenario.missing:
            parts[kind] = None
    onsets = [onset for onset in stage.onsets if onset is not None]
    return Play(
        truth=Truth(
            answers=tuple(stage.answers),
            onset=min(onsets).to_pydatetime(warn=False) if onsets else None,
            step_s=setting.batch.total_seconds(),
            inconclusive=scenario.decisive,
        ),
        alert=alert,
        service=describe_service(stage),
        windows=windows,
        ledger=ledger,
        metrics_meta=None if "metrics" in scenario.missing else meta,
        tables=tables,
        **parts,
    )


def _land(stage: Stage, runs: Runs) -> None:
    """Leave out of the raw tables what was never written: failed or refused batches, and the last."""
    setting, company = stage.setting, stage.company
    due = setting.done(stage.main[company.ts])
    written = due.isin(list(runs.landed)) & ~due.isin(list(runs.refused))
    stage.main = stage.main[written].reset_index(drop=True)
    day = stage.side[company.loaded].dt.floor("D")
    lost = (day >= setting.start) & ~day.isin(list(runs.snapshots))
    stage.side = stage.side[~lost].reset_index(drop=True)


def _tables(stage: Stage) -> dict[str, tuple[Any, Any, Any]]:
    """Cut the tables at the windows, by the time that each is asked by."""
    company, setting = stage.company, stage.setting
    by = {
        "main": company.ts, "side": company.loaded, "features": company.ts,
        "predictions": company.predicted, "labels": company.labelled,
    }  # fmt: skip
    specs = describe_tables(stage)
    found = {}
    for word in TABLES:
        if f"tables:{word}" in stage.scenario.missing:
            continue
        frame = stage.frame(word)
        frame = frame.drop(columns=[c for c in (Y, LOGIT, "_ts") if c in frame.columns])
        ts = frame[by[word]]
        sides = []
        for side, low, high in (
            ("reference", setting.start, setting.split), ("current", setting.split, setting.now),
        ):  # fmt: skip
            part = frame[(ts >= low) & (ts < high)].reset_index(drop=True)
            for output in stage.outputs:
                part = output(word, side, part)
            sides.append(part)
        found[company.table[word]] = (specs[word], sides[0], sides[1])
    return found


def _ledger(
    stage: Stage, windows: Windows, parts: dict[str, Any], tables: dict[str, tuple[Any, Any, Any]]
) -> list[LedgerEntry]:
    """Return one entry a pull, with a reason where it failed."""
    rng, missing = stage.rng, stage.scenario.missing
    reasons = (
        "no answer in 10 s",
        "HTTP 503 from the gateway",
        "connection refused",
        "403: no access",
    )
    both = (windows.reference[0], windows.current[1])
    pulls: list[tuple[str, str, tuple[Any, Any], int | None]] = [
        (kind, kind, both, len(parts[kind])) for kind in KINDS
    ]
    for word in TABLES:
        name = stage.company.table[word]
        for side, window, at in (
            ("reference", windows.reference, 1),
            ("current", windows.current, 2),
        ):
            rows = len(tables[name][at]) if name in tables else None
            pulls.append((f"tables:{name}/{side}", "tables", window, rows))
    found = []
    for number, (source, kind, window, rows) in enumerate(pulls, 1):
        gone = kind in missing or rows is None
        found.append(
            LedgerEntry(
                id=f"L{number:02d}",
                source=source,
                kind=kind,
                query=f"rows of {source.partition(':')[2]}" if kind == "tables" else None,
                window=window,
                status="unavailable" if gone else "ok" if rows else "empty",
                rows=None if gone else rows,
                took_s=round(float(rng.lognormal(-1.2, 0.6)), 3),
                why=reasons[int(rng.integers(len(reasons)))] if gone else None,
            )
        )
    return found
