"""Whether one constant explains a movement: miles read as kilometres, seconds as milliseconds."""

from __future__ import annotations

from dataclasses import dataclass, replace
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
    (1_609.344, 0.0, "miles to metres"),
    (1 / 1_609.344, 0.0, "metres to miles"),
    (12.0, 0.0, "years to months, or feet to inches"),
    (1 / 12, 0.0, "months to years, or inches to feet"),
    (7.0, 0.0, "weeks to days"),
    (1 / 7, 0.0, "days to weeks"),
    (3.6, 0.0, "metres a second to kilometres an hour"),
    (1 / 3.6, 0.0, "kilometres an hour to metres a second"),
    (10.0, 0.0, "centimetres to millimetres, or kPa to hPa"),
    (0.1, 0.0, "millimetres to centimetres, or hPa to kPa"),
    (25.4, 0.0, "inches to millimetres"),
    (1 / 25.4, 0.0, "millimetres to inches"),
    (28.349523125, 0.0, "ounces to grams"),
    (1 / 28.349523125, 0.0, "grams to ounces"),
    (0.02952998, 0.0, "hPa to inches of mercury"),
    (1 / 0.02952998, 0.0, "inches of mercury to hPa"),
    (10_000.0, 0.0, "shares to basis points"),
    (0.0001, 0.0, "basis points to shares"),
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
    luck: float = 0.0
    """Chance that some known scale would fit this well by luck, [0, 1]: how wide a range of factors
    fits, times how densely known ones lie there. Factors beyond 4 are no luck."""

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
    return _gap(np.sort(left), np.sort(right))


def _gap(left: np.ndarray, right: np.ndarray) -> float:
    """Distance as `ks`, of two ascending arrays that are not empty."""
    both = np.concatenate((left, right))
    a = np.searchsorted(left, both, side="right") / len(left)
    b = np.searchsorted(right, both, side="right") / len(right)
    return float(np.abs(a - b).max())


_SKETCH = 1000
"""Evenly spaced rows of an ascending array that stand for it where a bound will do."""


def _sketch(ascending: np.ndarray) -> tuple[np.ndarray, float]:
    """Return a thinned ascending array, and how far its distribution may lie from the whole one's."""
    n = len(ascending)
    if n <= 4 * _SKETCH:
        return ascending, 0.0
    places = np.arange(_SKETCH) * n // _SKETCH
    return ascending[places], 1.0 / _SKETCH + 1.0 / n


def _undone(rising: np.ndarray, factor: float, offset: float) -> np.ndarray:
    """Return ascending values with a line undone, ascending again."""
    values = (rising - offset) / factor
    return values if factor > 0 else values[::-1]


def constant_changes(reference: np.ndarray, current: np.ndarray) -> list[ConstantChange]:
    """Find the constants that turn the reference's distribution into the current one.

    Parameters
    ----------
    reference, current : float arrays, shape (n_ref,), (n_cur,), finite, at least 30 each

    Returns
    -------
    list of ConstantChange
        Those that take half of the movement away or more, the best first; none where none does. A
        known conversion comes before a fitted constant as long as it leaves no more than chance.
    """
    if len(reference) < 30 or len(current) < 30:
        return []
    # A line keeps their order or turns it round: sorted once, however many are tried.
    ordered, rising = np.sort(reference), np.sort(current)
    before = _gap(ordered, rising)
    grid = np.linspace(0.05, 0.95, 37)
    old, new = np.quantile(reference, grid), np.quantile(current, grid)
    spread_old = float(np.std(reference))
    if spread_old == 0 or before == 0:
        return []
    candidates: list[tuple[float, float, str | None]] = list(CONVERSIONS)
    usable = np.abs(old) > 1e-9 * max(1.0, float(np.abs(old).max()))
    if usable.sum() >= 10:
        candidates.append((float(np.median(new[usable] / old[usable])), 0.0, None))
    candidates.append((1.0, float(np.median(new - old)), None))
    # What chance leaves between two samples of these sizes.
    chance = 1.36 * float(np.sqrt(1 / len(reference) + 1 / len(current)))
    (few_old, slack_old), (few_new, slack_new) = _sketch(ordered), _sketch(rising)
    slack = slack_old + slack_new
    found = []
    for factor, offset, name in candidates:
        if factor == 0 or (abs(factor - 1) < 0.05 and abs(offset) < 0.2 * spread_old):
            continue
        least = _gap(few_old, _undone(few_new, factor, offset)) - slack
        if 1 - least / before < 0.5:
            continue  # it cannot take half of the movement away
        after = _gap(ordered, _undone(rising, factor, offset))
        ratio = (new[usable] - offset) / old[usable] / factor if usable.any() else np.array([1.0])
        off = float(np.median(np.abs(ratio - np.median(ratio))) + abs(np.median(ratio) - 1))
        one = ConstantChange(factor, offset, before, after, name, off)
        if one.explained >= 0.5:
            found.append(one)

    def order(one: ConstantChange) -> float:
        if one.name is None:
            return one.after
        return one.after - (chance if one.after <= 1.5 * chance else 0.02)

    found.sort(key=order)
    return found


def with_luck(change: ConstantChange, reference: np.ndarray, current: np.ndarray) -> ConstantChange:
    """Return the change with its `luck`: 0 unless it is a known scale between a quarter and four."""
    if change.name is None or change.offset or not 0.25 <= change.factor <= 4:
        return change
    chance = 1.36 * float(np.sqrt(1 / len(reference) + 1 / len(current)))
    # At least what was found fits as well as itself.
    return replace(change, luck=_luck(reference, current, max(chance, change.after)))


def constant_change(reference: np.ndarray, current: np.ndarray) -> ConstantChange | None:
    """Return the best of `constant_changes`, with its luck; None where there is none."""
    found = constant_changes(reference, current)
    return with_luck(found[0], reference, current) if found else None


def _luck(reference: np.ndarray, current: np.ndarray, chance: float) -> float:
    """Share of the factors from a quarter to four that fit within chance, times the known ones there."""
    grid = np.exp(np.linspace(np.log(0.25), np.log(4.0), 93))
    ordered, rising = np.sort(reference), np.sort(current)
    (few_old, slack_old), (few_new, slack_new) = _sketch(ordered), _sketch(rising)

    def fit(factor: float) -> bool:
        about = _gap(few_old, few_new / factor)
        if abs(about - chance) > slack_old + slack_new:
            return about <= chance
        return _gap(ordered, rising / factor) <= chance

    fits = float(np.mean([fit(factor) for factor in grid]))
    known = sum(
        0.25 <= factor <= 4 and not offset and factor != 1 for factor, offset, _ in CONVERSIONS
    )
    return min(1.0, fits * known)


def pinning(
    reference: pd.DataFrame, column: str, by: list[tuple[str, ...]]
) -> tuple[str, ...] | None:
    """Find the grouping inside which a column hardly varies, as the distance between two cities.

    Parameters
    ----------
    reference : DataFrame
        Rows before the change, with `column` and the grouping columns.
    by : list of tuples of column names
        Groupings to try.

    Returns
    -------
    tuple of str or None
        The one with the least spread inside its groups; None where none pins the value down to a
        tenth of its overall spread.
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
    return best[1] if best is not None and best[0] <= 0.1 * overall else None


def _medians(
    reference: pd.DataFrame, current: pd.DataFrame, column: str, by: tuple[str, ...]
) -> pd.DataFrame:
    """Medians of each group before (`old`) and now (`median`), with its rows now (`size`)."""
    keys = list(by)
    old = reference.groupby(keys, observed=True)[column].median()
    now = current.groupby(keys, observed=True)[column].agg(["median", "size"])
    joined: pd.DataFrame = now.join(old.rename("old"), how="inner").dropna()
    return joined


def constant_from_groups(
    reference: pd.DataFrame, current: pd.DataFrame, column: str, by: tuple[str, ...]
) -> ConstantChange | None:
    """Read a scale off groups that pin the value down: exact with a few dozen rows.

    Parameters
    ----------
    reference, current : DataFrame
        Rows before and since the change.
    by : tuple of str
        A grouping found by `pinning`.

    Returns
    -------
    ConstantChange or None
        None with fewer than three groups, where the groups' ratios lie more than 3 % apart (quartiles),
        or where the ratio is within 5 % of 1. A known conversion within half a per cent gives the name.
    """
    medians = _medians(reference, current, column, by)
    medians = medians[medians["old"].abs() > 1e-9]
    if len(medians) < 3:
        return None
    ratio = medians["median"] / medians["old"]
    low, factor, high = (float(q) for q in ratio.quantile([0.25, 0.5, 0.75]))
    if abs(factor - 1) < 0.05 or factor == 0 or abs(high - low) > 0.03 * abs(factor):
        return None
    near = [
        (known, name)
        for known, offset, name in CONVERSIONS
        if not offset and abs(factor / known - 1) < 0.005
    ]
    value, name = min(near, key=lambda k: abs(k[0] - factor)) if near else (factor, None)
    old, new = (part[column].dropna().to_numpy("float64") for part in (reference, current))
    spread = abs(high - low) / 2 / abs(factor)
    return ConstantChange(value, 0.0, ks(old, new), ks(old, new / value), name, spread)


def constant_within_groups(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    column: str,
    change: ConstantChange,
    by: tuple[str, ...],
) -> GroupedConstant | None:
    """Count the groups that show the constant.

    A season moves the mix of rows, not the distance from one city to another: where the value is
    nearly fixed within a group, every group must show the same constant.

    Parameters
    ----------
    reference, current : DataFrame
        Rows before and since the change, with `column` and the grouping columns.
    by : tuple of str
        A grouping found by `pinning`.

    Returns
    -------
    GroupedConstant or None
        None with fewer than three groups in both.
    """
    medians = _medians(reference, current, column, by)
    if len(medians) < 3:
        return None
    back = (medians["median"] - change.offset) / change.factor
    scale = medians["old"].abs().clip(lower=1e-9)
    agree = (back - medians["old"]).abs() / scale < 0.02
    return GroupedConstant(by, len(medians), int(agree.sum()), int(medians["size"].sum()))


def partial_conversion(reference: np.ndarray, current: np.ndarray) -> ConstantChange | None:
    """Find a known conversion that only some of the rows went through, so far that they left the range.

    Rows beyond the reference's range are undone by each known conversion. The right one brings nearly
    all of them back, and spreads them as the reference's own rows would lie if they were converted.

    Parameters
    ----------
    reference, current : float arrays, shape (n,), (m,), without NaN

    Returns
    -------
    ConstantChange or None
        `before` and `after` are distances of all current rows, the far ones as they are and undone.
        None with fewer than eight far rows, or where no known conversion fits.
    """
    if len(reference) < 50 or len(current) < 8:
        return None
    low, high = np.quantile(reference, [0.001, 0.999])
    margin = 0.1 * (high - low)
    far = (current < low - margin) | (current > high + margin)
    if far.sum() < 8 or far.mean() < 0.02:
        return None
    best: tuple[float, ConstantChange] | None = None
    before = ks(reference, current)
    for factor, offset, name in CONVERSIONS:
        undone = (current[far] - offset) / factor
        if np.mean((undone >= low - margin) & (undone <= high + margin)) < 0.97:
            continue
        converted = factor * reference + offset
        beyond = converted[(converted < low - margin) | (converted > high + margin)]
        if len(beyond) < 8:
            continue
        gap = ks(current[far], beyond)
        if gap > 0.1 + 1.36 * np.sqrt(1 / far.sum() + 1 / len(beyond)):
            continue
        # Of conversions that fit alike the one named first is the commoner.
        back = current.copy()
        back[far] = undone
        after = ks(reference, back)
        # Rows that moved by themselves moved within the range too: undoing the far ones leaves those.
        if after <= 0.4 * before and (best is None or gap < best[0] - 0.03):
            best = gap, ConstantChange(factor, offset, before, after, name, gap)
    return best[1] if best is not None else None
