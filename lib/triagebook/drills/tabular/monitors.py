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
_FEW = 20


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
    """Rows of each batch; nulls, unseen categories and repeated keys over the last hours."""
    company, setting = stage.company, stage.setting
    found = []
    kinds = set(categories_of(company))
    kinds |= {column.name for column in company.columns if column.kind == "category"}
    for word in ("main", "features"):
        frame = stage.frame(word)
        slot = _slots(grid, frame[company.ts], setting.batch)
        inside = (slot >= 0) & (slot < len(grid))
        frame, slot, n = frame[inside], slot[inside], len(grid)
        rows = np.bincount(slot, minlength=n).astype("float64")
        ts, table = grid + setting.batch, company.table[word]
        if word == "main":
            found.append(Series("rows", "table", table, ts, rows))
        over = max(1, round(2 * HOUR / setting.batch))
        # A monitor looks at what is there: few rows, no ratio.
        seen = _rolling(rows, over)
        seen = np.where(seen >= _FEW, seen, np.nan)
        names = (
            [column.name for column in company.columns] if word == "main" else inputs_of(company)
        )
        for name in names:
            null = np.bincount(slot, weights=frame[name].isna(), minlength=n)
            share = _rolling(null, over) / seen
            found.append(Series("nulls", "table", table, ts, share, {"column": name}))
            if name not in kinds:
                if pd.api.types.is_numeric_dtype(frame[name].dtype):
                    wild = _rolling(
                        np.bincount(slot, weights=_wild(frame[name], slot < n // 3), minlength=n),
                        over,
                    )
                    found.append(Series("range", "table", table, ts, wild / seen, {"column": name}))
                continue
            known = frame.loc[slot < n // 3, name].unique()
            strange = frame[name].notna() & ~frame[name].isin(known)
            share = _rolling(np.bincount(slot, weights=strange, minlength=n), over) / seen
            found.append(Series("unseen", "table", table, ts, share, {"column": name}))
        again = np.bincount(slot, weights=frame[company.key].duplicated(), minlength=n)
        found.append(Series("repeats", "table", table, ts, _rolling(again, over) / seen))
    return found


def _wild(values: pd.Series[Any], known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell which values lie outside what the first third of the time showed, and half as much again."""
    low, high = np.nanquantile(values[known].to_numpy(dtype="float64"), [0.001, 0.999])
    margin = 0.5 * (high - low)
    return np.asarray((values < low - margin) | (values > high + margin), dtype="bool")


def _drift(stage: Stage, grid: pd.DatetimeIndex, over: int) -> list[Series]:
    """PSI of each served input over the last hours against the first two weeks."""
    company, setting, served = stage.company, stage.setting, stage.predictions
    slot = _slots(grid, served["_ts"], setting.batch)
    n, first = len(grid), grid.searchsorted(setting.start + pd.Timedelta(days=14))
    inside = (slot >= 0) & (slot < n)
    served, slot = served[inside], slot[inside]
    day = max(1, round(24 * HOUR / setting.batch))
    rows = np.bincount(slot, minlength=n).astype("float64")
    found = []
    categories = categories_of(company)
    for name in inputs_of(company):
        values = served[name]
        if name in categories:
            levels = sorted(values[slot < first].dropna().unique())
            codes = pd.Index(levels, dtype="object").get_indexer(pd.Index(values, dtype="object"))
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
        # Only a whole day has the hours that all days have.
        span = day if name == company.hour else over
        now, enough = _rolling(counts, span) + 0.5, _rolling(rows, span) >= _ENOUGH
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
