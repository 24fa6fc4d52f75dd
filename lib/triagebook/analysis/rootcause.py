"""Which node of a call graph explains an alert, from a few metrics of each node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from triagebook.analysis.callgraph import CallGraph, own_share
from triagebook.analysis.shifts import Rise, contrast, floor_of, rise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from triagebook.analysis.series import Series

Measure = Literal["latency", "failures", "availability", "errors", "traffic"]

ABNORMAL_Z = 2.0
"""From here on the alerting metric counts as abnormal. The spread that z is measured by knows of bursts, so
this is rarer than in a normal distribution of single samples: of the windows of some 400 real series without
a fault, one in thirty reaches it."""

_GROWTH = 2.0
"""Trouble grows on its way up, by queues and repeated calls: a callee with half of its caller's trouble is
taken to explain it all."""

_SIDE_WEIGHT = 0.2
_TOTAL_WEIGHT = 0.1


@dataclass(frozen=True)
class Reading:
    """One measure of one node: its past, and the window under question.

    Attributes
    ----------
    node : str
    measure : Measure
        `availability` may be a share or percent; `failures` is a share; `errors` counts failed requests in
        the unit that `traffic` counts requests in; `latency` has any unit. All the same at all nodes.
    statistic : str
        Such as "mean" or "p95"; nodes are compared by the same one.
    reference : float array, shape (n,)
        In time order; NaN where nothing was measured.
    times : int64 array of nanoseconds since 1970, shape (m,)
    window : float array, shape (m,)
    """

    node: str
    measure: Measure
    statistic: str
    reference: np.ndarray
    times: np.ndarray
    window: np.ndarray

    @classmethod
    def of(
        cls,
        node: str,
        measure: Measure,
        statistic: str,
        series: Series,
        reference: tuple[int, int],
        window: tuple[int, int],
    ) -> Reading:
        """Cut a series into its past and the window; both are [start, end) in nanoseconds."""
        now = series.within(*window)
        return cls(
            node, measure, statistic, series.within(*reference).values, now.times, now.values
        )


@dataclass(frozen=True)
class Suspect:
    """A node and what speaks for it.

    Attributes
    ----------
    score : float
        Larger is likelier; comparable within one ranking only.
    z : float
        How unusual its own movement is while the alert's metric was bad.
    amount, own : float
        Trouble in the alert's unit (seconds spent or requests failed a sample; requests for traffic),
        in all and without what its callees explain.
    """

    node: str
    score: float
    z: float
    amount: float
    own: float


@dataclass(frozen=True)
class Ranking:
    """The answer to one alert.

    Attributes
    ----------
    alert : Rise or None
        The alerting metric's movement; None where it cannot be judged.
    suspects : tuple of Suspect
        Likeliest first; empty where the alerting metric is not abnormal.
    unknown : tuple of str
        Nodes of the graph without a usable reading of the alert's measure.
    """

    alert: Rise | None
    suspects: tuple[Suspect, ...]
    unknown: tuple[str, ...]


def rank_causes(
    graph: CallGraph,
    readings: Sequence[Reading],
    target: tuple[str, Measure, str],
    *,
    lasting: int = 2,
    threshold: float = ABNORMAL_Z,
) -> Ranking:
    """Rank the nodes that may have caused an alert.

    The alert's own metric says when it is bad. A node's trouble is what its metric does in just those
    samples, times the requests it serves: seconds lost or requests failed, which add up along calls. A
    node is to blame for what its callees do not account for; more requests are blamed on the caller.

    Parameters
    ----------
    graph : CallGraph
    readings : sequence of Reading
        At most one for each node, measure and statistic.
    target : (node, measure, statistic)
        What the alert is about.
    lasting : int
        Samples in a row that have to be high; a single one is no incident.
    threshold : float
        Least z of the alerting metric; below it nothing is ranked.

    Returns
    -------
    Ranking
    """
    table = {(r.node, r.measure, r.statistic): r for r in readings}
    asked = table.get(target)
    nodes = sorted({*graph.nodes, *(r.node for r in readings)})
    measured = {n for n in nodes if (n, target[1], target[2]) in table}
    unknown = tuple(n for n in nodes if n not in measured)
    if asked is None:
        return Ranking(None, (), unknown)
    past, now, floor = _troubled(asked, _traffic(table, asked.node))
    alert = rise(past, now, lasting=lasting, floor=floor)
    if alert is None or alert.z < threshold:
        return Ranking(alert, (), unknown)
    stretch = asked.times[alert.inside]
    main = {
        n: found
        for n in nodes
        if n in measured
        and (found := _trouble(table[n, target[1], target[2]], table, asked, stretch))
    }
    # Load comes from above, trouble from below.
    way = graph.reversed() if target[1] == "traffic" else graph
    suspects = _blame(way, main, asked.node, threshold)
    for node, side in _side_evidence(way, table, asked, stretch, threshold).items():
        known = suspects.get(node, Suspect(node, 0.0, 0.0, 0.0, 0.0))
        suspects[node] = Suspect(
            node, known.score + _SIDE_WEIGHT * side, known.z, known.amount, known.own
        )
    reach = way.distances(asked.node)
    order = sorted(
        (s for s in suspects.values() if s.score > 0),
        # Of two as good as equal the one further from the alert comes first: trouble travels up.
        key=lambda s: (s.node not in reach, -round(s.score, 2), -reach.get(s.node, 0), s.node),
    )
    return Ranking(alert, tuple(order), unknown)


def _blame(
    graph: CallGraph, main: dict[str, tuple[float, float]], start: str, threshold: float
) -> dict[str, Suspect]:
    """Turn (amount, z) of each node into suspects."""
    amounts = {n: amount for n, (amount, _) in main.items() if amount > 0}
    believed = {n: min(max(z / threshold, 0.0), 1.0) ** 2 for n, (_, z) in main.items()}
    own = own_share(graph, amounts, {n: _GROWTH * share for n, share in believed.items()})
    # Trouble beyond the alert's own did not reach it: waited for by nobody, or counted twice.
    whole = max(amounts.get(start, 0.0), 1e-12)
    return {
        n: Suspect(
            n,
            believed[n] * (min(own[n] / whole, 1.0) + _TOTAL_WEIGHT * min(amounts[n] / whole, 1.0)),
            main[n][1],
            amounts[n],
            own[n],
        )
        for n in amounts
    }


def _trouble(
    reading: Reading,
    table: dict[tuple[str, Measure, str], Reading],
    asked: Reading,
    stretch: np.ndarray,
) -> tuple[float, float] | None:
    """Return (amount, z) of a reading within the stretch that the alert calls bad."""
    traffic = _traffic(table, reading.node)
    past, now, floor = _troubled(reading, traffic)
    inside = _at(reading.times, stretch, asked.times)
    found = contrast(past, now, inside, floor=floor)
    if found is None:
        return None
    amount, z = found
    return amount * _load(traffic, _traffic(table, asked.node), stretch, asked.times, reading), z


def _side_evidence(
    graph: CallGraph,
    table: dict[tuple[str, Measure, str], Reading],
    asked: Reading,
    stretch: np.ndarray,
    threshold: float,
) -> dict[str, float]:
    """Return [0, 1) for nodes whose other measures moved at the same time, callees taken off."""
    scores: dict[str, float] = {}
    for reading in table.values():
        if reading.measure in (asked.measure, "traffic"):
            continue
        past, now, floor = _troubled(reading, _traffic(table, reading.node))
        inside = _at(reading.times, stretch, asked.times)
        found = contrast(past, now, inside, floor=floor)
        if found and found[1] >= threshold:
            share = found[1] / (found[1] + 2 * threshold)
            scores[reading.node] = max(scores.get(reading.node, 0.0), share)
    return own_share(graph, scores, combine=max)


def _troubled(reading: Reading, traffic: Reading | None) -> tuple[np.ndarray, np.ndarray, float]:
    """Return past and window turned so that larger is worse, and the floor of the spread."""
    past, now = reading.reference, reading.window
    if reading.measure == "availability":
        both = np.concatenate([past, now])
        whole = 100.0 if np.nanmax(both, initial=0.0) > 1.5 else 1.0
        past, now = 1 - past / whole, 1 - now / whole
    share = reading.measure in ("availability", "failures")
    count = None
    if share and traffic is not None:
        seen = traffic.window[np.isfinite(traffic.window)]
        count = float(np.median(seen)) if len(seen) else None
    floor = floor_of(past, share=share, count=count)
    if reading.measure == "errors" and traffic is not None and np.isfinite(traffic.reference).any():
        floor = max(floor, floor_of(past[:0], share=True) * float(np.nanmedian(traffic.reference)))
    return past, now, floor


def _traffic(table: dict[tuple[str, Measure, str], Reading], node: str) -> Reading | None:
    found = sorted(k for k in table if k[0] == node and k[1] == "traffic")
    return table[found[0]] if found else None


def _load(
    traffic: Reading | None,
    asked: Reading | None,
    stretch: np.ndarray,
    clock: np.ndarray,
    reading: Reading,
) -> float:
    """Return the requests a sample in the stretch; where they are not known, as many as the alert's node."""
    if reading.measure in ("traffic", "errors"):
        return 1.0
    for source in (traffic, asked):
        if source is None:
            continue
        inside = _at(source.times, stretch, clock) & np.isfinite(source.window)
        if inside.any():
            return float(np.mean(source.window[inside]))
    return 1.0


def _at(times: np.ndarray, stretch: np.ndarray, clock: np.ndarray) -> np.ndarray:
    """Tell which samples fall into the bad stretch, whose ends reach half a step of the alert's clock."""
    if not len(stretch):
        return np.zeros(len(times), dtype=bool)
    half = int(np.median(np.diff(clock)) // 2) if len(clock) > 1 else 0
    place = np.searchsorted(stretch, times)
    after = np.abs(stretch[np.minimum(place, len(stretch) - 1)] - times)
    before = np.abs(stretch[np.maximum(place - 1, 0)] - times)
    return np.asarray(np.minimum(after, before) <= half)
