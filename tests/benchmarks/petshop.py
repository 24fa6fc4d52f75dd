"""Root cause over a call graph of a real microservice application, and silence while nothing is wrong."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from triagebook.analysis.callgraph import CallGraph
from triagebook.analysis.rootcause import Measure, Reading, rank_causes

if TYPE_CHECKING:
    from pathlib import Path

ROWS = 5
"""A fault-free window's rows; issues have as many."""

_MEASURES: tuple[tuple[Measure, re.Pattern[str]], ...] = (
    ("latency", re.compile(r"latency|duration|time", re.IGNORECASE)),
    ("availability", re.compile(r"availab|success", re.IGNORECASE)),
    ("failures", re.compile(r"error|fail|fault", re.IGNORECASE)),
    ("traffic", re.compile(r"request|traffic|call|count", re.IGNORECASE)),
)


def run(folder: Path) -> dict[str, Any]:
    """Rank all issues and fault-free windows in `folder`; score what has its truth beside it."""
    levels = sorted(p.parent for p in folder.glob("*/graph.csv"))
    if not levels:
        raise FileNotFoundError("no LEVEL/graph.csv")
    cases: list[dict[str, Any]] = []
    truths: list[tuple[str, list[str]]] = []
    silent: list[bool] = []
    for level in levels:
        graph = read_graph(level / "graph.csv")
        healthy = read_metrics(level / "noissue" / "metrics.csv")
        targets: dict[tuple[str, str, str], None] = {}
        for file in sorted(level.glob("*/*/target.json")):
            spec = json.loads(file.read_text(encoding="utf-8"))
            target = tuple(str(spec["target"][k]) for k in ("node", "metric", "agg"))
            targets[target] = None
            ranking = answer(graph, target, healthy, read_metrics(file.parent / "metrics.csv"))
            cases.append({"case": file.parent.relative_to(folder).as_posix(), "ranking": ranking})
            if "root_cause" in spec:
                truths.append((spec["root_cause"]["node"], ranking))
        half = len(healthy) // 2
        for target in sorted(targets):
            for first in range(half, len(healthy) - ROWS + 1, ROWS):
                ranking = answer(
                    graph, target, healthy.iloc[:half], healthy.iloc[first : first + ROWS]
                )
                case = f"{level.name}/noissue/{'|'.join(target)}/{first}"
                cases.append({"case": case, "ranking": ranking})
                silent.append(not ranking)
    return {"score": score(truths, silent), "cases": cases}


def score(truths: list[tuple[str, list[str]]], silent: list[bool]) -> dict[str, float] | None:
    """Return the shares of issues right at first and within three, and of windows left empty."""
    if not truths or not silent:
        return None
    return {
        "top1": float(np.mean([node in ranking[:1] for node, ranking in truths])),
        "top3": float(np.mean([node in ranking[:3] for node, ranking in truths])),
        "specificity": float(np.mean(silent)),
    }


def answer(
    graph: CallGraph, target: tuple[str, ...], reference: pd.DataFrame, window: pd.DataFrame
) -> list[str]:
    """Rank the nodes for one window; empty where the target's metric is not abnormal."""
    readings = []
    times = (window.index.to_numpy(dtype=float) * 1e9).astype(np.int64)
    for column in window.columns:
        node, metric, statistic = map(str, column)
        measure = measure_of(metric)
        if measure is None:
            continue
        past = reference[column].to_numpy(dtype=float) if column in reference else np.empty(0)
        readings.append(
            Reading(node, measure, statistic, past, times, window[column].to_numpy(dtype=float))
        )
    node, metric, statistic = target
    measure = measure_of(metric)
    if measure is None:
        return []
    found = rank_causes(graph, readings, (node, measure, statistic))
    return [s.node for s in found.suspects]


def measure_of(metric: str) -> Measure | None:
    """Tell from a metric's name what it measures."""
    return next((m for m, pattern in _MEASURES if pattern.search(metric)), None)


def read_graph(file: Path) -> CallGraph:
    """Read an adjacency matrix: a row's node calls the columns that are not zero."""
    matrix = pd.read_csv(file, index_col=0)
    edges = [
        (str(caller), str(callee))
        for caller, row in matrix.iterrows()
        for callee, calls in row.items()
        if calls
    ]
    return CallGraph.of(edges, map(str, [*matrix.index, *matrix.columns]))


def read_metrics(file: Path) -> pd.DataFrame:
    """Read a table whose three header rows are node, metric and statistic; the index is in seconds."""
    frame = pd.read_csv(file, header=[0, 1, 2], index_col=0)
    return frame.sort_index()
