"""When it plays: windows, batches, onset, and how strong a fault is at a moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from triagebook.drills.scenario import Fault

HOUR = pd.Timedelta(hours=1)
DAY = pd.Timedelta(days=1)


def lasting(seconds: float) -> pd.Timedelta:
    """Return a length of whole milliseconds: floats of seconds would leave stray nanoseconds."""
    return pd.Timedelta(milliseconds=round(1000 * float(seconds)))


@dataclass(frozen=True)
class Setting:
    """The clock of a play; all times UTC.

    Attributes
    ----------
    start, split, now : Timestamp
        The reference is [start, split), the current window [split, now).
    batch : Timedelta
        One run of the main pipeline serves so much time, from midnight on.
    offset : Timedelta
        Local time minus UTC.
    label_delay_h : float
        Median hours from a row to its label.
    label_every : Timedelta
        Labels are collected so often.
    """

    start: pd.Timestamp
    split: pd.Timestamp
    now: pd.Timestamp
    batch: pd.Timedelta
    offset: pd.Timedelta
    label_delay_h: float
    label_every: pd.Timedelta

    def at(self, onset_h: float) -> pd.Timestamp:
        """Return the batch boundary at or before so many hours before the end."""
        return (self.now - lasting(3600 * onset_h)).floor(self.batch)

    def done(self, ts: pd.Series[Any]) -> pd.Series[Any]:
        """Return when the batch that serves each row is due: the end of the batch it falls in."""
        due: pd.Series[Any] = ts.dt.floor(self.batch) + self.batch
        return due

    def strength(self, fault: Fault, ts: pd.Series[Any]) -> NDArray[np.float64]:
        """Return how much of a fault is there at each time: 0 before the onset, 1 after the ramp."""
        since_h = ((ts - self.at(fault.onset_h)) / HOUR).to_numpy(dtype="float64")
        if fault.ramp_h <= 0:
            return np.where(since_h >= 0, 1.0, 0.0)
        return np.clip(since_h / fault.ramp_h, 0.0, 1.0)

    def hit(self, fault: Fault, ts: pd.Series[Any], rng: np.random.Generator) -> NDArray[np.bool_]:
        """Draw the rows a fault touches: its share of them, growing along its ramp."""
        return rng.random(len(ts)) < fault.share * self.strength(fault, ts)


def reach_h(fault: Fault) -> float:
    """Return how many hours before the end a fault may begin; what is loaded daily, up to a day more."""
    daily = fault.target in ("side", "fan") or (
        not fault.target
        and fault.cause in ("data.stale", "data.join_broken", "pipeline.input_missing")
    )
    return min(fault.onset_h + 24, 70.0) if daily else fault.onset_h


def draw_setting(
    rng: np.random.Generator,
    *,
    onset_h: float,
    quick_labels: bool,
    weekday: int | None = None,
    day_of_month: int | None = None,
    reference_days: int = 28,
    end: pd.Timestamp | None = None,
) -> Setting:
    """Draw a setting.

    Parameters
    ----------
    rng : Generator
    onset_h : float
        The earliest onset, hours before the end; the current window reaches a little before it.
    quick_labels : bool
        Labels arrive within hours, so that the current window can show what they say.
    weekday, day_of_month : int or None
        The window ends on such a day, where one is asked for (0 is Monday).
    reference_days : int
    end : Timestamp or None
        The window's end, where the world has only some.
    """
    batch = pd.Timedelta(minutes=int(rng.choice([30, 60, 60, 120])))
    day = pd.Timestamp("2024-02-01", tz="UTC") + DAY * int(rng.integers(0, 860))
    if weekday is not None:
        day += DAY * ((weekday - day.weekday()) % 7)
    if day_of_month is not None:
        day = day.replace(day=day_of_month)
    now = (day + lasting(3600 * rng.uniform(8, 23)) if end is None else end).floor(batch)
    hours = float(np.clip(onset_h * rng.uniform(1.25, 1.8), 24, 72))
    split = (now - lasting(3600 * max(hours, min(onset_h + 2, 72)))).floor(batch)
    return Setting(
        start=split - DAY * reference_days,
        split=split,
        now=now,
        batch=batch,
        offset=HOUR * int(rng.choice([-8, -6, -5, -3, 1, 2, 3, 8, 9])),
        label_delay_h=float(rng.choice([3.0, 5.0, 8.0] if quick_labels else [18.0, 40.0, 96.0])),
        label_every=HOUR * int(rng.choice([1, 2]) if quick_labels else rng.choice([2, 6, 24])),
    )


def arrivals(
    setting: Setting, a_day: float, rng: np.random.Generator, busier: pd.Series[float] | None = None
) -> pd.Series[Any]:
    """Draw the times of rows: a working day's shape, quiet weekends, days that differ, Poisson.

    Parameters
    ----------
    setting : Setting
    a_day : float
        Rows of a mean day.
    rng : Generator
    busier : Series, optional
        A factor for hours by their UTC start, where traffic differs.
    """
    hours = pd.date_range(setting.start.floor("h"), setting.now, freq="h", inclusive="left")
    local = hours + setting.offset
    peak, width = rng.uniform(11, 16), rng.uniform(3.0, 5.5)
    away = (local.hour.to_numpy() - peak + 12) % 24 - 12
    shape = 0.18 + np.exp(-0.5 * (away / width) ** 2)
    week = np.where(local.weekday < 5, 1.0, rng.uniform(0.45, 0.95))
    days = pd.Index(local.normalize())
    by_day = dict(zip(days.unique(), rng.lognormal(0, 0.08, days.nunique()), strict=True))
    rate = shape * week * np.array([by_day[day] for day in days])
    rate *= a_day / 24 / rate.mean()
    if busier is not None:
        rate = rate * busier.reindex(hours).fillna(1.0).to_numpy()
    counts = rng.poisson(rate * rng.gamma(60, 1 / 60, len(hours)))
    base = np.repeat(hours.as_unit("us").asi8, counts)
    micros = np.sort(base + rng.integers(0, 3_600_000_000, len(base)))
    found = pd.Series(pd.to_datetime(micros, unit="us", utc=True))
    kept = found.between(setting.start, setting.now, inclusive="left")
    return found[kept].reset_index(drop=True)
