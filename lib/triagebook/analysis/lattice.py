"""Conversions told by digits: undone, the values lie on the reference's own grid again.

Most quantities are recorded on a grid: whole minutes, cents, a handful of wind speeds, the distances of
known pairs of cities. A conversion takes them off it, and only the right conversion brings them back, to
the last digit. That tells a change of unit where distributions cannot: in the range, in some rows only,
on a day that is itself unusual.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from triagebook.analysis.units import CONVERSIONS, ks

_LEAST_ROWS = 20
_LEAST_SHARE = 0.01
_BACK = 0.95
"""Share of the rows off the grid that the right conversion brings back."""
_LUCK = 0.01
"""Where chance would bring back as many this often, the grid is too fine to tell, or values too few."""
_MOST_NOVEL = 0.4
"""Where more values than this are new anyway, the set of the known ones says nothing."""
_FACTOR = 1e-5
"""People write 2.20462 for pounds in a kilogram: conversions are right to about so much of a value."""
_MOST = 20_000


@dataclass(frozen=True)
class Converted:
    """A known conversion that rows went through.

    Attributes
    ----------
    factor, offset : float
        new = factor * old + offset.
    name : str
    rows : bool array, shape (n_cur,)
        Rows off the grid, which it brings back.
    back : float
        Share of them that it brings back, [0, 1].
    luck : float
        Chance that some conversion would, [0, 1].
    """

    factor: float
    offset: float
    name: str
    rows: np.ndarray
    back: float
    luck: float


def converted(reference: np.ndarray, current: np.ndarray) -> Converted | None:
    """Find the known conversion that brings rows back to the reference's grid.

    Parameters
    ----------
    reference, current : float arrays, shape (n_ref,), (n_cur,), in time order, NaN allowed

    Returns
    -------
    Converted or None
        None where the reference keeps to no grid, fewer than 20 rows or one in a hundred left it, or
        no known conversion explains it. Where several do, the one counts whose rows lie most as the
        reference's do; None where chance could do as well as that one.
    """
    old = reference[np.isfinite(reference)][-_MOST:]
    there = np.isfinite(current)
    if len(old) < 100 or there.sum() < _LEAST_ROWS:
        return None
    digits = _digits(old)
    half = len(old) // 2
    novel = float((~np.isin(old[half:], np.unique(old[:half]))).mean())
    found = _tried(current, old, digits, 0.005) if digits is not None else None
    if found is None and novel <= _MOST_NOVEL:
        found = _tried(current, old, None, novel)
    return found


def _tried(
    current: np.ndarray, old: np.ndarray, digits: int | None, usual: float
) -> Converted | None:
    """Try all conversions on rows that are not among the known values, or of more digits than these."""
    known = np.unique(old)
    there = np.isfinite(current)
    off = np.zeros(len(current), dtype=bool)
    now = current[there]
    off[there] = ~(np.isin(now, known) if digits is None else _exact(now, digits))
    if off.sum() < _LEAST_ROWS or off.sum() / there.sum() < max(_LEAST_SHARE, 2 * usual):
        return None
    values = current[off]
    finest = _digits(values)
    # What rounding after the conversion leaves open.
    unsure = 0.505 * 10.0**-finest if finest is not None else 1e-9 * np.abs(values)
    found: list[tuple[Converted, float]] = []
    for factor, offset, name in CONVERSIONS:
        undone = (values - offset) / factor
        room = unsure / abs(factor) + _FACTOR * np.abs(undone)
        hit = _near(undone, room, known, digits)
        back = float(hit.mean())
        if back < _BACK * (1 - usual):
            continue
        luck = _luck(undone[hit], room[hit], known, digits)
        one = Converted(factor, offset, name, off, back, luck)
        found.append((one, ks(old, undone[hit])))
    # Twice a whole number is whole as well: where several fit, where the rows then lie decides.
    best = min(found, key=lambda pair: pair[1])[0] if found else None
    return best if best is not None and best.luck <= _LUCK else None


def _luck(values: np.ndarray, room: np.ndarray, known: np.ndarray, digits: int | None) -> float:
    """Chance that some conversion would bring back so many different values, [0, 1]."""
    # Values that fall on one point of the grid are one witness, however many they are.
    point = np.round(values, digits) if digits is not None else _nearest(values, known)
    _, first = np.unique(point, return_index=True)
    values, room = values[first], room[first]
    span = float(np.ptp(known))
    dense = (
        2 * room.mean() * (10.0**digits if digits is not None else len(known) / max(span, 1e-12))
    )
    # Grids are denser here than there: factors close by say how often a number there hits.
    nudged = [_near(values * (1 + n), room, known, digits).mean() for n in _NUDGES]
    one = min(max(float(dense), float(np.mean(nudged))), 1.0)
    return float(min(len(CONVERSIONS) * one ** min(len(values), 50), 1.0))


_NUDGES = tuple(0.0037 * k + 0.0011 for k in range(-12, 12) if k)


def _digits(values: np.ndarray) -> int | None:
    """Return how many decimals nearly all values have, 0 to 5; None where they have more."""
    for digits in range(6):
        if _exact(values, digits).mean() >= 0.995:
            return digits
    return None


def _exact(values: np.ndarray, digits: int | None) -> np.ndarray:
    if digits is None:
        return np.zeros(len(values), dtype=bool)
    exact = np.abs(values - np.round(values, digits)) <= 1e-9 * np.maximum(np.abs(values), 1)
    return np.asarray(exact)


def _near(
    values: np.ndarray, room: np.ndarray, known: np.ndarray, digits: int | None
) -> np.ndarray:
    """Whether values lie on the grid, within the room that rounding leaves."""
    if digits is not None:
        return np.asarray(np.abs(values - np.round(values, digits)) <= room)
    return np.asarray(np.abs(values - known[_nearest(values, known)]) <= room)


def _nearest(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return the place of the known value nearest to each, shape (n,); `known` ascends."""
    right = np.minimum(np.searchsorted(known, values), len(known) - 1)
    left = np.maximum(right - 1, 0)
    return np.where(np.abs(values - known[left]) <= np.abs(values - known[right]), left, right)
