"""What is known of the company: its service, its tables' specs, topology, and everyday changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from triagebook.core.models import Edge, ModelInfo, Schedule, Service, TableSpec
from triagebook.drills.tabular.flow import inputs_of, newest
from triagebook.drills.tabular.setting import HOUR

if TYPE_CHECKING:
    from triagebook.drills.tabular.stage import Stage

_TYPES = {"number": "double", "category": "string"}


def describe_service(stage: Stage) -> Service:
    """Return the service; what a team rarely keeps up to date is left out by seed."""
    company, rng, setting = stage.company, stage.rng, stage.setting
    every, task = setting.batch.total_seconds(), company.task
    main, labels = company.pipeline["main"], company.pipeline["labels"]
    schedules = [
        Schedule(pipeline=main, task=task["ingest"], every=every, produces=company.table["main"]),
        Schedule(pipeline=main, task=task["build"], every=every, produces=company.table["features"]),
        Schedule(pipeline=main, task=task["score"], every=every, produces=company.table["predictions"]),
        Schedule(pipeline=main, task=task["load_side"], every=86_400, produces=company.table["side"]),
        Schedule(
            pipeline=labels, task=task["join_labels"], every=setting.label_every.total_seconds(),
            produces=company.table["labels"],
        ),
        Schedule(pipeline=company.pipeline["train"], task=task["train"], every=7 * 86_400),
    ]  # fmt: skip
    old = stage.models[-1][1] if stage.facts.get("released") is None else newest(stage)
    return Service(
        name=company.service,
        kind="model",
        entrypoint=company.service,
        model=ModelInfo(name=company.model, version=old.version, task="classification"),
        tables=[
            company.table[key] for key in ("main", "side", "features", "predictions", "labels")
        ],
        tasks=[
            task[key]
            for key in ("ingest", "load_side", "build", "score", "publish", "join_labels", "train")
        ],
        dependencies=list(company.dependency.values()),
        hosts=dict(company.host_of),
        schedules=schedules if rng.random() < 0.85 else [],
        importance=newest(stage).importance if rng.random() < 0.8 else {},
        criticality=("high", "medium", "low")[int(rng.integers(3))],
    )


def describe_tables(stage: Stage) -> dict[str, TableSpec]:
    """Return the specs by our words for the tables."""
    company, rng, setting = stage.company, stage.rng, stage.setting
    units = {c.name: c.unit for c in company.columns if c.unit}
    schema = {
        company.key: "string", company.side_key: "string", company.ts: "timestamp[us, tz=UTC]",
        company.local: "timestamp[us]", **{c.name: _TYPES[c.kind] for c in company.columns},
    }  # fmt: skip
    inputs, batch_s = inputs_of(company), setting.batch.total_seconds()
    fresh = rng.random() < 0.8
    return {
        "main": TableSpec(
            role="raw", time_column=company.ts, local_time_column=company.local,
            key_columns=[company.key], unit=units if rng.random() < 0.7 else {},
            expected_schema=schema if rng.random() < 0.6 else None,
            freshness_s=3 * batch_s if fresh else None,
        ),
        "side": TableSpec(
            role="raw", time_column=company.loaded, key_columns=[company.side_key, company.loaded],
            freshness_s=30 * 3600.0 if fresh else None,
        ),
        "features": TableSpec(
            role="features", time_column=company.ts, key_columns=[company.key],
            feature_columns=inputs,
        ),
        "predictions": TableSpec(
            role="predictions", time_column=company.predicted, key_columns=[company.key],
            prediction=company.decision, score=company.score, model_version=company.version,
            feature_columns=inputs, importance=newest(stage).importance,
            freshness_s=3 * batch_s if fresh else None,
        ),
        "labels": TableSpec(
            role="labels", label_time_column=company.labelled, key_columns=[company.key],
            label=company.label, time_column=company.labelled,
        ),
    }  # fmt: skip


def describe_topology(stage: Stage) -> list[Edge]:
    """Return who feeds, calls and serves whom."""
    company = stage.company
    task, table, dep = company.task, company.table, company.dependency
    arrows = [
        (dep["feed"], task["ingest"], "feeds"), (task["ingest"], dep["store"], "calls"),
        (task["ingest"], table["main"], "feeds"), (dep["warehouse"], task["load_side"], "feeds"),
        (task["load_side"], table["side"], "feeds"), (table["main"], task["build"], "feeds"),
        (table["side"], task["build"], "feeds"), (task["build"], table["features"], "feeds"),
        (table["features"], task["score"], "feeds"), (task["score"], table["predictions"], "feeds"),
        (table["predictions"], company.service, "feeds"), (task["score"], dep["registry"], "calls"),
        (task["join_labels"], table["labels"], "feeds"), (task["publish"], company.service, "serves"),
        (company.neighbour, company.service, "calls"),
    ]  # fmt: skip
    return [Edge.model_validate({"from": a, "to": b, "kind": kind}) for a, b, kind in arrows]


def everyday_changes(stage: Stage) -> None:
    """Add what is always going on: deploys of others, a flag, a schedule, the last retraining."""
    company, rng, setting = stage.company, stage.rng, stage.setting
    choices = (
        ("deploy", f"{company.neighbour}: footer links", "v{a}", "v{b}"),
        ("deploy", company.neighbour, "v{a}", "v{b}"),
        ("flag", f"{company.neighbour}.new_menu", "off", "on"),
        ("infra", f"{company.hosts[-1]}: security patches", "6.1.{a}", "6.1.{b}"),
        ("schedule", f"{company.task['publish']} moved", "+0 min", "+2 min"),
        ("config", f"{company.neighbour}.log_level", "INFO", "DEBUG"),
        ("deploy", company.task["publish"], "v{a}", "v{b}"),
        ("infra", "dashboards: retention raised", "30 d", "45 d"),
    )
    length = (setting.now - setting.start) / HOUR
    for _ in range(int(rng.integers(4, 9))):
        kind, what, old, new = choices[int(rng.integers(len(choices)))]
        number = int(rng.integers(5, 300))
        ts = setting.start + HOUR * float(rng.uniform(0, length - 20))
        stage.changed(ts.floor("min"), kind, what, old.format(a=number), new.format(b=number + 1))
    retrained = stage.facts.get("retrained")
    if retrained is not None:
        before, after = stage.models[0][1].version, stage.models[1][1].version
        stage.changed(
            retrained - pd.Timedelta(minutes=6), "model", f"{company.model}: scheduled retraining",
            before, after, "mlops",
        )  # fmt: skip
