"""What operations do each time they run, by their log lines and calls; and where they no longer do it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import xlogy

if TYPE_CHECKING:
    from collections.abc import Iterator

_EXCEPTIONS = 0.02
"""An event always follows another if it failed to in no more than this share of runs, or in one: a trace
may lose a line. What it does in nine of ten runs depends on the input."""

MIN_RUNS = 3
"""Runs before, and now, from which a habit is read."""

EVENT_COLUMNS = ("trace", "span", "node", "event", "grave")
"""A frame of events: what a span logged or called, and whether that is an error."""


@dataclass(frozen=True)
class Break:
    """A habit that broke, or an error that came.

    Attributes
    ----------
    node, operation : str
    given : str
        The event after which `event` used to come; "" for any run of the operation.
    event : str
    kind : {"missing", "error"}
    before, now : float
        Shares of runs, [0, 1].
    runs : int
        Now.
    z : float
        Square root of twice the log-likelihood ratio: standard deviations that chance would need.
    """

    node: str
    operation: str
    given: str
    event: str
    kind: str
    before: float
    now: float
    runs: int
    z: float


def broken_habits(
    reference: tuple[pd.DataFrame, pd.DataFrame], current: tuple[pd.DataFrame, pd.DataFrame]
) -> list[Break]:
    """Compare what each operation does in its runs with what it did.

    Counts are for each run of an operation, so more or other traffic is no finding; an event counts once a
    run, so longer loops are none either. Runs that logged an error do not teach habits. A run now with an
    event never seen before that is no error took another path, and misses nothing.

    Parameters
    ----------
    reference, current : (spans, events)
        Frames with `spans.COLUMNS` and `EVENT_COLUMNS`. Events whose span is not known count for their
        node as a whole.

    Returns
    -------
    list of Break
        For each operation the worst missing event and the worst error, largest z first. Operations with
        fewer than three runs before or now are left out.
    """
    found: list[Break] = []
    before, now = dict(_operations(*reference)), dict(_operations(*current))
    for key in sorted(now.keys() & before.keys()):
        found.extend(_compare(key, before[key], now[key]))
    # Of two as surprising the error says more than the line that it replaced.
    found.sort(key=lambda b: (-round(b.z, 6), b.kind != "error", b.node, b.operation, b.event))
    return found


@dataclass(frozen=True)
class _Runs:
    """The runs of one operation: a row for each distinct set of events, with how often it came."""

    runs: int
    counts: np.ndarray
    names: tuple[str, ...]
    grave: np.ndarray
    has: np.ndarray


def _operations(
    spans: pd.DataFrame, events: pd.DataFrame
) -> Iterator[tuple[tuple[str, str], _Runs]]:
    spans = spans.drop_duplicates(["trace", "span"]).reset_index(drop=True)
    runs = spans[["trace", "span"]].assign(run=np.arange(len(spans)))
    above = runs.rename(columns={"span": "parent"})
    calls = spans.merge(above, on=["trace", "parent"])
    logged = events.merge(runs, on=["trace", "span"])
    run = np.concatenate([logged["run"].to_numpy(), calls["run"].to_numpy()])
    codes, names = pd.factorize(
        np.concatenate(
            [
                logged["event"].to_numpy(dtype=object),
                ("→ " + calls["node"] + " " + calls["operation"]).to_numpy(dtype=object),
            ]
        )
    )
    grave = np.zeros(len(names), dtype=bool)
    grave[codes[: len(logged)][logged["grave"].to_numpy(dtype=bool)]] = True
    operation = spans.groupby(["node", "operation"], sort=True)
    number = operation.ngroup().to_numpy()
    keys = spans.drop_duplicates(["node", "operation"])[["node", "operation"]]
    keys = keys.sort_values(["node", "operation"])
    order = np.argsort(number[run], kind="stable")
    run, codes = run[order], codes[order]
    edges = np.searchsorted(number[run], np.arange(len(keys) + 1))
    sizes = np.bincount(number, minlength=len(keys))
    for i, (node, name) in enumerate(keys.itertuples(index=False)):
        part = slice(edges[i], edges[i + 1])
        yield (str(node), str(name)), _runs(run[part], codes[part], int(sizes[i]), names, grave)


def _runs(
    run: np.ndarray, codes: np.ndarray, size: int, names: np.ndarray, grave: np.ndarray
) -> _Runs:
    mine, event = np.unique(codes, return_inverse=True)
    row = np.unique(run, return_inverse=True)[1]
    has = np.zeros((size, len(mine)), dtype=bool)
    has[row, event] = True
    patterns, counts = np.unique(has, axis=0, return_counts=True)
    return _Runs(size, counts, tuple(map(str, names[mine])), grave[mine], patterns)


def _compare(key: tuple[str, str], before: _Runs, now: _Runs) -> Iterator[Break]:
    names = sorted({*before.names, *now.names})
    old, new = _spread_out(before, names), _spread_out(now, names)
    grave = np.array(
        [any(r.grave[r.names.index(n)] for r in (before, now) if n in r.names) for n in names],
        dtype=bool,
    )
    if before.runs >= MIN_RUNS and now.runs >= MIN_RUNS and grave.any():
        was = before.counts @ old
        is_now = now.counts @ new
        z = signed_z(was, before.runs, is_now, now.runs) * grave
        at = int(np.argmax(z))
        if z[at] > 0:
            yield Break(
                *key, "", names[at], "error",
                float(was[at] / before.runs), float(is_now[at] / now.runs), now.runs, float(z[at]),
            )  # fmt: skip
    yield from _missing(key, before, now, names, old, new, grave)


def _missing(
    key: tuple[str, str],
    before: _Runs,
    now: _Runs,
    names: list[str],
    old: np.ndarray,
    new: np.ndarray,
    grave: np.ndarray,
) -> Iterator[Break]:
    clean = ~(old[:, grave].any(axis=1))
    trodden = ~(new[:, ~grave & ~old.any(axis=0)].any(axis=1))
    # A first column that is in all runs stands for the operation itself.
    past = np.c_[np.ones(clean.sum()), old[clean]]
    present = np.c_[np.ones(trodden.sum()), new[trodden]]
    n_past = (past * before.counts[clean][:, None]).T @ past
    n_now = (present * now.counts[trodden][:, None]).T @ present
    given_past, given_now = np.diag(n_past)[:, None], np.diag(n_now)[:, None]
    enough = (given_past >= MIN_RUNS) & (given_now >= MIN_RUNS)
    always = enough & (given_past - n_past <= np.maximum(_EXCEPTIONS * given_past, 1))
    # With three runs and one exception nothing is always.
    always &= n_past >= MIN_RUNS
    always[:, 0] = False
    if not always.any():
        return
    z = -signed_z(n_past, given_past, n_now, given_now) * always
    first, second = np.unravel_index(int(np.argmax(z)), z.shape)
    if z[first, second] > 0:
        yield Break(
            *key,
            "" if first == 0 else names[first - 1],
            names[second - 1],
            "missing",
            float(n_past[first, second] / given_past[first, 0]),
            float(n_now[first, second] / given_now[first, 0]),
            int(given_now[first, 0]),
            float(z[first, second]),
        )


def _spread_out(runs: _Runs, names: list[str]) -> np.ndarray:
    out = np.zeros((len(runs.has), len(names)))
    place = [names.index(n) for n in runs.names]
    out[:, place] = runs.has
    return out


def signed_z(
    was: np.ndarray, of_before: np.ndarray | float, is_now: np.ndarray, of_now: np.ndarray | float
) -> np.ndarray:
    """Return how surprising a change of shares is; negative where the share fell.

    Parameters
    ----------
    was, is_now : float arrays
        Runs with the event.
    of_before, of_now : float or arrays that broadcast
        Runs in all.

    Returns
    -------
    float array
        Signed square root of the likelihood-ratio statistic of two binomials (one degree of freedom).

    References
    ----------
    Dunning, T. (1993), Accurate methods for the statistics of surprise and coincidence.
    """

    def nats(k: np.ndarray, n: np.ndarray | float) -> np.ndarray:
        share = k / np.maximum(n, 1)
        return np.asarray(xlogy(k, share) + xlogy(n - k, 1 - share))

    ratio = nats(was, of_before) + nats(is_now, of_now)
    ratio = ratio - nats(was + is_now, np.asarray(of_before) + np.asarray(of_now))
    way = np.sign(is_now / np.maximum(of_now, 1) - was / np.maximum(of_before, 1))
    return np.asarray(way * np.sqrt(np.maximum(2 * ratio, 0.0)))


def more_errors(
    reference: tuple[pd.DataFrame, pd.DataFrame, float],
    current: tuple[pd.DataFrame, pd.DataFrame, float],
) -> list[Break]:
    """List the error lines outside any known span that come more often than before.

    Parameters
    ----------
    reference, current : (spans, events, seconds)
        Rates are for each span of the node where it has any before and now, else for each second.

    Returns
    -------
    list of Break
        `operation` is ""; `before` and `now` are lines a span or second; z from the Poisson likelihood.
    """
    loose = [_loose_errors(spans, events) for spans, events, _ in (reference, current)]
    weight = [spans.groupby("node").size() for spans, _, _ in (reference, current)]
    found = []
    for (node, event), many in sorted(loose[1].items()):
        exposures = [float(w.get(node, 0)) for w in weight]
        if min(exposures) == 0:
            exposures = [reference[2], current[2]]
        was, rest = float(loose[0].get((node, event), 0)), float(many)
        if min(exposures) <= 0:
            continue
        expected = (was + rest) * np.array(exposures) / sum(exposures)
        nats = float((xlogy([was, rest], np.array([was, rest]) / expected)).sum())
        if rest > expected[1]:
            rates = was / exposures[0], rest / exposures[1]
            z = float(np.sqrt(2 * nats))
            found.append(Break(str(node), "", "", str(event), "error", *rates, int(rest), z))
    return sorted(found, key=lambda b: (-b.z, b.node, b.event))


def _loose_errors(spans: pd.DataFrame, events: pd.DataFrame) -> dict[tuple[str, str], int]:
    known = pd.MultiIndex.from_frame(spans[["trace", "span"]])
    grave = events[events["grave"].astype(bool)]
    loose = grave[~pd.MultiIndex.from_frame(grave[["trace", "span"]]).isin(known)]
    return dict(Counter(zip(loose["node"], loose["event"], strict=True)))
