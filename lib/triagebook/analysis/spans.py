"""Traces: who called whom, how long calls waited on the way, and which operations take longer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("trace", "span", "parent", "node", "operation", "start", "end")
"""A frame of spans: ids and names as text, start and end in nanoseconds since 1970."""

_FELT = 0.05
_MIN_CALLS = 3


@dataclass(frozen=True)
class Slower:
    """A call or an operation that takes longer than it did.

    Attributes
    ----------
    caller : str
        The calling node; the node itself for an operation's own time.
    node : str
        The called node, or the one whose operation it is.
    operation : str
        "" for a call.
    before_ms, now_ms : float
        Medians.
    calls : int
        In the current window.
    z : float
        Rise over the spread before; that is at least 5 % of a whole trace's median duration, since less
        is not felt.
    """

    caller: str
    node: str
    operation: str
    before_ms: float
    now_ms: float
    calls: int
    z: float


def call_edges(spans: pd.DataFrame) -> set[tuple[str, str]]:
    """Return (caller, callee) for each call between two nodes."""
    calls = _calls(spans)
    return set(zip(calls["caller"], calls["node"], strict=True))


def slower(reference: pd.DataFrame, current: pd.DataFrame) -> list[Slower]:
    """List the calls between nodes and the operations within nodes that take longer than before.

    A call's wait is the time that the caller's span lasts beyond the callee's: the network, a full queue, a
    callee that does not get to accept. An operation's own time is its span less the spans it started; spans
    that call another node have none, their time is the call's. Spans that run beside their parent's wait count as
    that wait; so a node that only hands on may look slow with its callees. A call seen fewer than three times before is measured by what all calls waited.

    Parameters
    ----------
    reference, current : DataFrame
        Columns `COLUMNS`.

    Returns
    -------
    list of Slower
        Those with z > 0, largest z first; operations seen fewer than three times before are left out.
    """
    if reference.empty or current.empty:
        return []
    floor = max(_FELT * _whole_ms(reference), 1e-6)
    found = []
    for keys, time, before, now in (
        (["caller", "node"], "wait_ms", _calls(reference), _calls(current)),
        (["node", "operation"], "own_ms", _own_times(reference), _own_times(current)),
    ):
        was = {k: g.to_numpy() for k, g in before.groupby(keys)[time]}
        pooled = before[time].to_numpy()
        for key, group in now.groupby(keys)[time]:
            old, new = was.get(key, pooled[:0]), group.to_numpy()
            if len(old) < _MIN_CALLS:
                if time != "wait_ms" or len(pooled) < _MIN_CALLS:
                    continue
                old = pooled
            usual, level = float(np.median(old)), float(np.median(new))
            spread = max(
                1.4826 * float(np.median(np.abs(old - usual))),
                float(np.quantile(old, 0.9) - usual) / 1.2816,
                floor,
            )
            # One slow call is an anecdote: the weight grows with the number.
            z = (level - usual) / spread * len(new) / (len(new) + 1)
            if z > 0:
                first, second = str(key[0]), str(key[1])
                caller, node, operation = (
                    (first, second, "") if time == "wait_ms" else (first, first, second)
                )
                found.append(Slower(caller, node, operation, usual, level, len(new), z))
    found.sort(key=lambda s: (-s.z, s.caller, s.node, s.operation))
    return found


def _unique(spans: pd.DataFrame) -> pd.DataFrame:
    return spans.drop_duplicates(["trace", "span"])


def _calls(spans: pd.DataFrame) -> pd.DataFrame:
    """Return one row a call between two nodes: caller, node, wait_ms."""
    spans = _unique(spans)
    parents = spans[["trace", "span", "node", "start", "end"]].rename(
        columns={"span": "parent", "node": "caller", "start": "from", "end": "to"}
    )
    both = spans.merge(parents, on=["trace", "parent"])
    both = both[both["node"] != both["caller"]]
    wait = (both["to"] - both["from"]) - (both["end"] - both["start"])
    return both[["caller", "node"]].assign(wait_ms=(wait / 1e6).clip(lower=0))


def _own_times(spans: pd.DataFrame) -> pd.DataFrame:
    """Return one row a span: node, operation, own_ms."""
    spans = _unique(spans)
    spans = spans.assign(took=(spans["end"] - spans["start"]) / 1e6)
    children = spans.merge(
        spans[["trace", "span", "node"]].rename(columns={"span": "parent", "node": "above"}),
        on=["trace", "parent"],
    )
    spent = (
        children.assign(away=(children["node"] != children["above"]).astype(float))
        .groupby(["trace", "parent"], as_index=False)
        .agg(spent=("took", "sum"), away=("away", "max"))
        .rename(columns={"parent": "span"})
    )
    both = spans.merge(spent, on=["trace", "span"], how="left").fillna({"spent": 0.0, "away": 0.0})
    both = both.assign(own_ms=(both["took"] - both["spent"]).clip(lower=0))
    return both.loc[both["away"] == 0, ["node", "operation", "own_ms"]]


def _whole_ms(spans: pd.DataFrame) -> float:
    """Return the median duration of a whole trace."""
    ends = spans.groupby("trace").agg(start=("start", "min"), end=("end", "max"))
    return float(((ends["end"] - ends["start"]) / 1e6).median())
