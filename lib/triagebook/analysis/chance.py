"""Whether two windows could be one and the same: a permutation test of all columns of a table at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import chi2

if TYPE_CHECKING:
    from collections.abc import Sequence

ALPHA = 0.04
"""Chance that any column of a table is called moved though none is."""
_DRAWS = 999
_MAX_ROWS = 4_000
"""Rows from which the level that chance gives is drawn; the test itself uses all."""
_UNEVEN = 0.01


@dataclass(frozen=True)
class Surprise:
    """How far a column's channels moved, each over what chance gives the farthest of all channels.

    Attributes
    ----------
    others, nulls : float
        Largest standardised difference of the channels of its values, and of its nulls, over the level
        that the largest of the whole table exceeds with probability `ALPHA`; 1 and more is more than chance.
    """

    others: float
    nulls: float


def surprises(
    channels: Sequence[Sequence[np.ndarray]],
    weights: Sequence[float],
    reference: Sequence[np.ndarray],
    current: Sequence[np.ndarray],
    blocks: Sequence[np.ndarray],
    tables: int = 1,
    seed: int = 0,
) -> list[Surprise | None]:
    """Test all columns of one table together.

    Parameters
    ----------
    channels : per column, look-up tables from bin to number (the last entry: null); the first counts nulls
    weights : per column, what the differences of its values (not of its nulls) are divided by
        A column with a larger weight has to move farther, which leaves more of `ALPHA` to the others.
    reference, current : per column, int arrays of bins, -1 for null
        The same rows for all columns.
    blocks : row numbers of the reference that belong together in time or order
        With four and more, a column whose blocks differ by more than chance is not tested: its rows
        are not exchangeable, and a permutation would find every season.
    tables : int
        How many tables share `ALPHA`.

    Returns
    -------
    list of Surprise or None
        None for columns that cannot be tested so.

    References
    ----------
    Westfall and Young (1993), Resampling-Based Multiple Testing: the distribution of the largest of
    all standardised differences, which allows for how columns hang together.
    """
    if not channels or not len(reference[0]) or not len(current[0]):
        return [None] * len(channels)
    n, m = len(reference[0]), len(current[0])
    rng = np.random.default_rng(seed)
    sample = rng.permutation(n + m)[:_MAX_ROWS]
    gaps: list[np.ndarray] = []
    drawn: list[np.ndarray] = []
    even: list[bool] = []
    for tables_of, weight, old, new in zip(channels, weights, reference, current, strict=True):
        own, few, steady = [], [], True
        bins = len(tables_of[0])
        # Every channel is a function of the bin, so that counts of bins say all that rows would.
        before, after = counts_of(old, bins), counts_of(new, bins)
        by_block = np.array([counts_of(old[block], bins) for block in blocks])
        drawn_codes = np.concatenate((old, new))[sample]
        for place, channel in enumerate(tables_of):
            _, spread = moments(channel, before + after)
            if spread <= 0:
                own.append(0.0)
                continue
            apart = moments(channel, after)[0] - moments(channel, before)[0]
            scale = weight if place else 1.0
            own.append(abs(apart / (spread * float(np.sqrt(1 / n + 1 / m)))) / scale)
            part = channel[drawn_codes]
            if part.std() > 0:
                few.append((part - part.mean()) / part.std() / scale)
            steady = steady and _even(channel, before, by_block, len(tables_of))
        gaps.append(np.array(own))
        drawn += few if steady else []
        even.append(steady)
    level = _level(np.array(drawn, dtype=np.float32), n / (n + m), ALPHA / max(tables, 1), rng)
    out: list[Surprise | None] = []
    for gap, steady in zip(gaps, even, strict=True):
        if not steady:
            out.append(None)
            continue
        ratio = gap / level
        out.append(Surprise(float(ratio[1:].max(initial=0.0)), float(ratio[0])))
    return out


def counts_of(codes: np.ndarray, bins: int) -> np.ndarray:
    """How often each bin occurs, shape (bins,); the last is the null bin, code -1."""
    return np.roll(np.bincount(codes + 1, minlength=bins), -1)


def moments(channel: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of a channel over rows that are given as counts of its bins."""
    there = counts > 0
    values, rows = channel[there], counts[there]
    # From the first value, so that a channel of one value has no spread at all, not a rounding error's.
    away = values - values[0]
    mean = float(rows @ away / rows.sum())
    return float(values[0]) + mean, float(np.sqrt(rows @ (away - mean) ** 2 / rows.sum()))


def _level(
    scores: np.ndarray, share_reference: float, alpha: float, rng: np.random.Generator
) -> float:
    """Level that the largest of the standardised differences exceeds with probability alpha."""
    if not scores.size:
        return np.inf
    rows = scores.shape[1]
    cut = min(max(round(rows * share_reference), 1), rows - 1)
    sides = np.empty((_DRAWS, rows), dtype=np.float32)
    sides[:, :cut], sides[:, cut:] = -1 / cut, 1 / (rows - cut)
    rng.permuted(sides, axis=1, out=sides)
    z = np.abs(sides @ scores.T) / np.sqrt(1 / cut + 1 / (rows - cut))
    return float(np.quantile(z.max(axis=1), 1 - alpha))


def _even(channel: np.ndarray, counts: np.ndarray, by_block: np.ndarray, channels: int) -> bool:
    """Whether blocks of the reference differ no more than chance: Cochran's Q over their means."""
    if len(by_block) < 4:
        return True
    _, spread = moments(channel, counts)
    if spread <= 0:
        return True
    sizes = by_block.sum(axis=1)
    means = by_block @ channel / sizes
    middle = float((sizes * means).sum() / sizes.sum())
    q = float((sizes * (means - middle) ** 2).sum() / spread**2)
    return float(chi2.sf(q, len(by_block) - 1)) >= _UNEVEN / channels
