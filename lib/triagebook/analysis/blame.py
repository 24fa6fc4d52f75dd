"""Which node of a running system is at fault, from its metrics, logs and traces together."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from triagebook.analysis.callgraph import CallGraph, own_share
from triagebook.analysis.habits import Break, broken_habits, more_errors
from triagebook.analysis.shifts import floor_of, rise
from triagebook.analysis.spans import Slower, call_edges, slower

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pandas as pd

SURE_Z = 10.0
"""Beyond this a measure is sure; a larger number shall not outvote the other kinds of evidence."""

NOISE_Z = 2.0
"""Taken off each: among dozens of nodes some always stand so high by chance."""

_WORK_SHARE = 0.5
_CALLEE_SHARE = 0.5
"""How much of a callee's evidence is taken off its callers: it is no surer than theirs."""

_TOTAL_WEIGHT = 0.1


@dataclass(frozen=True)
class Telemetry:
    """What a stretch of time left behind.

    Attributes
    ----------
    spans : DataFrame
        Columns `spans.COLUMNS`; empty where there are no traces.
    events : DataFrame
        Columns `habits.EVENT_COLUMNS`; `span` may be "" where a line belongs to none.
    seconds : float
        Length of the stretch.
    """

    spans: pd.DataFrame
    events: pd.DataFrame
    seconds: float


@dataclass(frozen=True)
class Usage:
    """How much of one resource a node uses.

    Attributes
    ----------
    resource : str
        Such as "cpu"; values of one resource have the same unit at all nodes.
    reference, window : float arrays, in time order
    """

    node: str
    resource: str
    reference: np.ndarray
    window: np.ndarray


@dataclass(frozen=True)
class Blamed:
    """A node and what speaks for it; in standard deviations beyond chance.

    Attributes
    ----------
    score : float
        Larger is likelier; comparable within one ranking only.
    behaviour : float
        Errors that came, log lines and calls that went missing.
    delay : float
        Calls that wait longer, at the end that more of them share; half as much its own operations, which
        may hold waits that no span tells of.
    usage : float
        A resource that it uses more of.
    because : tuple of Break, Slower or str
        The strongest finding of each kind.
    """

    node: str
    score: float
    behaviour: float
    delay: float
    usage: float
    because: tuple[Break | Slower | str, ...]


def blame(
    reference: Telemetry,
    current: Telemetry,
    usages: Sequence[Usage] = (),
    *,
    edges: Iterable[tuple[str, str]] = (),
    candidates: Iterable[str] | None = None,
) -> list[Blamed]:
    """Rank nodes by what changed at them and is not explained by the nodes they call.

    Parameters
    ----------
    reference, current : Telemetry
        A stretch without the fault, and the one under question.
    usages : sequence of Usage
    edges : iterable of (caller, callee)
        Known calls, in addition to those in the traces.
    candidates : iterable of str or None
        Only these are ranked; None ranks all.

    Returns
    -------
    list of Blamed
        Likeliest first, those with a score above 0; ties by name.
    """
    because: dict[str, dict[str, tuple[float, Break | Slower | str]]] = defaultdict(dict)

    def note(node: str, kind: str, z: float, what: Break | Slower | str) -> None:
        z = _soft(z)
        if z > because[node].get(kind, (0.0, ""))[0]:
            because[node][kind] = (z, what)

    for found in broken_habits(
        (reference.spans, reference.events), (current.spans, current.events)
    ):
        note(found.node, "behaviour", found.z, found)
    for found in more_errors(
        (reference.spans, reference.events, reference.seconds),
        (current.spans, current.events, current.seconds),
    ):
        note(found.node, "behaviour", found.z, found)
    late = slower(reference.spans, current.spans)
    for operation in (s for s in late if s.operation):
        note(operation.node, "work", operation.z, operation)
    for node, call in _slow_ends([s for s in late if not s.operation]):
        note(node, "calls", call.z, call)
    for node, (z, what) in _usage(usages).items():
        note(node, "usage", z, what)

    def z_of(node: str, kind: str) -> float:
        return because[node].get(kind, (0.0, ""))[0]

    delay = {n: z_of(n, "calls") + _WORK_SHARE * z_of(n, "work") for n in because}
    total = {n: z_of(n, "behaviour") + delay[n] + z_of(n, "usage") for n in because}
    graph = CallGraph.of(
        {*edges, *call_edges(reference.spans), *call_edges(current.spans)}, because
    )
    # Waits and use are a node's own already; errors and missing lines come up from callees.
    come_up = own_share(graph, total, dict.fromkeys(total, _CALLEE_SHARE), combine=max)
    own = {
        n: min(come_up[n], z_of(n, "behaviour")) + total[n] - z_of(n, "behaviour") for n in total
    }
    wanted = set(because) if candidates is None else set(candidates)
    ranked = [
        Blamed(
            n,
            own[n] + _TOTAL_WEIGHT * total[n],
            z_of(n, "behaviour"),
            delay[n],
            z_of(n, "usage"),
            tuple(what for _, what in sorted(because[n].values(), key=lambda p: -p[0])),
        )
        for n in because
        if n in wanted and total[n] > 0
    ]
    return sorted(ranked, key=lambda b: (-round(b.score, 9), b.node))


def _soft(z: float) -> float:
    """Return z beyond what chance gives; past `SURE_Z` it grows with the logarithm only."""
    z = z if z <= SURE_Z else SURE_Z + float(np.log(z / SURE_Z))
    return max(z - NOISE_Z, 0.0)


def _slow_ends(calls: Sequence[Slower]) -> Iterator[tuple[str, Slower]]:
    """Lay each slow call at the end that takes part in more slowness; at the callee where they tie.

    A slow network or processor at one node slows all calls to it and from it; the nodes at the other ends
    have one slow call each.
    """
    weight: dict[str, float] = defaultdict(float)
    for call in calls:
        z = _soft(call.z)
        weight[call.node] += z
        weight[call.caller] += z
    for call in calls:
        yield (call.caller if weight[call.caller] > weight[call.node] else call.node), call


def _usage(usages: Sequence[Usage]) -> dict[str, tuple[float, str]]:
    """Return for each node the resource whose use rose most, measured by its past and by the fleet."""
    levels: dict[str, list[float]] = defaultdict(list)
    for usage in usages:
        if np.isfinite(usage.reference).any():
            levels[usage.resource].append(float(np.nanmedian(usage.reference)))
    found: dict[str, tuple[float, str]] = {}
    for usage in usages:
        # What is small beside the nodes' everyday use is no trouble, however unusual at this node.
        fleet = float(np.median(levels[usage.resource])) if levels[usage.resource] else 0.0
        floor = max(floor_of(usage.reference), abs(fleet))
        # A short window may hold one sample only, which then has to do.
        lasting = min(2, max(int(np.isfinite(usage.window).sum()), 1))
        risen = rise(usage.reference, usage.window, lasting=lasting, floor=floor)
        if risen is not None and risen.z > found.get(usage.node, (0.0, ""))[0]:
            found[usage.node] = (risen.z, usage.resource)
    return found
