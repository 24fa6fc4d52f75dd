"""Whether fewer rows arrive than at the same hours of other days, and since when."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import xlogy

from triagebook.analysis.blocks import DAY, HOUR

_MIN_HOURS = 3
_MIN_ROWS = 20
_MIN_DAYS = 7
_SHORT = 0.75
_HOLIDAY = 0.45
"""Of the 5 % quantile, where the stretch begins in the quietest hours of the day: less is no holiday."""
_BACK = 72
"""Hours before a stretch in which what makes it short may have begun: free days come up to four in a row."""


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
    from_night : bool
        Whether rows became fewer in the quietest hours of a day, perhaps before the window, and not
        below 45 % of `low` since: as on a free day.
    """

    start: int
    hours: int
    got: float
    expected: float
    low: float
    least: float
    from_night: bool = False

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
        row is left out: it may be under way.
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
        if expected < _MIN_ROWS or rows >= _SHORT * least:
            continue
        deviance = 2 * ((rows * np.log(rows / expected) if rows else 0.0) - (rows - expected))
        if best is None or deviance > best[0]:
            fewest = float(others.min())
            best = deviance, Shortfall(start * HOUR, end - start, rows, expected, least, fewest)
    if best is None:
        return None
    found = best[1]
    # A holiday is quiet from the night on; rows that get lost do not wait for it.
    begun = _begun(reference_times, current_times, found)
    at_night = bool(_night(reference_times)[(begun + np.arange(-1, 2)) % day].any())
    return replace(found, from_night=at_night and found.got >= _HOLIDAY * found.low)


def _begun(reference_times: np.ndarray, current_times: np.ndarray, found: Shortfall) -> int:
    """Return the hour, since 1970, from which on rows are most clearly fewer, up to three days before.

    The hour of the day and the weekday give what is expected of an hour: a stretch that began before
    the window may lie on several weekdays.
    """
    end, start = found.start // HOUR + found.hours, found.start // HOUR
    first = int(reference_times[0]) // HOUR + 1
    hours = np.arange(first, end)
    times = np.concatenate([reference_times, current_times])
    here = times[(times >= first * HOUR) & (times < end * HOUR)] // HOUR - first
    got = np.bincount(here.astype(int), minlength=len(hours)).astype(np.float64)
    known = hours < int(reference_times[-1]) // HOUR
    days, day_of = np.unique(hours // 24, return_inverse=True)
    whole = np.bincount(day_of[known], minlength=len(days)) == 24
    totals = np.bincount(day_of, got, minlength=len(days))
    usual = float(np.median(totals[whole])) if whole.any() else 0.0
    if usual <= 0:
        return start
    factor = np.ones(7)
    for weekday in range(7):
        same = totals[whole & (days % 7 == weekday)]
        factor[weekday] = float(np.median(same)) / usual if len(same) else 1.0
    levels = factor[days % 7][day_of]
    by_hour = np.bincount(hours[known] % 24, got[known], 24) / np.maximum(
        np.bincount(hours[known] % 24, levels[known], 24), 1e-9
    )
    due = by_hour[hours % 24] * levels
    low = max(start - _BACK, first)
    rows = np.cumsum(got[::-1])[::-1][low - first : start - first + 1]
    expected = np.cumsum(due[::-1])[::-1][low - first : start - first + 1]
    nats = xlogy(rows, rows / np.maximum(expected, 1e-9)) - (rows - expected)
    # Of a gap between the windows nothing is known: what is short after it begins after it.
    gap = int(reference_times[-1]) // HOUR
    if int(current_times[0]) // HOUR - gap > _MIN_HOURS:
        nats[: max(int(current_times[0]) // HOUR - low, 0)] = -np.inf
    nats[rows >= expected] = -np.inf
    # Of hours that do equally well, such as those without rows, the last.
    return start - int(np.argmax(nats[::-1]))


def _night(times: np.ndarray) -> np.ndarray:
    """Return which hours of the day are the quietest, shape (24,): under a third of the mean."""
    count = np.bincount((times // HOUR % 24).astype(int), minlength=24)
    quiet: np.ndarray = count < count.mean() / 3
    return quiet
