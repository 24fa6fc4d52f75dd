"""Made-up rows: correlated numbers of many shapes, categories, a joined entity, and outcomes they drive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from triagebook.drills.tabular.material import LOGIT, Y
from triagebook.drills.tabular.setting import DAY, Setting
from triagebook.drills.tabular.words import VALUES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from triagebook.drills.tabular.company import Company

_WEIGHTS = (0.95, -0.8, 0.6, 0.5, -0.4, 0.3, 0.25, -0.2, 0.15)
"""Of the used numbers, dealt out by seed; the weak and the unused have none."""


class Simulated:
    """A company's rows, drawn from one fixed population whose days differ a little.

    Numbers share hidden factors, drift with the day by a few hundredths of their spread, and differ
    between the segments of two categories. The log odds of the outcome are linear in the hidden
    values, with products, category effects and an effect of the joined entity.
    """

    def __init__(self, company: Company, setting: Setting, rng: np.random.Generator) -> None:
        self.company, self.setting = company, setting
        self.first_day = (setting.start - 60 * DAY).floor("D")
        numbers = [column for column in company.columns if column.kind == "number"]
        self.numbers = numbers
        k = len(numbers)
        self.loads = rng.normal(0, 0.45, (k, 3))
        days = int((setting.now - self.first_day) / DAY) + 2
        self.day_effect = _wander(days, k, 0.05, rng)
        weekly = rng.normal(0, 0.04, (7, k))
        self.day_effect += weekly[(np.arange(days) + self.first_day.weekday()) % 7]
        self.sizes = {column.slot: float(rng.uniform(0.5, 1.6)) for column in numbers}
        self.levels = {}
        for column in company.columns:
            if column.kind == "category":
                words = rng.permutation(VALUES[column.slot])
                count = {"channel": 4, "region": 9, "product": 6, "tier": 3}[column.slot]
                style = int(rng.integers(3))
                self.levels[column.slot] = [
                    (str(word), str(word).upper(), str(word)[:3].upper())[style]
                    for word in words[:count]
                ]
        self.shares = {
            slot: rng.dirichlet(np.linspace(4.0, 1.2, len(v))) * 0.8 + 0.2 / len(v)
            for slot, v in self.levels.items()
        }
        self.day_mix = {slot: _wander(days, len(v), 0.06, rng) for slot, v in self.levels.items()}
        self.group_shift = {
            slot: rng.normal(0, 0.3, (len(self.levels[slot]), k)) for slot in ("region", "product")
        }
        used = [at for at, column in enumerate(numbers) if column.slot not in {"weak", "unused"}]
        # What is not used moves by itself, so that its movement can be harmless.
        alone = [at for at, column in enumerate(numbers) if column.slot in {"weak", "unused"}]
        self.loads[alone] = 0.0
        for shift in self.group_shift.values():
            shift[:, alone] = 0.0
        self.weights = np.zeros(k)
        self.weights[rng.permutation(used)] = _WEIGHTS[: len(used)]
        strong = np.argsort(-np.abs(self.weights))
        self.products = [
            (int(strong[0]), int(strong[2]), 0.35),
            (int(strong[1]), int(strong[3]), -0.3),
        ]
        self.level_effect = {s: rng.normal(0, 0.55, len(v)) for s, v in self.levels.items()}
        self.base = float(rng.uniform(-2.0, -0.7))
        self.hour_effect = float(rng.uniform(0.15, 0.4))
        self.entities = int(rng.integers(45, 130))
        self.popular = rng.dirichlet(np.full(self.entities, 0.8)) * 0.7 + 0.3 / self.entities
        self.entity_z = rng.normal(0, 1, self.entities)
        self.entity_class = rng.integers(0, 4, self.entities)
        self.class_names = [str(word) for word in rng.permutation(VALUES["side"])[:4]]
        self.side_walk = _wander(days, self.entities, 0.12, rng)
        self.prefix = company.side_noun[:2].upper()
        self.null_share = {
            column.slot: float(rng.choice([0.0, 0.0, 0.01, 0.03, 0.06]))
            for column in company.columns
        }
        self._serial = int(rng.integers(10_000, 900_000))

    def rows(self, ts: pd.Series[Any], rng: np.random.Generator) -> pd.DataFrame:
        """Make one row for each time; see `drills.tabular.material.Source`."""
        n, company = len(ts), self.company
        day = ((ts - self.first_day) // DAY).to_numpy()
        z = rng.normal(0, 0.85, (n, len(self.numbers)))
        z += rng.normal(0, 1, (n, 3)) @ self.loads.T + self.day_effect[day]
        codes = {}
        for slot, levels in self.levels.items():
            logits = np.log(self.shares[slot]) + self.day_mix[slot][day]
            codes[slot] = np.argmax(logits + rng.gumbel(size=(n, len(levels))), axis=1)
        for slot, shift in self.group_shift.items():
            z += shift[codes[slot]]
        entity = rng.choice(self.entities, n, p=self.popular)
        local = (ts + self.setting.offset).dt.tz_localize(None)
        hour = local.dt.hour.to_numpy() + local.dt.minute.to_numpy() / 60
        logit = self.base + z @ self.weights + 0.4 * self.entity_z[entity]
        logit += sum(w * np.clip(z[:, a] * z[:, b], -4, 4) for a, b, w in self.products)
        logit += sum(self.level_effect[slot][code] for slot, code in codes.items())
        logit += self.hour_effect * np.cos(2 * np.pi * (hour - 15) / 24)
        frame: dict[str, Any] = {
            company.key: self._keys(n),
            company.side_key: [f"{self.prefix}{at:04d}" for at in entity],
            company.ts: pd.DatetimeIndex(ts),
            company.local: local.to_numpy(),
        }
        for at, column in enumerate(self.numbers):
            frame[column.name] = self._value(column.slot, z[:, at], column.unit)
        for slot, levels in self.levels.items():
            frame[company.column(slot).name] = np.array(levels, dtype=object)[codes[slot]]
        frame[LOGIT] = logit
        frame[Y] = (rng.random(n) < 1 / (1 + np.exp(-logit))).astype("int64")
        found = pd.DataFrame(frame)
        for column in company.columns:
            share = self.null_share[column.slot]
            if share:
                found.loc[rng.random(n) < share, column.name] = np.nan
        return found

    def side(self) -> pd.DataFrame:
        """Return a snapshot of every entity for each day from a month before the start on."""
        company, setting = self.company, self.setting
        first = (setting.start - 41 * DAY).floor("D")
        days = pd.date_range(first, setting.now.floor("D"), freq="D")
        loaded = days + pd.Timedelta(hours=2, minutes=10)
        kept = loaded < setting.now
        at = ((days - self.first_day) // DAY).to_numpy()[kept]
        number = 50 + 12 * (self.entity_z + self.side_walk[at])
        return pd.DataFrame(
            {
                company.side_key: np.tile(
                    [f"{self.prefix}{e:04d}" for e in range(self.entities)], len(at)
                ),
                company.loaded: np.repeat(loaded[kept], self.entities),
                company.side_number: np.round(number.ravel(), 2),
                company.side_category: np.tile(
                    np.array(self.class_names, dtype=object)[self.entity_class], len(at)
                ),
            }
        )

    def _keys(self, n: int) -> list[str]:
        start = self._serial
        self._serial += n
        return [f"{self.company.noun[:3]}-{start + at:07d}" for at in range(n)]

    def _value(self, slot: str, z: NDArray[np.float64], unit: str) -> NDArray[np.float64]:
        """Give a hidden value the shape of its kind."""
        size = self.sizes[slot]
        if slot == "amount":
            return np.round(180 * size * np.exp(0.9 * z), 2)
        if slot == "distance":
            return np.round((40 if unit == "miles" else 64) * size * np.exp(0.6 * z), 1)
        if slot == "duration":
            return np.round((240 if unit == "s" else 35) * size * np.exp(0.7 * z), 1)
        if slot == "temperature":
            celsius = 14 * size + 7 * z
            return np.round(celsius * 1.8 + 32 if unit == "°F" else celsius, 1)
        if slot == "weight":
            return np.round((9 if unit == "kg" else 20) * size * np.exp(0.55 * z), 2)
        if slot == "count":
            return np.floor(np.exp(0.6 * size + 0.6 * z))
        if slot == "ratio":
            return np.round(1 / (1 + np.exp(-(z - 0.4) * 1.2)), 3)
        if slot == "tenure":
            return np.floor(400 * size * np.exp(0.8 * z))
        if slot == "balance":
            return np.round(120 * size * z + 60, 2)
        return np.round(30 * size + 9 * z, 2)


def _wander(days: int, k: int, size: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return daily effects that wander and come back, shape (days, k); `size` is their spread."""
    found = np.zeros((days, k))
    shocks = rng.normal(0, size * 0.6, (days, k))
    for at in range(1, days):
        found[at] = 0.8 * found[at - 1] + shocks[at]
    return found
