"""How good a model was: one figure with an interval, by day, and what a change of mix alone would give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from triagebook.analysis.blocks import past_windows
from triagebook.analysis.calibration import auc, auc_error, expected_auc

if TYPE_CHECKING:
    from collections.abc import Sequence

    from triagebook.analysis.segments import Coded


@dataclass(frozen=True)
class Measured:
    """A figure of performance, early against late.

    Attributes
    ----------
    what : str
        `AUC`, `accuracy` or `mean absolute error`.
    better : int
        1 where more is better, -1 where less is.
    before, now : float
    error : float
        Standard error of `now`.
    worst : float
        `before` less three standard errors, of chance and of how far earlier windows at the same
        hours lie apart.
    expected : float or None
        What `now` would be if every label came as its score lets expect: the mix of rows alone.
    rows_before, rows_now : int
    """

    what: str
    better: int
    before: float
    now: float
    error: float
    worst: float
    expected: float | None
    rows_before: int
    rows_now: int

    @property
    def drop(self) -> float:
        """How much worse it is, in the figure's own unit; negative where it is better."""
        return (self.before - self.now) * self.better

    @property
    def bad(self) -> bool:
        """Whether it is worse than windows before and chance explain, by a hundredth of it or more."""
        return (self.worst - self.now) * self.better > 0 and self.drop > 0.01 * abs(self.before)

    @property
    def by_mix(self) -> float:
        """Share of the drop that the mix of rows alone gives, in [0, 1]; 0 where not known."""
        if self.expected is None or self.drop <= 0:
            return 0.0
        return float(np.clip((self.before - self.expected) * self.better / self.drop, 0.0, 1.0))


def measured(
    label: np.ndarray,
    score: np.ndarray | None,
    decision: np.ndarray | None,
    expected: np.ndarray,
    times: np.ndarray,
    late: np.ndarray,
    *,
    number: bool,
) -> Measured | None:
    """Compare performance on labelled rows.

    Parameters
    ----------
    label, expected : float array, shape (n,)
        Truth, and what the score lets expect of it.
    score, decision : float array, shape (n,), or None
        A classifier is measured by its score (AUC), without one by its decisions; a regression by
        its score.
    times : int64 array, shape (n,), nanoseconds
    late : bool array, shape (n,)
    number : bool
        Whether labels are a quantity.

    Returns
    -------
    Measured or None
        None with fewer than 30 rows on either side, or one class only.
    """
    if number:
        if score is None:
            return None
        loss = np.abs(label - score)
        return _mean("mean absolute error", -1, loss, times, late, None)
    graded = score is not None and len(np.unique(score[~late][:2_000])) > 10
    if not graded:
        if decision is None:
            return None
        right = (decision == label).astype(float)
        sure = np.where(decision > 0.5, expected, 1 - expected)
        return _mean("accuracy", 1, right, times, late, sure)
    if score is None:
        return None
    ok = np.isfinite(score)
    old, new = ~late & ok, late & ok
    before, now = auc(score[old], label[old]), auc(score[new], label[new])
    if not (np.isfinite(before) and np.isfinite(now)) or new.sum() < 30 or old.sum() < 30:
        return None
    ones = int((label[new] > 0.5).sum())
    error = auc_error(now, ones, int(new.sum()) - ones)
    past = []
    for part in _past(times, late, ok):
        p = int((label[part] > 0.5).sum())
        if 10 <= p <= len(part) - 10:
            value = auc(score[part], label[part])
            past.append((value, auc_error(value, p, len(part) - p)))
    worst = before - 3 * float(np.hypot(error, _natural(past)))
    mix = expected_auc(score[new], expected[new])
    base = expected_auc(score[old], expected[old])
    return Measured(
        "AUC", 1, before, now, error, worst, before + mix - base, int(old.sum()), int(new.sum())
    )


def _past(times: np.ndarray, late: np.ndarray, ok: np.ndarray) -> list[np.ndarray]:
    """Rows of earlier windows at the same hours as the late ones; none where rows are few."""
    rows = np.flatnonzero(ok & ~late)
    now = times[late & ok]
    parts = past_windows(times[rows], int(now.min()), int(now.max()))
    return [rows[p] for p in parts if len(p) >= 30]


def _natural(past: list[tuple[float, float]]) -> float:
    """Spread of a figure between windows beyond their chance; 0 where fewer than four can be compared."""
    if len(past) < 4:
        return 0.0
    values, errors = (np.array(v) for v in zip(*past, strict=True))
    # From one window to the next (von Neumann 1941): a slow decay is no spread of usual windows.
    spread = float(np.mean(np.diff(values) ** 2)) / 2
    return float(np.sqrt(max(spread - float(np.mean(errors**2)), 0.0)))


def _mean(
    what: str,
    better: int,
    value: np.ndarray,
    times: np.ndarray,
    late: np.ndarray,
    sure: np.ndarray | None,
) -> Measured | None:
    ok = np.isfinite(value)
    old, new = ~late & ok, late & ok
    if old.sum() < 30 or new.sum() < 30:
        return None
    before, now = float(value[old].mean()), float(value[new].mean())
    error = float(np.std(value[new]) / np.sqrt(new.sum())) or 1 / float(new.sum())
    past = []
    for part in _past(times, late, ok):
        v = value[part]
        past.append((float(v.mean()), float(v.std() / np.sqrt(len(v)))))
    worst = before - better * 3 * float(np.hypot(error, _natural(past)))
    expected = None
    if sure is not None:
        expected = before + float(np.nanmean(sure[new]) - np.nanmean(sure[old]))
    return Measured(
        what, better, before, now, error, worst, expected, int(old.sum()), int(new.sum())
    )


@dataclass(frozen=True)
class MixEffect:
    """A column whose mix alone accounts for a change of performance.

    Attributes
    ----------
    column, value : str
        The value whose share moved most.
    share_before, share_now : float
    explained : float
        Share of the change of loss that re-weighting the reference to today's shares gives.
    within : float
        Largest change of loss within a value, in standard errors: each segment itself unchanged.
    """

    column: str
    value: str
    share_before: float
    share_now: float
    explained: float
    within: float


def mix_effect(loss: np.ndarray, late: np.ndarray, columns: Sequence[Coded]) -> MixEffect | None:
    """Find the column whose change of shares accounts best for a change of mean loss.

    Parameters
    ----------
    loss : float array, shape (n,)
    late : bool array, shape (n,)
    columns : sequence of Coded
        Only those of plain values are looked at.

    References
    ----------
    Kitagawa, E. M. (1955), Components of a difference between two rates.
    """
    change = float(loss[late].mean() - loss[~late].mean())
    best: MixEffect | None = None
    for column in columns:
        if column.ordered or abs(change) < 1e-12:
            continue
        k = len(column.names)
        old, new = ~late & (column.codes >= 0), late & (column.codes >= 0)
        n = np.bincount(column.codes[old], minlength=k).astype(float)
        m = np.bincount(column.codes[new], minlength=k).astype(float)
        if n.sum() < 50 or m.sum() < 30 or m[n < 20].sum() > 0.1 * m.sum():
            continue
        was = np.bincount(column.codes[old], loss[old], k) / np.maximum(n, 1)
        now = np.bincount(column.codes[new], loss[new], k) / np.maximum(m, 1)
        p, q = n / n.sum(), m / m.sum()
        gap = q - p
        moved = int(np.argmax(np.abs(gap)))
        error = np.sqrt(gap[moved] ** 2) / np.sqrt(p[moved] * (1 - p[moved]) / m.sum() + 1e-12)
        if error < 5 or abs(gap[moved]) < 0.05:
            continue
        spread = float(np.std(loss[old]))
        z = np.abs(now - was) / (spread * np.sqrt(1 / np.maximum(m, 1) + 1 / np.maximum(n, 1)))
        result = MixEffect(
            column.column,
            column.names[moved],
            float(p[moved]),
            float(q[moved]),
            float((gap * was).sum()) / change,
            float(z[m >= 20].max(initial=0.0)),
        )
        if best is None or result.explained > best.explained:
            best = result
    return best
