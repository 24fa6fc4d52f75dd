"""The visual language of every chart: colours, type, and how onset and changes are marked.

Grey is the past, one blue is now, one warm colour is what is bad and nothing else. Both hold for
people who see colours differently (checked for deutan and protan vision), and in print.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import matplotlib as mpl
import matplotlib.dates as mdates
import pandas as pd
from matplotlib import patheffects
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FuncFormatter

from triagebook.core.registry import Registry
from triagebook.core.words import amount

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from matplotlib.axes import Axes

    from triagebook.core.models import Change, Onset
    from triagebook.diagnosis.context import Context

INK, SOFT, LINE = "#1f2933", "#52606d", "#cbd2d9"
GREY, BAND = "#9aa5b1", "#e4e7eb"
NOW, BAD = "#0b6e99", "#c2410c"

Width = Literal["wide", "narrow"]

_RC: dict[Any, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": LINE,
    "axes.labelcolor": INK,
    "axes.titlesize": 10,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "legend.frameon": False,
    "figure.dpi": 100,
    "text.parse_math": False,  # a column called cost_$a$b^{ is a name, not a formula
}


@dataclass(frozen=True)
class Drawn:
    """A figure, and the same in words for those who cannot see it."""

    figure: Figure
    alt: str


CHARTS: Registry[Callable[[Context, Width], Drawn | None]] = Registry(
    "chart", "triagebook.charts", "triagebook.charts"
)
"""Charts by name: context and width in, a drawing out, or None where there is nothing to draw."""


def figure(width: Width, height: float, rows: int = 1, **grid: Any) -> tuple[Figure, list[Axes]]:
    """Make a figure of `rows` panels.

    Parameters
    ----------
    width : "wide" or "narrow"
        9.2 inches for a desk, 4.3 for a phone; type has the same size in both.
    height : float
        Inches of the wide one; the narrow one is a fifth taller.
    """
    with mpl.rc_context(_RC):
        size = (9.2, height) if width == "wide" else (4.3, height * 1.2)
        made = Figure(figsize=size, layout="constrained")
        axes = made.subplots(rows, 1, squeeze=False, **grid)[:, 0]
    return made, list(axes)


def rc() -> dict[Any, Any]:
    """Return the style, for `matplotlib.rc_context`."""
    return dict(_RC)


def label(name: object, most: int = 40) -> str:
    """Shorten a name to one line of at most `most` characters: whoever named it did not draw it."""
    line = " ".join("".join(c if c.isprintable() else " " for c in str(name)).split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def halo() -> list[Any]:
    """Return a white outline for words that lie on lines."""
    return [patheffects.withStroke(linewidth=3, foreground="white")]


def on_axis(when: datetime | pd.Timestamp) -> float:
    """Return a time as matplotlib places it: days since 1970, UTC."""
    return pd.Timestamp(when).value / 86_400e9


def time_axis(axes: Axes, start: datetime, end: datetime, width: Width) -> None:
    """Label a time axis in UTC, with the dates it spans in words."""
    low, high = pd.Timestamp(start), pd.Timestamp(end)
    axes.set_xlim(on_axis(low), on_axis(high))
    length = high - low
    if pd.Timedelta("2D") < length <= pd.Timedelta("5D"):
        # A row of noughts and twelves tells no day from the next.
        hours = (0,) if width == "narrow" else (0, 12)
        axes.xaxis.set_major_locator(mdates.HourLocator(byhour=hours))
        axes.xaxis.set_major_formatter(FuncFormatter(_day_or_hour))
    else:
        locator = mdates.AutoDateLocator(minticks=3, maxticks=5 if width == "narrow" else 8)
        axes.xaxis.set_major_locator(locator)
        long = length > pd.Timedelta("5D")
        axes.xaxis.set_major_formatter(mdates.DateFormatter("%-d %b" if long else "%H:%M"))
    same_month = (low.month, low.year) == (high.month, high.year)
    first = f"{low.day}" if same_month else f"{low.day} {low:%B}"
    days = f"{high.day}" if low.date() == high.date() else f"{first} to {high.day}"
    axes.set_xlabel(f"UTC, {days} {high:%B %Y}")


def _day_or_hour(place: float, _: int | None = None) -> str:
    when = mdates.num2date(place)
    return f"{when:%-d %b}" if when.hour == 0 else f"{when:%H:%M}"


def unit_axis(axes: Axes, unit: str | None) -> None:
    """Label a vertical axis with its unit, bytes and large numbers in powers of 1,000.

    Where a source names no unit, the axis has none: a word such as "value" would only take room.
    """
    if unit in ("bytes", "bytes/s"):
        axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: amount(v, unit)))
        return
    # "1" is how some sources write that a number has no unit.
    axes.set_ylabel(label("" if unit in (None, "1") else str(unit), 20))
    if max(abs(y) for y in axes.get_ylim()) >= 10_000:
        axes.yaxis.set_major_formatter(EngFormatter(sep=""))


def mark_onset(axes: Axes, onset: Onset | None, *, label: bool = False, drop: float = 0.0) -> None:
    """Draw the onset as a red line and its interval as a band.

    Parameters
    ----------
    drop : float
        Points that the word stands lower, where the top of the panel holds a name already.
    """
    if onset is None:
        return
    at = on_axis(onset.at)
    axes.axvspan(on_axis(onset.low), on_axis(onset.high), color=BAD, alpha=0.12, lw=0)
    axes.axvline(at, color=BAD, lw=1.4)
    if label:
        left, right = axes.get_xlim()
        late = at > left + 0.7 * (right - left)
        axes.annotate(
            f"onset {onset.at:%H:%M}",
            (at, 0.985),
            xycoords=("data", "axes fraction"),
            xytext=(-6 if late else 6, -drop),
            textcoords="offset points",
            color=BAD,
            va="top",
            ha="right" if late else "left",
            fontsize=9,
            path_effects=halo(),
        )


def mark_changes(
    axes: Iterable[Axes], changes: Iterable[Change], suspects: Iterable[Change], width: Width
) -> None:
    """Draw changes as dotted lines with a triangle and, on the top panel, their names.

    Suspects are written in ink, the others softly; names that would collide go up a line.
    """
    panels = list(axes)
    top = panels[0]
    left, right = top.get_xlim()
    suspected = [id(s) for s in suspects]
    shown = sorted(changes, key=lambda c: c.ts)
    shown = [c for c in shown if left <= on_axis(c.ts) <= right]
    reach = [-1e9] * 4
    for change in shown[-8:]:
        at = on_axis(change.ts)
        for panel in panels:
            panel.axvline(at, color=SOFT, lw=0.8, ls=(0, (1, 2)), zorder=0)
        name = change.what if not change.to else f"{change.what} → {change.to}"
        name = label(name, 24 if width == "narrow" else 34)
        place = (at - left) / (right - left)
        span = len(name) * (0.0215 if width == "narrow" else 0.0088)
        ends = place > 0.55
        start, stop = (place - span, place) if ends else (place, place + span)
        level = next((n for n in range(4) if reach[n] <= start), 3)
        reach[level] = stop + 0.02
        top.annotate(
            f"{name} ▼" if ends else f"▼ {name}",
            (at, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(5 if ends else -5, 3 + 12 * level),
            textcoords="offset points",
            ha="right" if ends else "left",
            fontsize=8,
            color=INK if id(change) in suspected else SOFT,
            fontweight="bold" if id(change) in suspected else "normal",
            annotation_clip=False,
        )
