"""Charts of pipelines: rows over time against their band, how long tasks took, which errors are new."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
import pandas as pd

from triagebook.analysis.logs import template_of
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
    label,
    mark_changes,
    mark_onset,
    on_axis,
    rc,
    time_axis,
)
from triagebook.charts.timelines import suspects, window_changes
from triagebook.core.words import clock, count, number, several

if TYPE_CHECKING:
    from triagebook.analysis.logs import Template
    from triagebook.core.models import TaskRun
    from triagebook.diagnosis.context import Context, View

_DAY = 86_400_000_000_000
_MOST = 3
"""So many tables are drawn, the one that departs most first."""


@CHARTS.register("volume")
def volume(ctx: Context, width: Width) -> Drawn | None:
    """Draw the rows of each table over the window, against the same hours of the days before."""
    views = [v for v in (ctx.view(name) for name in ctx.tables) if v is not None and v.timed]
    if not views:
        return None
    start, end = (pd.Timestamp(t).value for t in ctx.bundle.windows.current)
    edges = np.linspace(start, end, 49)
    drawn = [(view, *_rows(view, edges)) for view in views]
    drawn.sort(key=lambda item: (-_departs(item[1], item[2]), item[0].name))
    drawn = drawn[:_MOST]
    centre = (edges[:-1] + edges[1:]) / 2 / 86_400e9
    minutes = (edges[1] - edges[0]) / 60e9
    said = []
    with mpl.rc_context(rc()):
        made, axes = figure(width, 1.6 * len(drawn) + 0.7, len(drawn), sharex=True)
        for panel, (view, now, band) in zip(axes, drawn, strict=True):
            low, mid, high = band
            panel.fill_between(centre, low, high, color=BAND, lw=0)
            panel.plot(centre, mid, color=GREY, lw=1)
            panel.plot(centre, now, color=NOW, lw=1.6, marker="o", ms=2.2)
            panel.set_title(label(view.name, 60), fontsize=9)
            panel.set_ylabel(f"rows in {minutes:.0f} min")
            panel.set_ylim(bottom=0)
            usual = float(np.nanmedian(mid)) if np.isfinite(mid).any() else float("nan")
            said.append(
                f"{label(view.name, 40)}: {number(float(np.median(now)))} rows in {minutes:.0f} min"
                + (f", usually {number(usual)}" if np.isfinite(usual) else "")
            )
        time_axis(axes[-1], *ctx.bundle.windows.current, width)
        for panel in axes:
            mark_onset(panel, ctx.results["diagnosis"].onset, label=panel is axes[0])
        mark_changes(axes, window_changes(ctx), suspects(ctx), width)
    return Drawn(made, f"Rows over the current window: {'; '.join(said)}.")


def _rows(
    view: View, edges: np.ndarray
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    now = np.histogram(view.current_times, edges)[0].astype(float)
    days: list[np.ndarray] = []
    back = _DAY * int(np.ceil((edges[-1] - edges[0]) / _DAY))
    while (
        len(days) < 28 and len(view.reference_times) and edges[0] - back >= view.reference_times[0]
    ):
        days.append(np.histogram(view.reference_times, edges - back)[0])
        back += _DAY
    if len(days) < 3:
        empty = np.full(len(edges) - 1, np.nan)
        return now, (empty, empty, empty)
    low, mid, high = np.quantile(np.array(days, dtype=float), [0.05, 0.5, 0.95], axis=0)
    return now, (low, mid, high)


def _departs(now: np.ndarray, band: tuple[np.ndarray, np.ndarray, np.ndarray]) -> float:
    low, mid, high = band
    if not np.isfinite(mid).any():
        return 0.0
    off = np.clip(low - now, 0, None) + np.clip(now - high, 0, None)
    return float(off.sum() / max(mid.sum(), 1.0))


@CHARTS.register("durations")
def durations(ctx: Context, width: Width) -> Drawn | None:
    """Draw how long each task took: its past in grey, the current window in blue or red."""
    start = ctx.bundle.windows.current[0]
    took: dict[str, list[tuple[bool, float]]] = {}
    for run in ctx.bundle.pipeline or []:
        if run.start is not None and run.end is not None:
            minutes = (run.end - run.start).total_seconds() / 60
            took.setdefault(_title(run), []).append((run.start >= start, minutes))
    known = {t: items for t, items in took.items() if sum(not new for new, _ in items) >= 3}
    if not known:
        return None

    def excess(items: list[tuple[bool, float]]) -> float:
        old = [m for new, m in items if not new]
        now = [m for new, m in items if new]
        return max(now, default=0.0) / max(float(np.median(old)), 0.05)

    order = sorted(known, key=lambda t: (-excess(known[t]), t))[:12]
    said = []
    with mpl.rc_context(rc()):
        made, (axes,) = figure(width, 0.36 * len(order) + 1.0)
        for place, task in enumerate(order):
            old = np.array([m for new, m in known[task] if not new])
            now = np.array([m for new, m in known[task] if new])
            axes.plot(old, np.full(len(old), place), "|", color=GREY, ms=9, alpha=0.5)
            slow = now > 1.1 * old.max()
            axes.plot(now[~slow], np.full((~slow).sum(), place), "o", color=NOW, ms=5)
            axes.plot(now[slow], np.full(slow.sum(), place), "o", color=BAD, ms=6)
            if len(now):
                said.append(
                    f"{label(task, 30)} {number(float(now.max()))} min, "
                    f"usually {number(float(np.median(old)))} min"
                )
        most = 40 if width == "wide" else 18
        axes.set_yticks(range(len(order)), [label(t, most) for t in order])
        axes.tick_params(axis="y", length=0)
        axes.invert_yaxis()
        axes.set_xlim(left=0)
        axes.set_xlabel("minutes a run took: grey before, blue now, red longer than ever")
    return Drawn(
        made,
        f"How long {len(order)} tasks took: {several(said[:5]) or 'none ran in the current window'}.",
    )


def _title(run: TaskRun) -> str:
    return f"{run.pipeline}.{run.task}" if run.pipeline else run.task


@CHARTS.register("errors")
def errors(ctx: Context, width: Width) -> Drawn | None:
    """Draw the new and multiplied log lines as rows of one time axis, the first in time on top."""
    templates: list[Template] = ctx.results.get("templates", [])
    logs = ctx.bundle.logs
    if not templates or logs is None:
        return None
    start, end = ctx.bundle.windows.current
    shown = sorted(templates, key=lambda t: (t.severity in ("WARN", "WARNING"), -t.factor))[:8]
    shown.sort(key=lambda t: (t.first, t.template))
    inside = logs[(logs["ts"] >= start) & (logs["ts"] <= end)]
    with mpl.rc_context(rc()):
        made, (axes,) = figure(width, 0.5 * len(shown) + 1.0)
        for place, template in enumerate(shown):
            mine = inside[inside["source"] == template.source]
            same = mine["message"].astype(str).map(template_of) == template.template
            at = [on_axis(t) for t in mine["ts"][same].head(400)] or [on_axis(template.first)]
            bad = template.severity not in ("WARN", "WARNING")
            axes.axhline(place, color=BAND, lw=0.8, zorder=0)
            axes.plot(at, [place] * len(at), "x" if bad else ".", color=BAD if bad else SOFT, ms=6)
            axes.annotate(
                label(f"{template.source}: {template.template}", 92 if width == "wide" else 46),
                (0, place),
                xycoords=("axes fraction", "data"),
                xytext=(2, 6),
                textcoords="offset points",
                fontsize=8,
                color=INK if bad else SOFT,
            )
        axes.set_yticks(
            range(len(shown)),
            [f"{count(t.current)} line{'s' if t.current != 1 else ''}" for t in shown],
        )
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(len(shown) - 0.4, -0.9)
        axes.spines["left"].set_visible(False)
        time_axis(axes, start, end, width)
        mark_onset(axes, ctx.results["diagnosis"].onset, label=True)
    first = shown[0]
    return Drawn(
        made,
        f"{len(shown)} templates of log lines are new or more frequent; the first, from "
        f"{label(first.source, 40)}, at {clock(first.first)}.",
    )
