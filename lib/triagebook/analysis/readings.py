"""Series of a bundle laid at the nodes of its topology, ready for a ranking."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from triagebook.analysis.rootcause import Measure, Reading

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from triagebook.analysis.series import Quantity, Series

_MEASURES: dict[Quantity, Measure] = {
    "latency": "latency",
    "errors": "errors",
    "traffic": "traffic",
}
_STATISTIC = re.compile(r"\b(p\d\d?(?:\.\d+)?)\b")


def node_of(
    series: Series, nodes: Collection[str], entities: Mapping[str, str] | None = None
) -> str | None:
    """Tell which node a series is about.

    Parameters
    ----------
    series : Series
    nodes : collection of str
        Names of the topology.
    entities : dict of str to str, optional
        Metric name to entity, from metrics.json.

    Returns
    -------
    str or None
        The entity of the metadata; else the node that a label names (the first label by name); else the
        longest node whose name is a part of the metric's (between dots, slashes or underscores, or at an end).
    """
    entity = (entities or {}).get(series.name)
    if entity in nodes:
        return entity
    for _, value in sorted(series.labels.items()):
        if value in nodes:
            return value
    inside = [
        n for n in nodes if re.search(rf"(?:^|[./_: ]){re.escape(n)}(?:$|[./_: ])", series.name)
    ]
    return min(inside, key=lambda n: (-len(n), n)) if inside else None


def readings_of(
    series: Iterable[Series],
    nodes: Collection[str],
    reference: tuple[int, int],
    window: tuple[int, int],
    entities: Mapping[str, str] | None = None,
) -> list[Reading]:
    """Cut latency, error and request series into readings of nodes.

    Parameters
    ----------
    series : iterable of Series
        As `series.to_series` returns them; other quantities are left out.
    nodes : collection of str
    reference, window : (int, int)
        [start, end) in nanoseconds since 1970.
    entities : dict of str to str, optional

    Returns
    -------
    list of Reading
        One for each node, measure and statistic ("p99" where the name says so, else "mean"), by name.
        Several series of one (routes, replicas) are added up; latencies are averaged.
    """
    groups: dict[tuple[str, Measure, str], list[Series]] = defaultdict(list)
    for one in series:
        measure, node = _MEASURES.get(one.quantity), node_of(one, nodes, entities)
        if measure is None or node is None:
            continue
        found = _STATISTIC.search(one.name)
        groups[node, measure, found.group(1) if found else "mean"].append(one)
    out = []
    for (node, measure, statistic), members in sorted(groups.items()):
        times, values = _together(members, add=measure != "latency")
        before = (times >= reference[0]) & (times < reference[1])
        now = (times >= window[0]) & (times < window[1])
        out.append(Reading(node, measure, statistic, values[before], times[now], values[now]))
    return out


def _together(members: list[Series], *, add: bool) -> tuple[np.ndarray, np.ndarray]:
    if len(members) == 1:
        only = members[0]
        return only.times, only.values  # noqa: PD011 (an array of ours)
    # Scrapes of several targets differ by seconds: one grid, of the widest usual step.
    step = max(int(np.median(np.diff(m.times))) if len(m.times) > 1 else 1 for m in members)
    frame = pd.DataFrame(
        {
            i: pd.Series(m.values, index=m.times // step).groupby(level=0).mean()
            for i, m in enumerate(members)
        }
    ).sort_index()
    joined = frame.sum(axis=1, min_count=1) if add else frame.mean(axis=1)
    return joined.index.to_numpy(dtype=np.int64) * step, joined.to_numpy(dtype=float)
