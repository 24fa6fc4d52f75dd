"""Whether labels come as they always came: how many, how late, and whether they agree."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from triagebook.analysis.blocks import DAY
from triagebook.analysis.outcomes import SECOND

_GRID = 40
_PAST = 14


@dataclass(frozen=True)
class Delivery:
    """Labels that came within the current window, against what the usual delay lets expect.

    Attributes
    ----------
    came, expected : float
        Labels of the looked-at predictions.
    low : float
        Smallest share of the expected that earlier windows of the same length had, less what chance
        gives; in [0, 1].
    delay_s, usual_delay_s, high_delay_s : float
        Median delay of labels that came now, of those that came before, and the largest median of
        an earlier window; seconds.
    windows : int
        Earlier windows looked at.
    since : int or None
        Nanoseconds: from here on they stayed away.
    """

    came: float
    expected: float
    low: float
    delay_s: float
    usual_delay_s: float
    high_delay_s: float
    windows: int
    since: int | None

    @property
    def share(self) -> float:
        """Labels that came over those expected; 1 where none were."""
        return self.came / self.expected if self.expected > 0 else 1.0


def delivery(
    times: np.ndarray, arrived: np.ndarray, here: np.ndarray, start: int, end: int
) -> Delivery | None:
    """Compare the labels that came in the window with the delay curve of before.

    Parameters
    ----------
    times, arrived : int64 array, shape (n,), nanoseconds
        When each prediction was made, and when its label came (any value where `here` is False).
    here : bool array, shape (n,)
    start, end : int
        The current window, nanoseconds.

    Returns
    -------
    Delivery or None
        None where fewer than 100 labels came before, or where nothing can be expected of the window.
    """
    before = here & (arrived < start)
    if int(before.sum()) < 100 or not len(times):
        return None
    delay = (arrived - times) / SECOND
    first = int(times.min())
    curve = _Curve.of(times[times < start], np.where(before, delay, np.inf)[times < start], start)
    length = end - start

    def window(low: int, high: int) -> tuple[float, float, float]:
        """Came, expected, median delay of the labels of one window."""
        made = times < high
        due = curve(np.maximum(high - times[made], 0) / SECOND)
        due -= curve(np.maximum(low - times[made], 0) / SECOND)
        got = here & (arrived >= low) & (arrived < high)
        middle = float(np.median(delay[got])) if got.sum() >= 20 else float("nan")
        return float((got & made).sum()), float(due.sum()), middle

    came, expected, middle = window(start, end)
    if expected < 30:
        return None
    shift = DAY * max(1, round(length / DAY))
    # The first labels of the bundle belong to predictions that it does not have.
    earliest = first + int(curve.longest * SECOND)
    past = []
    for back in range(1, _PAST + 1):
        if start - back * shift < earliest:
            break
        past.append(window(start - back * shift, end - back * shift))
    shares = [g / e for g, e, _ in past if e >= 30]
    middles = [m for _, e, m in past if e >= 30 and np.isfinite(m)]
    chance = 4.0 / np.sqrt(expected)
    low = max(min([1.0, *shares]) - chance, 0.0)
    high = max([curve.median, *middles])
    since = None
    if came / expected < low:
        parts = np.linspace(start, end, 25).astype(np.int64)
        cells = [window(int(a), int(b))[:2] for a, b in pairwise(parts)]
        since = _since(cells, parts)
    return Delivery(came, expected, low, middle, curve.median, high, len(shares), since)


def _since(cells: list[tuple[float, float]], edges: np.ndarray) -> int | None:
    """Find the cell from which fewer came, by the likelihood of Poisson counts."""
    got, due = (np.array(v) for v in zip(*cells, strict=True))
    best, at = 0.0, None
    for i in range(len(got)):
        e, g = float(due[i:].sum()), float(got[i:].sum())
        if e <= 0:
            continue
        rate = max(g / e, 1e-3)
        nats = g * np.log(rate) - e * (rate - 1)
        if rate < 1 and nats > best:
            best, at = nats, int(edges[i])
    return at


@dataclass(frozen=True)
class _Curve:
    """Share of predictions whose label has come by an age."""

    ages_s: np.ndarray
    shares: np.ndarray
    median: float
    longest: float

    @classmethod
    def of(cls, times: np.ndarray, delay: np.ndarray, now: int) -> _Curve:
        known = delay[np.isfinite(delay)]
        ages = np.unique(np.quantile(known, np.linspace(0, 1, _GRID + 1)))
        age = (now - times) / SECOND
        shares = []
        for a in ages:
            ripe = age >= a
            shares.append(float((delay[ripe] <= a).mean()) if ripe.sum() >= 50 else np.nan)
        filled = np.array(shares)
        if np.isnan(filled).all():
            filled[:] = len(known) / max(len(delay), 1)
        bad = np.isnan(filled)
        filled[bad] = np.nanmax(filled)
        return cls(
            ages,
            np.maximum.accumulate(filled),
            float(np.median(known)),
            float(np.quantile(known, 0.95)),
        )

    def __call__(self, age_s: np.ndarray) -> np.ndarray:
        """Interpolate: nothing before the youngest label ever, flat after the oldest."""
        step = np.interp(age_s, self.ages_s, self.shares, left=0.0)
        return np.where(age_s < self.ages_s[0], 0.0, step)


def contradictions(keys: np.ndarray, values: np.ndarray) -> float:
    """Share of keys that carry two different labels.

    Parameters
    ----------
    keys, values : array, shape (n,)
    """
    frame = pd.DataFrame({"k": keys, "v": values}).drop_duplicates()
    if frame.empty:
        return 0.0
    again = frame["k"].duplicated(keep="first")
    return float(frame.loc[again, "k"].nunique() / frame["k"].nunique())
