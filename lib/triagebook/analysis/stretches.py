"""Whether a stretch of rows is one of its past's: a prediction test of a column's means and shares."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import xlogy
from scipy.stats import norm, t

from triagebook.analysis.chance import counts_of, moments

if TYPE_CHECKING:
    from collections.abc import Sequence

ALPHA = 0.03
"""Chance that any of the columns looked at is called another than its past though none is."""
SPLITS = 20
"""So many tests more it is worth that the stretch's beginning was sought where it differs most."""
LEAST = 7
"""With fewer stretches of the past than a week has days nothing is known of how they differ."""
_FARTHER = 1.25
"""A stretch is new if it lies by a quarter farther out than any of the past's did."""


def apart(
    channels: Sequence[np.ndarray],
    reference: np.ndarray,
    current: np.ndarray,
    blocks: Sequence[np.ndarray],
    tests: int,
) -> float:
    """Hold a stretch's means against those of earlier stretches.

    Rows of one day are alike and days are not, so that neither all rows of the reference nor the
    rows of a day may be exchanged. The model is a random effect for each stretch: its mean is drawn
    around the column's own with variance tau², its rows around it. What a next stretch may show is
    the prediction interval of that model.

    Parameters
    ----------
    channels : look-up tables from bin to number, shape (bins + 1,) each (the last entry: null)
    reference, current : int arrays of bins, -1 for null
    blocks : row numbers of the reference's stretches, as long as the current one and at its hours
    tests : int
        How many comparisons share `ALPHA`, this column's channels not among them.

    Returns
    -------
    float
        The farthest channel's distance, over that which chance and the past's stretches exceed
        with probability `ALPHA`, and by which it has to lie beyond all of them; at least 0, 1 and more
        is another stretch than the past ever had. 0 with fewer than seven stretches.

    References
    ----------
    DerSimonian and Laird (1986), Meta-analysis in clinical trials, for tau²; Higgins, Thompson and
    Spiegelhalter (2009), A re-evaluation of random-effects meta-analysis, for the prediction interval.
    """
    if len(blocks) < LEAST or not len(current) or not channels:
        return 0.0
    bins = len(channels[0])
    by_block = np.array([counts_of(reference[block], bins) for block in blocks])
    now = counts_of(current, bins)
    # Nulls are another matter: shares and means are of the rows that have a value.
    by_block[:, -1] = 0
    now[-1] = 0
    if not now.sum() or np.count_nonzero(by_block.sum(axis=1)) < LEAST:
        return 0.0
    by_block = by_block[by_block.sum(axis=1) > 0]
    level = float(norm.isf(ALPHA / max(tests, 1) / len(channels) / 2))
    return max(_apart(channel, by_block, now, level) for channel in channels)


def _apart(channel: np.ndarray, by_block: np.ndarray, now: np.ndarray, level: float) -> float:
    total = by_block.sum(axis=0)
    _, spread = moments(channel, total + now)
    if spread <= 0:
        return 0.0
    sizes, k = by_block.sum(axis=1), len(by_block)
    means = by_block @ channel / sizes
    within = spread**2 / sizes
    fixed = 1 / within
    middle = float((fixed * means).sum() / fixed.sum())
    q = float((fixed * (means - middle) ** 2).sum())
    tau2 = max(0.0, (q - (k - 1)) / float(fixed.sum() - (fixed**2).sum() / fixed.sum()))
    weight = 1 / (within + tau2)
    middle = float((weight * means).sum() / weight.sum())
    m = int(now.sum())
    mean = float(now @ channel / m)
    chance = spread**2 * (1 / m + 1 / int(sizes.sum()))
    between = tau2 * (1 + 1 / k)
    z = abs(mean - middle) / np.sqrt(chance)
    if set(np.unique(channel)) <= {0.0, 1.0}:
        # Counts of a rare value are skewed: the root of the deviance is normal long before they are.
        z = _root_deviance(mean * m, m, middle)
    z *= float(np.sqrt(chance / (chance + between)))
    if between > 0:
        # tau² is known from k stretches only (Satterthwaite's degrees of freedom of the sum).
        free = (k - 1) * ((chance + between) / between) ** 2
        # Far out both tails are nought: their logarithms are compared.
        z = float(-norm.ppf(max(float(t.sf(z, free)), 1e-300)))
    worst = _FARTHER * float(np.abs(means - middle).max())
    out = abs(mean - middle) / worst if worst > 0 else np.inf
    return float(max(0.0, min(z / level, out)))


def _root_deviance(hits: float, rows: int, share: float) -> float:
    """Signed root of twice the binomial log-likelihood ratio, without its sign; share in [0, 1]."""
    share = min(max(share, 1e-9), 1 - 1e-9)
    misses = rows - hits
    deviance = 2 * (
        xlogy(hits, hits / (rows * share)) + xlogy(misses, misses / (rows * (1 - share)))
    )
    return float(np.sqrt(max(float(deviance), 0.0)))
