"""Who calls whom, and how much of a node's trouble its callees explain."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from triagebook.core.models import Edge


@dataclass(frozen=True)
class CallGraph:
    """A directed graph of calls; loops are allowed.

    Attributes
    ----------
    callees, callers : dict of str to frozenset of str
        Direct neighbours. Both hold every node.
    """

    callees: Mapping[str, frozenset[str]]
    callers: Mapping[str, frozenset[str]] = field(repr=False)

    @classmethod
    def of(cls, edges: Iterable[tuple[str, str]], nodes: Iterable[str] = ()) -> CallGraph:
        """Build from (caller, callee) pairs; `nodes` adds those without any call."""
        down: dict[str, set[str]] = defaultdict(set)
        up: dict[str, set[str]] = defaultdict(set)
        for caller, callee in edges:
            down[caller].add(callee)
            up[callee].add(caller)
        names = sorted({*down, *up, *nodes})
        return cls(
            {n: frozenset(down[n] - {n}) for n in names},
            {n: frozenset(up[n] - {n}) for n in names},
        )

    @classmethod
    def of_topology(cls, edges: Iterable[Edge], nodes: Iterable[str] = ()) -> CallGraph:
        """Build from a bundle's topology: who depends on whom.

        `a calls b` makes a depend on b; `a feeds b` and `a serves b` make b depend on a.
        """
        return cls.of(
            ((e.from_, e.to) if e.kind == "calls" else (e.to, e.from_) for e in edges), nodes
        )

    @property
    def nodes(self) -> tuple[str, ...]:
        """All names, sorted."""
        return tuple(self.callees)

    def reversed(self) -> CallGraph:
        """Return the graph in which load travels: from callee back to caller."""
        return CallGraph(self.callers, self.callees)

    def distances(self, start: str) -> dict[str, int]:
        """Return the number of calls from `start` to each node that it reaches; itself 0."""
        found = {start: 0}
        ring = [start]
        while ring:
            ring = sorted({c for n in ring for c in self.callees.get(n, ()) if c not in found})
            found |= {n: max(found.values()) + 1 for n in ring}
        return found


def own_share(
    graph: CallGraph,
    amounts: Mapping[str, float],
    believed: Mapping[str, float] | None = None,
    *,
    combine: Callable[[Iterable[float]], float] = sum,
) -> dict[str, float]:
    """Return what is left of each node's trouble after that of its callees is taken off.

    Parameters
    ----------
    graph : CallGraph
    amounts : dict of str to float
        Trouble in one unit that adds up along calls: seconds spent, requests failed, or a score.
    believed : dict of str to float or None
        How far a node's trouble is real, [0, 1]; only that part is taken off its callers. None: all.
    combine : function
        How the callees' trouble adds up: `sum` for seconds and requests; `max` for scores, which many
        slightly unusual callees do not add up to an explanation of.

    Returns
    -------
    dict of str to float
        At least 0, for the nodes of `amounts`. Nodes that call each other do not excuse each other:
        within a loop only the larger trouble excuses the smaller.
    """
    own = {}
    for node, amount in amounts.items():
        excuses = combine(
            [
                0.0,
                *(
                    amounts[callee] * (1.0 if believed is None else believed.get(callee, 0.0))
                    for callee in sorted(graph.callees.get(node, ()))
                    if amounts.get(callee, 0.0) > 0
                    and not (node in graph.callees.get(callee, ()) and amounts[callee] < amount)
                ),
            ]
        )
        own[node] = max(amount - excuses, 0.0)
    return own
