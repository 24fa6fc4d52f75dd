"""When a play takes place, and how finely it is sampled: long enough for its faults, small enough to keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from triagebook.drills.worlds.served.clock import DAY_S, HOUR_S, Clock, make_clock

if TYPE_CHECKING:
    from triagebook.drills.scenario import Scenario
    from triagebook.drills.worlds.served.naming import Style
    from triagebook.drills.worlds.served.plant import Plant

MOST_SAMPLES = 185_000
_EPOCH = 1_704_672_000  # Monday, 2024-01-08
_LONGEST_H = 12.0


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
    length = int(rng.choice([3, 5, 7] if days else [1, 2, 3, 5, 7]))
    length = 7 if weeks or max(onsets, default=0) > _LONGEST_H else length
    points = MOST_SAMPLES / _series(plant, style)
    even = style.convention == "cloudwatch" or rng.random() < 0.3
    steps = [s for s in (15, 30, 60, 120, 300) if current_h * HOUR_S / s <= 0.55 * points]
    step = float(steps[0] if steps else 300)
    if even:
        both = [s for s in (60, 120, 300) if (current_h + 24 * length) * HOUR_S / s <= points]
        if both:
            step = past = float(both[0])
        else:
            even = False
    if not even:
        # One sample of a metric in so many seconds is what a query over a long range returns.
        left = points - current_h * HOUR_S / step
        past = float(
            next(
                (
                    s
                    for s in (60, 120, 300, 600, 900, 1800)
                    if s >= step and 24 * length * HOUR_S / s <= left
                ),
                1800,
            )
        )
    week = int(rng.integers(0, 110))
    day = 5 if weekend else int(rng.integers(0, 5))
    # Most incidents come when most people are there.
    hour = plant.peak_h + float(rng.uniform(-1.5, 4.0))
    end = _EPOCH + (week * 7 + day) * DAY_S + (hour % 24) * HOUR_S
    grid = max(past, step)
    return make_clock(float(np.round(end / grid) * grid), 24.0 * length, past, current_h, step)


def _series(plant: Plant, style: Style) -> float:
    """Return about how many series there will be."""
    others = sum(len(u.pods) for r, u in plant.units.items() if r != "api")
    count = 130 + 8.0 * others + 15 * plant.pods + 14 * len(plant.hosts)
    if style.shape == "histogram":
        count += 36
    return count
