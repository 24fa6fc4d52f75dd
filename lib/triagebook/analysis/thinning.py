"""Whether fewer rows are fewer alike, as where they get lost, or of each value by its own measure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import chi2

from triagebook.analysis.blocks import DAY

_WEEK = 7
_DAYS = 28
_LEAST_ROWS = 8
"""Rows to expect of a value: with fewer, its share kept says nothing."""
_GONE = 0.15
_AS_EVER = 0.9
_ALPHA = 0.01


@dataclass(frozen=True)
class Uneven:
    """A column whose values lost very different shares of their rows, though none is as frequent as ever.

    Attributes
    ----------
    column, least, most : str
        The values of which the smallest and the largest share of rows is left.
    kept_least, kept_most : float
        These shares, of the rows on the same weekday and hours before.
    """

    column: str
    least: str
    kept_least: float
    most: str
    kept_most: float


def uneven(
    reference: pd.DataFrame,
    reference_times: np.ndarray,
    current: pd.DataFrame,
    current_times: np.ndarray,
    stretch: tuple[int, int],
) -> Uneven | None:
    """Ask whether what is left of the rows of a stretch is more than a sample of what was due.

    Rows that get lost anywhere on the way are lost alike, whatever they hold; where a part gets lost, the
    rest comes as ever. On a free day people do less of everything, but not of everything alike: fewer short
    flights, hardly fewer long ones.

    Parameters
    ----------
    reference, current : DataFrame, shape (n, k), (m, k)
        Categories, in time order.
    reference_times, current_times : int64 arrays, nanoseconds, ascending
    stretch : (int, int)
        From and until, nanoseconds, the end left out.

    Returns
    -------
    Uneven or None
        The column with the most telling difference. None unless it is beyond what sampling gives (1 % for
        all columns together) and beyond each day of the reference, and every value that is more than
        a tenth of the rows lost at least a tenth.
    """
    days, now = _counts(reference, reference_times, current, current_times, stretch)
    best: tuple[float, Uneven] | None = None
    for name in days:
        found = _column(name, days[name], now[name])
        if found is not None and found[0] * len(reference.columns) < _ALPHA:
            best = min(best, found, key=lambda item: item[0]) if best is not None else found
    return best[1] if best is not None else None


def vanished(
    reference: pd.DataFrame,
    reference_times: np.ndarray,
    current: pd.DataFrame,
    current_times: np.ndarray,
    stretch: tuple[int, int],
) -> tuple[str, str] | None:
    """Return the column and its common value whose rows all but stay away, or None; see `uneven`.

    No free day takes away one value in ten rows and more: where that is gone, its rows are lost.
    """
    days, now = _counts(reference, reference_times, current, current_times, stretch)
    for name in days:
        same = [count for k, count in days[name].items() if k % _WEEK == 0]
        if len(same) < 2:
            continue
        due = pd.concat(same, axis=1).fillna(0.0).mean(axis=1)
        got = now[name].reindex(due.index).fillna(0.0)
        # Where little is left of anything, hardly any is left of each.
        rate = float(got.sum() / due.sum()) if len(due) else 0.0
        gone = got <= min(_GONE, 0.3 * rate) * due
        lost = due[gone & (due >= 0.1 * due.sum()) & (rate * due >= _LEAST_ROWS)]
        if len(lost):
            return name, str(lost.idxmax())
    return None


_ByDay = dict[int, pd.Series]
"""Rows by value, by how many days before."""


def _counts(
    reference: pd.DataFrame,
    reference_times: np.ndarray,
    current: pd.DataFrame,
    current_times: np.ndarray,
    stretch: tuple[int, int],
) -> tuple[dict[str, _ByDay], dict[str, pd.Series]]:
    """Count the rows of each column's values, at the stretch's hours of earlier days and in it."""
    low, high = stretch
    span = max(1, int(np.ceil((high - low) / DAY)))
    cuts = {
        k: np.searchsorted(reference_times, [low - k * DAY, high - k * DAY])
        for k in range(span, _DAYS + 1)
        if low - k * DAY >= reference_times[0] and high - k * DAY <= reference_times[-1]
    }
    i, j = np.searchsorted(current_times, [low, high])
    days = {
        str(name): {k: reference[name].iloc[a:b].value_counts() for k, (a, b) in cuts.items()}
        for name in reference
    }
    return days, {str(name): current[name].iloc[i:j].value_counts() for name in reference}


def _column(name: str, days: dict[int, pd.Series], now: pd.Series) -> tuple[float, Uneven] | None:
    """Return the chance of such a difference by sampling alone, and the difference."""
    kept = _kept(now, [count for k, count in days.items() if k % _WEEK == 0])
    if kept is None:
        return None
    got, due, whole = kept
    past = []
    for k, count in days.items():
        others = [c for j, c in days.items() if j != k and (j - k) % _WEEK == 0]
        before = _kept(count, others)
        if before is not None:
            g, d, rate = before
            past.append(float(((g - rate * d) ** 2 / (rate * d)).sum()) / (len(g) - 1))
    if len(past) < _WEEK:
        return None
    ratio = got / due
    common = due >= 0.1 * due.sum()
    if not common.any() or float(ratio[common].max()) >= _AS_EVER:
        return None
    # Days differ by themselves, and of what is due a sample is left.
    variance = due * (whole * (1 - whole) + whole**2 * float(np.median(past)))
    freedom = len(got) - 1
    size = float(((got - whole * due) ** 2 / variance).sum())
    plain = float(((got - whole * due) ** 2 / (whole * due)).sum()) / freedom
    if plain <= 1.25 * max(past):
        return None
    found = Uneven(
        name,
        str(ratio.idxmin()),
        float(ratio.min()),
        str(ratio.idxmax()),
        float(ratio.max()),
    )
    return float(chi2.sf(size, freedom)), found


def _kept(now: pd.Series, same: list[pd.Series]) -> tuple[pd.Series, pd.Series, float] | None:
    """Return rows that came and were due by value, and the share of all; None with hardly two values.

    Values that are all but gone are left out: a part that is lost as a whole says nothing of the others.
    """
    if len(same) < 2:
        return None
    due = pd.concat(same, axis=1).fillna(0.0).mean(axis=1)
    due = due[due >= _LEAST_ROWS]
    got = now.reindex(due.index).fillna(0.0)
    here = got > _GONE * due
    got, due = got[here], due[here]
    if len(due) < 2 or not got.sum():
        return None
    return got, due, float(got.sum() / due.sum())
