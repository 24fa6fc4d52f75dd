"""How far a column moved, against how far it moves anyway.

A p-value says that a movement is there; with many rows every movement is. So the effect is a
distance in [0, 1] (Kolmogorov-Smirnov for numbers, total variation for categories), and it is held
against two yardsticks: what sampling alone gives, and how far the same hours of other days lie from
one another in the reference (`natural`).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from triagebook.analysis.blocks import (
    DAY,
    HOUR,
    MIN_BLOCKS,
    hour_of,
    mean_by_hour,
    past_windows,
    row_blocks,
    same_hours,
)
from triagebook.analysis.chance import Surprise, surprises
from triagebook.analysis.channels import (
    Coded,
    as_many_by_hour,
    channels_of,
    exchangeable,
    tells_the_hour,
)
from triagebook.analysis.columns import Kind, as_numbers, numbers_of
from triagebook.analysis.distance import Coder, coarse, noise_floor, psi, share_noise
from triagebook.analysis.onset import Split, split_by_likelihood, split_by_mean
from triagebook.analysis.scatter import stretch_limit
from triagebook.analysis.stretches import SPLITS, apart

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

UNTIMED = np.empty(0, dtype=np.int64)
"""The times of rows that have none."""
_MIN_EFFECT = 0.05
"""Distances below this are no movement worth a person's time, however many rows show them."""
_MIN_SURE_EFFECT = 0.03
"""The same where the rows of the reference show no natural movement at all."""
_NO_OVERLAP = 0.9
"""From this distance on, how far apart two windows lie is read from their means."""
_PLAIN = 1.25
_LEAST_NULLS = 2.5
"""Fewer rows that lost or gained a value than three are chance, however small the table."""
_BEYOND = 1.25
"""So many times its natural movement, and a column moved beyond it."""


@dataclass(frozen=True)
class Movement:
    """One column's movement.

    Attributes
    ----------
    effect : float
        Distance of the rows after the split from the reference at the same hours, in [0, 1].
    natural : float
        How far the reference's own days explain: the larger of the 95 % quantile of the same distance
        between its blocks and the rest of it, and of their mean plus four standard deviations over
        1.25 (few blocks seldom hold the worst day).
    noise : float
        Distance that sampling alone exceeds in 1 % of cases, over all columns looked at.
    psi : float
        Population stability index on ten bins of the reference, in [0, inf).
    shift_sd : float or None
        Difference of means in standard deviations of the reference; numbers only.
    blocks : int
        How many blocks `natural` was computed from; 0 where it could not be.
    jump : float
        Step of the mean at the split, over what the same clock times of other days show (95 %);
        numbers with a split only, else 0. A distance ends at 1 and weather comes near it every
        week; a step has no such end.
    split : Split or None
        Where the movement starts; None where no moment stands out.
    """

    column: str
    kind: Kind
    effect: float
    natural: float
    noise: float
    psi: float
    shift_sd: float | None
    mean_reference: float | None
    mean_current: float | None
    null_reference: float
    null_current: float
    rows_reference: int
    rows_current: int
    blocks: int
    split: Split | None
    jump: float = 0.0
    null_natural: float = 0.0
    surprise: Surprise | None = None
    """How far beyond chance, where the rows of both windows could be exchanged; None where not."""
    timed: bool = False
    """Whether blocks are earlier days, rather than stretches of rows in whatever order they stand."""
    level: float = 0.0
    """Step of the mean over what earlier days show, for numbers that hardly overlap with the past: else 0.

    A distance ends at 1, and where weather comes near it every week nothing lies beyond.
    """
    apart: float = 0.0
    """How far its means and shares lie from those of earlier days, over what a next day may show."""

    @property
    def distance_moved(self) -> bool:
        """Whether the distance is larger than sampling gives, and large enough to matter."""
        if self.effect >= max(self.noise, _MIN_EFFECT):
            return True
        return max(self._surprise, self.apart) >= 1 and self.effect >= _MIN_SURE_EFFECT

    @property
    def _surprise(self) -> float:
        return self.surprise.others if self.surprise is not None else 0.0

    @property
    def null_gap(self) -> float:
        """How much the share of nulls rose, in [-1, 1]."""
        return self.null_current - self.null_reference

    @property
    def null_ratio(self) -> float:
        """The null share's movement over what is natural or chance for it."""
        if abs(self.null_gap) * self.rows_current < _LEAST_NULLS:
            return 0.0
        share = (self.null_current + self.null_reference) / 2
        rows = 1 / max(self.rows_current, 1) + 1 / max(self.rows_reference, 1)
        chance = 3.3 * float(np.sqrt(share * (1 - share) * rows))
        sure = self.surprise.nulls if self.surprise is not None else 0.0
        if self.timed:
            sure = min(sure, abs(self.null_gap) / max(self.null_natural, 0.008) / _BEYOND)
        return max(abs(self.null_gap) / max(self.null_natural, chance, 0.008), _BEYOND * sure)

    @property
    def moved(self) -> bool:
        """Whether the values or the share of nulls moved more than sampling gives."""
        return self.distance_moved or (abs(self.null_gap) >= 0.01 and self.null_ratio >= 1.0)

    @property
    def ratio(self) -> float:
        """Effect over the natural movement (or the noise, where no block could be compared).

        Where rows can be exchanged, or there are days to compare, the same scale by the sharper test:
        1.25 is the level of chance. However sure, it has to lie beyond what earlier days do.
        """
        by_distance = self.effect / max(self.natural, self.noise, 0.01)
        if self.effect < _MIN_SURE_EFFECT:
            return by_distance
        by_distance = max(by_distance, self.level)
        sharper = self._surprise
        if self.timed:
            sharper = min(sharper, self.effect / max(self.natural, 0.01) / _BEYOND)
        return max(by_distance, _BEYOND * max(sharper, self.apart))

    @property
    def strength(self) -> float:
        """The largest of distance, step and nulls, each over its natural size: for ordering."""
        return max(self.ratio, self.jump / 2, self.null_ratio)

    @property
    def shown(self) -> tuple[float, float]:
        """What a chart of movements shows, and its natural size: the distance, or the nulls' gap."""
        if self.null_ratio > self.ratio:
            return abs(self.null_gap), abs(self.null_gap) / max(self.null_ratio, 1e-9)
        return self.effect, max(self.natural, self.noise)

    @property
    def beyond_natural(self) -> bool:
        """Whether it moved, stepped or went null clearly farther than the reference's own days do."""
        if abs(self.null_gap) >= 0.01 and self.null_ratio >= _BEYOND:
            return True
        return self.distance_moved and (self.ratio >= _BEYOND or self.jump >= 2.5)


def movement(
    column: str,
    kind: Kind,
    reference: pd.Series,
    current: pd.Series,
    *,
    reference_times: np.ndarray = UNTIMED,
    current_times: np.ndarray = UNTIMED,
    columns: int = 1,
    coded: Coded | None = None,
    surprise: Surprise | None = None,
) -> Movement:
    """Measure one column's movement.

    Parameters
    ----------
    reference, current : Series, shape (n_ref,), (n_cur,)
        The column's rows in time order; nulls allowed.
    reference_times, current_times : int64 arrays of nanoseconds since 1970, shape (n_ref,), (n_cur,)
        The rows' times, or empty. Without them blocks are consecutive rows and there is no split.
    columns : int
        How many columns are looked at together; shares out the probability of a false alarm.
    coded : Coded or None
        The column's bins, where they are known already.
    surprise : Surprise or None
        What a test of the whole table said of it.

    Returns
    -------
    Movement
    """
    coded = coded or Coded.of(kind, reference, current)
    coder, ref_codes, cur_codes = coded.coder, coded.reference, coded.current
    timed = len(reference_times) > 0 and len(current_times) > 20
    split = None
    if timed:
        split = _find_split(coder, ref_codes, reference_times, cur_codes, current_times)
    after = cur_codes[split.index :] if split is not None else cur_codes
    if timed:
        start = current_times[split.index] if split is not None else current_times[0]
        blocks = same_hours(reference_times, int(start), int(current_times[-1]))
    else:
        blocks = row_blocks(len(ref_codes), len(after))
    matched = np.concatenate(blocks) if len(blocks) >= MIN_BLOCKS and timed else None
    base = ref_codes[matched] if matched is not None else ref_codes
    base_counts, after_counts = coder.counts(base), coder.counts(after)
    clock = timed and kind == "number" and tells_the_hour(coder, ref_codes, reference_times)
    if clock:
        # A clock's reading moves with how many rows come when: what is left at each hour is its own.
        late = current_times[split.index :] if split is not None else current_times
        came = reference_times[matched] if matched is not None else reference_times
        base_counts = as_many_by_hour(base, hour_of(came), hour_of(late), coder.bins)
    effect = coder.distance(base_counts, after_counts)
    natural, null_natural = _natural(coder, ref_codes, blocks)
    level = 0.0
    if timed:
        # A sensor may be silent for an hour once in a month, at no hour that windows begin with.
        most = stretch_limit(ref_codes < 0, len(after), len(after))
        null_natural = max(null_natural, (most - _share(base < 0)) / _BEYOND)
    rows = int((after >= 0).sum())
    rows_reference = int((base >= 0).sum())
    numbers = kind == "number"
    base_values = late_values = np.empty(0)
    if numbers:
        base_values = as_numbers(reference.iloc[matched] if matched is not None else reference)
        late_values = as_numbers(current.iloc[split.index :] if split is not None else current)
    spread = float(np.std(base_values)) if len(base_values) else 0.0
    means = (
        float(np.mean(base_values)) if len(base_values) else None,
        float(np.mean(late_values)) if len(late_values) else None,
    )
    shift = (
        (means[1] - means[0]) / spread
        if means[0] is not None and means[1] is not None and spread > 0
        else None
    )
    if effect >= _NO_OVERLAP and means[1] is not None:
        level = _level(numbers_of(reference), blocks, means[1])
    return Movement(
        column=column,
        kind=kind,
        effect=effect,
        natural=natural,
        noise=noise_floor(rows_reference, rows, columns)
        if kind == "number"
        else share_noise(base_counts, rows, columns),
        psi=psi(*coarse(coder, base_counts, after_counts)),
        shift_sd=shift,
        mean_reference=means[0],
        mean_current=means[1],
        null_reference=_share(base < 0),
        null_current=_share(after < 0),
        rows_reference=len(base),
        rows_current=len(after),
        blocks=len(blocks),
        split=split,
        jump=step_ratio(reference, reference_times, current, current_times, split)
        if split is not None and numbers
        else 0.0,
        null_natural=null_natural,
        level=level,
        surprise=surprise,
        timed=timed,
        apart=apart(
            exchangeable(coded)[1:],
            ref_codes,
            after,
            blocks,
            columns * (SPLITS if split is not None else 1),
        )
        if timed and not clock
        else 0.0,
    )


def table_movements(
    kinds: Sequence[tuple[str, Kind]],
    reference: pd.DataFrame,
    current: pd.DataFrame,
    *,
    reference_times: np.ndarray = UNTIMED,
    current_times: np.ndarray = UNTIMED,
    columns: int = 1,
    tables: int = 1,
) -> list[Movement]:
    """Measure the movement of a table's columns, with one test for all where rows can be exchanged.

    Parameters
    ----------
    kinds : (name, kind) of each column to measure
    reference, current : DataFrame
        Rows in time order.
    reference_times, current_times : int64 arrays of nanoseconds since 1970, or empty
    columns, tables : int
        How many columns and tables are looked at together, in all.
    """
    coded = [Coded.of(kind, reference[name], current[name]) for name, kind in kinds]
    timed = len(reference_times) > 0 and len(current_times) > 20
    if timed:
        start, end = int(current_times[0]), int(current_times[-1])
        blocks = same_hours(reference_times, start, end)
        rows = np.concatenate(blocks) if len(blocks) >= MIN_BLOCKS else None
        if rows is None and end - start < DAY:
            hours = np.unique(hour_of(current_times))
            rows = np.flatnonzero(np.isin(hour_of(reference_times), hours))
    else:
        blocks = row_blocks(len(reference), len(current))
        rows = None
    kept = np.arange(len(reference)) if rows is None else rows
    if len(blocks) < MIN_BLOCKS:
        blocks = row_blocks(len(kept), len(kept))
    elif rows is not None:
        cuts = np.cumsum([0, *(len(block) for block in blocks)])
        blocks = [np.arange(low, high) for low, high in pairwise(cuts)]
    found = surprises(
        [exchangeable(one) for one in coded],
        # A number that moved by a quarter of its spread is plain; shares that moved by a twentieth are not.
        [_PLAIN if one.coder.kind == "number" else 1.0 for one in coded],
        [one.reference[kept] for one in coded],
        [one.current for one in coded],
        blocks,
        tables,
    )
    return [
        movement(
            name,
            kind,
            reference[name],
            current[name],
            reference_times=reference_times,
            current_times=current_times,
            columns=columns,
            coded=one,
            surprise=surprise,
        )
        for (name, kind), one, surprise in zip(kinds, coded, found, strict=True)
    ]


def step_ratio(
    reference: pd.Series,
    ref_times: np.ndarray,
    current: pd.Series,
    cur_times: np.ndarray,
    split: Split,
) -> float:
    """Measure the step of the mean at the split against the same clock times of other days.

    Parameters
    ----------
    reference, current : Series of numbers, shape (n_ref,), (n_cur,), in time order
    ref_times, cur_times : int64 arrays of nanoseconds since 1970
    split : Split

    Returns
    -------
    float
        Step over up to six hours on either side, less the usual one, over the 95 % quantile of that
        on other days; 0 where fewer than seven other days can be compared.
    """
    at = int(cur_times[split.index])
    reach = min(6 * HOUR, int(cur_times[-1]) - at + 1, at - int(cur_times[0]))
    values = numbers_of(current)
    past = numbers_of(reference)
    past = np.where(np.isfinite(past), past, np.nan)

    def step(when: int, numbers: np.ndarray, times: np.ndarray) -> float:
        low, mid, high = np.searchsorted(times, [when - reach, when, when + reach])
        before, after = numbers[low:mid], numbers[mid:high]
        before, after = before[np.isfinite(before)], after[np.isfinite(after)]
        return float(after.mean() - before.mean()) if min(len(before), len(after)) >= 5 else np.nan

    now = step(at, values, cur_times)
    days = range(1, int((at - int(ref_times[0])) // DAY) + 1) if len(ref_times) else ()
    usual = np.array([step(at - day * DAY, past, ref_times) for day in list(days)[:56]])
    usual = usual[np.isfinite(usual)]
    if not np.isfinite(now) or len(usual) < 7:
        return 0.0
    middle = float(np.median(usual))
    natural = max(float(np.quantile(np.abs(usual - middle), 0.95)), 1e-3 * float(np.nanstd(past)))
    return abs(now - middle) / natural if natural > 0 else 0.0


def _natural(coder: Coder, codes: np.ndarray, blocks: Sequence[np.ndarray]) -> tuple[float, float]:
    """How far the reference's own blocks lie from the rest of it: distance, and share of nulls."""
    if len(blocks) < MIN_BLOCKS:
        return 0.0, 0.0
    counts = np.array([coder.counts(codes[block]) for block in blocks])
    total = counts.sum(axis=0)
    gaps = np.array([coder.distance(total - own, own) for own in counts])
    nulls = np.array([_share(codes[block] < 0) for block in blocks])
    return _worst(gaps), _worst(np.abs(nulls - nulls.mean()))


def _level(values: np.ndarray, blocks: Sequence[np.ndarray], now: float) -> float:
    """Return how far a mean lies from that of earlier days, over how far theirs do; 0 with few days.

    Parameters
    ----------
    values : float array, shape (n_ref,), nan where it is none
    now : float
        Mean of the current rows.
    """
    if len(blocks) < MIN_BLOCKS:
        return 0.0
    by_block = np.array([np.nanmean(values[b]) for b in blocks if np.isfinite(values[b]).any()])
    if len(by_block) < MIN_BLOCKS:
        return 0.0
    centre = float(by_block.mean())
    return abs(now - centre) / max(_worst(np.abs(by_block - centre)), 1e-12)


def _worst(gaps: np.ndarray) -> float:
    spread = float(gaps.mean()) + (4 + 8 / len(gaps)) * float(gaps.std())
    return max(float(np.quantile(gaps, 0.95)), spread / 1.25)


def _share(mask: np.ndarray) -> float:
    return float(mask.mean()) if len(mask) else 0.0


def _find_split(
    coder: Coder,
    ref_codes: np.ndarray,
    ref_times: np.ndarray,
    cur_codes: np.ndarray,
    cur_times: np.ndarray,
) -> Split | None:
    """Find where the column changes within the current window, if it changes more than it does anyway."""
    best: tuple[float, int] | None = None
    windows = past_windows(ref_times, int(cur_times[0]), int(cur_times[-1]))
    ref_hours, cur_hours = hour_of(ref_times), hour_of(cur_times)
    for channel in channels_of(coder, ref_codes):
        expected = channel[np.maximum(ref_codes, -1)]
        hours = mean_by_hour(expected, ref_hours)
        centred = channel[cur_codes] - hours[cur_hours]
        spread = max(float((expected - hours[ref_hours]).std()), 0.02)
        found = split_by_mean(centred, spread, margin=max(10, len(centred) // 50))
        if found is None:
            continue
        index, strength = found
        past = []
        for window in windows:
            values = channel[ref_codes[window]] - hours[ref_hours[window]]
            there = split_by_mean(values, spread)
            if there is not None:
                past.append(there[1] * np.sqrt(len(centred) / len(values)))
        usual = max(float(np.quantile(past, 0.95)) if past else 0.0, 2.0)
        score = strength / usual
        if score > 1.5 and (best is None or score > best[0]):
            best = score, index
    if best is None:
        return None
    return split_by_likelihood(ref_codes, cur_codes, cur_times, best[1], coder.bins)
