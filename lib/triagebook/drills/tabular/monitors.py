"""What the company's own monitors computed from its tables, batch by batch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from triagebook.drills.tabular.flow import categories_of, inputs_of, measured
from triagebook.drills.tabular.setting import HOUR

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from triagebook.drills.tabular.stage import Stage

_BINS = 10
_ENOUGH = 40


@dataclass
class Series:
    """A monitored series: our word, what it is about, its points, and the windows it looked over."""

    word: str
    kind: str
    entity: str
    ts: pd.DatetimeIndex
    points: NDArray[Any]
    extra: dict[str, str] = field(default_factory=dict)


def watch(stage: Stage) -> list[Series]:
    """Return all that the monitors saw."""
    setting = stage.setting
    grid = pd.date_range(
        setting.start.ceil(setting.batch), setting.now, freq=setting.batch, inclusive="left"
    )
    over = max(1, round(float(stage.facts.get("monitor_h", 6.0)) * HOUR / setting.batch))
    found = _tables(stage, grid)
    found += _drift(stage, grid, over)
    found += _scores(stage, grid, over)
    return found + _quality(stage)


def _slots(
    grid: pd.DatetimeIndex, ts: pd.Series[pd.Timestamp], batch: pd.Timedelta
) -> NDArray[np.int64]:
    return np.asarray((ts - grid[0]) // batch, dtype="int64")


def _rolling(values: NDArray[Any], over: int) -> NDArray[np.float64]:
    """Return sums over the last `over` rows, along the first axis."""
    total = np.cumsum(values, axis=0, dtype="float64")
    total[over:] -= total[:-over].copy()
    return total


def _tables(stage: Stage, grid: pd.DatetimeIndex) -> list[Series]:
    """Rows, nulls, unseen categories and repeated keys of what was ingested, each batch."""
    company, setting, main = stage.company, stage.setting, stage.main
    slot = _slots(grid, main[company.ts], setting.batch)
    inside = (slot >= 0) & (slot < len(grid))
    main, slot, n = main[inside], slot[inside], len(grid)
    rows = np.bincount(slot, minlength=n).astype("float64")
    ts = grid + setting.batch
    table = company.table["main"]
    found = [Series("rows", "table", table, ts, rows)]
    # A monitor looks at what is there: no rows, no ratio.
    over = np.where(rows >= 5, rows, np.nan)
    known = stage.material.train
    for column in company.columns:
        if column.name not in main.columns:
            continue
        null = np.bincount(slot, weights=main[column.name].isna(), minlength=n)
        found.append(Series("nulls", "table", table, ts, null / over, {"column": column.name}))
        if column.kind == "category":
            strange = main[column.name].notna() & ~main[column.name].isin(
                known[column.name].unique()
            )
            share = np.bincount(slot, weights=strange, minlength=n) / over
            found.append(Series("unseen", "table", table, ts, share, {"column": column.name}))
    again = main[company.key].duplicated()
    found.append(
        Series("repeats", "table", table, ts, np.bincount(slot, weights=again, minlength=n) / over)
    )
    return found


def _drift(stage: Stage, grid: pd.DatetimeIndex, over: int) -> list[Series]:
    """PSI of each served input over the last hours against the first two weeks."""
    company, setting, served = stage.company, stage.setting, stage.predictions
    slot = _slots(grid, served["_ts"], setting.batch)
    n, first = len(grid), grid.searchsorted(setting.start + pd.Timedelta(days=14))
    inside = (slot >= 0) & (slot < n)
    served, slot = served[inside], slot[inside]
    enough = _rolling(np.bincount(slot, minlength=n).astype("float64"), over) >= _ENOUGH
    found = []
    categories = categories_of(company)
    for name in inputs_of(company):
        values = served[name]
        if name in categories:
            levels = sorted(values[slot < first].dropna().unique())
            codes = pd.Categorical(values, categories=levels).codes.astype("int64")
            codes, size = np.where(codes < 0, len(levels), codes), len(levels) + 1
        else:
            numbers = values.to_numpy(dtype="float64")
            base = numbers[(slot < first) & ~np.isnan(numbers)]
            edges = np.unique(np.quantile(base, np.linspace(0, 1, _BINS + 1)[1:-1]))
            codes = np.where(np.isnan(numbers), len(edges) + 1, np.searchsorted(edges, numbers))
            size = len(edges) + 2
        counts = (
            np.bincount(slot * size + codes, minlength=n * size).reshape(n, size).astype("float64")
        )
        expected = counts[:first].sum(axis=0) + 0.5
        now = _rolling(counts, over) + 0.5
        p, q = now / now.sum(axis=1, keepdims=True), expected / expected.sum()
        psi = np.where(enough, ((p - q) * np.log(p / q)).sum(axis=1), np.nan)
        found.append(
            Series("psi", "service", company.service, grid + setting.batch, psi, {"feature": name})
        )
    return found


def _scores(stage: Stage, grid: pd.DatetimeIndex, over: int) -> list[Series]:
    company, setting, served = stage.company, stage.setting, stage.predictions
    slot = _slots(grid, served["_ts"], setting.batch)
    inside = (slot >= 0) & (slot < len(grid))
    served, slot, n = served[inside], slot[inside], len(grid)
    rows = _rolling(np.bincount(slot, minlength=n).astype("float64"), over)
    over_rows = np.where(rows >= _ENOUGH, rows, np.nan)
    found = []
    for word, column in (("score_mean", company.score), ("positive", company.decision)):
        summed = np.bincount(slot, weights=served[column].astype("float64"), minlength=n)
        found.append(
            Series(
                word,
                "service",
                company.service,
                grid + setting.batch,
                _rolling(summed, over) / over_rows,
            )
        )
    made = np.bincount(slot, minlength=n).astype("float64")
    found.append(Series("rows", "table", company.table["predictions"], grid + setting.batch, made))
    return found


def _quality(stage: Stage) -> list[Series]:
    """AUC, accuracy, log loss and base rate over the outcomes that arrived lately; their lag."""
    company, setting = stage.company, stage.setting
    known = measured(stage)
    step = 6 * HOUR if setting.label_every <= 6 * HOUR else 24 * HOUR
    span = max(24 * HOUR, step)
    grid = pd.date_range((setting.start + span).ceil(step), setting.now, freq=step)
    if len(grid) and setting.now - grid[-1] > HOUR:
        grid = pd.DatetimeIndex([*grid, setting.now - pd.Timedelta(minutes=5)])
    arrived = known[company.labelled]
    low = arrived.searchsorted(grid - span)
    high = arrived.searchsorted(grid)
    score = known[company.score].to_numpy(dtype="float64")
    label = known[company.label].to_numpy(dtype="float64")
    decision = known[company.decision].to_numpy(dtype="float64")
    lag = (arrived - known[company.predicted]).dt.total_seconds().to_numpy(dtype="float64") / 3600
    p = np.clip(score, 0.01, 0.99)
    loss = -(label * np.log(p) + (1 - label) * np.log(1 - p))
    words = ("quality", "accuracy", "logloss", "base_rate", "label_lag", "labels")
    values = {word: np.full(len(grid), np.nan) for word in words}
    for at, (a, b) in enumerate(zip(low, high, strict=True)):
        values["labels"][at] = b - a
        if b - a < _ENOUGH:
            continue
        values["quality"][at] = _auc(score[a:b], label[a:b])
        values["accuracy"][at] = (label[a:b] == decision[a:b]).mean()
        values["logloss"][at] = loss[a:b].mean()
        values["base_rate"][at] = label[a:b].mean()
        values["label_lag"][at] = np.median(lag[a:b])
    return [Series(word, "service", company.service, grid, values[word]) for word in words]


def _auc(score: NDArray[np.float64], label: NDArray[np.float64]) -> float:
    positive = label.sum()
    negative = len(label) - positive
    if not positive or not negative:
        return float("nan")
    return float(
        (rankdata(score)[label == 1].sum() - positive * (positive + 1) / 2) / (positive * negative)
    )
