"""Charts of distributions: before and since, quantile against quantile, and the season."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
import matplotlib.dates as mdates
import numpy as np
import pandas as pd

from triagebook.analysis.columns import as_numbers
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
    rc,
)
from triagebook.core.words import number, share
from triagebook.diagnosis.checks.inputs import matched_reference

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from triagebook.analysis.season import Season
    from triagebook.diagnosis.context import Column, Context


def _lead(ctx: Context) -> Column | None:
    diagnosis = ctx.results["diagnosis"]
    moved = [c for c in ctx.roots if c.movement.beyond_natural] or ctx.roots
    if diagnosis.hypotheses:
        name = diagnosis.hypotheses[0].locus.partition(":")[2].rpartition(".")[2]
        for column in moved:
            if column.name == name:
                return column
    return moved[0] if moved else None


def _unit(ctx: Context, column: Column) -> str:
    view = ctx.view(column.table)
    unit = view.spec.unit.get(column.name, "") if view is not None else ""
    name = label(column.name, 30)
    return f"{name}, {label(unit, 20)}" if unit else name


@CHARTS.register("fault")
def fault(ctx: Context, width: Width) -> Drawn | None:
    """Draw the distribution of the column that moved most, before and since."""
    column = _lead(ctx)
    if column is None:
        return None
    reference, after = matched_reference(ctx, column)[column.name], ctx.after(column)[column.name]
    if column.kind != "number":
        return _shares(column, reference, after, width)
    old, new = as_numbers(reference), as_numbers(after)
    if len(old) < 10 or len(new) < 10:
        return None
    low, high = np.quantile(np.concatenate((old, new)), [0.001, 0.995])
    edges = np.linspace(low, high, 41)
    unit = _unit(ctx, column)
    with mpl.rc_context(rc()):
        made, _ = figure(width, 3.3, 1)
        made.clear()
        left, right = made.subplots(1, 2) if width == "wide" else made.subplots(2, 1)
        left.hist(
            old,
            edges,
            weights=np.full(len(old), 100 / len(old)),
            color=BAND,
            edgecolor=GREY,
            lw=0.4,
        )
        left.hist(
            new,
            edges,
            weights=np.full(len(new), 100 / len(new)),
            histtype="step",
            color=NOW,
            lw=1.8,
        )
        left.set_xlabel(unit)
        left.set_ylabel("% of rows")
        left.set_title("before (grey) and since (blue)")
        _quantiles(ctx, right, column, old, new)
    constant = ctx.results.get("constants", {}).get(column.locus)
    alt = f"Median {label(column.name)} {number(float(np.median(new)))} since the onset, {number(float(np.median(old)))} before."
    if constant is not None:
        alt += f" The quantiles lie on a straight line of slope {constant[0].factor:.4g}."
    return Drawn(made, alt)


def _quantiles(ctx: Context, axes: Axes, column: Column, old: np.ndarray, new: np.ndarray) -> None:
    grid = np.linspace(0.02, 0.98, 49)
    x, y = np.quantile(old, grid), np.quantile(new, grid)
    span = np.array([min(0.0, float(x.min())), float(x.max())])
    axes.plot(span, span, color=GREY, lw=1, ls=(0, (2, 2)))
    axes.annotate(
        "unchanged",
        (span[1], span[1]),
        xytext=(-4, -12),
        textcoords="offset points",
        ha="right",
        color=SOFT,
        fontsize=8.5,
    )
    constant = ctx.results.get("constants", {}).get(column.locus)
    if constant is not None and constant[0].explained >= 0.7:
        change = constant[0]
        axes.plot(span, change.factor * span + change.offset, color=BAD, lw=1.2)
        said = f"× {change.factor:.4g}" if change.factor != 1 else f"{change.offset:+.3g}"
        middle = span[0] + 0.6 * (span[1] - span[0])
        axes.annotate(
            said,
            (middle, change.factor * middle + change.offset),
            xytext=(-6, 6),
            textcoords="offset points",
            ha="right",
            color=BAD,
            fontsize=9.5,
        )
    axes.plot(x, y, "o", color=NOW, ms=3.2)
    axes.set_xlabel(f"quantiles before: {_unit(ctx, column)}")
    axes.set_ylabel(f"quantiles since: {_unit(ctx, column)}")
    axes.set_title("quantile against quantile")


def _shares(column: Column, reference: pd.Series, after: pd.Series, width: Width) -> Drawn | None:
    old = (
        reference.astype("object")
        .where(reference.notna(), "(null)")
        .astype(str)
        .value_counts(normalize=True)
    )
    new = (
        after.astype("object")
        .where(after.notna(), "(null)")
        .astype(str)
        .value_counts(normalize=True)
    )
    gap = (
        new.reindex(old.index.union(new.index)).fillna(0)
        - old.reindex(old.index.union(new.index)).fillna(0)
    ).abs()
    names = list(gap.sort_values(ascending=False, kind="stable").index[:8])
    if not names:
        return None
    with mpl.rc_context(rc()):
        made, (axes,) = figure(width, 0.42 * len(names) + 0.9)
        place = np.arange(len(names))
        was, now = (
            [100 * float(old.get(n, 0)) for n in names],
            [100 * float(new.get(n, 0)) for n in names],
        )
        axes.barh(place - 0.19, was, 0.36, color=BAND, edgecolor=GREY, lw=0.4)
        axes.barh(place + 0.19, now, 0.36, color=NOW)
        axes.set_yticks(place, [label(n, 22) for n in names])
        axes.invert_yaxis()
        axes.set_xlabel("% of rows: before (grey) and since (blue)")
        axes.set_title(label(f"{column.table}.{column.name}"))
    return Drawn(
        made,
        f"Shares of {label(column.name)}: {label(names[0])} {share(float(new.get(names[0], 0)))} since, {share(float(old.get(names[0], 0)))} before.",
    )


@CHARTS.register("mix")
def mix(ctx: Context, width: Width) -> Drawn | None:
    """Draw the shares of the category that moved farthest against its natural movement."""
    groups = [
        c
        for c in ctx.inputs
        if c.kind == "category"
        and 2 <= ctx.before(c)[c.name].nunique() <= 60
        # A weekday's shares differ in every window of less than a week.
        and (c.movement.beyond_natural or not pd.api.types.is_numeric_dtype(ctx.before(c)[c.name]))
    ]
    if not groups:
        return None
    column = max(groups, key=lambda c: (c.movement.ratio, c.name))
    return _shares(
        column,
        matched_reference(ctx, column)[column.name],
        ctx.after(column)[column.name],
        width,
    )


@CHARTS.register("season")
def seasons(ctx: Context, width: Width) -> Drawn | None:
    """Draw the daily level, its trend and now: the column to blame, and the loudest that is natural."""
    found: dict[str, Season] = ctx.results.get("seasons", {})
    columns = [c for c in ctx.roots if c.locus in found]
    if not columns:
        return None
    lead = next((c for c in columns if c.movement.beyond_natural), None)
    natural = max(
        (c for c in columns if not c.movement.beyond_natural),
        key=lambda c: c.movement.psi,
        default=None,
    )
    chosen = [c for c in (lead, natural) if c is not None]
    with mpl.rc_context(rc()):
        made, _ = figure(width, 3.1)
        made.clear()
        panels = (
            made.subplots(1, len(chosen), squeeze=False)[0]
            if width == "wide"
            else made.subplots(len(chosen), 1, squeeze=False)[:, 0]
        )
        for axes, column in zip(panels, chosen, strict=True):
            _one_season(axes, found[column.locus], _unit(ctx, column))
    said = "; ".join(
        f"{label(c.name)} is {number(found[c.locus].actual)}, expected {number(found[c.locus].low)} to {number(found[c.locus].high)}"
        for c in chosen
    )
    return Drawn(made, f"Daily levels with their trend carried on to now: {said}.")


def _one_season(axes: Axes, result: Season, unit: str) -> None:
    days = result.days.astype(float)
    last = float(days[-1]) + 1
    slope, spread = result.trend_per_day, (result.high - result.low) / 2
    line = result.expected + slope * (
        np.append(result.days, result.days[-1] + 4) - (result.days[-1] + 2)
    )
    axis = np.append(days, last + 3)
    axes.fill_between(axis, line - spread, line + spread, color=BAND, lw=0)
    axes.plot(axis, line, color=GREY, lw=1.2)
    axes.plot(days, result.level, "o", color=GREY, ms=3)
    colour = NOW if result.expected_now else BAD
    axes.plot([last + 1], [result.actual], "o", color=colour, ms=8)
    axes.annotate(
        f"now {number(result.actual)}",
        (last + 1, result.actual),
        xytext=(-8, 0),
        textcoords="offset points",
        ha="right",
        va="center",
        color=colour,
        fontsize=9.5,
        path_effects=halo(),
    )
    axes.xaxis.set_major_locator(mdates.AutoDateLocator(minticks=3, maxticks=5))
    axes.xaxis.set_major_formatter(mdates.DateFormatter("%-d %b"))
    axes.set_ylabel(f"daily mean {unit}")
    axes.set_title(
        "as the season expects" if result.expected_now else "not what the season expects", color=INK
    )
