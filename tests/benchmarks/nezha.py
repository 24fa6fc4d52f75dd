"""Root cause of injected faults in a microservice application, from its logs, metrics and traces."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from triagebook.analysis.blame import Telemetry, Usage, blame
from triagebook.analysis.series import quantity_of
from triagebook.analysis.signatures import is_grave, level_of, signature_of

if TYPE_CHECKING:
    from pathlib import Path

AFTER = timedelta(minutes=3)
"""How long after the injection is looked at: what the data holds."""

_HISTORY_S = 3600
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def run(folder: Path) -> dict[str, Any]:
    """Rank the services for each fault of `folder`; score where the truth is beside it."""
    lists = sorted(folder.glob("rca/*/*fault_list.json"))
    if not lists:
        raise FileNotFoundError("no rca/DAY/*fault_list.json")
    cases, truths = [], []
    for file in lists:
        for faults in json.loads(file.read_text(encoding="utf-8")).values():
            for fault in faults:
                ranking = answer(folder, file.parent.name, fault["inject_time"])
                cases.append({"case": fault["inject_time"], "ranking": ranking})
                if "inject_pod" in fault:
                    truths.append((service_of(fault["inject_pod"]), ranking))
    return {"score": score(truths), "cases": cases}


def score(truths: list[tuple[str, list[str]]]) -> dict[str, float] | None:
    """Return the shares of faults whose service is first, and among the first three."""
    if not truths:
        return None
    return {
        f"as{k}": float(np.mean([service in ranking[:k] for service, ranking in truths]))
        for k in (1, 3)
    }


def answer(folder: Path, day: str, moment: str) -> list[str]:
    """Rank the services for the minutes after a moment, against the fault-free stretch of its day."""
    start = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    begin = (start - _EPOCH) // timedelta(microseconds=1) * 1000
    end = begin + AFTER // timedelta(microseconds=1) * 1000
    metrics = _metrics(folder / "rca" / day)
    usages = [
        usage for service, frame in metrics.items() for usage in _usages(service, frame, start)
    ]
    past = _telemetry(folder / "construct" / day)
    now = _within(_telemetry(folder / "rca" / day), begin, end)
    return [b.node for b in blame(past, now, usages, candidates=metrics)]


def service_of(pod: str) -> str:
    """Return a pod's service: its name without the last two parts."""
    return pod.rsplit("-", 2)[0]


@cache
def _metrics(base: Path) -> dict[str, pd.DataFrame]:
    files = sorted((base / "metric").glob("*_metric.csv*"))
    return {service_of(f.name.split("_metric.csv")[0]): pd.read_csv(f) for f in files}


def _usages(service: str, frame: pd.DataFrame, start: datetime) -> list[Usage]:
    """Cut what a service uses of its processor and memory into the hour before and the minutes after."""
    times = frame.iloc[:, 1].to_numpy(dtype=float)
    at = start.timestamp()
    before = (times < at) & (times >= at - _HISTORY_S)
    after = (times >= at) & (times < at + AFTER.total_seconds())
    return [
        Usage(service, str(c), frame[c].to_numpy(float)[before], frame[c].to_numpy(float)[after])
        for c in frame.columns[3:]
        if quantity_of(str(c)) in ("cpu", "memory")
        and not re.match(r"node|host", str(c), re.IGNORECASE)
    ]


@cache
def _telemetry(base: Path) -> Telemetry:
    """Read all logs and traces of a folder; what belongs to a moment is told by its times alone."""
    spans = pd.concat([_no_spans(), *map(_spans, sorted((base / "trace").glob("*.csv*")))])
    events = pd.concat([_no_events(), *map(_events, sorted((base / "log").glob("*.csv*")))])
    times = [
        *spans["start"].agg(["min", "max"]).dropna(),
        *events["ts"].agg(["min", "max"]).dropna(),
    ]
    return Telemetry(spans, events, (max(times) - min(times)) / 1e9 if times else 0.0)


def _within(all_day: Telemetry, begin: int, end: int) -> Telemetry:
    spans, events = all_day.spans, all_day.events
    return Telemetry(
        spans[(spans["start"] >= begin) & (spans["start"] < end)],
        events[(events["ts"] >= begin) & (events["ts"] < end)],
        (end - begin) / 1e9,
    )


def _no_spans() -> pd.DataFrame:
    text = dict.fromkeys(["trace", "span", "parent", "node", "operation"], "str")
    return pd.DataFrame(columns=[*text, "start", "end"]).astype(
        {**text, "start": "int64", "end": "int64"}
    )


def _no_events() -> pd.DataFrame:
    text = dict.fromkeys(["trace", "span", "node", "event"], "str")
    return pd.DataFrame(columns=["ts", *text, "grave"]).astype(
        {"ts": "int64", **text, "grave": "bool"}
    )


def _spans(file: Path) -> pd.DataFrame:
    raw = pd.read_csv(file, dtype=str, keep_default_na=False).iloc[:, :7]
    raw.columns = pd.Index(["trace", "span", "parent", "node", "operation", "start", "end"])
    return raw.assign(
        node=raw["node"].map(service_of),
        start=raw["start"].astype("int64"),
        end=raw["end"].astype("int64"),
    )


def _events(file: Path) -> pd.DataFrame:
    """Read log lines: time, nanoseconds, host, pod, container, trace, span, and the line as JSON.

    The last column's quotes are not always doubled, so it is whatever follows the seventh comma.
    """
    raw = pd.read_csv(file, sep="\x01", header=0, names=["line"], quoting=3, dtype=str)["line"]
    rows = []
    for line in raw:
        parts = line.split(",", 7)
        if len(parts) == 8 and parts[1].isdigit():
            message = _message(parts[7])
            level = level_of(message)
            rows.append(
                (int(parts[1]), parts[5], parts[6], service_of(parts[3]),
                 signature_of(message, level), is_grave(level))
            )  # fmt: skip
    return pd.DataFrame(rows, columns=list(_no_events().columns))


def _message(text: str) -> str:
    text = text.strip()
    if text.startswith('"'):
        text = text[1:-1].replace('""', '"')
    try:
        found = json.loads(text)
    except ValueError:
        inner = re.match(r'\{"log":"(.*?)(\\n)?","stream"', text)
        return inner.group(1) if inner else text
    return str(found.get("log", text)) if isinstance(found, dict) else text
