"""When samples were taken, and the shapes that live on that grid: days, weeks, noise, ramps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter

from triagebook.core.models import Windows

Array: TypeAlias = npt.NDArray[np.float64]
"""Floats; the last axis is time."""

HOUR_S = 3600.0
DAY_S = 86_400.0


@dataclass(frozen=True)
class Clock:
    """The grid: the reference at one step, the current window at another, as long ranges are pulled.

    Attributes
    ----------
    at : ndarray of float, shape (T,)
        Unix seconds.
    step : ndarray of float, shape (T,)
        Seconds since the sample before.
    start, split, end : float
        Unix seconds: of the reference, of the current window, and of its end.
    """

    at: Array
    step: Array
    start: float
    split: float
    end: float
    step_s: float

    @property
    def size(self) -> int:
        """Samples of one series."""
        return len(self.at)

    @property
    def reference(self) -> npt.NDArray[np.bool_]:
        """Which samples are of the reference."""
        return self.at < self.split

    def windows(self) -> Windows:
        """Return the two windows."""
        return Windows(
            reference=(moment(self.start), moment(self.split)),
            current=(moment(self.split), moment(self.end)),
        )

    def ones(self, *rows: int) -> Array:
        """Return ones, shape (*rows, T)."""
        return np.ones((*rows, self.size))

    def zeros(self, *rows: int) -> Array:
        """Return zeros, shape (*rows, T)."""
        return np.zeros((*rows, self.size))

    def ramp(self, onset: float, ramp_s: float = 0.0, until: float = np.inf) -> Array:
        """Return 0 before the onset, 1 from its ramp's end on, and 0 again from `until`; shape (T,)."""
        rise = (
            (self.at >= onset).astype(np.float64)
            if ramp_s <= 0
            else np.clip((self.at - onset) / ramp_s, 0.0, 1.0)
        )
        return np.where(self.at < until, rise, 0.0)

    def index(self, when: float) -> int:
        """Return the first sample at or after a moment; the last where there is none."""
        return min(int(np.searchsorted(self.at, when)), self.size - 1)


def moment(unix_s: float) -> datetime:
    """Turn Unix seconds into a UTC time of whole milliseconds."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=round(unix_s * 1000))


def make_clock(end: float, reference_h: float, reference_step_s: float, current_h: float, step_s: float) -> Clock:  # fmt: skip
    """Lay a grid that ends at a moment.

    Parameters
    ----------
    end : float
        Unix seconds, a multiple of both steps.
    reference_h, current_h : float
        Lengths in hours.
    reference_step_s, step_s : float
        Seconds between samples in the two windows.
    """
    split = end - round(current_h * HOUR_S / step_s) * step_s
    start = split - round(reference_h * HOUR_S / reference_step_s) * reference_step_s
    past = np.arange(start, split - 1e-6, reference_step_s)
    now = np.arange(split, end - 1e-6, step_s)
    at = np.concatenate([past, now])
    step = np.concatenate([np.full(len(past), reference_step_s), np.full(len(now), step_s)])
    return Clock(at=at, step=step, start=start, split=split, end=end, step_s=step_s)


def noise(rng: np.random.Generator, clock: Clock, rows: int, sigma: float, memory_s: float = 900.0) -> Array:  # fmt: skip
    """Return autocorrelated noise of mean 0, shape (rows, T).

    Parameters
    ----------
    sigma : float
        Standard deviation.
    memory_s : float
        Seconds after which the correlation is 1/e.
    """
    out = np.empty((rows, clock.size))
    last = rng.normal(size=(rows, 1))
    for part in (clock.reference, ~clock.reference):
        if not part.any():
            continue
        phi = float(np.exp(-clock.step[part][0] / memory_s))
        white = rng.normal(size=(rows, int(part.sum()))) * np.sqrt(1 - phi**2)
        filtered, _ = lfilter([1.0], [1.0, -phi], white, axis=-1, zi=phi * last)
        out[:, part] = filtered
        last = filtered[:, -1:]
    return out * sigma


def day_shape(clock: Clock, peak_h: float, depth: float, weekend: float) -> Array:
    """Return the daily and weekly shape of load, mean about 1, shape (T,).

    Parameters
    ----------
    peak_h : float
        Hour of the day, UTC, of the peak.
    depth : float
        0 is flat, 0.9 nearly nothing at night.
    weekend : float
        Factor of Saturday and Sunday.
    """
    hour = clock.at / HOUR_S % 24
    angle = 2 * np.pi * (hour - peak_h) / 24
    daily = 1 + depth * (0.8 * np.cos(angle) + 0.2 * np.cos(2 * angle))
    # 1970-01-01 was a Thursday; the edges of the weekend are soft, as people are.
    day = (clock.at / DAY_S + 3) % 7
    off = 1 / (1 + np.exp(-(day - 5) * 24)) - 1 / (1 + np.exp(-(day - 7) * 24)) + 1 / (1 + np.exp(day * 24))  # fmt: skip
    return np.asarray(daily * (1 + (weekend - 1) * off), dtype=np.float64)
