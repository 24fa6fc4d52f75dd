"""The score from which the model decides, and whether that cut moved."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_MOST_ODD = 0.01
"""More decisions than this on the wrong side of every score, and no score parts them."""


@dataclass(frozen=True)
class Cut:
    """Decisions held against the cut of the reference.

    Attributes
    ----------
    before : float
        The cut of the reference, score units.
    now : float or None
        The cut of the rows since the change; None where no single one parts them.
    odd_before, odd_now : float
        Share of rows that the reference's cut does not decide as they were decided, in [0, 1]; `odd_now`
        of the rows since the change.
    odd_rows : int
    since : int or None
        Position of the first row decided otherwise after the change, among all rows.
    """

    before: float
    now: float | None
    odd_before: float
    odd_now: float
    odd_rows: int
    since: int | None

    @property
    def moved(self) -> bool:
        """Whether decisions plainly follow another cut than before."""
        return self.odd_rows >= 5 and self.odd_now > 0.005 + 3 * self.odd_before


def cut_of(score: np.ndarray, decision: np.ndarray, late: np.ndarray) -> Cut | None:
    """Compare decisions with the cut that parts them in the reference.

    Parameters
    ----------
    score, decision : float array, shape (n,)
        Rows in the order of time; the larger decision is the positive one.
    late : bool array, shape (n,)

    Returns
    -------
    Cut or None
        None where no single score parts the reference's decisions.
    """
    known = np.isfinite(score) & np.isfinite(decision)
    old = known & ~late
    if old.sum() < 50 or (known & late).sum() < 20:
        return None
    edge = best_cut(score[old], decision[old])
    if edge is None:
        return None
    odd = known & ((score >= edge) != (decision > 0.5))
    before = float(odd[old].mean())
    rows = np.flatnonzero(known & late)
    share = float(odd[rows].mean())
    if not odd[rows].any():
        return Cut(edge, edge, before, 0.0, 0, None)
    p0, p1 = min(max(before, 5e-4), 0.5), min(max(share, 2e-3), 0.99)
    gain = np.where(odd[rows], np.log(p1 / p0), np.log((1 - p1) / (1 - p0)))
    best = int(np.argmax(np.cumsum(gain[::-1])[::-1]))
    since = rows[best:]
    first = since[odd[since]]
    part = since[since >= first[0]] if len(first) else since
    now = best_cut(score[part], decision[part])
    return Cut(
        edge,
        now,
        before,
        float(odd[part].mean()),
        int(odd[part].sum()),
        int(part[0]) if len(part) else None,
    )


def best_cut(score: np.ndarray, decision: np.ndarray) -> float | None:
    """Find the score that parts positive from negative decisions; None where none does.

    Parameters
    ----------
    score, decision : float array, shape (n,)
        Finite; decisions above 0.5 are positive.

    Returns
    -------
    float or None
        Halfway between the highest negative and the lowest positive score, or the cut with the
        fewest decisions on the wrong side; None where that leaves more than one in a hundred, or all
        decisions are the same.
    """
    positive = decision > 0.5
    n, ones = len(score), int(positive.sum())
    if ones in (0, n):
        return None
    order = np.argsort(score, kind="stable")
    sorted_score, one = score[order], positive[order]
    # Cut before row i: positives below it and negatives from it on are on the wrong side.
    wrong = np.concatenate(([0], np.cumsum(one))) + np.concatenate(
        ((n - ones) - np.concatenate(([0], np.cumsum(~one)))[:-1], [0])
    )
    apart = np.flatnonzero(np.diff(sorted_score) > 0) + 1
    if not len(apart):
        return None
    best = int(apart[np.argmin(wrong[apart])])
    if wrong[best] > _MOST_ODD * n:
        return None
    return float((sorted_score[best - 1] + sorted_score[best]) / 2)
