"""Whether one constant explains a movement: miles read as kilometres, seconds as milliseconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

CONVERSIONS: tuple[tuple[float, float, str], ...] = (
    (1.609344, 0.0, "miles to kilometres"),
    (1 / 1.609344, 0.0, "kilometres to miles"),
    (0.3048, 0.0, "feet to metres"),
    (1 / 0.3048, 0.0, "metres to feet"),
    (2.54, 0.0, "inches to centimetres"),
    (1 / 2.54, 0.0, "centimetres to inches"),
    (0.45359237, 0.0, "pounds to kilograms"),
    (1 / 0.45359237, 0.0, "kilograms to pounds"),
    (3.785411784, 0.0, "gallons to litres"),
    (1 / 3.785411784, 0.0, "litres to gallons"),
    (0.44704, 0.0, "miles an hour to metres a second"),
    (1 / 0.44704, 0.0, "metres a second to miles an hour"),
    (1.852, 0.0, "nautical miles to kilometres"),
    (1 / 1.852, 0.0, "kilometres to nautical miles"),
    (1 / 1.8, -32 / 1.8, "Fahrenheit to Celsius"),
    (1.8, 32.0, "Celsius to Fahrenheit"),
    (1.0, 273.15, "Celsius to kelvin"),
    (1.0, -273.15, "kelvin to Celsius"),
    (100.0, 0.0, "shares to per cent, or units to hundredths"),
    (0.01, 0.0, "per cent to shares, or hundredths to units"),
    (1_000.0, 0.0, "units to thousandths (s to ms, km to m)"),
    (0.001, 0.0, "thousandths to units (ms to s, m to km)"),
    (1e6, 0.0, "units to millionths"),
    (1e-6, 0.0, "millionths to units"),
    (60.0, 0.0, "minutes to seconds, or hours to minutes"),
    (1 / 60, 0.0, "seconds to minutes, or minutes to hours"),
    (3_600.0, 0.0, "hours to seconds"),
    (1 / 3_600, 0.0, "seconds to hours"),
    (24.0, 0.0, "days to hours"),
    (1 / 24, 0.0, "hours to days"),
    (1_024.0, 0.0, "a binary step up (KiB to B)"),
    (1 / 1_024, 0.0, "a binary step down (B to KiB)"),
    (180 / np.pi, 0.0, "radians to degrees"),
    (np.pi / 180, 0.0, "degrees to radians"),
    (-1.0, 0.0, "the sign turned"),
)
"""(factor, offset, name): new = factor * old + offset."""


@dataclass(frozen=True)
class ConstantChange:
    """new = factor * old + offset, and how much of the movement that explains.

    Attributes
    ----------
    before, after : float
        Kolmogorov-Smirnov distance as it stands, and with the change undone; [0, 1].
    name : str or None
        The conversion it matches, within what the rows can tell.
    spread : float
        Half the range of the ratio over the middle quantiles, relative to it; 0 is exact.
    """

    factor: float
    offset: float
    before: float
    after: float
    name: str | None
    spread: float

    @property
    def explained(self) -> float:
        """Share of the movement that is gone once the change is undone, at most 1."""
        return 1 - self.after / self.before if self.before > 0 else 0.0

    def undo(self, values: pd.Series) -> pd.Series:
        """Return the values as they would have been."""
        return (values - self.offset) / self.factor


@dataclass(frozen=True)
class GroupedConstant:
    """The constant, looked for inside groups in which the column hardly varies."""

    by: tuple[str, ...]
    groups: int
    agreeing: int
    """Groups whose own ratio lies within 2 % of the constant."""
    rows: int


def ks(left: np.ndarray, right: np.ndarray) -> float:
    """Two-sample Kolmogorov-Smirnov distance of two float arrays, [0, 1]; 0 where one is empty."""
    if not len(left) or not len(right):
        return 0.0
    left, right = np.sort(left), np.sort(right)
    both = np.concatenate((left, right))
    a = np.searchsorted(left, both, side="right") / len(left)
    b = np.searchsorted(right, both, side="right") / len(right)
    return float(np.abs(a - b).max())


def constant_change(reference: np.ndarray, current: np.ndarray) -> ConstantChange | None:
    """Find the constant that turns the reference's distribution into the current one.

    Parameters
    ----------
    reference, current : float arrays, shape (n_ref,), (n_cur,), finite, at least 30 each

    Returns
    -------
    ConstantChange or None
        None where no scale, shift or known conversion takes most of the movement away. A known
        conversion is preferred over a fitted constant that does as well.
    """
    if len(reference) < 30 or len(current) < 30:
        return None
    before = ks(reference, current)
    grid = np.linspace(0.05, 0.95, 37)
    old, new = np.quantile(reference, grid), np.quantile(current, grid)
    spread_old = float(np.std(reference))
    if spread_old == 0 or before == 0:
        return None
    candidates: list[tuple[float, float, str | None]] = list(CONVERSIONS)
    usable = np.abs(old) > 1e-9 * max(1.0, float(np.abs(old).max()))
    if usable.sum() >= 10:
        candidates.append((float(np.median(new[usable] / old[usable])), 0.0, None))
    candidates.append((1.0, float(np.median(new - old)), None))
    # What chance leaves between two samples of these sizes: a conversion that people really make is
    # preferred over a fitted constant as long as it explains the rows that well.
    chance = 1.36 * float(np.sqrt(1 / len(reference) + 1 / len(current)))
    best: ConstantChange | None = None
    for factor, offset, name in candidates:
        if factor == 0 or (abs(factor - 1) < 0.05 and abs(offset) < 0.2 * spread_old):
            continue
        after = ks(reference, (current - offset) / factor)
        ratio = (new[usable] - offset) / old[usable] / factor if usable.any() else np.array([1.0])
        off = float(np.median(np.abs(ratio - np.median(ratio))) + abs(np.median(ratio) - 1))
        found = ConstantChange(factor, offset, before, after, name, off)
        margin = 0.02
        if name is None and best is not None and best.name and best.after <= 1.5 * chance:
            margin = max(margin, chance)
        elif best is None or name is not None:
            margin = 0.0
        if best is None or found.after < best.after - margin:
            best = found
    return best if best is not None and best.explained >= 0.5 else None


def constant_within_groups(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    column: str,
    change: ConstantChange,
    by: list[tuple[str, ...]],
) -> GroupedConstant | None:
    """Look for the constant in each group of the columns that best pin the value down.

    A season moves the mix of rows, not the distance from one city to another: where the value is
    nearly fixed within a group, every group must show the same constant.

    Parameters
    ----------
    reference, current : DataFrame
        Rows before and after the change, with `column` and the grouping columns.
    by : list of tuples of column names
        Groupings to try; the one with the least spread inside its groups is used.

    Returns
    -------
    GroupedConstant or None
        None where no grouping pins the value down to a tenth of its overall spread.
    """
    overall = float(reference[column].std())
    if not overall > 0:
        return None
    best: tuple[float, tuple[str, ...]] | None = None
    for columns in by:
        grouped = reference.groupby(list(columns), observed=True)[column]
        inside = grouped.std().fillna(0.0)
        weight = grouped.size()
        if len(weight) < 3 or len(weight) > len(reference) / 3:
            continue
        within = float((inside * weight).sum() / weight.sum())
        if best is None or within < best[0]:
            best = within, columns
    if best is None or best[0] > 0.1 * overall:
        return None
    chosen = list(best[1])
    old = reference.groupby(chosen, observed=True)[column].median()
    now = current.groupby(chosen, observed=True)[column].agg(["median", "size"])
    joined = now.join(old.rename("old"), how="inner").dropna()
    if len(joined) < 3:
        return None
    back = (joined["median"] - change.offset) / change.factor
    scale = joined["old"].abs().clip(lower=1e-9)
    agree = (back - joined["old"]).abs() / scale < 0.02
    return GroupedConstant(best[1], len(joined), int(agree.sum()), int(joined["size"].sum()))
