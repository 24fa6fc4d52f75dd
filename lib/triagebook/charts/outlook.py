"""The model's performance over time: measured where labels are in, estimated where they are due."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl

from triagebook.charts._style import (
    BAD,
    BAND,
    CHARTS,
    GREY,
    INK,
    NOW,
    SOFT,
    Drawn,
    Width,
    figure,
    mark_onset,
    rc,
    time_axis,
)
from triagebook.core.words import number

if TYPE_CHECKING:
    from datetime import datetime

    from matplotlib.axes import Axes

    from triagebook.diagnosis.context import Context
    from triagebook.diagnosis.outlook import Outlook, Point

_DAY_NS = 86_400e9


@CHARTS.register("outlook")
def outlook(ctx: Context, width: Width) -> Drawn | None:
    """Draw measured performance as dots and the estimate with its interval, on one axis of time."""
    found: Outlook | None = ctx.results.get("outlook")
    if found is None:
        return None
    if "outlook_points" not in ctx.results:  # the same for both widths, and a second to make
        ctx.results["outlook_points"] = found.points()
    points: list[Point] = ctx.results["outlook_points"]
    guessed = [p for p in points if p.estimate is not None]
    told = [(p.at / _DAY_NS, p.measured) for p in points if p.measured is not None]
    if not guessed:
        return None
    reference = found.estimate.reference
    with mpl.rc_context(rc()):
        made, (axes,) = figure(width, 2.9)
        axes.axhline(reference, color=GREY, lw=1)
        if found.estimate.threshold is not None:
            axes.axhline(found.estimate.threshold, color=BAD, lw=0.9, ls=(0, (4, 3)))
        _estimates(axes, guessed)
        axes.plot(
            [at for at, _ in told],
            [value for _, value in told],
            ls="",
            marker="o",
            ms=5,
            color=INK,
            zorder=3,
        )
        axes.set_ylabel(
            f"{found.what}, {'higher' if found.better > 0 else 'lower'} is better"
            if width == "wide"
            else found.what
        )
        time_axis(axes, *_span(ctx), width)
        mark_onset(axes, ctx.results["diagnosis"].onset)
        axes.legend(
            handles=[
                mpl.lines.Line2D([], [], ls="", marker="o", ms=5, color=INK, label="measured"),
                mpl.lines.Line2D([], [], marker="o", ms=3, color=NOW, label="estimated (95 %)"),
                mpl.lines.Line2D([], [], color=GREY, label="reference"),
            ],
            loc="lower left",
            bbox_to_anchor=(0.0, 1.0),
            borderaxespad=0.2,
            handlelength=1.3,
            columnspacing=1.0,
            handletextpad=0.5,
            frameon=False,
            fontsize=8.5,
            ncols=3,
            labelcolor=SOFT,
        )
    e = found.estimate
    words = f"{len(told)} measured" if told else "none measured"
    return Drawn(
        made,
        f"{found.what} over time, {words}: estimated {number(e.value)} ({number(e.low)} to "
        f"{number(e.high)}) on {e.rows} current decisions, {number(reference)} in the reference.",
    )


def _span(ctx: Context) -> tuple[datetime, datetime]:
    """Return the current window with three times its length before it: else it is a sliver at the end."""
    first = ctx.bundle.windows.reference[0]
    start, end = ctx.bundle.windows.current
    return max(first, start - 3 * (end - start)), end


def _estimates(axes: Axes, points: list[Point]) -> None:
    at = [p.at / _DAY_NS for p in points]
    spans = [p.estimate for p in points if p.estimate is not None]
    axes.fill_between(at, [e.low for e in spans], [e.high for e in spans], color=BAND, lw=0)
    axes.vlines(at, [e.low for e in spans], [e.high for e in spans], color=NOW, lw=1.2)
    axes.plot(at, [e.value for e in spans], color=NOW, lw=1.6, marker="o", ms=3)
