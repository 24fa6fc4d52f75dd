"""Scraped metrics turned into comparable series: counters to rates, histograms to quantiles."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.ndimage import median_filter

from triagebook.analysis.measures import measure_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

Quantity = Literal[
    "latency", "traffic", "errors", "memory", "cpu", "disk", "gpu", "handles", "model", "other"
]

# The order decides: the more special name first.
_QUANTITIES: tuple[tuple[Quantity, re.Pattern[str]], ...] = (
    ("gpu", re.compile(r"gpu|dcgm|cuda|xid", re.IGNORECASE)),
    (
        "model",
        re.compile(r"psi|drift|positive_share|score|prediction|accuracy|auc|label", re.IGNORECASE),
    ),
    ("errors", re.compile(r"error|fail|5xx|exception|rejected", re.IGNORECASE)),
    (
        "latency",
        re.compile(r"latency|duration|response_time|request.*(seconds|_ms)|elapsed", re.IGNORECASE),
    ),
    ("memory", re.compile(r"mem(ory)?|rss|heap|oom", re.IGNORECASE)),
    ("disk", re.compile(r"disk|filesystem|inode", re.IGNORECASE)),
    ("handles", re.compile(r"open_fds|file_desc|connections|sockets|pool", re.IGNORECASE)),
    ("cpu", re.compile(r"cpu|throttl|load1|load5", re.IGNORECASE)),
    (
        "traffic",
        re.compile(
            r"requests?(_total|_count|_per|$)|rps|throughput|http.*count|qps", re.IGNORECASE
        ),
    ),
)


_NEAR_STEPS = 11
"""So many steps around one say how long a step is there."""

_COUNTED = frozenset(
    {
        "cpu_used",
        "cpu_throttled",
        "cpu_periods",
        "cpu_steal",
        "cpu_idle",
        "cpu_wait",
        "cpu_stall",
        "io_stall",
        "memory_stall",
        "gc_time",
        "gc_count",
        "swap",
        "major_faults",
        "traffic",
        "dependency_traffic",
        "errors",
        "retries",
        "successes",
        "cache_hits",
        "cache_misses",
        "cache_evictions",
        "network",
        "disk_reads",
        "disk_writes",
        "disk_io",
        "gpu_throttle",
    }
)
_LEVELS = frozenset(
    {
        "memory_used",
        "disk_used",
        "disk_free",
        "memory_free",
        "handles_open",
        "connections_open",
        "uptime",
    }
)


@dataclass(frozen=True)
class Series:
    """One series, comparable over time.

    Attributes
    ----------
    times : int64 array of nanoseconds since 1970, shape (n,), ascending
    values : float array, shape (n,)
    unit : str
        Such as "s", "1/s", "bytes"; "" where unknown.
    """

    name: str
    labels: dict[str, str]
    quantity: Quantity
    unit: str
    times: np.ndarray
    values: np.ndarray

    @property
    def title(self) -> str:
        """The name with the labels that tell it from its siblings."""
        inner = ", ".join(f"{k}={v}" for k, v in sorted(self.labels.items()))
        return f"{self.name}{{{inner}}}" if inner else self.name

    def within(self, start: int, end: int) -> Series:
        """Return the part with start <= time < end."""
        low, high = np.searchsorted(self.times, [start, end])
        return Series(
            self.name,
            self.labels,
            self.quantity,
            self.unit,
            self.times[low:high],
            self.values[low:high],
        )


def quantity_of(name: str) -> Quantity:
    """Guess from a metric's name what it measures."""
    return next((quantity for quantity, pattern in _QUANTITIES if pattern.search(name)), "other")


def unit_of(name: str, meta: dict[str, object] | None = None) -> str:
    """Return the unit from the metadata, or from the name's ending (Prometheus' convention)."""
    if meta and meta.get("unit"):
        # UCUM, as OpenTelemetry writes it, puts what is counted into braces: {cpu}, {request}.
        said = str(meta["unit"]).strip("{}")
        return _UNITS.get(said.lower(), said)
    if name.endswith("count"):
        return ""  # of events, whatever the events are measured in
    words = re.split(r"[^a-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())
    if len(words) > 1 and words[-2] == "per" and words[-1] in _RATES:
        counted = _UNITS.get(words[-3], "") if len(words) > 2 else ""
        return counted + _RATES[words[-1]]
    return next((_UNITS[word] for word in reversed(words) if word in _UNITS), "")


_RATES = {"second": "/s", "sec": "/s", "s": "/s", "minute": "/min", "min": "/min", "hour": "/h"}
"""What follows "per" at a name's end."""
_UNITS = {
    "seconds": "s",
    "second": "s",
    "sec": "s",
    "s": "s",
    "milliseconds": "ms",
    "millis": "ms",
    "ms": "ms",
    "microseconds": "us",
    "micros": "us",
    "us": "us",
    "µs": "us",
    "nanoseconds": "ns",
    "ns": "ns",
    "bytes": "bytes",
    "byte": "bytes",
    "by": "bytes",
    "mib": "MiB",
    "mb": "MB",
    "gib": "GiB",
    "gb": "GB",
    "kib": "KiB",
    "kb": "kB",
    "ratio": "share",
    "share": "share",
    "fraction": "share",
    "percent": "%",
    "percentage": "%",
    "pct": "%",
    "%": "%",
    "celsius": "°C",
    "rows": "rows",
}
"""Words for units, in names and in metadata, brought together."""


def to_series(
    metrics: pd.DataFrame, meta: dict[str, dict[str, object]] | None = None, most: int = 1_500
) -> list[Series]:
    """Turn scraped samples into comparable series.

    Parameters
    ----------
    metrics : DataFrame
        Columns ts (UTC), name, labels (JSON text), value.
    meta : dict
        metrics.json of a bundle.
    most : int
        At most so many series come back, those with most samples first; ties by name.

    Returns
    -------
    list of Series
        Gauges as they are; counters as rate a second over resets; histograms (buckets with an `le`
        label) as `NAME p50` and `NAME p99`. Series of fewer than 20 samples are left out.
    """
    meta = meta or {}
    frame = metrics.dropna(subset=["value"]).sort_values("ts", kind="stable")
    out: list[Series] = []
    histograms: dict[tuple[str, str], dict[float, tuple[np.ndarray, np.ndarray]]] = {}
    sums: dict[tuple[str, str], tuple[np.ndarray, np.ndarray]] = {}
    counts: dict[tuple[str, str], tuple[np.ndarray, np.ndarray]] = {}
    for (raw, text), rows in frame.groupby(["name", "labels"], sort=True, dropna=False):
        name, labels = str(raw), _labels(text)
        times = rows["ts"].dt.tz_convert(None).to_numpy("datetime64[ns]").astype(np.int64)
        values = rows["value"].to_numpy(dtype=float)
        stem, _, ending = name.replace(".", "_").rpartition("_")
        stem = name[: len(stem)]
        if ending == "bucket" and "le" in labels:
            edge = float(labels.pop("le").replace("+Inf", "inf"))
            histograms.setdefault((stem, _key(labels)), {})[edge] = (times, values)
            continue
        if ending == "sum":
            sums[stem, _key(labels)] = (times, values)
            continue
        if len(values) < 20:
            continue
        if ending == "count":
            counts[stem, _key(labels)] = (times, values)
        info = meta.get(name, {})
        if name.endswith("timestamp_seconds"):
            # A moment always grows; how long ago it was is what can be compared.
            out.append(
                Series(f"{name} age", labels, quantity_of(name), "s", times, times / 1e9 - values)
            )
            continue
        kind = info.get("type") or ("counter" if _counts_up(name, values) else "gauge")
        unit = unit_of(name, info)
        if kind == "counter":
            times, values = _rate(times, values)
            # Seconds of CPU a second are cores, whatever the counter's own unit.
            unit = {"s": "s/s"}.get(unit, f"{unit}/s" if unit else "1/s")
        out.append(Series(name, labels, quantity_of(name), unit, times, values))
    for (name, text), buckets in sorted(histograms.items()):
        info = meta.get(name) or meta.get(f"{name}_bucket", {})
        out.extend(_quantiles(name, json.loads(text), buckets, unit_of(name, info)))
    for key in sorted(sums.keys() & counts.keys()):
        name, text = key
        info = meta.get(name) or meta.get(f"{name}_sum") or {}
        out.extend(_mean(name, json.loads(text), sums[key], counts[key], unit_of(name, info)))
    out.sort(key=lambda s: (-len(s.values), s.title))
    return out[:most]


def _key(labels: dict[str, str]) -> str:
    return json.dumps(labels, sort_keys=True)


def _mean(
    name: str,
    labels: dict[str, str],
    total: tuple[np.ndarray, np.ndarray],
    events: tuple[np.ndarray, np.ndarray],
    unit: str,
) -> Iterable[Series]:
    """Sum over count between samples: the mean duration or size of the events in between."""
    times = events[0]
    at_sum, near = _nearest(times, total[0])
    times, at_sum, count = times[near], at_sum[near], events[1][near]
    if len(times) < 20:
        return
    grown, seen = np.diff(total[1][at_sum]), np.diff(count)
    good = (seen > 0) & (grown >= 0)  # neither idle nor just reset
    if good.sum() >= 20:
        yield Series(
            f"{name} mean",
            labels,
            quantity_of(name),
            unit,
            times[1:][good],
            grown[good] / seen[good],
        )


def _nearest(times: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find for each time the nearest of others, and whether it is of the same scrape.

    Parts of one metric may be stamped a moment apart; the same scrape is less than half a step away.
    """
    if not len(others):
        return np.zeros(len(times), dtype=int), np.zeros(len(times), dtype=bool)
    after = np.searchsorted(others, times).clip(0, len(others) - 1)
    before = np.maximum(after - 1, 0)
    place = np.where(np.abs(others[before] - times) <= np.abs(others[after] - times), before, after)
    step = np.diff(times) if len(times) > 1 else np.array([2])
    step = np.minimum(np.append(step, step[-1]), np.insert(step, 0, step[0]))
    return place, np.abs(others[place] - times) < 0.45 * np.maximum(step, 1)


def _labels(text: object) -> dict[str, str]:
    if not isinstance(text, str) or not text:
        return {}
    try:
        found = json.loads(text)
    except ValueError:
        return {"labels": text}
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}


def _counts_up(name: str, values: np.ndarray) -> bool:
    if name.endswith(("_total", "_count")):
        return True
    steps = np.diff(values)
    if len(steps) <= 20 or (steps >= 0).mean() <= 0.99:
        return False
    # What only ever grows is a counter too, where it counts something: a disk that fills is none.
    grows = bool((steps > 0).mean() > 0.3 and measure_of(name) in _COUNTED)
    # A reset goes back to nearly nothing, and what counts has counted before: a clock that is held
    # down, or a limit that was cut, has not.
    falls = np.flatnonzero(steps < 0)
    reset = bool((values[falls + 1] <= 0.05 * values[falls]).any()) and int((steps > 0).sum()) > 5
    return grows or bool(reset and measure_of(name) not in _LEVELS)


def _rate(times: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rate a second between samples; after a reset the new value is the increase (as Prometheus)."""
    step = np.diff(values)
    step = np.where(step < 0, values[1:], step)
    seconds = np.diff(times) / 1e9
    good = seconds > 0
    # A gap of many steps would smear its increase over minutes nobody saw: left out. The past is often
    # kept at a coarser step than the last hours, so a gap is one among the steps around it.
    usual = median_filter(seconds, size=min(len(seconds), _NEAR_STEPS), mode="nearest")
    good &= seconds <= 10 * np.maximum(usual, 1e-9)
    return times[1:][good], step[good] / seconds[good]


def _quantiles(
    name: str,
    labels: dict[str, str],
    buckets: dict[float, tuple[np.ndarray, np.ndarray]],
    unit: str,
) -> Iterable[Series]:
    edges = np.array(sorted(buckets))
    if len(edges) < 3:
        return
    times = buckets[edges[-1]][0]
    if len(times) < 2:
        return
    kept = np.ones(len(times), dtype=bool)
    columns = []
    for edge in edges:
        place, near = _nearest(times, buckets[edge][0])
        columns.append(buckets[edge][1][place])
        kept &= near
    shared = np.column_stack(columns)[kept]
    times = times[kept]
    if len(shared) < 20:
        return
    counts = np.diff(shared, axis=0)
    counts = np.where(counts < 0, shared[1:], counts)
    # Buckets scraped a moment apart may seem to shrink from one edge to the next.
    counts = np.maximum.accumulate(counts, axis=1)
    total = counts[:, -1]
    times = times[1:]
    for share, tag in ((0.5, "p50"), (0.99, "p99")):
        target = share * total
        place = (counts < target[:, None]).sum(axis=1).clip(0, len(edges) - 1)
        upper = edges[place]
        lower = np.where(place > 0, edges[np.maximum(place - 1, 0)], 0.0)
        row = np.arange(len(counts))
        below = np.where(place > 0, counts[row, np.maximum(place - 1, 0)], 0.0)
        inside = np.maximum(counts[row, place] - below, 1e-12)
        value = (
            lower + (np.where(np.isinf(upper), lower, upper) - lower) * (target - below) / inside
        )
        seen = total > 0
        yield Series(f"{name} {tag}", labels, quantity_of(name), unit, times[seen], value[seen])
