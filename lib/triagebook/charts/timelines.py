"""Charts over time: the symptom against its band, series that moved, and what else happened."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
import pandas as pd

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
    halo,
    label,
    mark_changes,
    mark_onset,
    on_axis,
    rc,
    time_axis,
    unit_axis,
)
from triagebook.charts.departed import departed
from triagebook.core.words import clock, number, several

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from triagebook.analysis.series import Series
    from triagebook.charts.departed import Departed
    from triagebook.core.models import Change, Diagnosis
    from triagebook.diagnosis.context import Column, Context, View

_DAY = 86_400_000_000_000


def _diagnosis(ctx: Context) -> Diagnosis:
    found: Diagnosis = ctx.results["diagnosis"]
    return found


def suspects(ctx: Context) -> list[Change]:
    """Return the changes that lie upstream of what broke and came shortly before."""
    return [change for change, _ in ctx.results.get("suspects", [])]


def window_changes(ctx: Context) -> list[Change]:
    """Return the changes of the current window, oldest first."""
    start, end = ctx.bundle.windows.current
    return [c for c in ctx.changes if start <= c.ts <= end]


def _values(view: View, column: Column | str, side: str) -> np.ndarray:
    frame = view.reference if side == "reference" else view.current
    name = column if isinstance(column, str) else column.name
    if frame[name].dtype == bool:
        return frame[name].to_numpy("float64")
    return pd.to_numeric(frame[name], errors="coerce").to_numpy("float64", na_value=np.nan)


def _binned(
    times: np.ndarray, values: np.ndarray, edges: np.ndarray, least: int = 5
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and count per bin; bins of fewer than `least` values are NaN."""
    keep = np.isfinite(values)
    place = np.searchsorted(edges, times[keep], side="right") - 1
    inside = (place >= 0) & (place < len(edges) - 1)
    total = np.bincount(place[inside], values[keep][inside], len(edges) - 1)
    count = np.bincount(place[inside], minlength=len(edges) - 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(count >= least, total / np.maximum(count, 1), np.nan)
    return mean, count


def _band(
    ref_times: np.ndarray, ref_values: np.ndarray, edges: np.ndarray, least: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Median, 5 % and 95 % of the same bins on earlier days, each of shape (bins,)."""
    days: list[np.ndarray] = []
    back = _DAY * int(np.ceil((edges[-1] - edges[0]) / _DAY))
    while len(days) < 56 and edges[-1] - back > ref_times[0]:
        days.append(_binned(ref_times, ref_values, edges - back, least)[0])
        back += _DAY
    empty = np.full(len(edges) - 1, np.nan)
    if len(days) < 4:
        return empty, empty, empty
    rows = np.array(days)
    enough = np.isfinite(rows).sum(axis=0) >= 4
    rows = np.where(enough, rows, 0.0)
    low, mid, high = np.nanquantile(rows, [0.05, 0.5, 0.95], axis=0)
    return tuple(np.where(enough, part, np.nan) for part in (mid, low, high))  # type: ignore[return-value]


def _edges(ctx: Context, step_min: float) -> np.ndarray:
    start, end = (pd.Timestamp(t).value for t in ctx.bundle.windows.current)
    step = int(step_min * 60e9)
    return np.arange(start, end + step, step)


def _wide_enough(ctx: Context, times: np.ndarray, least: int = 5) -> np.ndarray:
    """Return edges of the finest bins of which four in five hold rows enough: batches come hours apart."""
    if len(times) >= 6_000:
        return _edges(ctx, 15.0)
    for hours in (1, 2, 3, 4, 6):
        edges = _edges(ctx, 60.0 * hours)
        size = np.histogram(times, edges)[0]
        if np.mean(size >= least) >= 0.8:
            break
    return edges


def _panel(
    axes: Axes,
    times: np.ndarray,
    values: np.ndarray,
    ref_times: np.ndarray,
    ref_values: np.ndarray,
    edges: np.ndarray,
    *,
    labels: bool,
    least: int = 5,
) -> None:
    """Draw one quantity against its band."""
    mid, low, high = _band(ref_times, ref_values, edges, least)
    mean, _ = _binned(times, values, edges, least)
    centre = (edges[:-1] + edges[1:]) / 2 / 86_400e9
    axes.fill_between(centre, low, high, color=BAND, lw=0)
    axes.plot(centre, mid, color=GREY, lw=1)
    axes.plot(centre, mean, color=NOW, lw=1.6, marker="o", ms=2.4)
    if labels:
        both = np.flatnonzero(np.isfinite(mean) & np.isfinite(mid))
        if len(both):
            end = both[max(len(both) - 2, 0)]  # the last point may lie beyond the axis
            up = 1 if mean[end] >= mid[end] else -1
            for name, value, colour, side in (
                ("now", mean, NOW, up),
                ("days before", mid, SOFT, -up),
            ):
                axes.annotate(
                    name,
                    (centre[end], value[end]),
                    xytext=(-4, 7 * side),
                    textcoords="offset points",
                    color=colour,
                    fontsize=8.5,
                    ha="right",
                    va="bottom" if side > 0 else "top",
                    path_effects=halo(),
                )


@CHARTS.register("symptom")
def symptom(ctx: Context, width: Width) -> Drawn | None:
    """Draw what moved farthest, and the model's output below it, on one time axis."""
    diagnosis = _diagnosis(ctx)
    left = departed(ctx, diagnosis.hypotheses[0].cause) if diagnosis.hypotheses else None
    if left is not None:
        return _departure(ctx, left, width)
    column = _lead_column(ctx)
    if column is None:
        return series(ctx, width) if _asked(ctx) else _output_alone(ctx, width)
    view = ctx.rows(column)
    unit = view.spec.unit.get(column.name, "")
    made = _above_output(
        ctx,
        width,
        (view.current_times, _values(view, column, "current")),
        (view.reference_times, _values(view, column, "reference")),
        _wide_enough(ctx, view.current_times),
        f"mean {label(column.name, 26)}" + (f",\n{label(unit, 20)}" if unit else ""),
    )
    m = column.movement
    alt = (
        f"Mean {label(column.name)} over the current window: {number(m.mean_current or 0)} since the onset, "
        f"{number(m.mean_reference or 0)} at the same hours before."
    )
    if diagnosis.onset is not None:
        alt += f" It leaves the band at {clock(diagnosis.onset.at)}."
    return Drawn(made, alt)


def _above_output(
    ctx: Context,
    width: Width,
    now: tuple[np.ndarray, np.ndarray],
    before: tuple[np.ndarray, np.ndarray],
    edges: np.ndarray,
    words: str,
    title: str = "",
) -> Figure:
    """Draw one quantity, as (times, values) of both windows, and the model's output below it, where it is known."""
    output = _output(ctx)
    with mpl.rc_context(rc()):
        made, axes = figure(
            width,
            4.6 if output is not None else 3.2,
            2 if output is not None else 1,
            sharex=True,
            gridspec_kw={"height_ratios": [2.2, 1]} if output is not None else None,
        )
        _panel(axes[0], *now, *before, edges, labels=True)
        axes[0].set_ylabel(words)
        if title:
            # High enough for the changes' names below it.
            axes[0].set_title(label(title, 90), loc="left", fontsize=9, color=SOFT, pad=26)
        if output is not None:
            view, name, said = output
            _panel(
                axes[1],
                view.current_times,
                _values(view, name, "current"),
                view.reference_times,
                _values(view, name, "reference"),
                edges,
                labels=False,
            )
            axes[1].set_ylabel(said)
        time_axis(axes[-1], *ctx.bundle.windows.current, width)
        for panel in axes:
            mark_onset(panel, _diagnosis(ctx).onset, label=panel is axes[0])
        mark_changes(axes, window_changes(ctx), suspects(ctx), width)
        made.align_ylabels(axes)
    return made


def _departure(ctx: Context, left: Departed, width: Width) -> Drawn:
    """Draw labels or scores against what was expected of them, and the model's output below."""
    now, before = left.late, ~left.late
    made = _above_output(
        ctx,
        width,
        (left.times[now], left.values[now]),
        (left.times[before], left.values[before]),
        # Some 15 rows to a point: a share of fewer says little.
        _wide_enough(ctx, left.times[now], least=15),
        left.words,
        left.title,
    )
    onset = _diagnosis(ctx).onset
    since = now & (left.times >= pd.Timestamp(onset.at).value) if onset is not None else now
    said = "since the onset" if onset is not None and since.any() else "in the window"
    mean = left.values[since if since.any() else now].mean()
    usual = left.values[before].mean()
    alt = (
        f"{left.title}: mean {number(float(mean))} {said}, {number(float(usual))} in the reference."
    )
    return Drawn(made, alt)


def _lead_column(ctx: Context) -> Column | None:
    first = _diagnosis(ctx).hypotheses[0] if _diagnosis(ctx).hypotheses else None
    drawable = [c for c in ctx.roots if c.kind == "number" and ctx.rows(c).timed]
    if first is not None:
        name = first.locus.partition(":")[2].rpartition(".")[2]
        for column in drawable:
            if column.name == name:
                return column
    return drawable[0] if drawable else None


def _output(ctx: Context) -> tuple[View, str, str] | None:
    view = ctx.role("predictions")
    if view is None or not view.timed:
        return None
    unit = view.spec.unit.get(view.spec.score or "", "")
    for name, words in (
        (view.spec.prediction, "positive share\npredicted"),
        (view.spec.score, f"mean score, {label(unit, 20)}" if unit else "mean score"),
    ):
        if (
            name
            and name in view.current
            and (
                view.current[name].dtype == bool
                or pd.api.types.is_numeric_dtype(view.current[name])
            )
        ):
            binary = view.reference[name].nunique() <= 2
            mine = f"mean {label(name, 20)}"
            return view, name, words if binary or name == view.spec.score else mine
    return None


def _asked(ctx: Context) -> bool:
    """Whether the metric that the alert is about was seen."""
    name = ctx.bundle.alert.metric
    return bool(name) and any(s.name.startswith(str(name)) for s, _ in ctx.series_movements)


def _output_alone(ctx: Context, width: Width) -> Drawn | None:
    """Draw what the model says, where no input moved and no metric was named: else what moved farthest."""
    output = _output(ctx)
    if output is None:
        return series(ctx, width)
    view, name, words = output
    edges = _wide_enough(ctx, view.current_times)
    now, before = (_values(view, name, side) for side in ("current", "reference"))
    with mpl.rc_context(rc()):
        made, axes = figure(width, 2.6)
        _panel(axes[0], view.current_times, now, view.reference_times, before, edges, labels=True)
        axes[0].set_ylabel(words)
        time_axis(axes[0], *ctx.bundle.windows.current, width)
        mark_onset(axes[0], _diagnosis(ctx).onset, label=True)
        mark_changes(axes, window_changes(ctx), suspects(ctx), width)
    means = [
        number(float(np.nanmean(part))) if np.isfinite(part).any() else "none"
        for part in (now, before)
    ]
    return Drawn(
        made, f"The model's output over the current window: mean {means[0]}, before {means[1]}."
    )


def _is_clock(one: Series) -> bool:
    """Whether a series tells times of day: when something last ran moves every day, and means nothing."""
    return (
        bool(len(one.values))
        and 9.5e8 < float(np.median(one.values)) < 2.5e9
        and one.unit in ("s", "")
    )


@CHARTS.register("series")
def series(ctx: Context, width: Width) -> Drawn | None:
    """Draw the metrics that moved farthest against the same hours before."""
    moved = [item for item in ctx.series_movements if not _is_clock(item[0])]
    moved.sort(key=lambda item: (-item[1].ratio, item[0].title))
    asked = ctx.bundle.alert.metric
    if asked:
        moved.sort(key=lambda item: not item[0].name.startswith(asked))
    chosen: list[Series] = [item[0] for item in moved[:3]]
    if not chosen:
        return None
    start = pd.Timestamp(ctx.bundle.windows.current[0]).value
    # Bins at least as long as what is sampled most seldom: else every other one is empty.
    gaps = [float(np.median(np.diff(one.times))) / 60e9 for one in chosen if len(one.times) > 1]
    edges = _edges(ctx, max(30.0, *np.ceil(gaps), 0.0))
    said = []
    with mpl.rc_context(rc()):
        made, axes = figure(width, 1.75 * len(chosen) + 0.5, len(chosen), sharex=True)
        for panel, one in zip(axes, chosen, strict=True):
            old = one.within(int(one.times[0]), start)
            new = one.within(start, int(one.times[-1]) + 1)
            _panel(
                panel,
                new.times,
                new.values,
                old.times,
                old.values,
                edges,
                labels=panel is axes[0],
                least=1,
            )
            panel.set_title(label(one.title, 78 if width == "wide" else 44), fontsize=9)
            unit_axis(panel, one.unit)
            means = [number(float(np.mean(part.values))) for part in (new, old)]
            said.append(f"{label(one.title, 80)}: mean {means[0]} now, {means[1]} before")
            mark_onset(panel, _diagnosis(ctx).onset)
        time_axis(axes[-1], *ctx.bundle.windows.current, width)
    return Drawn(made, f"The series that moved farthest in the current window: {'; '.join(said)}.")


_MOST_TASKS = 8
"""Failed tasks with a row of their own, the first to fail first; the rest share one."""


@CHARTS.register("around")
def around(ctx: Context, width: Width) -> Drawn | None:
    """Draw changes, failed tasks and new errors as rows of one time axis, the onset through all."""
    changes = window_changes(ctx)
    start, end = ctx.bundle.windows.current
    failed = [
        r
        for r in ctx.bundle.pipeline or []
        if r.end
        and start <= r.end <= end
        and (r.state or "").lower() not in ("success", "succeeded", "running")
    ]
    templates = [
        t for t in ctx.results.get("templates", []) if t.severity not in ("WARN", "WARNING")
    ]
    if not changes and not failed and not templates:
        return None
    suspected = {id(c) for c in suspects(ctx)}
    rows: list[tuple[str, str, list[tuple[float, str]]]] = []
    most = 30 if width == "narrow" else 52
    for change in changes[-10:]:
        name = change.what if not change.to else f"{change.what} {change.from_ or ''} → {change.to}"
        rows.append(
            (
                label(name, most),
                INK if id(change) in suspected else SOFT,
                [(on_axis(change.ts), "v")],
            )
        )
    first = {r.task: r.end for r in sorted(failed, key=lambda r: r.end or end, reverse=True)}
    broken = sorted(first, key=lambda task: (first[task] or end, task))
    rows += [
        (
            f"{label(task, most - 7)} failed",
            BAD,
            [(on_axis(r.end), "x") for r in failed if r.task == task and r.end],
        )
        for task in broken[:_MOST_TASKS]
    ]
    if len(broken) > _MOST_TASKS:
        later = set(broken[_MOST_TASKS:])
        ends = sorted(on_axis(r.end) for r in failed if r.task in later and r.end)
        rows.append((f"{len(later)} more tasks failed", BAD, [(at, "x") for at in ends[:200]]))
    rows += [
        (f"new error: {label(template.source, most - 11)}", BAD, [(on_axis(template.first), "x")])
        for template in templates[:3]
    ]
    with mpl.rc_context(rc()):
        made, (axes,) = figure(width, 0.34 * len(rows) + 1.0)
        for place, (name, colour, points) in enumerate(rows):
            axes.axhline(place, color=BAND, lw=0.8, zorder=0)
            for at, marker in points:
                axes.plot([at], [place], marker=marker, color=colour, ms=7, ls="")
            if width == "narrow":
                axes.annotate(
                    name,
                    (0, place),
                    xycoords=("axes fraction", "data"),
                    xytext=(2, 6),
                    textcoords="offset points",
                    fontsize=8,
                    color=colour,
                )
        axes.set_yticks(
            range(len(rows)), [r[0] for r in rows] if width == "wide" else [""] * len(rows)
        )
        for tick, row in zip(axes.get_yticklabels(), rows, strict=True):
            tick.set_color(row[1])
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(len(rows) - 0.4, -0.8)
        axes.spines["left"].set_visible(False)
        time_axis(axes, start, end, width)
        mark_onset(axes, _diagnosis(ctx).onset, label=True)
    said = (
        several([f"{label(c.what)} at {clock(c.ts)}" for c in changes[-10:][::-1]]) or "no change"
    )
    return Drawn(
        made,
        f"{len(changes)} changes in the current window: {said}. {len(failed)} failed task runs.",
    )
