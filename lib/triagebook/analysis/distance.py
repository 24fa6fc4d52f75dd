"""Distances between two samples of a column, and what chance alone gives of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from triagebook.analysis.columns import as_numbers, numbers_of

if TYPE_CHECKING:
    from triagebook.analysis.columns import Kind

_GRID = 128
"""Bins of the reference's quantiles on which distances are computed."""
_MANY = 30
_LEAST_ROWS = 5
"""With more labels than `_MANY`, those with fewer rows than this are taken as one."""


def noise_floor(n: int, m: int, tests: int, alpha: float = 0.01) -> float:
    """Return the Kolmogorov-Smirnov distance that chance exceeds with probability alpha.

    The two-sample bound c(alpha) * sqrt((n + m) / (n m)), alpha shared over `tests` columns
    (Smirnov 1948; Bonferroni).
    """
    if n == 0 or m == 0:
        return 1.0
    return float(np.sqrt(-0.5 * np.log(alpha / max(tests, 1) / 2)) * np.sqrt((n + m) / (n * m)))


def share_noise(reference: np.ndarray, rows: int, tests: int, alpha: float = 0.01) -> float:
    """Return the total variation that chance exceeds with probability about alpha.

    Parameters
    ----------
    reference : int array of counts, shape (k,)
    rows : int
        Rows of the current window.

    Notes
    -----
    Each share's error is normal with variance p (1 - p) (1/n + 1/m); the mean of their absolute sum,
    plus a bound by McDiarmid's inequality with alpha shared over `tests` columns.
    """
    n = int(reference.sum())
    if n == 0 or rows == 0:
        return 1.0
    p = reference / n
    inverse = 1 / n + 1 / rows
    mean = 0.5 * float(np.sum(np.sqrt(2 / np.pi * p * (1 - p) * inverse)))
    return min(1.0, mean + float(np.sqrt(np.log(max(tests, 1) / alpha) * inverse / 2)))


def psi(reference: np.ndarray, current: np.ndarray) -> float:
    """Return the population stability index of two share vectors of shape (k,), each summing to 1.

    Empty bins count as half a row of 10,000, so that the index stays finite.
    """
    p = np.maximum(reference, 5e-5)
    q = np.maximum(current, 5e-5)
    return float(np.sum((q - p) * np.log(q / p)))


def coarse(coder: Coder, left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ten bins of the reference, the usual ones of the index; categories stay as they are."""
    if left.sum() == 0 or right.sum() == 0:
        return np.array([1.0]), np.array([1.0])
    p, q = left / left.sum(), right / right.sum()
    if coder.kind != "number":
        return p, q
    group = np.minimum((np.cumsum(p) - p / 2) * 10, 9.999).astype(int)
    return np.bincount(group, p, 10), np.bincount(group, q, 10)


class Coder:
    """Turn a column's values into bin numbers: quantile bins of the reference, or categories."""

    def __init__(self, kind: Kind, reference: pd.Series) -> None:
        self.kind = kind
        if kind == "number":
            # Sorted first: many quantiles of what is in order cost less than as many partitions.
            numbers = np.sort(as_numbers(reference))
            edges = np.unique(np.quantile(numbers, np.linspace(0, 1, _GRID + 1)))
            # Below the smallest and above the largest value ever seen have bins of their own.
            self._edges = np.concatenate(([np.nextafter(edges[0], -np.inf)], edges))
            self.bins = len(self._edges) + 1
        else:
            shares = reference.dropna().astype(str).value_counts()
            if len(shares) > _MANY:
                # Of many labels some are seen once, and others will be: rare is like never seen.
                shares = shares[shares >= _LEAST_ROWS]
            self._codes = {value: code for code, value in enumerate(shares.index[:_GRID])}
            self.bins = len(self._codes) + 1  # the last bin: rare, or never seen before

    def codes(self, values: pd.Series) -> np.ndarray:
        """Return an int array of shape (n,); -1 where the value is null."""
        if self.kind == "number":
            numbers = numbers_of(values)
            codes = np.searchsorted(self._edges, numbers, side="left")
            codes[np.isnan(numbers)] = -1
            return codes
        # Texts are told apart as they are stored; only other values have to become objects first.
        texts = values if isinstance(values.dtype, pd.StringDtype) else values.astype("object")
        try:
            place, distinct = pd.factorize(texts)
        except TypeError:  # lists and the like are no keys
            place, distinct = pd.factorize(texts.map(str, na_action="ignore"))
        known = [self._codes.get(str(value), self.bins - 1) for value in distinct]
        return np.append(np.array(known, dtype=np.int64), -1)[place]

    def distance(self, left: np.ndarray, right: np.ndarray) -> float:
        """Distance in [0, 1] of two count vectors of shape (bins,); 0 where one is empty."""
        if left.sum() == 0 or right.sum() == 0:
            return 0.0
        gap = left / left.sum() - right / right.sum()
        if self.kind == "number":
            return float(np.abs(np.cumsum(gap)).max())
        return float(np.abs(gap).sum() / 2)

    def counts(self, codes: np.ndarray) -> np.ndarray:
        """Return how often each bin occurs, shape (bins,), nulls left out."""
        return np.bincount(codes[codes >= 0], minlength=self.bins)
