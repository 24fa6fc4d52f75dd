"""Signals as samples: names, labels, units, counters that reset, histograms, gaps and late points."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

if TYPE_CHECKING:
    from triagebook.drills.worlds.served.clock import Array, Clock
    from triagebook.drills.worlds.served.naming import Style
    from triagebook.drills.worlds.served.queueing import Latency

_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# Limits, counts of things and what batches report are scraped every five minutes at most.
_SLOW = frozenset(
    [
        "cpu_limit",
        "mem_limit",
        "task_limit",
        "fd_limit",
        "pool_max",
        "host_total",
        "disk_size",
        "started",
        "replicas",
        "restarts",
        "task_duration",
        "task_failures",
        "task_rows",
        "pushed",
    ]
)
_SLOW_S = 300.0
_MOST = 195_000
_QUANTILES = (0.5, 0.95, 0.99)


@dataclass(frozen=True)
class Entity:
    """What a signal is about: kind is service, instance, host, dependency or task."""

    kind: str
    name: str


@dataclass
class Signal:
    """One thing measured at one entity.

    Attributes
    ----------
    level : ndarray of float, shape (T,)
        In base units; of a counter its rate a second. NaN where nothing was there to measure.
    labels : dict
        By logical name (service, pod, node, peer, route, code, task), and others as they are.
    resets : tuple of float
        Unix times at which a counter starts again.
    """

    key: str
    entity: Entity
    level: Array
    kind: Literal["gauge", "counter"] = "gauge"
    labels: dict[str, str] = field(default_factory=dict)
    resets: tuple[float, ...] = ()
    exact: bool = False
    """Of a counter: of something continuous, as CPU seconds, without the noise of counting."""
    unit: str = ""
    """Where it is not the usual one of what is measured."""


@dataclass
class Spread:
    """Latencies of one entity: how many calls a second, and how long they take."""

    key: str
    entity: Entity
    rate: Array
    latency: Latency
    labels: dict[str, str] = field(default_factory=dict)
    resets: tuple[float, ...] = ()
    full: bool = True
    """Buckets and quantiles; else only what gives the mean."""


class Renderer:
    """Collects samples in one style.

    Parameters
    ----------
    style, clock, rng
        How things are called, when they are sampled, and the chance of sampling.
    outage : (float, float) or None
        Unix times between which nothing was scraped.
    """

    def __init__(self, style: Style, clock: Clock, rng: np.random.Generator, outage: tuple[float, float] | None) -> None:  # fmt: skip
        self._style = style
        self._clock = clock
        self._rng = rng
        self._outage = outage
        self._seldom = np.mod(clock.at, _SLOW_S) < clock.step - 1e-6
        self._names: list[str] = []
        self._labels: list[str] = []
        self._ts: list[Any] = []
        self._values: list[Array] = []
        self._drawn: dict[tuple[str, str], str] = {}
        self.meta: dict[str, dict[str, Any]] = {}

    def add(self, signal: Signal) -> None:
        """Render a signal, where the convention shows it."""
        style = self._style
        if not style.shows(signal.key):
            return
        scale = style.scale(signal.key)
        if signal.kind == "counter" and self._accumulates():
            values = self._counted(signal.level, signal.resets, exact=signal.exact) * scale
            self._series(signal, values, "counter")
        elif signal.kind == "counter":
            # Without counters: what came in since the last flush, as a rate or a sum.
            came = signal.level * self._clock.step
            came = came if signal.exact else self._drawn_counts(signal.level)
            per = 1.0 if style.convention == "cloudwatch" else self._clock.step
            self._series(signal, came / per * scale, "gauge")
        else:
            self._series(signal, signal.level * scale, "gauge")

    def spread(self, spread: Spread) -> None:
        """Render latencies as a histogram, a summary, or gauges of quantiles."""
        style = self._style
        if not style.shows(spread.key):
            return
        scale = style.scale(spread.key)
        signal = Signal(
            spread.key, spread.entity, spread.rate, "gauge", spread.labels, spread.resets
        )
        calls = np.nan_to_num(spread.rate) * self._clock.step
        gone = np.isnan(spread.rate) | (spread.rate <= 0)
        mean = spread.latency.mean_s * np.exp(self._rng.normal(0, 0.02, self._clock.size))
        if self._accumulates():
            total = self._counted(
                np.where(np.isnan(spread.rate), np.nan, spread.rate), spread.resets
            )
            if style.shape == "histogram" and spread.full:
                total = self._buckets(spread, signal, calls, scale)
            elif style.shape == "summary" and spread.full:
                self._quantiles(spread, signal, calls, gone, scale)
            self._series(signal, total, "counter", "_count")
            self._series(
                signal,
                self._counted(spread.rate * mean, spread.resets, exact=True) * scale,
                "counter",
                "_sum",
            )
            if style.shape == "gauges" and spread.full:
                self._quantiles(spread, signal, calls, gone, scale)
            return
        self._series(signal, np.where(gone, np.nan, mean) * scale, "gauge", self._stat("mean"))
        self._quantiles(
            spread, signal, calls, gone, scale, (0.5, 0.95, 0.99) if spread.full else (0.99,)
        )

    def frame(self) -> pd.DataFrame:
        """Return all samples, sorted by name, labels and time.

        Where they would be too many for a bundle, only every second or third, or so, of the
        reference is kept.
        """
        self._thin()
        order = sorted(range(len(self._names)), key=lambda i: (self._names[i], self._labels[i]))
        sizes = [len(self._values[i]) for i in order]
        where = np.repeat(np.arange(len(order)), sizes)
        values = np.concatenate([self._values[i] for i in order])
        ts = np.concatenate([self._ts[i] for i in order])

        def text(items: list[str]) -> pd.Series[Any]:
            taken = pa.array([items[i] for i in order], pa.large_string()).take(pa.array(where))
            return pd.Series(taken, dtype=pd.StringDtype("pyarrow", na_value=np.nan))

        return pd.DataFrame(
            {"ts": pd.to_datetime(ts, unit="us", utc=True).as_unit("us"), "name": text(self._names), "labels": text(self._labels), "value": values}
        )  # fmt: skip

    def _thin(self) -> None:
        split = int(self._clock.split * 1e6)
        now = sum(int((ts >= split).sum()) for ts in self._ts)
        past = sum(len(ts) for ts in self._ts) - now
        every = -(-past // max(_MOST - now, 1)) if past + now > _MOST else 1
        if every == 1:
            return
        at = np.round(self._clock.at * 1e6).astype(np.int64)
        for number, ts in enumerate(self._ts):
            place = np.searchsorted(at, ts, side="right") - 1
            keep = (ts >= split) | (place % every == 0)
            self._ts[number], self._values[number] = ts[keep], self._values[number][keep]

    def _accumulates(self) -> bool:
        return self._style.convention in ("prometheus", "opentelemetry")

    def _stat(self, stat: str) -> str:
        convention = self._style.convention
        if convention == "cloudwatch":
            return ""
        dotted = convention == "statsd" or (convention == "opentelemetry" and self._style.dotted)
        return f".{stat}" if dotted else f"_{stat}"

    def _drawn_counts(self, rate: Array) -> Array:
        """Draw how many came since the sample before; noisy, as counts are."""
        expected = np.maximum(np.nan_to_num(rate), 0) * self._clock.step
        drawn = self._rng.normal(expected, np.sqrt(expected))
        small = expected < 30
        drawn[small] = self._rng.poisson(expected[small])
        return np.where(np.isnan(rate), np.nan, np.maximum(np.round(drawn), 0))

    def _counted(self, rate: Array, resets: tuple[float, ...], *, exact: bool = False) -> Array:
        """Sum up a rate to a counter that starts at what it had counted before, and resets."""
        gone = np.isnan(rate)
        each = (
            np.nan_to_num(rate) * self._clock.step
            if exact
            else np.nan_to_num(self._drawn_counts(rate))
        )
        total = np.cumsum(each) + float(np.mean(each)) * float(self._rng.integers(1, 5000))
        for at in sorted(resets):
            later = self._clock.at >= at
            if later.any() and not later.all():
                first = int(np.argmax(later))
                total[later] -= total[first - 1]
        return np.where(gone, np.nan, total)

    def _buckets(self, spread: Spread, signal: Signal, calls: Array, scale: float) -> Array:
        bounds = [b for b in _BOUNDS_S if b >= 0.2 * float(np.median(spread.latency.body_s))][:9]
        shares = np.stack([spread.latency.below(b) for b in bounds] + [np.ones(self._clock.size)])
        each = np.diff(shares, axis=0, prepend=0.0)
        counts = self._rng.poisson(np.maximum(each, 0) * calls).cumsum(axis=0).astype(np.float64)
        running = counts.cumsum(axis=1)
        running += counts.mean(axis=1, keepdims=True) * float(self._rng.integers(1, 5000)) // 1
        for at in sorted(spread.resets):
            later = self._clock.at >= at
            if later.any() and not later.all():
                running[:, later] -= running[:, int(np.argmax(later)) - 1][:, None]
        for row, bound in zip(running, [*bounds, np.inf], strict=True):
            le = "+Inf" if np.isinf(bound) else f"{bound * scale:g}"
            self._series(signal, row, "histogram", "_bucket", {"le": le})
        return np.asarray(running[-1])

    def _quantiles(self, spread: Spread, signal: Signal, calls: Array, gone: npt.NDArray[np.bool_], scale: float,
                   levels: tuple[float, ...] = _QUANTILES) -> None:  # fmt: skip
        for level in levels:
            few = 0.5 / np.sqrt(np.maximum(calls * (1 - level) * 4, 1.0))
            drawn = spread.latency.quantile(level) * np.exp(self._rng.normal(0, 0.02 + 0.25 * few))
            values = np.where(gone, np.nan, drawn) * scale
            if self._style.shape == "summary":
                self._series(signal, values, "gauge", "", {"quantile": f"{level:g}"})
            elif self._style.convention == "cloudwatch":
                self._series(signal, values, "gauge", "", {"stat": f"p{level * 100:g}"})
            else:
                self._series(signal, values, "gauge", self._stat(f"p{level * 100:g}"))

    def _series(self, signal: Signal, values: Array, kind: str, suffix: str = "", more: dict[str, str] | None = None) -> None:  # fmt: skip
        style, clock = self._style, self._clock
        words = {"peer": signal.labels.get("peer", ""), "task": signal.labels.get("task", "")}
        name = style.name(signal.key, words)
        labels: dict[str, str] = {}
        if style.convention == "statsd":
            parts = [style.prefix]
            parts += [
                signal.labels[k]
                for k in ("service", "pipeline", "pod", "host")
                if k in signal.labels
            ]
            parts += [
                signal.labels[k].strip("/").replace("/", "_")
                for k in ("route",)
                if k in signal.labels
            ]
            name = ".".join([*parts, name])
        else:
            for key, value in signal.labels.items():
                shown = (
                    f"{value}:9100"
                    if key == "host" and style.port and style.label["host"] == "instance"
                    else value
                )
                labels[style.label.get(key, key)] = shown
            labels |= {**style.constant, **(more or {})}
            if style.convention == "cloudwatch" and "stat" not in labels:
                labels["stat"] = "Sum" if signal.kind == "counter" else "Average"
        name += suffix
        keep = ~np.isnan(values) & (self._rng.random(clock.size) > 0.003)
        if signal.key in _SLOW:
            keep &= self._seldom
        if self._outage is not None:
            keep &= ~((clock.at >= self._outage[0]) & (clock.at < self._outage[1]))
        if not keep.any():
            return
        # Each target has its place in the scrape cycle; a few answers come late.
        offset = float(self._rng.uniform(0, min(clock.step_s, 15.0)))
        late = (self._rng.random(clock.size) < 0.005) * self._rng.exponential(1.5, clock.size)
        if style.convention == "cloudwatch":
            offset, late = 0.0, np.zeros(clock.size)
        ts = (
            np.round((clock.at + np.minimum(offset + late, 0.9 * clock.step)) * 1000).astype(
                np.int64
            )
            * 1000
        )
        self._names.append(name)
        self._labels.append(json.dumps(labels, sort_keys=True))
        self._ts.append(ts[keep])
        self._values.append(np.asarray(values[keep], dtype=np.float64))
        self._describe(name, signal, kind, suffix)

    def _describe(self, name: str, signal: Signal, kind: str, suffix: str) -> None:
        style = self._style
        unit = "1" if suffix in ("_count", "_bucket") else signal.unit or style.unit_of(signal.key)
        if signal.kind == "counter" and kind == "gauge" and style.convention == "statsd":
            unit = "1" if unit == "s" else f"{unit}/s"
        meta: dict[str, Any] = {"type": kind, "unit": unit}
        if style.convention == "statsd":
            meta["entity"] = {"kind": signal.entity.kind, "name": signal.entity.name}
        self.meta[name] = meta
