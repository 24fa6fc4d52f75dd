"""How often something unseen turns up, against how often it turns up in the reference itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import binom, norm

FOLDS = 4
"""Stretches of the reference, each held against the rest of it, as the current rows are against all."""
RARE = 0.001
"""What fewer of the other rows show is as good as unseen: the reference is not promised clean."""
SURE = 2e-4
"""Chance that a column which keeps its ways breaks one of them so often."""
LEAST_SHARE = 0.004
LEAST_ROWS = 3
STRICT_ROWS, STRICT_SURE = 2, 0.02
"""The same for rules that no clean row breaks."""
MOST_USUAL = 0.2
"""A rule that stretches of the reference itself break more often is none."""


@dataclass(frozen=True)
class Natural:
    """How often rows of the reference break a rule learnt from the rest of it.

    Attributes
    ----------
    broken, rows : int arrays, shape (FOLDS,)
    """

    broken: np.ndarray
    rows: np.ndarray

    @property
    def share(self) -> float:
        """The share to expect: of all stretches; where they differ by more than chance, what may come next.

        That is the worst of them and as much again as they lie apart.
        """
        total = int(self.rows.sum())
        if not total:
            return 1.0
        pooled = float(self.broken.sum() / total)
        there = self.rows > 0
        tail = binom.sf(self.broken[there] - 1, self.rows[there], min(pooled + 0.5 / total, 1.0))
        if (tail < 0.01 / max(int(there.sum()), 1)).any():
            shares = self.broken[there] / self.rows[there]
            return float(min(2 * shares.max() - shares.min(), 1.0))
        return pooled

    def exceeded(
        self,
        broken: int,
        rows: int,
        *,
        sure: float = SURE,
        times: float = 2.0,
        strict: bool = False,
    ) -> bool:
        """Whether so many broken rows of so many are more than the reference would show.

        Parameters
        ----------
        times : float
            What happens anyway may as well happen a few times as often: new rows are of new things.
            So the excess has to be so many times the usual share.
        strict : bool
            The rule is one that no clean row breaks, such as that a number is a number.
        """
        usual = self.share
        strict = strict and not self.broken.sum()
        if broken < (STRICT_ROWS if strict else LEAST_ROWS) or not rows:
            return False
        if usual > MOST_USUAL and times > 1:
            return False
        least = times * usual if usual < 0.01 else 1.5 * times * usual
        if broken / rows - usual < max(LEAST_SHARE, least):
            return False
        known = max(int(self.rows.sum()), 1)
        if usual > 0:
            # The usual share is an estimate too: two shares, of so many rows each.
            both = (usual * known + broken) / (known + rows)
            error = float(np.sqrt(both * (1 - both) * (1 / known + 1 / rows)))
            if error > 0 and float(norm.sf((broken / rows - usual) / error)) >= sure:
                return False
        before = (0.1 if strict else 0.5) / known
        level = min(usual + before, 1.0)
        return float(binom.sf(broken - 1, rows, level)) < (STRICT_SURE if strict else sure)


def folds_of(rows: int) -> np.ndarray:
    """Return the number of the stretch each row lies in, shape (rows,)."""
    return np.minimum(np.arange(rows) * FOLDS // max(rows, 1), FOLDS - 1)


def natural_of(broken: np.ndarray) -> Natural:
    """Count a rule's breaches in each stretch of the reference; `broken` has shape (n_ref,)."""
    fold = folds_of(len(broken))
    return Natural(
        np.bincount(fold, broken.astype(float), FOLDS).round().astype(int),
        np.bincount(fold, minlength=FOLDS),
    )


@dataclass(frozen=True)
class Marks:
    """What rows show: pairs of row and mark, such as its form, or each of its pairs of letters.

    Attributes
    ----------
    row, mark : int arrays, shape (pairs,)
        Marks are numbered alike in both windows.
    rows : int
    """

    row: np.ndarray
    mark: np.ndarray
    rows: int


def unseen(
    reference: Marks, current: Marks, rare: float = RARE, least: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Find rows with at least `least` marks that the other rows (nearly) never show.

    Parameters
    ----------
    reference, current : Marks
    rare : float
        Share of the other rows up to which a mark counts as unseen.

    Returns
    -------
    (in_reference, in_current) : bool arrays, shape (n_ref,), (n_cur,)
        A row of the reference is held against the other stretches.
    """
    marks = 1 + max(
        int(reference.mark.max()) if len(reference.mark) else 0,
        int(current.mark.max()) if len(current.mark) else 0,
    )
    fold = folds_of(reference.rows)[reference.row]
    counts = np.bincount(reference.mark * FOLDS + fold, minlength=marks * FOLDS)
    counts = counts.reshape(marks, FOLDS)
    total = counts.sum(axis=1)
    others = total[reference.mark] - counts[reference.mark, fold]
    odd_before = others <= rare * reference.rows
    odd_now = total[current.mark] <= rare * reference.rows
    return (
        np.bincount(reference.row[odd_before], minlength=reference.rows) >= least,
        np.bincount(current.row[odd_now], minlength=current.rows) >= least,
    )
