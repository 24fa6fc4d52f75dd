"""Whether the share of positive labels changed, and whether scores speak of the same change."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from triagebook.analysis.blocks import past_windows
from triagebook.analysis.calibration import prior_from_scores

_LEAST_SHIFT = 0.02


@dataclass(frozen=True)
class RateChange:
    """Base rates of now and of the same hours before; all in [0, 1].

    Attributes
    ----------
    was, now : float
    low, high : float
        What chance and the spread of earlier windows at the same hours let expect of `now`.
    windows : int
        Earlier windows compared; 0 where there were too few rows, then all earlier rows are taken.
    seen, error : float or None
        What the scores of now alone speak of, with its standard error: chance, and how far they are
        off in earlier windows.
    """

    was: float
    now: float
    low: float
    high: float
    windows: int
    seen: float | None
    error: float | None

    @property
    def moved(self) -> bool:
        """Whether the rate left what chance and earlier windows let expect, by 0.02 or more."""
        return not self.low <= self.now <= self.high and abs(self.now - self.was) >= _LEAST_SHIFT

    @property
    def follows(self) -> bool | None:
        """Whether scores moved to where the labels are; None where that cannot be told."""
        if self.seen is None or not self.error or not self.moved:
            return None
        to_now, to_was = (abs(self.seen - rate) / self.error for rate in (self.now, self.was))
        part_way = (self.seen - self.was) / (self.now - self.was)
        if to_was > to_now + 1 and to_was > 2 and part_way > 0.5:
            return True
        return False if to_now > to_was + 1 and part_way < 0.5 else None


def rate_change(
    score: np.ndarray | None,
    label: np.ndarray,
    times: np.ndarray,
    early: np.ndarray,
    late: np.ndarray,
) -> RateChange:
    """Compare base rates at the same hours.

    Parameters
    ----------
    score : float array, shape (n,), or None
    label : float array, shape (n,), 0 or 1
    times : int64 array, shape (n,), nanoseconds, ascending
    early, late : bool array, shape (n,)
        Rows of the reference, and rows of now (since it began, where that is known); both not empty.
    """
    rows = np.flatnonzero(early)
    now_times = times[late]
    parts = [rows[p] for p in past_windows(times[rows], int(now_times.min()), int(now_times.max()))]
    parts = [p for p in parts if len(p) >= 30]
    alike = np.concatenate(parts) if len(parts) >= 4 else rows
    alike = alike if len(alike) >= 300 else rows
    y, now = label[alike], float(label[late].mean())
    was = float(y.mean())
    spread = max(was * (1 - was), 1e-4)
    chance = spread * (1 / late.sum() + 1 / len(alike))
    natural = (
        0.0025
        if len(parts) < 4
        else _beyond(
            np.array([label[p].mean() for p in parts]), np.array([spread / len(p) for p in parts])
        )
    )
    wide = 3 * float(np.sqrt(chance + natural))
    seen = error = None
    if score is not None and 0 < was < 1:
        ok, fine = late & np.isfinite(score), alike[np.isfinite(score[alike])]
        if ok.sum() >= 30:
            seen, own = prior_from_scores(score[ok], score[fine], label[fine])
            off, by_chance = [], []
            for p in parts:
                told, e = prior_from_scores(score[p], score[fine], label[fine])
                off.append(told - float(label[p].mean()))
                by_chance.append(e**2)
            usual = _beyond(np.array(off), np.array(by_chance)) if len(off) >= 4 else 0.0
            error = float(np.sqrt(own**2 * (1 + ok.sum() / len(fine)) + usual))
            error = max(error, 1e-3)
    return RateChange(was, now, max(was - wide, 0.0), min(was + wide, 1.0), len(parts), seen, error)


def _beyond(values: np.ndarray, chances: np.ndarray) -> float:
    """Variance between windows beyond what chance gives each."""
    return max(float(np.var(values, ddof=1)) - float(np.mean(chances)), 0.0)
