"""When a play takes place, and how finely it is sampled: long enough for its faults, small enough to keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from triagebook.drills.worlds.served.clock import DAY_S, HOUR_S, Clock, make_clock

if TYPE_CHECKING:
    from triagebook.drills.scenario import Scenario
    from triagebook.drills.worlds.served.naming import Style
    from triagebook.drills.worlds.served.plant import Plant

MOST_SAMPLES = 185_000  # aimed at; a few more come of scale-ups and new model versions
_EPOCH = 1_704_672_000  # Monday, 2024-01-08
_LONGEST_H = 12.0
_COARSE_S = 900.0
_ALL_ALIKE = 1.1  # samples more, where nothing is scraped less often than the rest


def choose_clock(rng: np.random.Generator, plant: Plant, style: Style, scenario: Scenario, *,
                 weeks: bool, days: bool, weekend: bool) -> Clock:  # fmt: skip
    """Choose the windows and steps.

    Parameters
    ----------
    weeks : bool
        Whether the reference has to hold the same hour a week before.
    days : bool
        Whether it has to hold some days before.
    weekend : bool
        Whether it ends on a Saturday; else on a working day.
    """
    onsets = [f.onset_h for f in scenario.fault] + [h.onset_h for h in scenario.herring]
    inside = [h for h in onsets if h <= _LONGEST_H]
    longest = max(inside, default=3.0)
    current_h = min(max(longest * float(rng.uniform(1.3, 1.8)), 1.0), _LONGEST_H)
    if any(h > _LONGEST_H for h in onsets):
        current_h = _LONGEST_H
    points = MOST_SAMPLES / _series(plant, style)
    long = weeks or max(onsets, default=0) > _LONGEST_H
    lengths = (7,) if long else (3, 5) if days else (1, 2, 3)
    step = float(
        next((s for s in (15, 30, 60, 120, 300) if current_h * HOUR_S / s <= 0.6 * points), 300)
    )
    left = points - current_h * HOUR_S / step
    # One sample of a metric in so many seconds is what a query over a long range returns.
    pairs = [
        (length, float(past))
        for length in lengths
        for past in (60, 120, 300, 600, 900, 1200, 1800)
        if past >= step and 24 * length * HOUR_S / past <= left
    ]
    usual = [pair for pair in pairs if pair[1] <= _COARSE_S] or pairs or [(lengths[0], 1800.0)]
    length, past = usual[int(rng.integers(len(usual)))]
    if style.convention == "cloudwatch" or rng.random() < 0.5:
        # Sums over a period can only be compared where the period stays the same.
        most = points / _ALL_ALIKE
        alike = [
            (span, float(s))
            for span in lengths
            for s in (30, 60, 120, 300)
            if (current_h + 24 * span) * HOUR_S / s <= most
        ]
        if alike:
            length, step = alike[int(rng.integers(len(alike)))]
            past = step
        elif style.convention == "cloudwatch":
            length, step, past = lengths[0], 600.0, 600.0
    week = int(rng.integers(0, 110))
    # A working day is compared with working days: a Monday after a Sunday looks like growth to anyone.
    soonest = min(length + 1, 4) if length < 5 else 0
    day = 5 if weekend else int(rng.integers(soonest, 5))
    # Most incidents come when most people are there, and some at any hour.
    hour = plant.peak_h + float(
        rng.uniform(-1.5, 4.0) if rng.random() < 0.6 else rng.uniform(0, 24)
    )
    end = _EPOCH + (week * 7 + day) * DAY_S + (hour % 24) * HOUR_S
    grid = max(past, step)
    return make_clock(float(np.round(end / grid) * grid), 24.0 * length, past, current_h, step)


def _series(plant: Plant, style: Style) -> float:
    """Return about how many series there will be, those scraped seldom counted less."""
    others = sum(len(u.pods) for r, u in plant.units.items() if r != "api")
    cards = sum(1 for host in plant.hosts if host.gpu_bytes)
    shown = sum(style.shows(key) for key in ("inflight", "started", "load1", "swap"))
    jobs = sum(9 * style.shows(key) for key in ("task_duration", "task_failures", "task_rows"))
    count = 50 + 6.0 * others + 11.5 * plant.pods + 9.5 * len(plant.hosts) + 5 * cards
    count += shown * 0.5 * (plant.pods + len(plant.hosts)) + 0.4 * jobs
    if style.shape == "histogram":
        count += 36
    return count
