"""A small made-up service as metrics: entry, callee, cache, instances, hosts; names drawn by seed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tests.unit.diagnosis.world import SYLLABLES
from triagebook.core.models import Alert, Change, Edge, LedgerEntry, ModelInfo, Service, Windows
from triagebook.evidence.bundle import Bundle, write_bundle

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STEP = 120
END = pd.Timestamp("2026-03-18T18:00Z")
START = END - pd.Timedelta("6h")
FIRST = START - pd.Timedelta("3D")
ONSET = END - pd.Timedelta("2h")
TIMES = pd.date_range(FIRST, END, freq=f"{STEP}s", inclusive="left")
LATE = np.asarray(TIMES >= ONSET)
HOURS = np.clip((np.asarray(TIMES.as_unit("ns").asi8) - ONSET.value) / 3.6e12, 0, None)
"""Hours since the onset, 0 before."""


@dataclass
class Serving:
    """Series by (name, labels) before they are written; a fault edits them."""

    rng: np.random.Generator
    names: dict[str, str]
    series: dict[tuple[str, tuple[tuple[str, str], ...]], np.ndarray] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    logs: list[tuple[pd.Timestamp, str, str, str]] = field(default_factory=list)
    incident_type: str = "latency"
    metric: str = "http_server_request_duration_seconds"

    def put(self, name: str, values: np.ndarray, **labels: str) -> None:
        """Add a series."""
        self.series[name, tuple(sorted(labels.items()))] = values

    def edit(self, name: str, change: Callable[[np.ndarray], Any], **labels: str) -> None:
        """Change every series of a name that carries these labels."""
        hit = False
        for (known, have), values in self.series.items():
            if known == name and set(labels.items()) <= set(have):
                self.series[known, have] = np.asarray(change(values), dtype=float)
                hit = True
        assert hit, (name, labels)

    def instances(self, count: int = 4) -> list[str]:
        """Name the entry's instances."""
        return [f"{self.names['entry']}-{n}" for n in range(count)]

    def host(self, number: int) -> str:
        """Name a host."""
        return f"{self.names['host']}{number}"

    def bundle(self, folder: Path, without: tuple[str, ...] = ()) -> Bundle:
        """Write and read back; some kinds of evidence could not be had."""
        n = self.names
        parts = [
            pd.DataFrame(
                {
                    "ts": TIMES,
                    "name": name,
                    "labels": json.dumps(dict(labels), sort_keys=True),
                    "value": v,
                }
            )
            for (name, labels), v in self.series.items()
        ]
        logs = pd.DataFrame(self.logs, columns=["ts", "severity", "source", "message"])
        logs["attributes"] = "{}"
        ledger = [
            LedgerEntry(
                id=f"L{i:02d}",
                source=kind,
                kind=kind,
                status="unavailable" if kind in without else "ok",
                why="no answer" if kind in without else None,
            )
            for i, kind in enumerate(("metrics", "logs", "changes", "topology"), 1)
        ]
        write_bundle(
            folder,
            alert=Alert(
                incident_type=self.incident_type,
                starts_at=END,
                title="high",
                metric=self.metric,
                labels={"service": n["entry"]},
            ),
            service=Service(
                name=n["entry"],
                entrypoint=n["entry"],
                kind="model",
                model=ModelInfo(name=n["model"], version="7"),
                dependencies=[n["store"], n["cache"]],
                hosts={one: self.host(i % 2) for i, one in enumerate(self.instances())},
            ),
            windows=Windows(reference=(FIRST, START), current=(START, END)),
            ledger=ledger,
            metrics=None if "metrics" in without else pd.concat(parts, ignore_index=True),
            logs=None if "logs" in without else logs,
            changes=None if "changes" in without else self.changes,
            topology=[
                Edge(**{"from": n["entry"], "to": n["store"], "kind": "calls"}),
                Edge(**{"from": n["entry"], "to": n["cache"], "kind": "calls"}),
            ],
        )
        return Bundle.read(folder)


def noise(rng: np.random.Generator, size: float) -> np.ndarray:
    """Return multiplicative noise that remembers its last value a little."""
    e = rng.normal(size=len(TIMES))
    for i in range(1, len(e)):
        e[i] = 0.6 * e[i - 1] + 0.8 * e[i]
    return np.exp(size * e)


def make(seed: int) -> Serving:
    """Make a service in which nothing is wrong."""
    rng = np.random.default_rng(seed)
    words = [
        str(w)
        for w in rng.permutation(
            [a + b + c for a in SYLLABLES[:9] for b in SYLLABLES[5:14] for c in SYLLABLES[11:]]
        )
    ]
    keys = ("entry", "store", "cache", "model", "host", "other")
    world = Serving(rng, dict(zip(keys, words, strict=False)))
    n = world.names
    hour = np.asarray(TIMES.hour) + np.asarray(TIMES.minute) / 60
    load = 100 * (1 + 0.3 * np.sin((hour - 9) / 24 * 2 * np.pi))
    latency = 0.08 * (1 + 0.1 * (load / 100 - 1))
    for quantile, factor in (("0.5", 0.7), ("0.99", 3.0)):
        world.put(
            "http_server_request_duration_seconds",
            latency * factor * noise(rng, 0.05),
            service=n["entry"],
            quantile=quantile,
        )
    for one in (n["store"], n["cache"]):
        world.put(
            "http_client_request_duration_seconds",
            0.01 * noise(rng, 0.06),
            service=n["entry"],
            peer=one,
        )
    for i, one in enumerate(world.instances()):
        who = {"service": n["entry"], "pod": one, "node": world.host(i % 2)}
        world.put("app_request_seconds", latency * 0.7 * noise(rng, 0.06), **who)
        world.put("http_requests_per_second", load / 4 * noise(rng, 0.05), **who)
        world.put("container_memory_bytes", 8e8 * noise(rng, 0.01), **who)
        world.put("container_memory_limit_bytes", np.full(len(TIMES), 2e9), **who)
        world.put("container_cpu_usage", 0.4 * load / 100 * noise(rng, 0.05), **who)
        world.put("container_cpu_throttled_ratio", 0.002 * noise(rng, 0.3), **who)
        world.put("process_open_fds", 120 * noise(rng, 0.03), **who)
        world.put("process_max_fds", np.full(len(TIMES), 1024.0), **who)
        world.put("gc_pause_seconds", 0.01 * noise(rng, 0.2), **who)
    for i in range(2):
        at = {"node": world.host(i)}
        world.put("node_cpu_steal_ratio", 0.004 * noise(rng, 0.3), **at)
        world.put("node_memory_stall_ratio", 0.002 * noise(rng, 0.3), **at)
        world.put("node_swap_in_pages", 30 * noise(rng, 0.3), **at)
        world.put("node_filesystem_avail_bytes", 5e11 * noise(rng, 0.002), **at)
        world.put("gpu_memory_used_ratio", 0.6 * noise(rng, 0.02), **at)
        world.put("gpu_xid_errors", np.zeros(len(TIMES)), **at)
    world.put("cache_hit_ratio", np.clip(0.9 * noise(rng, 0.01), 0, 1), cache=n["cache"])
    world.put("model_inference_seconds", 0.03 * noise(rng, 0.05), model=n["model"])
    world.put("http_request_size_bytes", 4000 * noise(rng, 0.08), service=n["entry"])
    return world


def slower(world: Serving, factor: float = 2.5) -> None:
    """Let users wait: latency at the entry and at every instance rises at the onset."""
    rise = np.where(LATE, factor, 1.0)
    world.edit("http_server_request_duration_seconds", lambda v: v * rise)
    world.edit("app_request_seconds", lambda v: v * rise)


def change(
    world: Serving, kind: str, what: str, old: str = "1", new: str = "2", before_min: float = 3
) -> None:
    """Put a change just before the onset."""
    world.changes.append(
        Change(
            ts=ONSET - pd.Timedelta(minutes=before_min),
            kind=kind,
            what=what,
            **{"from": old, "to": new},
        )
    )
