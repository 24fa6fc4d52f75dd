"""Whether numbers, and numbers inside texts, are of the range and exactness the reference's are."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from triagebook.analysis import texts
from triagebook.analysis.cells import Breach, Cells, judge
from triagebook.analysis.novelty import FOLDS, SURE, folds_of

_TREND = 0.8
_NEAR = 21


def numeric(cells: Cells) -> list[Breach]:
    """Find numbers beyond the range, or of more decimals, than the rest of the reference; texts that are none."""
    numbers = np.append(cells.numbers, np.nan)
    old, new = numbers[cells.reference], numbers[cells.current]
    found: list[Breach] = []
    if not cells.numeric:
        void = np.append([not texts.is_placeholder(v) for v in cells.said], False)
        found += judge(
            cells,
            "not a number",
            np.isnan(old) & void[cells.reference],
            np.isnan(new) & void[cells.current],
            strict=True,
        )
    return found + _ranges(cells, old, new) + _decimals(cells, old, new)


def _ranges(cells: Cells, old: np.ndarray, new: np.ndarray) -> list[Breach]:
    known = old[np.isfinite(old)]
    if len(known) < 20 or not np.isfinite(new).any():
        return []
    band = 0.0
    if _trend(old) > _TREND and _trend(new) > _TREND / 2:
        # A number that grows with the rows is out of range at once: hold it against its neighbours.
        band = _NEAR * float(np.median(np.abs(np.diff(known))))
        old, new = _beside(old), _beside(new)
        known = old[np.isfinite(old)]
    found: list[Breach] = []
    for margin in (0.0, 0.25, 1.0):
        before = np.zeros(len(old), dtype=bool)
        fold = folds_of(len(old))
        for one in range(FOLDS):
            rest = old[(fold != one) & np.isfinite(old)]
            if len(rest) < 10:
                return found
            low, high = _reach(rest, margin, band)
            mine = fold == one
            before[mine] = (old[mine] < low) | (old[mine] > high)
        low, high = _reach(known, margin, band)
        now = (new < low) | (new > high)
        what = f"outside {low:.4g} to {high:.4g}"
        # So far out, few rows are enough; records are set now and then.
        sure = 0.01 if margin >= 1 else SURE if margin else 1e-6
        if margin == 0 and now.mean() < 0.03:
            continue
        found += judge(cells, what, before, now, sure=sure, plain=True, sturdy=False, values=False)
    return found


def _trend(values: np.ndarray) -> float:
    """Rank correlation of numbers with their place, [0, 1]."""
    place = np.flatnonzero(np.isfinite(values))
    if len(place) < 40 or np.ptp(values[place]) == 0:
        return 0.0
    return abs(float(spearmanr(place, values[place]).statistic))


def _beside(values: np.ndarray) -> np.ndarray:
    """Return the distance of each number from the median of the rows around it; NaN at both ends."""
    series = pd.Series(values)
    middle = series.rolling(_NEAR, center=True).median()
    return np.asarray((series - middle).to_numpy())


def _reach(known: np.ndarray, margin: float, band: float) -> tuple[float, float]:
    low, high = float(known.min()), float(known.max())
    # Rain and waiting times set records now and then: the longer a tail, the farther a record.
    inner = np.quantile(known, [0.01, 0.99])
    wide = max(margin * (high - low), band)
    below = low - max(wide, 2 * (float(inner[0]) - low) if margin else 0.0)
    above = high + max(wide, 2 * (high - float(inner[1])) if margin else 0.0)
    # A quantity that was never negative has no business below zero, however near.
    return (max(below, 0.0) if low >= 0 else below), above


def _decimals(cells: Cells, old: np.ndarray, new: np.ndarray) -> list[Breach]:
    known = old[np.isfinite(old)]
    for digits in range(6):
        exact = np.abs(known - np.round(known, digits)) <= 1e-9 * np.maximum(np.abs(known), 1)
        if exact.mean() >= 0.995:
            break
    else:
        return []

    def longer(values: np.ndarray) -> np.ndarray:
        off = np.abs(values - np.round(values, digits))
        long: np.ndarray = np.isfinite(values) & (off > 1e-9 * np.maximum(np.abs(values), 1))
        return long

    return judge(
        cells,
        f"of more than {digits} decimal{'s' if digits != 1 else ''}",
        longer(old),
        longer(new),
    )


def written_numbers(cells: Cells) -> list[Breach]:
    """Judge each number inside texts of one form as a column of its own: the month of a date, its day."""
    found: list[Breach] = []
    groups = [texts.digit_groups(value) for value in cells.said]
    count = np.array([len(group) for group in groups] + [-1])
    usual = np.bincount(count[cells.reference[cells.reference >= 0]], minlength=1)
    most = int(usual.argmax())
    if not 1 <= most <= 6 or usual[most] < 0.9 * usual.sum():
        return []
    for place in range(most):
        part = np.array(
            [g[place] if len(g) == most else np.nan for g in groups] + [np.nan], dtype="float64"
        )
        found += [
            Breach(f"{b.what} in its {place + 1}. number", b.share, b.usual, b.example, b.rows)
            for b in _ranges(cells, part[cells.reference], part[cells.current])
        ]
    return found
