"""Statistics of rows summed by slice, with how far slices go anyway: hours, stretches, days differ."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from triagebook.analysis.blocks import DAY, HOUR

LEAST = 25
"""Fewer rows, or fewer that are no copies of one another, say nothing of a slice."""
_BESIDE = 60
"""Neighbours in time that make up what is usual at a time."""
_STARTS = (0.0, 0.35, 0.6, 0.8)
"""A fault may begin within the window: the rows before it would hide it."""


@dataclass(frozen=True)
class Field:
    """The statistics of all rows, ready to be summed by slice.

    Attributes
    ----------
    stats : float array, shape (n, k)
    times : int64 array, shape (n,), nanoseconds, ascending
    reference, late : bool array, shape (n,)
    """

    stats: np.ndarray
    times: np.ndarray
    reference: np.ndarray
    late: np.ndarray
    floor: np.ndarray
    """Least variance of a row's statistic, shape (k,): a slice that happens to be all alike is no surer."""

    def starts(self) -> list[int]:
        """Rows from which the movement may be measured: a few quantiles of the late rows."""
        rows = np.flatnonzero(self.late)
        return sorted({int(rows[int(q * len(rows))]) for q in _STARTS}) if len(rows) else []

    def sums(self, codes: np.ndarray, k: int, values: np.ndarray | None = None) -> Sums:
        """Sum the statistics by group and by stretch of time."""
        return Sums.of(self, codes, codes >= 0, k, values)

    def beside(self) -> Field:
        """Return the same rows, each held against all rows of its own time.

        A bad day is bad for every slice alike: what is left is what a slice has for itself.
        """
        out = np.empty_like(self.stats)
        for side in (self.reference, self.late, ~self.reference & ~self.late):
            rows = np.flatnonzero(side)
            block = np.arange(len(rows)) // _BESIDE
            size = np.maximum(np.bincount(block), 1)
            for j in range(self.stats.shape[1]):
                mean = np.bincount(block, self.stats[rows, j]) / size
                out[rows, j] = self.stats[rows, j] - mean[block]
        return replace(self, stats=out)

    def stretches(self, start: int) -> np.ndarray:
        """Give each row the number of its earlier stretch, as long as from a row to the end, at its hours.

        Returns
        -------
        int array, shape (n,)
            -1 for rows at other hours, in the first stretch that is not whole, and late rows.
        """
        end = int(self.times[-1])
        lasted = max(end - int(self.times[start]), HOUR)
        step = DAY * -(-lasted // DAY)
        back = (end - self.times) // step
        inside = (end - self.times) - back * step <= lasted
        first = (end - int(self.times[0])) // step
        return np.where(self.reference & inside & (back < first), back, -1)


@dataclass(frozen=True)
class Sums:
    """Reference: counts, means, variances; by start: what stretches differ by, late counts and sums.

    `shared` is the sum of squares of how many late rows of a group share their hour and exact value.
    Rows under the same weather are one witness of it, however many they are.
    """

    n: np.ndarray
    mean: np.ndarray
    square: np.ndarray
    natural: np.ndarray
    late_n: np.ndarray
    late_sum: np.ndarray
    late_square: np.ndarray
    shared: np.ndarray
    floor: np.ndarray

    @classmethod
    def of(
        cls, rows: Field, codes: np.ndarray, there: np.ndarray, k: int, values: np.ndarray | None
    ) -> Sums:
        """Sum up rows of `k` groups; `there` are those in one of them, `values` exact ones or None."""
        k_stats = rows.stats.shape[1]
        old = there & rows.reference
        c = codes[old]
        n = np.bincount(c, minlength=k).astype(float)
        mean, square = (np.zeros((k, k_stats)) for _ in range(2))
        with np.errstate(invalid="ignore", divide="ignore"):
            for j in range(k_stats):
                v = rows.stats[old, j]
                mean[:, j] = np.bincount(c, v, k) / n
                square[:, j] = np.bincount(c, v * v, k) / n
        starts = rows.starts()
        hourly = between(rows, codes, there, _hour(rows), mean, square, least=20, far=False)
        late_n, shared = (np.zeros((len(starts), k)) for _ in range(2))
        late_sum, late_square, natural = (np.zeros((len(starts), k, k_stats)) for _ in range(3))
        for i, start in enumerate(starts):
            part = slice(start, None)
            ok = there[part] & rows.late[part]
            c = codes[part][ok]
            late_n[i] = np.bincount(c, minlength=k)
            for j in range(k_stats):
                v = rows.stats[part, j][ok]
                late_sum[i, :, j] = np.bincount(c, v, k)
                late_square[i, :, j] = np.bincount(c, v * v, k)
            natural[i] = between(rows, codes, there, rows.stretches(start), mean, square)
            # Rows of one hour share its weather, its crowd, its fault: they are not so many witnesses.
            hour = rows.times[part][ok] // HOUR
            same = _shared(c, hour, k)
            natural[i] += hourly * (same / np.maximum(late_n[i], 1) ** 2)[:, None]
            shared[i] = (
                late_n[i] if values is None else _shared(c, hour, k, values=values[part][ok])
            )
        return cls(n, mean, square, natural, late_n, late_sum, late_square, shared, rows.floor)

    def joined(self, low: int, high: int) -> Sums:
        """Join the groups low to high (inclusive) into one."""
        part = slice(low, high + 1)
        n = self.n[part]
        total = max(n.sum(), 1.0)
        w = (n / total)[:, None]
        return Sums(
            np.array([n.sum()]),
            np.nansum(self.mean[part] * w, axis=0)[None],
            np.nansum(self.square[part] * w, axis=0)[None],
            np.nanmax(self.natural[:, part], axis=1, keepdims=True),
            self.late_n[:, part].sum(axis=1, keepdims=True),
            self.late_sum[:, part].sum(axis=1, keepdims=True),
            self.late_square[:, part].sum(axis=1, keepdims=True),
            self.shared[:, part].sum(axis=1, keepdims=True),
            self.floor,
        )

    def z(self) -> tuple[np.ndarray, np.ndarray]:
        """Return z of each start, group and statistic, and the late means; shapes (s, k, stats)."""
        with np.errstate(invalid="ignore", divide="ignore"):
            after = self.late_sum / self.late_n[..., None]
            own = np.maximum(self.late_square / self.late_n[..., None] - after**2, 0.0)
            old = np.maximum(self.square - self.mean**2, 0.0)[None]
            n, m = self.n[None, :, None], self.late_n[..., None]
            witnesses = self.late_n**2 / np.maximum(self.shared, 1)
            var = np.maximum((old * n + own * m) / (n + m), self.floor)
            error = var * (1 / witnesses[..., None] + 1 / n) + self.natural
            z = (after - self.mean[None]) / np.sqrt(error)
        few = (witnesses < LEAST) | (self.n[None] < LEAST)
        z[few] = 0.0
        return np.nan_to_num(z), after


def _hour(rows: Field) -> np.ndarray:
    """Return the number of each reference row's hour, shape (n,); -1 for late rows."""
    hour = (rows.times - rows.times[0]) // HOUR if len(rows.times) else rows.times
    return np.where(rows.reference, hour, -1)


def _shared(
    codes: np.ndarray, hour: np.ndarray, k: int, values: np.ndarray | None = None
) -> np.ndarray:
    """Sum the squares of the numbers of rows that share group, hour and value, by group, shape (k,)."""
    if not len(codes):
        return np.zeros(k)
    cell = (hour - hour.min()) * k + codes
    if values is not None:
        cell = cell * (int(values.max()) + 2) + values + 1
    cell, first, size = np.unique(cell, return_index=True, return_counts=True)
    return np.bincount(codes[first], size.astype(float) ** 2, k)


def between(
    rows: Field,
    codes: np.ndarray,
    there: np.ndarray,
    stretch: np.ndarray,
    mean: np.ndarray,
    square: np.ndarray,
    *,
    least: int = 4,
    far: bool = True,
) -> np.ndarray:
    """Variance between stretches of the past beyond what their few rows give, shape (k, stats).

    After DerSimonian and Laird (1986), and at least what the farthest stretch shows: a storm in a month
    says more of how far days go than the days between.
    """
    k, k_stats = mean.shape
    used = there & (stretch >= 0)
    if not used.any():
        return np.zeros_like(mean)
    count = int(stretch.max()) + 1
    cell = stretch[used] * k + codes[used]
    size = np.bincount(cell, minlength=count * k).reshape(count, k).astype(float)
    out = np.zeros_like(mean)
    n = size.sum(axis=0)
    many = (size > 0).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        for j in range(k_stats):
            total = np.bincount(cell, rows.stats[used, j], count * k).reshape(count, k)
            var = np.maximum(square[:, j] - mean[:, j] ** 2, 1e-12)
            off = np.where(size > 0, total / size - mean[:, j], 0.0)
            gap = (off**2 * size / var).sum(axis=0)
            weight = n - (size**2).sum(axis=0) / n
            own = np.maximum((gap - (many - 1)) / weight, 0.0) * var
            if far:
                # What chance gives the farthest of so many is taken off.
                luck = 2.2 * np.sqrt(var / np.maximum(size, 1))
                farthest = np.max(np.maximum(np.abs(off) - luck, 0.0), axis=0)
                own = np.maximum(own, (farthest / 2.2) ** 2)
            own = np.where((many >= least) & np.isfinite(own), own, 0.0)
            big = n >= LEAST
            pooled = float(np.median(own[big])) if big.any() else 0.0
            out[:, j] = np.maximum(pooled, own)
    return out
