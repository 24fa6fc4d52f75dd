"""Faults of data that a distribution alone does not name: nulls, fills, recodes, broken values, keys."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from triagebook.analysis.columns import looks_like
from triagebook.analysis.distance import share_noise
from triagebook.analysis.units import ks

SENTINELS = frozenset(
    {"-1", "-1.0", "-99", "-99.0", "-999", "-999.0", "-9999", "-9999.0", "999", "999.0", "9999"}
    | {"9999.0", "99999", "0", "0.0", "", "na", "n/a", "none", "null", "nan", "unknown", "?", "-"}
    | {"missing", "undefined", "default", "other", "1970-01-01", "1900-01-01"}
)


@dataclass(frozen=True)
class Fill:
    """One value that takes a share it never had."""

    value: str
    share_reference: float
    share_current: float
    sentinel: bool


@dataclass(frozen=True)
class Recode:
    """Labels replaced one for one."""

    pairs: tuple[tuple[str, str], ...]
    covered: float
    """Share of the current rows under a new label."""
    residual: float
    """Total variation left once the labels are translated back, [0, 1]."""


@dataclass(frozen=True)
class SchemaDifference:
    """Columns gone, new, or of another type."""

    gone: tuple[str, ...]
    new: tuple[str, ...]
    retyped: tuple[tuple[str, str, str], ...]

    def __bool__(self) -> bool:
        return bool(self.gone or self.new or self.retyped)


def default_fill(reference: pd.Series, current: pd.Series, least: float = 0.05) -> Fill | None:
    """Find a value whose share rose by at least `least`, and at least threefold.

    Returns None where no value did. Nulls are left to the null share.
    """
    old, new = reference.dropna(), current.dropna()
    if len(old) < 20 or len(new) < 20:
        return None
    # Numbers of one type are as different as their texts, which take long to write.
    if old.dtype != new.dtype or not isinstance(old.dtype, np.dtype) or old.dtype.kind not in "iuf":
        old, new = old.astype(str), new.astype(str)
    shares_old = old.value_counts(normalize=True)
    shares_new = new.value_counts(normalize=True)
    gain = shares_new - shares_old.reindex(shares_new.index).fillna(0.0)
    most = gain.idxmax()
    was, now = float(shares_old.get(most, 0.0)), float(shares_new.get(most, 0.0))
    if now - was < least - 1e-9 or now < 3 * was - 1e-9:
        return None
    value = str(pd.Series([most], dtype=new.dtype).astype(str).iloc[0])
    return Fill(value, was, now, value.strip().lower() in SENTINELS)


def category_recode(reference: pd.Series, current: pd.Series) -> Recode | None:
    """Find labels that were replaced one for one: the shares carry over under new names.

    Returns None unless at least two labels, or one with a fifth of the rows, went and as many came.
    """
    old = reference.dropna().astype(str).value_counts(normalize=True)
    new = current.dropna().astype(str).value_counts(normalize=True)
    gone = old[~old.index.isin(new.index) & (old >= 0.005)]
    come = new[~new.index.isin(old.index) & (new >= 0.005)]
    if not len(gone) or not len(come) or abs(len(gone) - len(come)) > max(1, len(gone) // 4):
        return None
    if len(come) == 1 and come.iloc[0] < 0.2:
        return None
    # A label and its new spelling share letters more often than not; shares decide the rest.
    pairs: list[tuple[str, str]] = []
    left = dict(come)
    for label, share in gone.items():
        if not left:
            break
        best = min(left, key=lambda c: abs(left[c] - share) / share - _alike(str(label), str(c)))
        pairs.append((str(label), str(best)))
        del left[best]
    back = {after: before for before, after in pairs}
    translated = new.rename(index=lambda v: back.get(v, v)).groupby(level=0).sum()
    every = old.index.union(translated.index)
    residual = float(
        (old.reindex(every).fillna(0) - translated.reindex(every).fillna(0)).abs().sum() / 2
    )
    before = float((old.reindex(every).fillna(0) - new.reindex(every).fillna(0)).abs().sum() / 2)
    covered = float(come.sum())
    if covered < 0.05 or residual > 0.5 * max(before, covered):
        return None
    return Recode(tuple(pairs), covered, residual)


def _alike(left: str, right: str) -> float:
    a, b = set(re.sub(r"\W", "", left.lower())), set(re.sub(r"\W", "", right.lower()))
    return len(a & b) / max(len(a | b), 1)


def in_spells(outside: np.ndarray, rows: int = 20) -> bool:
    """Tell whether odd rows come in spells, as a heat wave does and broken rows do not.

    Between the first and the last odd row, the share of odd rows in stretches of `rows` is
    compared with what independent rows would give: an index of dispersion above 3 is a spell. All odd
    from one moment on is none.
    """
    places = np.flatnonzero(outside)
    part = outside[places[0] : places[-1] + 1]
    share = float(part.mean())
    stretches = len(part) // rows
    if share > 0.98 or stretches < 5:
        return False
    shares = part[: stretches * rows].reshape(stretches, rows).mean(axis=1)
    return float(shares.var()) > 3 * share * (1 - share) / rows


def schema_difference(
    reference: pd.DataFrame, current: pd.DataFrame, expected: dict[str, str] | None = None
) -> SchemaDifference:
    """Compare columns and the family of their types (number, text, time)."""
    promised = set(reference.columns) | set(expected or {})
    there = set(current.columns)
    retyped = []
    for column in sorted(set(reference.columns) & there):
        left, right = reference[column].dropna(), current[column].dropna()
        if len(left) and len(right) and not looks_like(left, right):
            retyped.append((column, str(reference[column].dtype), str(current[column].dtype)))
    return SchemaDifference(
        tuple(sorted(promised - there)), tuple(sorted(there - promised)), tuple(retyped)
    )


def duplicate_share(frame: pd.DataFrame, keys: list[str]) -> float:
    """Share of rows whose key occurred before, [0, 1]; 0 without keys or rows."""
    keys = [key for key in keys if key in frame]
    if not keys or frame.empty:
        return 0.0
    return float(frame.duplicated(keys).mean())


def swapped(
    reference: dict[str, np.ndarray],
    current: dict[str, np.ndarray],
    moved: list[str],
    natural: dict[str, float] | None = None,
) -> list[tuple[str, str, float]]:
    """Find pairs of columns that carry each other's distribution.

    Parameters
    ----------
    reference, current : dict of column to float array
    moved : list of str
        Columns worth pairing.
    natural : dict of column to float, or None
        How far each column's earlier days lie from its past anyway, as a distance.

    Returns
    -------
    list of (left, right, distance)
        Distance is the larger of the two crossed distances, [0, 1]. Each is at most a third of the
        straight one; one of them may be half of it where its days differ by as much anyway.
    """
    usual = natural or {}
    found = []
    for position, left in enumerate(moved):
        for right in moved[position + 1 :]:
            gaps = [
                (
                    ks(reference[one], current[one]),
                    ks(reference[one], current[other]),
                    usual.get(one, 0.0),
                )
                for one, other in ((left, right), (right, left))
            ]
            if min(straight for straight, _, _ in gaps) <= 0.2:
                continue
            clear = [crossed < straight / 3 for straight, crossed, _ in gaps]
            near = [crossed < straight / 2 and crossed <= days for straight, crossed, days in gaps]
            if all(c or n for c, n in zip(clear, near, strict=True)) and any(clear):
                found.append((left, right, max(crossed for _, crossed, _ in gaps)))
    return found


def whole_hours_shift(
    reference: np.ndarray, current: np.ndarray
) -> tuple[int, float, float] | None:
    """Find by how many hours a clock profile moved.

    Parameters
    ----------
    reference, current : int arrays of hours, 0 to 23

    Returns
    -------
    (hours, before, after) or None
        Total variation of the two profiles as they stand and once shifted back; None where they
        differ by no more than chance, or no shift of 1 to 23 hours takes two thirds of the difference
        away (four tenths, where what is left is chance).
    """
    if len(reference) < 50 or len(current) < 50:
        return None
    old = np.bincount(reference % 24, minlength=24) / len(reference)
    new = np.bincount(current % 24, minlength=24) / len(current)
    gaps = [float(np.abs(np.roll(new, -hours) - old).sum() / 2) for hours in range(24)]
    best = int(np.argmin(gaps))
    chance = share_noise(np.bincount(reference % 24, minlength=24), len(current), 1)
    if best == 0 or gaps[0] < max(0.1, chance):
        return None
    # A few hundred rows never fit a profile exactly, however right the shift is.
    if gaps[best] > max(gaps[0] / 3, min(chance, 0.6 * gaps[0])):
        return None
    return (best if best <= 12 else best - 24), gaps[0], gaps[best]
