"""The made-up world with a calibrated model, labels that come late, versions, and faults of these."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tests.unit.diagnosis.world import END, START, World, make

if TYPE_CHECKING:
    from collections.abc import Callable

ONSET = END - pd.Timedelta("30h")


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@dataclass
class ModelWorld(World):
    """Labels are drawn from the chance that the offline features give; the model knows that chance.

    `chance`, `scored` and `labelled` change the world, the model and the labels; each gets the rows
    and whether each lies after the onset, and returns new values.
    """

    onset: pd.Timestamp = ONSET
    cut: Callable | None = None
    chance: list[Callable] = field(default_factory=list)
    scored: list[Callable] = field(default_factory=list)
    labelled: list[Callable] = field(default_factory=list)
    number: bool = False
    draw: int = 0

    def logit(self, rows: pd.DataFrame) -> np.ndarray:
        n = self.names
        x = pd.to_numeric(rows[n["amount"]], errors="coerce").fillna(50.0)
        z = pd.to_numeric(rows[n["warmth"]], errors="coerce").fillna(15.0)
        group = rows[n["group"]].map({"a": 0.6, "b": 0.0, "c": -0.5}).fillna(0.2)
        return (0.05 * (x - 50) + 0.15 * (z - 15) + group).to_numpy(dtype=float)

    def late(self, rows: pd.DataFrame) -> np.ndarray:
        return (rows["at"] >= self.onset).to_numpy()

    def score(self) -> None:
        rng = np.random.default_rng((self.seed, self.draw, 77))
        served, truth = self.predictions, self.features
        score = sigmoid(self.logit(served))
        for change in self.scored:
            score = change(self, served, score, self.late(served))
        chance = sigmoid(self.logit(truth))
        for change in self.chance:
            chance = change(self, truth, chance, self.late(truth))
        labels = self.labels
        if self.number:
            served["score"] = 10 * score
            served["decided"] = served["score"]
            real = 10 * chance + rng.normal(0, 1, len(chance))
        else:
            served["score"] = score
            cut = 0.5 if self.cut is None else self.cut(self, served, self.late(served))
            served["decided"] = score >= cut
            real = (rng.random(len(chance)) < chance).astype(float)
        labels["real"] = real
        for change in self.labelled:
            labels = change(self, labels, rng)
        self.labels = labels.sort_values("came", kind="stable").reset_index(drop=True)


def model_world(seed: int, per_day: int = 2_500, *, number: bool = False) -> ModelWorld:
    """Make a healthy one; labels come 1 to 10 hours after the prediction."""
    plain = make(seed, per_day)
    world = ModelWorld(
        **{k: getattr(plain, k) for k in ("seed", "names", "raw", "features", "predictions")},
        labels=plain.labels,
        incident_type="model_performance",
        number=number,
    )
    rng = np.random.default_rng((seed, 5))
    n = len(world.raw)
    wait = pd.to_timedelta(rng.uniform(1, 10, n), unit="h")
    world.labels["came"] = world.labels["at"] + wait
    return world


__all__ = ["END", "ONSET", "START", "ModelWorld", "model_world", "sigmoid"]
