"""Charts of effects: how far inputs moved, what they do to the model, kinds of findings, task runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.ticker import MaxNLocator

from triagebook.charts._style import (
    BAD,
    BAND,
    CHARTS,
    GREY,
    INK,
    LINE,
    NOW,
    SOFT,
    Drawn,
    Width,
    figure,
    label,
    mark_onset,
    on_axis,
    rc,
    time_axis,
)
from triagebook.core.words import several, share

if TYPE_CHECKING:
    from triagebook.core.models import Finding
    from triagebook.diagnosis.checks.drift import FeatureHarm
    from triagebook.diagnosis.context import Column, Context


@CHARTS.register("inputs")
def inputs(ctx: Context, width: Width) -> Drawn | None:
    """Draw each input's movement, with the mark of its natural movement."""
    once: dict[str, Column] = {c.name: c for c in reversed(ctx.roots)}
    for column in ctx.inputs:
        once.setdefault(column.name, column)
    order = sorted(once.values(), key=lambda c: (-c.movement.strength, c.name))[:12]
    if not order:
        return None
    with mpl.rc_context(rc()):
        made, (axes,) = figure(width, 0.33 * len(order) + 0.9)
        place = np.arange(len(order))
        colours = [BAD if c.movement.beyond_natural else NOW for c in order]
        axes.barh(place, [c.movement.shown[0] for c in order], 0.56, color=colours)
        for y, column in zip(place, order, strict=True):
            usual = column.movement.shown[1]
            axes.plot([usual, usual], [y - 0.42, y + 0.42], color=INK, lw=2)
            if column.movement.beyond_natural:
                said = f"{column.movement.ratio:.1f} × its natural movement"
                if column.movement.null_ratio > column.movement.ratio:
                    said = f"nulls {column.movement.null_ratio:.1f} × their natural movement"
                elif column.movement.ratio < 1.25:
                    said = f"a step {column.movement.jump:.1f} × its natural size"
                axes.annotate(
                    said,
                    (column.movement.shown[0], y),
                    xytext=(6, 0),
                    textcoords="offset points",
                    va="center",
                    color=BAD,
                    fontsize=8.5,
                )
        axes.set_yticks(
            place,
            [label(f"{c.table}.{c.name}") if width == "wide" else label(c.name, 22) for c in order],
        )
        axes.tick_params(axis="y", length=0)
        axes.invert_yaxis()
        axes.set_xlim(0, min(1.0, max(max(c.movement.shown) for c in order) * 1.5 + 0.05))
        axes.set_xlabel(
            "distance from the same hours of the reference (0 to 1); dark mark: natural, 95 %"
        )
        if width == "narrow":
            axes.set_xlabel("distance from the reference (0 to 1)\ndark mark: natural, 95 %")
    beyond = [
        f"{label(c.name)} {c.movement.shown[0]:.2f}, natural {c.movement.shown[1]:.2f}"
        for c in order
        if c.movement.beyond_natural
    ]
    said = (
        f"beyond their natural movement: {several(beyond)}"
        if beyond
        else "none beyond its natural movement"
    )
    return Drawn(made, f"Movement of {len(order)} inputs; {said}.")


@CHARTS.register("harm")
def harm(ctx: Context, width: Width) -> Drawn | None:
    """Draw positive shares as served and with each moved feature put back."""
    found: list[FeatureHarm] = ctx.results.get("harm", [])
    if not found:
        return None
    with mpl.rc_context(rc()):
        made, (axes,) = figure(width, 0.55 * len(found) + 1.0)
        for y, item in enumerate(found):
            now, then = 100 * item.harm.positive_now, 100 * item.harm.positive_restored
            axes.plot([then, now], [y, y], color=LINE, lw=3, zorder=1)
            axes.plot([then], [y], "o", color=GREY, ms=8, zorder=2)
            axes.plot([now], [y], "o", color=NOW, ms=8, zorder=3)
            axes.annotate(
                f"{share(item.harm.changed)} of decisions change",
                (max(now, then), y),
                xytext=(9, 0),
                textcoords="offset points",
                va="center",
                fontsize=9,
                color=SOFT,
            )
        most = 40 if width == "wide" else 18
        axes.set_yticks(range(len(found)), [label(item.feature, most) for item in found])
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(len(found) - 0.5, -0.6)
        high = max(max(i.harm.positive_now, i.harm.positive_restored) for i in found) * 100
        axes.set_xlim(0, min(100.0, high * (2.4 if width == "narrow" else 1.6) + 2))
        axes.set_xlabel("% of decisions positive: as served (blue), feature put back (grey)")
        if width == "narrow":
            axes.set_xlabel("% positive: as served (blue),\nfeature put back (grey)")
    said = [f"{label(i.feature)}: {share(i.harm.changed)} of decisions change" for i in found]
    return Drawn(made, f"What putting a feature back does: {several(said)}.")


_KINDS = (
    ("pipeline", ("pipeline", "logs")),
    ("data", ("data",)),
    ("drift", ("drift", "changes")),
    ("model", ("model",)),
    ("service", ("service",)),
)


@CHARTS.register("kinds")
def kinds(ctx: Context, width: Width) -> Drawn | None:
    """Draw, a row a kind, how many findings are bad, fine, or could not be had."""
    findings: list[Finding] = ctx.results["findings"]
    rows = []
    for name, families in _KINDS:
        mine = [f for f in findings if f.check.partition(".")[0] in families]
        rows.append((name, [sum(f.verdict == v for f in mine) for v in ("bad", "ok", "unknown")]))
    with mpl.rc_context(rc()):
        made, (axes,) = figure(width, 2.4)
        for y, (_, counts) in enumerate(rows):
            left = 0
            for value, colour, hatch in zip(
                counts, (BAD, NOW, "white"), ("", "", "////"), strict=True
            ):
                if value:
                    axes.barh(
                        y,
                        value,
                        0.56,
                        left=left,
                        color=colour,
                        edgecolor=GREY if hatch else colour,
                        hatch=hatch,
                        lw=0.6,
                    )
                    axes.annotate(
                        str(value),
                        (left + value / 2, y),
                        ha="center",
                        va="center",
                        fontsize=8.5,
                        color=INK if hatch else "white",
                    )
                left += value
        axes.set_yticks(range(len(rows)), [r[0] for r in rows])
        axes.tick_params(axis="y", length=0)
        axes.invert_yaxis()
        axes.set_xlabel("findings: bad (red), fine (blue), not to be had (hatched)")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    said = "; ".join(f"{name}: {c[0]} bad, {c[1]} fine, {c[2]} unknown" for name, c in rows)
    return Drawn(made, f"Findings by kind: {said}.")


_FINE = frozenset({"success", "succeeded", "completed", "running", "ok", "done"})


@CHARTS.register("tasks")
def tasks(ctx: Context, width: Width) -> Drawn | None:
    """Draw each task's runs over the current window; failed ones in red."""
    start, end = ctx.bundle.windows.current
    runs = [
        r
        for r in ctx.bundle.pipeline or []
        if r.start and r.end and r.end >= start and r.start <= end
    ]
    names = list(
        dict.fromkeys(
            f"{r.pipeline}.{r.task}"
            for r in sorted(runs, key=lambda r: (r.pipeline, len(r.upstream), r.task))
        )
    )[:14]
    if not names:
        return None
    with mpl.rc_context(rc()):
        made, (axes,) = figure(width, 0.36 * len(names) + 1.0)
        least = on_axis(end) - on_axis(start)
        least /= 720  # thinner bars than this cannot be seen
        for place, name in enumerate(names):
            for colour, good in ((NOW, True), (BAD, False)):
                bars = []
                for run in runs:
                    if f"{run.pipeline}.{run.task}" != name or run.start is None or run.end is None:
                        continue
                    if ((run.state or "").lower() in _FINE) is good:
                        at, to = (on_axis(t) for t in (run.start, run.end))
                        bars.append((at, max(to - at, least)))
                axes.broken_barh(bars, (place - 0.3, 0.6), color=colour, lw=0)
        axes.set_yticks(
            range(len(names)),
            [label(n) if width == "wide" else label(n.rpartition(".")[2], 18) for n in names],
        )
        axes.tick_params(axis="y", length=0)
        axes.invert_yaxis()
        axes.set_facecolor("white")
        axes.spines["left"].set_color(BAND)
        time_axis(axes, start, end, width)
        mark_onset(axes, ctx.results["diagnosis"].onset, label=True)
    bad = sum((r.state or "").lower() in ("failed", "error", "upstream_failed") for r in runs)
    return Drawn(
        made, f"{len(runs)} runs of {len(names)} tasks in the current window, {bad} of them failed."
    )
