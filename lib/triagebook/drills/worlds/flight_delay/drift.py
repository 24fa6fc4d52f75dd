"""The deployment's own drift monitor: PSI of each input over the last six hours, batch by batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from triagebook.drills.worlds.flight_delay.model import CATEGORIES, INPUTS
from triagebook.drills.worlds.flight_delay.world import (
    ALERT_FOR,
    BATCH,
    FIRST,
    NOW,
    PSI_THRESHOLD,
    REFERENCE,
    REFERENCE_START,
    TELEMETRY_START,
)

if TYPE_CHECKING:
    from datetime import datetime

    from numpy.typing import NDArray

MONITORED = tuple(name for name in INPUTS if name != "weekday")
"""The day of the week is left out: six hours hold one day, the reference holds seven."""
WATCHED = ("distance", "sched_hour", "carrier", "origin")
"""What the alert rule looks at: the schedule feed. Weather moves every day, and pages nobody."""
WINDOW_BATCHES = 24
MIN_ROWS = 150
_BINS = 10
_A_DAY = 96
_SMOOTHING = 0.5


@dataclass(frozen=True)
class Monitor:
    """What the monitor saw, one row a batch of the kept telemetry.

    Parameters
    ----------
    batches : DatetimeIndex, shape (n,)
        Start of each batch, UTC.
    psi : DataFrame, shape (n, 10)
        Population stability index of each monitored input, unitless, [0, inf); null where the six
        hours hold fewer than 150 flights (at night).
    positive_share : Series, shape (n,)
        Share of "late" decisions in the same six hours, 0 to 1; null likewise.
    rows : Series of int, shape (n,)
        Flights in the batch.
    """

    batches: pd.DatetimeIndex
    psi: pd.DataFrame
    positive_share: pd.Series[float]
    rows: pd.Series[int]

    def fired_at(self) -> datetime | None:
        """Return when the rule `max(psi of WATCHED) > 0.25 for 15m` last began to fire, if it does now."""
        above = (self.psi[list(WATCHED)].max(axis=1) > PSI_THRESHOLD).to_numpy()
        if not above[-1]:
            return None
        quiet = np.flatnonzero(~above)
        first = int(quiet[-1]) + 1 if len(quiet) else 0
        fires = min(first + ALERT_FOR - 1, len(above) - 1)
        moment: datetime = self.batches[fires].to_pydatetime()
        return moment


def watch(predictions: pd.DataFrame) -> Monitor:
    """Compute the monitor's series from the served inputs.

    Like is compared with like: six hours of today against the same six hours of the clock on all
    56 days of the reference. Otherwise the daily rhythm of the schedule would alarm every night.
    """
    batches = pd.date_range(FIRST, NOW, freq=BATCH, inclusive="left")
    batch = ((predictions["predicted_at"] - FIRST) // BATCH).to_numpy()
    slot_of_day = (batches.hour * 4 + batches.minute // 15).to_numpy()
    start, end, kept_from = (
        int(batches.searchsorted(pd.Timestamp(moment)))
        for moment in (REFERENCE_START, REFERENCE_START + REFERENCE, TELEMETRY_START)
    )
    in_reference = np.zeros(len(batches), dtype=bool)
    in_reference[start:end] = True
    rows_in_reference = in_reference[batch]

    rows = np.bincount(batch, minlength=len(batches))
    enough = _rolling(rows[:, None])[:, 0] >= MIN_ROWS
    psi = {}
    for name in MONITORED:
        codes, size = _bins(predictions[name], rows_in_reference, categorical=name in CATEGORIES)
        counts = np.bincount(batch * size + codes, minlength=len(batches) * size)
        counts = counts.reshape(len(batches), size)
        clock = np.zeros((_A_DAY, size))
        np.add.at(clock, slot_of_day[in_reference], counts[in_reference])
        # Repeated twice, so that the hours before midnight reach into the day before.
        expected = _rolling(np.vstack([clock, clock]))[_A_DAY:][slot_of_day]
        values = _psi(_rolling(counts), expected)
        psi[name] = np.where(enough, values, np.nan)[kept_from:]
    late = np.bincount(batch, weights=predictions["prediction"], minlength=len(batches))
    rolled = _rolling(np.column_stack([late, rows]))
    share = np.where(enough, rolled[:, 0] / np.maximum(rolled[:, 1], 1.0), np.nan)
    index = batches[kept_from:]
    return Monitor(
        batches=index,
        psi=pd.DataFrame(psi, index=index),
        positive_share=pd.Series(share[kept_from:], index=index),
        rows=pd.Series(rows[kept_from:], index=index),
    )


def _bins(
    values: pd.Series[Any], in_reference: NDArray[np.bool_], *, categorical: bool
) -> tuple[NDArray[np.int64], int]:
    """Return each value's bin and the number of bins: tenths or categories of the reference, and one for null."""
    if categorical:
        known = sorted(values[in_reference].dropna().unique())
        codes = pd.Categorical(values, categories=known).codes.astype("int64")
        return np.where(codes < 0, len(known), codes), len(known) + 1
    numbers = values.to_numpy(dtype="float64")
    inside = numbers[in_reference & ~np.isnan(numbers)]
    edges = np.unique(np.quantile(inside, np.linspace(0, 1, _BINS + 1)[1:-1]))
    codes = np.searchsorted(edges, numbers, side="left")
    return np.where(np.isnan(numbers), len(edges) + 1, codes), len(edges) + 2


def _rolling(counts: NDArray[np.generic]) -> NDArray[np.float64]:
    """Return the sums of each row and the 23 before it, shape as given."""
    total = np.cumsum(counts, axis=0, dtype="float64")
    total[WINDOW_BATCHES:] -= total[:-WINDOW_BATCHES].copy()
    return total


def _psi(current: NDArray[np.float64], expected: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the PSI of each row, shape (n,); half a count is added to each bin against empty ones."""
    size = current.shape[1] * _SMOOTHING
    p = (current + _SMOOTHING) / (current.sum(axis=1, keepdims=True) + size)
    q = (expected + _SMOOTHING) / (expected.sum(axis=1, keepdims=True) + size)
    return np.asarray(((p - q) * np.log(p / q)).sum(axis=1), dtype="float64")
