"""Log lines: what tasks say in each run, in the company's format, and a neighbour's chatter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from triagebook.drills.tabular.failures import as_text
from triagebook.drills.tabular.runs import task_name
from triagebook.drills.tabular.setting import DAY, HOUR

if TYPE_CHECKING:
    from triagebook.drills.tabular.runs import Run, Runs
    from triagebook.drills.tabular.stage import Stage

KEPT = 9 * DAY
_LINE = {
    "ingest": ("read {rows} rows from {feed}", "wrote {rows} rows to {main} in {took:.1f} s"),
    "validate": ("checking {main} against contract v{v}", "all expectations met for {rows} rows"),
    "build": ("joined {side} as of {day}", "built {width} features for {rows} rows"),
    "score": ("loaded {model} {version}", "scored {rows} rows in {took:.1f} s"),
    "publish": ("published {rows} scores", "offset {offset} committed"),
    "join_labels": ("{rows} outcomes matched", "wrote {labels}"),
    "load_side": ("{side}: full refresh from {warehouse}", "{side} refreshed in {took:.1f} s"),
    "train": ("fitting {model} on 90 days", "validation auc {auc:.3f}"),
    "deploy": ("promoting {model} {version}", "health check passed"),
}


def logs(stage: Stage, runs: Runs) -> pd.DataFrame:
    """Return the lines of the kept days as ts, severity, source, message, attributes; by time."""
    since = stage.setting.now - KEPT
    rows: list[tuple[Any, ...]] = []
    for run in runs.all:
        if run.start is not None and run.start >= since and not run.task.startswith("export"):
            rows += _run_lines(stage, run)
    rows += _neighbour(stage, since)
    rows += [
        (line.ts, line.severity, line.source, line.message, as_text(line.attributes))
        for line in stage.lines
    ]
    frame = pd.DataFrame(rows, columns=["ts", "severity", "source", "message", "attributes"])
    frame["ts"] = pd.to_datetime(frame["ts"], utc=True).dt.as_unit("us").dt.floor("ms")
    frame = frame[(frame["ts"] < stage.setting.now) & (frame["ts"] >= stage.setting.start)]
    return frame.sort_values(["ts", "source"], kind="stable", ignore_index=True)


def _run_lines(stage: Stage, run: Run) -> list[tuple[Any, ...]]:
    company, rng, start = stage.company, stage.rng, run.start
    if start is None:
        return []
    name = task_name(stage, run.task)
    took = run.took_s if run.end is not None else (stage.setting.now - start).total_seconds()
    quiet = stage.facts.get("quiet", {})
    table = {"ingest": "main", "load_side": "side"}.get(run.task, "main")
    rows = 0 if table in quiet and run.due > quiet[table] else run.rows
    version = next((m.version for since, m in reversed(stage.models) if start >= since), "")
    about = {
        "rows": rows, "took": took, "feed": company.dependency["feed"], "v": 3,
        "warehouse": company.dependency["warehouse"], "day": f"{run.due:%Y-%m-%d}", "version": version,
        "width": len(company.columns), "offset": int(rng.integers(10**6, 10**7)), "model": company.model,
        "auc": 0.76 + float(rng.normal(0, 0.01)), **{k: company.table[k] for k in ("main", "side", "labels")},
    }  # fmt: skip
    begin, end = _LINE[run.task]
    attributes = {"run": f"{run.due:%Y-%m-%dT%H:%M}", "try": run.attempt}
    said: list[tuple[float, str, str, dict[str, Any]]] = [
        (0.02, "INFO", f"{name} started", {}),
        (0.3, "INFO", begin.format(**about), {}),
    ]
    if run.state == "success":
        if run.task == "ingest" and rng.random() < 0.04:
            said.append(
                (0.4, "WARN", f"slow answer from {about['feed']}: {rng.uniform(5, 20):.1f} s", {})
            )
        if run.task == "build" and rng.random() < 0.3:
            said.append((0.6, "WARN", f"{int(rng.integers(1, 9))} rows with nulls passed on", {}))
        said.append((0.98, "INFO", end.format(**about), {"rows": rows}))
    if run.edit is not None and run.state in ("failed", "success", "running"):
        said += [(0.97, severity, message, more) for severity, message, more in run.edit.lines()]
    return [
        (
            start + pd.Timedelta(seconds=took * part),
            severity, name, _styled(company.log_style, name, severity, message),
            as_text({**attributes, **more}),
        )
        for part, severity, message, more in said
    ]  # fmt: skip


def _styled(style: str, name: str, severity: str, message: str) -> str:
    """Write an ordinary line as the company's tools do."""
    if message.startswith(
        ("{", "Traceback", "org.apache", "TaskSetManager", "BackOff", "Application")
    ):
        return message
    if style == "airflow":
        level = {"WARN": "WARNING"}.get(severity, severity)
        return f"{{{name}.py:{40 + len(message) % 90}}} {level} - {message}"
    if style == "spark":
        return f"{name.title().replace('_', '')}Job: {message}"
    return message


def _neighbour(stage: Stage, since: pd.Timestamp) -> list[tuple[Any, ...]]:
    """Return the neighbour's lines: pages, and now and then a warning that means nothing here."""
    rng, name, setting = stage.rng, stage.company.neighbour, stage.setting
    hours = (setting.now - since) / HOUR
    count = int(hours * rng.uniform(2, 5))
    micros = since.as_unit("us").value + rng.integers(0, int(hours * 3.6e9), count)
    moments = pd.to_datetime(micros, unit="us", utc=True)
    took, kind = 60 * rng.lognormal(0, 0.6, count), rng.random(count)
    found = []
    for at, ms, draw in zip(moments, took, kind, strict=True):
        if draw < 0.015:
            line = ("ERROR", f"GET /search 500 in {ms:.0f} ms: upstream reset", {"status": 500})
        elif draw < 0.06:
            line = ("WARN", f"slow page {ms * 8:.0f} ms", {"status": 200})
        else:
            line = ("INFO", f"GET /view/{int(draw * 1e6)} 200 in {ms:.0f} ms", {"status": 200})
        found.append((at, line[0], name, line[1], as_text(line[2])))
    return found
