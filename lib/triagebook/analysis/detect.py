"""Which rows of a metric are out of the ordinary, judged from the rows before them alone.

One threshold serves every series: a row's excess over what was expected is measured in units of the
tail of the series' own earlier excesses. A series full of bursts has a long tail and needs a larger
burst; a quiet one is struck by little.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from triagebook.analysis.expected import WARM_UP, Expectation, Rhythm, expectation, repeated
from triagebook.analysis.silence import silent, stuck

Kind = Literal["above", "below", "silent", "stuck"]

# In lengths of the tail, beyond it. Between 1.6 and 2 the series it was developed on score alike.
THRESHOLD = 1.8

# The tail's start and its length: from the 24th to the 12th largest excess of the memory, that is the
# excess that doubles in rarity. Fewer would be one event's rows, more the bulk of the noise.
_TAIL_FAR, _TAIL_NEAR = 12, 24
# The tail counts for no shorter than a fifth of the level, or half the usual span where a series moves
# within less than that: in few rows a tail may look short by chance.
_FLOOR_OF_LEVEL, _FLOOR_OF_SPAN = 0.2, 0.5
# A series that mostly sits at its expectation has no tail in its many zeros: there the usual size of
# its excesses, threefold.
_SPARSE = 3.0
# Rows are judged one by one and as the mean of the last half hour: a small shift hides in the noise of
# single rows.
_MEAN_S = 1_800
# No score is larger: the scale of a series that hardly ever moved is no measure.
_MOST = 1e6
# One event, one detection: nothing more for three hours, but at least 2 rows and at most 60.
_REFRACTORY_S = 3 * 3_600
_REFRACTORY_ROWS = (2, 60)
# And for half a day, in the same direction, only what surprises more than what was told.
_REPEAT_S = 12 * 3_600


@dataclass(frozen=True)
class Detection:
    """A row out of the ordinary.

    Attributes
    ----------
    row : int
    time : int
        Nanoseconds since 1970.
    kind : str
        "above" or "below" what was expected (spikes, drops, steps, bursts), "silent" (bursts stay
        away), "stuck" (the value does not change any more).
    score : float
        In units of the tail, at least the threshold; 0 for silent and stuck, which have no such size.
    value, low, high : float
        What was seen, and the range in which it was expected; the series' unit. Where the mean of
        the last half hour is more out of the ordinary than the row, these are the mean's.
    """

    row: int
    time: int
    kind: Kind
    score: float
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Surprise:
    """How far each row lies out of what was expected.

    Attributes
    ----------
    score : float array, shape (n,)
        In units of the tail, negative below the expected range; 0 while warming up and at rows
        without a value.
    value, low, high : float arrays, shape (n,)
        What was judged, the row's value or the mean of the last half hour, whichever is more out of
        the ordinary, and the range in which it was expected; NaN where there is none.
    """

    score: np.ndarray
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


def surprise(times: np.ndarray, values: np.ndarray) -> Surprise:
    """Score each row of a series from the rows before it; rows added later change no score.

    Parameters
    ----------
    times : int64 array, shape (n,), nanoseconds
        In the order in which the rows came. A clock that is set back counts as standing still.
    values : float array, shape (n,)
        Rows that are not finite are passed over.

    Raises
    ------
    ValueError
        Where the two differ in length.

    References
    ----------
    Siffer et al. (2017), Anomaly detection in streams with extreme value theory: a threshold placed
    beyond the tail that was seen. Here the tail is two order statistics, not a fit.
    """
    return _judge(times, values)[0]


def detect(times: np.ndarray, values: np.ndarray, threshold: float = THRESHOLD) -> list[Detection]:
    """List what is out of the ordinary in a series, each row judged from those before it alone.

    Parameters
    ----------
    times : int64 array, shape (n,), nanoseconds
    values : float array, shape (n,)
        As for `surprise`. To judge the newest rows, two weeks before them are enough.
    threshold : float
        In lengths of the tail, > 0.

    Returns
    -------
    list of Detection
        In time order. One event gives one, or a few at least three hours apart, each more out of the
        ordinary than the last. None for a series of fewer than 20 rows, or one that never changes.
    """
    found, expected, rhythm, rows = _judge(times, values)
    known = np.asarray(values, dtype=float)[rows]
    kinds: dict[int, Kind] = {int(rows[i]): "stuck" for i in stuck(known)}
    kinds |= {int(rows[i]): "silent" for i in silent(known, expected, rhythm)}
    for row in np.flatnonzero(np.abs(found.score) >= threshold).tolist():
        kinds[row] = "above" if found.score[row] > 0 else "below"
    least, most = _REFRACTORY_ROWS
    pause = int(np.clip(_REFRACTORY_S / rhythm.step_s, least, most))
    again = max(pause, round(_REPEAT_S / rhythm.step_s))
    out: list[Detection] = []
    for row in sorted(kinds):
        if out and row - out[-1].row <= pause:
            continue
        size = abs(float(found.score[row]))
        if any(
            one.kind == kinds[row] and row - one.row <= again and size < one.score for one in out
        ):
            continue
        sized = kinds[row] in {"above", "below"}
        out.append(
            Detection(
                row=row,
                time=int(times[row]),
                kind=kinds[row],
                score=size if sized else 0.0,
                value=float(found.value[row]),
                low=float(found.low[row]),
                high=float(found.high[row]),
            )
        )
    return out


def _judge(
    times: np.ndarray, values: np.ndarray
) -> tuple[Surprise, Expectation, Rhythm, np.ndarray]:
    times, values = np.asarray(times, dtype=np.int64), np.asarray(values, dtype=float)
    if times.shape != values.shape:
        raise ValueError(f"{len(times)} times for {len(values)} values: one of each was expected")
    rows = np.flatnonzero(np.isfinite(values))
    known, seen = np.maximum.accumulate(times)[rows] if len(times) else times, values[rows]
    rhythm = Rhythm.of(known)
    expected = expectation(known, seen, rhythm)
    score, value = _score(known, seen, expected, rhythm), seen
    low, high = expected.low, expected.high
    lag = round(_MEAN_S / rhythm.step_s)
    if lag > 1:
        mean = pd.Series(seen).rolling(lag, min_periods=1).mean().to_numpy()
        broad = expectation(known, mean, rhythm, lag)
        other = _score(known, mean, broad, rhythm)
        other[: WARM_UP * lag] = 0.0
        more = np.abs(other) > np.abs(score)
        score, value = np.where(more, other, score), np.where(more, mean, value)
        low, high = np.where(more, broad.low, low), np.where(more, broad.high, high)
    out = {"score": np.zeros(len(values))}
    for name, part in (("score", score), ("value", value), ("low", low), ("high", high)):
        out.setdefault(name, np.full(len(values), np.nan))[rows] = part
    return Surprise(**out), expected, rhythm, rows


def _score(
    times: np.ndarray, values: np.ndarray, expected: Expectation, rhythm: Rhythm
) -> np.ndarray:
    """Signed excess over the expected range beyond the tail, in lengths of the tail; shape (n,)."""
    floor = np.fmin(_FLOOR_OF_LEVEL * np.abs(expected.usual), _FLOOR_OF_SPAN * expected.span)
    score = np.zeros(len(values))
    for sign, beyond in ((1.0, values - expected.high), (-1.0, expected.low - values)):
        excess = np.maximum(np.nan_to_num(beyond), 0.0)
        past = pd.Series(excess).shift(1).rolling(rhythm.memory, min_periods=WARM_UP)
        near = past.quantile(1 - _TAIL_NEAR / rhythm.memory).to_numpy()
        far = past.quantile(1 - _TAIL_FAR / rhythm.memory).to_numpy()
        # A series that never moved has no length to measure by: its first step is news of any size.
        length = np.fmax(np.fmax(far - near, floor), excess / _MOST)
        nonzero = pd.Series(np.where(excess > 0, excess, np.nan)).shift(1)
        typical = nonzero.rolling(rhythm.memory, min_periods=1).median().to_numpy()
        # Each is something this series does without anything being wrong.
        ordinary = np.fmax(np.fmax(far, _SPARSE * typical), repeated(times, excess, rhythm))
        beyond_tail = np.divide(
            excess - ordinary, length, out=np.zeros(len(values)), where=(excess > 0) & (far >= 0)
        )
        score = np.where(beyond_tail > np.abs(score), sign * beyond_tail, score)
    score[:WARM_UP] = 0.0
    return score
