"""Whether fewer rows arrive than at the same hours of other days, and since when."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from triagebook.analysis.blocks import DAY, HOUR

_MIN_HOURS = 3
_MIN_ROWS = 20
_MIN_DAYS = 7
_SHORT = 0.75
_HOLIDAY = 0.45
"""Of the 5 % quantile, where the stretch begins in the quietest hours of the day: less is no holiday."""


@dataclass(frozen=True)
class Shortfall:
    """A stretch up to now with too few rows.

    Attributes
    ----------
    start : int
        Nanoseconds since 1970 of the first whole hour that is short.
    hours : int
    got, expected, low : float
        Rows that came, the median of the same hours of other days, and their 5 % quantile.
    least : float
        The fewest rows of the same hours on any other day.
    """

    start: int
    hours: int
    got: float
    expected: float
    low: float
    least: float

    @property
    def seen_before(self) -> bool:
        """Whether some other day had hardly more rows at the same hours, as a holiday has."""
        return self.least <= 1.25 * self.got

    @property
    def nats(self) -> float:
        """How much surer fewer rows are than as many as on the quiet days: half the Poisson deviance."""
        rows, low = self.got, max(self.low, 1e-9)
        return (rows * float(np.log(rows / low)) if rows else 0.0) - (rows - low)

    @property
    def lost(self) -> float:
        """Rows missing against the median."""
        return max(self.expected - self.got, 0.0)

    @property
    def share(self) -> float:
        """Share of the expected rows that is missing, [0, 1]."""
        return self.lost / self.expected if self.expected else 0.0


def shortfall(reference_times: np.ndarray, current_times: np.ndarray) -> Shortfall | None:
    """Find the stretch of whole hours up to the newest row that is most clearly short.

    Parameters
    ----------
    reference_times, current_times : int64 arrays of nanoseconds since 1970, ascending

    Returns
    -------
    Shortfall or None
        The stretch of at least three hours whose rows lie below three quarters of the 5 % quantile of
        the same hours on other days, with the largest Poisson deviance; None where there is none, with
        fewer than seven other days, or where fewer than 20 rows are expected. The hour of the newest
        row is left out: it may be under way. A stretch that begins in the quietest hours of the day has
        to lie below 45 % of that quantile: it may be a holiday.
    """
    if not len(reference_times) or not len(current_times):
        return None
    end = int(current_times[-1]) // HOUR
    first = int(current_times[0]) // HOUR + 1
    origin = int(reference_times[0]) // HOUR
    if end - first < _MIN_HOURS:
        return None
    got = np.bincount((current_times[current_times >= first * HOUR] // HOUR - first).astype(int))
    got = np.append(got, np.zeros(max(end - first - len(got), 0), dtype=np.int64))[: end - first]
    past = np.cumsum(np.append(0, np.bincount((reference_times // HOUR - origin).astype(int))))
    day = DAY // HOUR
    night = _night(reference_times)
    best: tuple[float, Shortfall] | None = None
    for start in range(first, end - _MIN_HOURS + 1):
        rows = float(got[start - first :].sum())
        # Whole stretches of the reference, at the same hours; never the hours before its first row.
        low = start - origin - day * np.arange(1, 57)
        high = low + (end - start)
        inside = (low > 0) & (high < len(past))
        others = past[high[inside]] - past[low[inside]]
        if len(others) < _MIN_DAYS:
            continue
        expected, least = float(np.median(others)), float(np.quantile(others, 0.05))
        # A holiday is quiet from the night on; rows that get lost do not wait for it.
        at_night = bool(night[(start + np.arange(-1, 2)) % day].any())
        if expected < _MIN_ROWS or rows >= (_HOLIDAY if at_night else _SHORT) * least:
            continue
        deviance = 2 * ((rows * np.log(rows / expected) if rows else 0.0) - (rows - expected))
        if best is None or deviance > best[0]:
            fewest = float(others.min())
            best = deviance, Shortfall(start * HOUR, end - start, rows, expected, least, fewest)
    return best[1] if best is not None else None


def _night(times: np.ndarray) -> np.ndarray:
    """Return which hours of the day are the quietest, shape (24,): under a third of the mean."""
    count = np.bincount((times // HOUR % 24).astype(int), minlength=24)
    quiet: np.ndarray = count < count.mean() / 3
    return quiet
