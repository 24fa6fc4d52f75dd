"""Which rows moved: a search over values, ranges and pairs of columns for the slice that carries it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from triagebook.analysis.slice_sums import LEAST, Field
from triagebook.core.words import number

if TYPE_CHECKING:
    from collections.abc import Sequence

_LEVELS = 40
_BINS = 8
_FEW = 12


@dataclass(frozen=True)
class Coded:
    """A column as group numbers.

    Attributes
    ----------
    codes : int array, shape (n,)
        0 to k-1; -1 for values in no group.
    names : list of str, length k
        Text of each value, or the lower edge of each range.
    ordered : bool
        Whether neighbouring groups may be joined to a range.
    """

    column: str
    codes: np.ndarray
    names: list[str]
    ordered: bool
    edges: tuple[float, ...] = ()
    exact: np.ndarray | None = None
    """Of a quantity, the number of each row's exact value, shape (n,); None of a category."""

    def only(self, rows: np.ndarray) -> Coded:
        """Return the groups of some rows."""
        exact = self.exact[rows] if self.exact is not None else None
        return Coded(self.column, self.codes[rows], self.names, self.ordered, self.edges, exact)

    def named(self, low: int, high: int) -> str:
        """Write groups low to high (inclusive) as `COLUMN=VALUE`, a range as `COLUMN=10..20`."""
        if not self.ordered:
            return f"{self.column}={self.names[low]}"
        left = number(self.edges[low - 1]) if low > 0 else ""
        right = number(self.edges[high]) if high < len(self.edges) else ""
        return f"{self.column}={left}..{right}"


def coded(column: str, values: pd.Series, reference: np.ndarray) -> Coded | None:
    """Turn a column into groups; None where it has too many values, or only one.

    Parameters
    ----------
    values : Series, shape (n,)
    reference : bool array, shape (n,)
        Rows from which ranges of numbers are cut.
    """
    if pd.api.types.is_datetime64_any_dtype(values):
        return None
    numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    if numeric:
        numbers = values.to_numpy("float64", na_value=np.nan)
        finite = numbers[np.isfinite(numbers)]
        if not len(finite):
            return None
        distinct = np.unique(finite) if len(finite) < 5_000 else np.unique(finite[:5_000])
        if len(distinct) > _FEW or not np.all(distinct == np.floor(distinct)):
            known = numbers[reference & np.isfinite(numbers)]
            if len(known) < 50:
                return None
            edges = np.unique(np.quantile(known, np.linspace(0, 1, _BINS + 1)[1:-1]))
            codes = np.searchsorted(edges, numbers, side="right")
            codes[~np.isfinite(numbers)] = -1
            if len(edges) < 1:
                return None
            exact, _ = pd.factorize(numbers)
            return Coded(column, codes, [], True, tuple(float(e) for e in edges), exact)
        values = pd.Series(numbers)
    codes, uniques = pd.factorize(values, use_na_sentinel=True)
    if len(uniques) < 2:
        return None
    size = np.bincount(codes[codes >= 0], minlength=len(uniques))
    names = [_text(u, whole=numeric) for u in uniques]
    if len(uniques) > _LEVELS:
        # Of very many values only the frequent ones can be slices; with none frequent it is a key.
        kept = np.argsort(-size, kind="stable")[:_LEVELS]
        if size[kept[0]] < 2 * LEAST:
            return None
        again = np.full(len(uniques) + 1, -1)
        again[kept] = np.arange(len(kept))
        codes, names = again[codes], [names[i] for i in kept]
    return Coded(column, np.asarray(codes), names, ordered=False)


def _text(value: object, *, whole: bool) -> str:
    return str(int(value)) if whole and isinstance(value, float | np.floating) else str(value)


@dataclass(frozen=True)
class Slice:
    """Rows that moved together.

    Attributes
    ----------
    name : str
        `COLUMN=VALUE`, two of them joined by ` & `, or `*` for all rows.
    columns : tuple of str
    gain : float
        Nats that the movement explains, less the logarithm of the slices looked at.
    before, after : float array, shape (k,)
        Mean of each statistic in the reference and since `start`.
    rows_before, rows_after : int
    start : int
        Row from which it was measured, among all rows.
    inside : bool array, shape (n,)
    outside_z, outside_share : float
        How sure the other rows moved too, and by how much of the slice's movement.
    """

    name: str
    columns: tuple[str, ...]
    gain: float
    before: np.ndarray
    after: np.ndarray
    rows_before: int
    rows_after: int
    start: int
    inside: np.ndarray = field(repr=False)
    outside_z: float = 0.0
    outside_share: float = 0.0

    @property
    def shift(self) -> np.ndarray:
        """Movement of each statistic, shape (k,)."""
        return np.asarray(self.after - self.before)

    @property
    def everything(self) -> bool:
        """Whether all rows moved, rather than a slice."""
        return self.name == "*"

    @property
    def elsewhere(self) -> bool:
        """Whether the other rows plainly moved too, by a quarter of it: most here, but not only."""
        return self.everything or (self.outside_z > 3 and abs(self.outside_share) >= 0.25)


def search(rows: Field, columns: Sequence[Coded], least_shift: np.ndarray) -> list[Slice]:
    """Find the slices that moved, the one that explains most first.

    Parameters
    ----------
    rows : Field
    columns : sequence of Coded
    least_shift : float array, shape (k,)
        A movement smaller than this in every statistic is none worth a word.

    Returns
    -------
    list of Slice
        At most eight, all with a positive gain; `*` among them where all rows together moved.

    Notes
    -----
    The gain is half the sum of z² over the statistics, each z measured against rows and against what
    earlier stretches differ by anyway, less the logarithm of the number of slices looked at: small
    slices have to be much surer to win. After Kulldorff, M. (1997), A spatial scan statistic. A slice
    is held against the rows beside it in time, all rows against their past.
    """
    starts = rows.starts()
    if not starts or int(rows.reference.sum()) < LEAST:
        return []
    found: list[Slice] = []
    everything = Coded("*", np.zeros(len(rows.times), dtype=np.int64), ["*"], ordered=False)
    looked = sum(len(_ranges(c)) for c in columns) * len(starts)
    price = float(np.log(max(looked, 1)))
    whole = _best(rows, rows, everything, starts, least_shift, float(np.log(len(starts))))
    beside = rows.beside()
    single = [s for c in columns for s in _best(rows, beside, c, starts, least_shift, price)]
    single.sort(key=lambda s: (-s.gain, s.name))
    found = [*whole, *single[:6]]
    # Pairs of the most telling columns, where both halves have a voice.
    telling = list(dict.fromkeys(s.columns[0] for s in single if s.gain > 2))[:4]
    if single and single[0].gain > 6:
        found += _pairs(
            rows, beside, [c for c in columns if c.column in telling], starts, least_shift, price
        )
    found.sort(key=lambda s: (-s.gain, s.name))
    return [_with_outside(rows, s) for s in found[:8] if s.gain > 0]


def _ranges(column: Coded) -> list[tuple[int, int]]:
    if not column.ordered:
        return [(i, i) for i in range(len(column.names))]
    k = len(column.edges) + 1
    return [(a, b) for a in range(k) for b in range(a, k) if b - a < k - 1]


def _best(
    rows: Field, judged: Field, column: Coded, starts: list[int], least: np.ndarray, price: float
) -> list[Slice]:
    """Judge the slices of a column by one field, and tell of them by the plain one."""
    k = len(column.names) if not column.ordered else len(column.edges) + 1
    plain = rows.sums(column.codes, k, column.exact)
    sums = judged.sums(column.codes, k, column.exact) if judged is not rows else plain
    out = []
    for low, high in _ranges(column):
        part = plain.joined(low, high)
        z, _ = sums.joined(low, high).z()
        _, after = part.z()
        gain = 0.5 * (z[:, 0] ** 2).sum(axis=1)
        i = int(np.argmax(gain))
        shift = np.abs(after[i, 0] - part.mean[0])
        if gain[i] <= price or not np.any((shift >= least) & (np.abs(z[i, 0]) > 2)):
            continue
        inside = (column.codes >= low) & (column.codes <= high)
        out.append(
            Slice(
                "*" if column.column == "*" else column.named(low, high),
                (column.column,),
                float(gain[i]) - price,
                part.mean[0],
                after[i, 0],
                int(part.n[0]),
                int(part.late_n[i, 0]),
                starts[i],
                inside,
            )
        )
    out.sort(key=lambda s: (-s.gain, s.name))
    return out[:2]


def _pairs(
    rows: Field,
    judged: Field,
    columns: list[Coded],
    starts: list[int],
    least: np.ndarray,
    price: float,
) -> list[Slice]:
    out: list[Slice] = []
    for i, a in enumerate(columns):
        for b in columns[i + 1 :]:
            ka, kb = (len(c.names) if not c.ordered else len(c.edges) + 1 for c in (a, b))
            codes = np.where((a.codes >= 0) & (b.codes >= 0), a.codes * kb + b.codes, -1)
            names = [f"{a.named(x, x)} & {b.named(y, y)}" for x in range(ka) for y in range(kb)]
            exact = [c.exact if c.exact is not None else c.codes for c in (a, b)]
            joint = (exact[0] + 1) * (int(exact[1].max()) + 2) + exact[1] + 1
            quantity = a.ordered or b.ordered
            both = Coded("", codes, names, False, exact=joint if quantity else None)
            dear = price + float(np.log(ka * kb))
            for found in _best(rows, judged, both, starts, least, dear):
                first = int(np.argmax(found.inside))
                halves = [c.codes == c.codes[first] for c in (a, b)]
                # Where the rest of one half moved too, that half is the slice.
                if not any(_moved(rows, half & ~found.inside, found, 3.5) for half in halves):
                    name = found.name.removeprefix("=")
                    out.append(replace(found, name=name, columns=(a.column, b.column)))
    return out


def _moved(rows: Field, others: np.ndarray, found: Slice, least_z: float) -> bool:
    """Whether other rows moved as well: plainly, and by a quarter as far as the slice did."""
    z, share = _movement(rows, others, found)
    return z >= least_z and share >= 0.25


def _movement(rows: Field, others: np.ndarray, found: Slice) -> tuple[float, float]:
    """Measure how surely other rows moved since the slice's start, and by what share of its movement."""
    old, new = others & rows.reference, others & rows.late
    new[: found.start] = False
    if old.sum() < LEAST or new.sum() < LEAST:
        return 0.0, 0.0
    sums = rows.sums(np.where(others, 0, -1), 1)
    z, after = sums.z()
    at = rows.starts().index(found.start)
    # Each statistic by its spread, and less what chance alone gives of it.
    spread = np.sqrt(np.maximum(sums.square[0] - sums.mean[0] ** 2, 1e-12))
    gap = (after[at, 0] - sums.mean[0]) / spread
    chance = len(gap) * (1 / new.sum() + 1 / old.sum())
    away = float(np.sqrt(max((gap**2).sum() - chance, 0.0)))
    inner = float(np.linalg.norm(found.shift / spread))
    return float(np.abs(z[at, 0]).max()), away / inner if inner > 0 else 0.0


def _with_outside(rows: Field, found: Slice) -> Slice:
    """Measure whether the rows outside the slice moved as well."""
    if found.everything:
        return found
    z, share = _movement(rows, ~found.inside, found)
    return replace(found, outside_z=z, outside_share=share)


def chosen(found: list[Slice]) -> Slice | None:
    """Choose the slice to name: the best, unless all rows moved about as much as it did.

    Returns
    -------
    Slice or None
        `*` where the rows outside the best slice plainly moved too, by a third of it or more; a pair
        only where it explains clearly more than its better half.
    """
    if not found:
        return None
    whole = next((s for s in found if s.everything), None)
    best = next((s for s in found if not s.everything and len(s.columns) == 1), None)
    pair = next((s for s in found if len(s.columns) == 2), None)
    if pair is not None and (best is None or pair.gain > 1.3 * best.gain + 3):
        best = pair
    if best is None or whole is None:
        return best or whole
    if whole.gain >= 3 * best.gain:
        return whole
    spread = best.outside_z >= 4 and best.outside_share >= 0.3
    return whole if spread else best
