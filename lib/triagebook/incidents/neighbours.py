"""Which services are one step apart in the topology, and by what: words for people."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from triagebook.core.settings import ServiceSettings

MOST_SHARING = 5
"""What more services than this depend on is infrastructure: it says nothing of any two of them."""

Neighbours = dict[str, dict[str, str]]
"""Service to neighbour to the reason, such as `checkout calls orders-db`."""


def neighbours(services: Sequence[ServiceSettings]) -> Neighbours:
    """Return who is one step from whom; the same in both directions.

    Two services are neighbours where an arrow leads from one to the other (a node stands for the
    service of that name, or whose `entrypoint` it is), where one's own topology has an arrow
    between a part of it and the other, where one names the other in `dependencies`, or where both
    depend on the same thing directly, unless more than `MOST_SHARING` services do.

    Parameters
    ----------
    services : sequence of ServiceSettings
        The [[service]] of the settings.
    """
    found: Neighbours = {service.name: {} for service in services}
    stands_for = _stands_for(services)

    def meet(one: str, other: str, why: str) -> None:
        if one != other:
            found[one].setdefault(other, why)
            found[other].setdefault(one, why)

    depending: dict[str, set[str]] = {}
    for service in services:
        for edge in service.topology:
            ends = stands_for.get(edge.from_), stands_for.get(edge.to)
            if ends[0] is not None and ends[1] is not None:
                meet(ends[0], ends[1], f"{ends[0]} {edge.kind} {ends[1]}")
            elif ends[0] is not None or ends[1] is not None:
                # The other end is no service of its own: a part of the one that describes it.
                known = ends[0] or ends[1] or ""
                said = f"{edge.from_} {edge.kind} {edge.to}, in the topology of {service.name}"
                meet(service.name, known, said)
            if edge.kind == "calls" and ends[0] is not None:
                depending.setdefault(edge.to, set()).add(ends[0])
            elif edge.kind != "calls" and ends[1] is not None:
                depending.setdefault(edge.from_, set()).add(ends[1])
    for service in services:
        for name in service.dependencies:
            depending.setdefault(name, set()).add(service.name)
            if name in stands_for:
                meet(service.name, stands_for[name], f"{service.name} depends on {name}")
    for name, those in sorted(depending.items()):
        if len(those) <= MOST_SHARING:
            for one, other in combinations(sorted(those), 2):
                meet(one, other, f"{one} and {other} both depend on {name}")
    return found


def groups(found: Neighbours) -> dict[str, str]:
    """Return for each service a name that all it is joined to, over any number of steps, share."""
    names: dict[str, str] = {}
    for start in sorted(found):
        todo = [start]
        while todo:
            service = todo.pop()
            if service not in names:
                names[service] = start
                todo += found[service]
    return names


def _stands_for(services: Sequence[ServiceSettings]) -> dict[str, str]:
    """Return node to service; an entrypoint that several share stands for none of them."""
    entries = [service.entrypoint for service in services]
    found = {
        service.entrypoint: service.name
        for service in services
        if service.entrypoint is not None and entries.count(service.entrypoint) == 1
    }
    return found | {service.name: service.name for service in services}
