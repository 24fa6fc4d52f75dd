"""A small made-up world as a bundle: raw, features, predictions and labels over four weeks.

Names are drawn from the seed, so that nothing can depend on a name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from triagebook.core.models import (
    Alert,
    Change,
    Edge,
    LedgerEntry,
    ModelInfo,
    Service,
    TableSpec,
    TaskRun,
    Windows,
)
from triagebook.evidence.bundle import Bundle, write_bundle

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

END = pd.Timestamp("2026-03-18T18:00Z")
START = END - pd.Timedelta("48h")
FIRST = START - pd.Timedelta("28D")
ONSET = END - pd.Timedelta("9h")
SYLLABLES = [
    "ba",
    "ce",
    "di",
    "fo",
    "gu",
    "ha",
    "je",
    "ki",
    "lo",
    "mu",
    "na",
    "pe",
    "ri",
    "so",
    "tu",
    "va",
    "we",
    "xi",
    "yo",
    "zu",
]


@dataclass
class World:
    """Tables before they are written; a fault edits the frames from ONSET on."""

    seed: int
    names: dict[str, str]
    raw: pd.DataFrame
    features: pd.DataFrame
    predictions: pd.DataFrame
    labels: pd.DataFrame
    changes: list[Change] = field(default_factory=list)
    pipeline: list[TaskRun] = field(default_factory=list)
    incident_type: str = "drift"
    drop: set[str] = field(default_factory=set)
    specs: dict[str, TableSpec] = field(default_factory=dict)

    @property
    def since(self) -> pd.Series:
        """The rows from the onset on."""
        return self.raw["at"] >= ONSET

    def edit(
        self,
        role: str,
        change: Callable[[pd.Series], Any],
        frames: str = "raw features predictions",
    ) -> None:
        """Change a column from the onset on, in each named frame that has it."""
        name = self.names[role]
        for frame in frames.split():
            table: pd.DataFrame = getattr(self, frame)
            if name in table:
                late = table["at"] >= ONSET
                new = table[name].astype(
                    "object" if table[name].dtype == object else table[name].dtype
                )
                new = new.copy()
                values = change(new[late])
                if pd.api.types.is_numeric_dtype(new):
                    new = new.astype("float64")
                new[late] = values
                table[name] = new

    def keep(self, rows: Callable[[pd.DataFrame], pd.Series]) -> None:
        """Keep only some rows from the onset on, in every frame."""
        for frame in ("raw", "features", "predictions"):
            table: pd.DataFrame = getattr(self, frame)
            late = table["at"] >= ONSET
            setattr(self, frame, table[~late | rows(table)].reset_index(drop=True))

    def score(self) -> None:
        """Let the model score what it is served."""
        served, n = self.predictions, self.names
        x = pd.to_numeric(served[n["amount"]], errors="coerce").fillna(50.0)
        z = pd.to_numeric(served[n["warmth"]], errors="coerce").fillna(15.0)
        group = served[n["group"]].map({"a": 0.6, "b": 0.0, "c": -0.5}).fillna(0.2)
        logit = 0.05 * (x - 50) + 0.06 * (z - 15) + group
        served["score"] = 1 / (1 + np.exp(-logit))
        served["decided"] = served["score"] >= 0.5

    def bundle(self, folder: Path) -> Bundle:
        """Score, write, and read back."""
        self.score()
        frames = {
            "source": (self.raw, TableSpec(role="raw", time_column="at", key_columns=["key"])),
            "inputs": (
                self.features,
                TableSpec(role="features", time_column="at", key_columns=["key"]),
            ),
            "served": (
                self.predictions,
                TableSpec(
                    role="predictions",
                    time_column="at",
                    key_columns=["key"],
                    score="score",
                    prediction="decided",
                    model_version="version",
                    feature_columns=[
                        self.names[r] for r in ("amount", "warmth", "group", "unused")
                    ],
                ),
            ),
            "truth": (
                self.labels,
                TableSpec(
                    role="labels",
                    time_column="at",
                    label_time_column="came",
                    key_columns=["key"],
                    label="real",
                ),
            ),
        }
        tables, ledger = {}, []
        for name, (frame, spec) in frames.items():
            if name in self.drop:
                ledger.append(
                    _entry(len(ledger) + 1, f"tables:{name}", "unavailable", "no answer in 4 s")
                )
                continue
            column = spec.label_time_column or "at"
            old = frame[(frame[column] >= FIRST) & (frame[column] < START)]
            new = frame[(frame[column] >= START) & (frame[column] < END)]
            tables[name] = (self.specs.get(name, spec), old, new)
            ledger += [
                _entry(len(ledger) + n, f"tables:{name}", "ok", None, len(part))
                for n, part in ((1, old), (2, new))
            ]
        for kind, there in (("changes", self.changes), ("pipeline", self.pipeline)):
            status = "ok" if there else "not_configured"
            ledger.append(_entry(len(ledger) + 1, kind, status, None, len(there) or None))
        for kind in ("logs", "metrics"):
            ledger.append(_entry(len(ledger) + 1, kind, "not_configured"))
        write_bundle(
            folder,
            alert=Alert(
                sender="test",
                fingerprint="f",
                incident_type=self.incident_type,
                starts_at=END,
                title="moved",
            ),
            service=Service(
                name="thing",
                kind="model",
                criticality="high",
                model=ModelInfo(name="m", version="1"),
            ),
            windows=Windows(reference=(FIRST, START), current=(START, END)),
            ledger=ledger,
            incident_id="inc-test",
            tables=tables,
            changes=self.changes or None,
            pipeline=self.pipeline or None,
            topology=[
                Edge(**{"from": "loader", "to": "source", "kind": "feeds"}),
                Edge(**{"from": "source", "to": "inputs", "kind": "feeds"}),
                Edge(**{"from": "inputs", "to": "served", "kind": "feeds"}),
            ],
        )
        return Bundle.read(folder)


def _entry(
    number: int, source: str, status: str, why: str | None = None, rows: int | None = None
) -> LedgerEntry:
    return LedgerEntry(
        id=f"L{number:02d}",
        source=source,
        kind=source.partition(":")[0],
        status=status,
        why=why,
        rows=rows,
    )


def make(seed: int, per_day: int = 700) -> World:
    """Make a world in which nothing is wrong.

    `amount` is nearly fixed by two categories, `warmth` follows the hour and a season, `unused` is
    noise the model does not use, `group` is a category.
    """
    rng = np.random.default_rng(seed)
    words = rng.permutation([a + b for a in SYLLABLES for b in SYLLABLES])
    names = dict(zip(("amount", "warmth", "unused", "group", "left", "right"), words, strict=False))
    days = 30
    n = per_day * days
    u = np.sort(rng.uniform(0, days * 24, n))
    keep = rng.random(n) < 0.35 + 0.65 * np.clip(np.sin((u % 24 - 5) / 24 * 2 * np.pi) + 0.4, 0, 1)
    u = u[keep]
    at = FIRST + pd.to_timedelta(np.floor(u * 3600), unit="s")
    m = len(at)
    left, right = rng.integers(0, 4, m), rng.integers(0, 5, m)
    fixed = rng.uniform(10, 90, (4, 5))[left, right]
    hour = u % 24
    raw = pd.DataFrame(
        {
            "key": [f"k{i}" for i in range(m)],
            "at": at,
            names["left"]: pd.Series(left).map(lambda v: f"l{v}").to_numpy(),
            names["right"]: pd.Series(right).map(lambda v: f"r{v}").to_numpy(),
            names["amount"]: fixed * rng.normal(1, 0.01, m),
            names["warmth"]: 15 + 4 * np.sin((hour - 9) / 24 * 2 * np.pi) + rng.normal(0, 2, m),
            names["unused"]: rng.gamma(3, 4, m),
            names["group"]: rng.choice(["a", "b", "c"], m, p=[0.5, 0.3, 0.2]),
        }
    )
    model = [names[r] for r in ("amount", "warmth", "unused", "group")]
    features = raw[["key", "at", *model]].copy()
    predictions = features.assign(version="1")
    labels = pd.DataFrame(
        {"key": raw["key"], "at": raw["at"], "came": raw["at"] + pd.Timedelta("20h")}
    )
    labels["real"] = rng.random(m) < 0.5
    return World(seed, {k: str(v) for k, v in names.items()}, raw, features, predictions, labels)
