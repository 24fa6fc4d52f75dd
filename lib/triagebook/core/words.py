"""Numbers and times in words that people read at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triagebook.core.times import short

if TYPE_CHECKING:
    from datetime import datetime


def number(value: float) -> str:
    """Write a number with about three figures: 1,041 or 0.0123."""
    size = abs(value)
    if size >= 1_000:
        return f"{value:,.0f}"
    if size >= 100:
        return f"{value:.0f}"
    if size >= 1:
        return f"{value:.3g}"
    return f"{value:.2g}" if size else "0"


def count(value: float) -> str:
    """Write a whole number with separators."""
    return f"{round(value):,}"


def several_of(value: float, thing: str, things: str | None = None) -> str:
    """Write how many of something: `1 change`, `1,204 changes`."""
    many = things or f"{thing}s"
    return f"{count(value)} {thing if round(value) == 1 else many}"


def share(value: float) -> str:
    """Write a share in [0, 1] as per cent, with a decimal below ten per cent."""
    percent = 100 * value
    if percent and abs(percent) < 0.1:
        return "under 0.1 %"
    return f"{percent:.1f} %" if abs(percent) < 10 and percent else f"{percent:.0f} %"


_DECIMAL = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def amount(value: float, unit: str | None) -> str:
    """Write a quantity with its unit: bytes as `1.61 GB`, seconds below a minute as they are.

    Parameters
    ----------
    unit : str or None
        As the source names it. Only `bytes` and `bytes/s` are scaled, by powers of 1,000; a `share` is
        written as per cent.
    """
    unit = unit or ""
    if unit == "share":
        return share(value)
    if unit not in ("bytes", "bytes/s"):
        return f"{number(value)} {unit}".strip()
    rate = "/s" if unit.endswith("/s") else ""
    for size, letter in _DECIMAL:
        if abs(value) >= size:
            return f"{value / size:.3g} {letter}B{rate}"
    return f"{number(value)} B{rate}"


def clock(when: datetime | None) -> str:
    """Write a time as `4 June 2013 14:00 UTC`; `an unknown time` for None."""
    return short(when) if when is not None else "an unknown time"


def several(items: list[str], most: int = 4) -> str:
    """Join names: `a, b and 3 more`."""
    if len(items) <= most:
        return ", ".join(items)
    return f"{', '.join(items[:most])} and {len(items) - most} more"


def span(seconds: float) -> str:
    """Write a length of time: `45 s`, `5 min`, `3 h 20 min`, `6 d 4 h`."""
    seconds = abs(seconds)
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def confidence(value: float) -> str:
    """Write a confidence with two digits, and never a nought or a one that is none."""
    if 0 < value < 0.005:
        return "< 0.01"
    return "> 0.99" if 0.995 <= value < 1 else f"{value:.2f}"
