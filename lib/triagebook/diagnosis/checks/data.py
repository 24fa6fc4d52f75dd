"""Whether the data is broken: nulls, fills, recodes, broken values, schema, keys, volume, freshness."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from triagebook.analysis.blocks import row_blocks
from triagebook.analysis.mix import segment_shift
from triagebook.analysis.novelty import LEAST_ROWS
from triagebook.analysis.quality import (
    category_recode,
    default_fill,
)
from triagebook.analysis.scatter import beyond_stretches, confined, uneven
from triagebook.core.words import several, share
from triagebook.diagnosis.answer import Answer, Signal, check
from triagebook.diagnosis.checks.cells import broken_columns, nulls_upstream, one_filler
from triagebook.diagnosis.checks.inputs import matched_reference, no_tables

if TYPE_CHECKING:
    from collections.abc import Iterable

    from triagebook.analysis.cells import Breach
    from triagebook.analysis.quality import Fill
    from triagebook.diagnosis.checks.cells import BrokenColumn
    from triagebook.diagnosis.context import Column, Context


def fault(
    ctx: Context,
    column: Column,
    cause: str,
    weight: float,
    statement: str,
    headline: str,
    mechanism: str,
    value: float,
    unit: str,
    threshold: float,
) -> Answer:
    """Answer that a column is broken: what speaks for the fault speaks against a real movement."""
    feature = f"feature:{column.name}"
    return Answer(
        locus=column.locus,
        verdict="bad",
        statement=statement,
        value=round(value, 4),
        unit=unit,
        threshold=threshold,
        effect=round(column.movement.strength, 3),
        since=column.since,
        evidence=ctx.cite("tables", column.table),
        signals=(
            Signal(cause, column.locus, weight, headline=headline, mechanism=mechanism),
            Signal("drift.feature_shift", feature, -weight * 0.7),
            Signal("drift.seasonal", feature, -weight * 0.5),
            Signal("drift.harmless", feature, -weight * 0.7),
            Signal("none", "*", -5.0),
        ),
    )


def _of_cells(
    ctx: Context,
    found: BrokenColumn,
    breach: Breach,
    cause: str,
    weight: float,
    statement: str,
    headline: str,
    mechanism: str,
) -> Answer:
    """Tell of a fault that cells show, though the column as a whole may not have moved."""
    return Answer(
        locus=found.locus,
        verdict="bad",
        statement=statement,
        value=round(breach.share, 4),
        unit="share of rows",
        threshold=round(breach.usual + 0.004, 4),
        effect=round(breach.share - breach.usual, 4),
        since=found.since,
        evidence=ctx.cite("tables", found.table),
        signals=(
            Signal(cause, found.locus, weight, headline=headline, mechanism=mechanism),
            Signal("drift.feature_shift", f"feature:{found.name}", -0.7 * weight),
            Signal("none", "*", -5.0),
        ),
    )


def fine(ctx: Context, statement: str, *signals: Signal) -> Answer:
    """Return the answer that a question about the tables found nothing."""
    return Answer(
        locus=f"service:{ctx.bundle.service.name}",
        verdict="ok",
        statement=statement,
        evidence=ctx.cite("tables"),
        signals=signals,
    )


@check(
    "data.missing_values",
    "Are values missing?",
    finds=("data.missing_values",),
    opposes=(
        "drift.harmless",
        "drift.seasonal",
        "none",
        "drift.feature_shift",
        "data.missing_values",
    ),
)
def missing_values(ctx: Context) -> Iterable[Answer]:
    """Compare the share of nulls with the same hours of the reference."""
    if no_tables(ctx):
        yield from no_tables(ctx)
        return
    hit: set[str] = set()
    for column in ctx.roots:
        m = column.movement
        gain = m.null_gap
        if gain < 0.01 or m.null_ratio < 1.25:
            continue
        if ctx.after(column)[column.name].isna().sum() < LEAST_ROWS:
            continue
        if m.null_reference > 0.95 or (not ctx.rows(column).timed and _with_order(ctx, column)):
            continue  # rows in some order: what their stretches allow is judged cell by cell, below
        since = column.since if m.split is not None else None
        if nulls_upstream(ctx, column.table, column.name, since) >= 0.7 * m.null_current:
            continue  # they came down from a table where as many are nothing out of the ordinary
        if ctx.rows(column).timed and not _beyond_stretches(ctx, column):
            continue  # a sensor that is silent for hours now and then
        hit.add(column.name)
        yield fault(
            ctx,
            column,
            "data.missing_values",
            3.0,
            f"{column.table}.{column.name} is null in {share(m.null_current)} of rows, "
            f"was {share(m.null_reference)}",
            f"{column.name} is missing in {share(m.null_current)} of rows.",
            f"The model takes its path for missing values on {share(gain)} of rows more than before.",
            gain,
            "share of rows",
            0.01,
        )
    for found in broken_columns(ctx):
        lost = next((b for b in found.breaches if b.missing), None)
        if lost is None or found.name in hit:
            continue
        hit.add(found.name)
        yield _of_cells(
            ctx,
            found,
            lost,
            "data.missing_values",
            3.0,
            f"{found.table}.{found.name} is null, or says {lost.example!r} for it, in "
            f"{share(lost.share)} of rows, usually {share(lost.usual)}",
            f"{found.name} is missing in {share(lost.share)} of rows.",
            "The model takes its path for missing values more often than before.",
        )
    if not hit:
        yield fine(ctx, "No column lost values", Signal("data.missing_values", "*", -3.0))


@check(
    "data.default_fill",
    "Does one value take an unnatural share?",
    finds=("data.default_fill",),
    opposes=(
        "drift.harmless",
        "drift.seasonal",
        "none",
        "drift.feature_shift",
    ),
)
def filled(ctx: Context) -> Iterable[Answer]:
    """Find a constant or sentinel whose share rose threefold, or one number out of range on many rows."""
    hit, named = False, set()
    for column in [c for c in ctx.roots if c.movement.beyond_natural]:
        fill = default_fill(
            matched_reference(ctx, column)[column.name], ctx.after(column)[column.name]
        )
        if fill is not None and (
            _comes_with_order(ctx, column, fill)
            or (not _foreign(fill) and _a_common_value(ctx, column, fill))
        ):
            continue
        if fill is None or fill.share_current - fill.share_reference < 0.5 * column.movement.effect:
            continue
        hit = True
        named.add(column.name)
        # A number that was continuous and now repeats one value is filled; a category may be real,
        # and one that was common before rather is a new mix of rows.
        category = 0.8 if fill.share_reference < 0.05 else 0.2
        weight = 3.5 if fill.sentinel else (3.0 if column.kind == "number" else category)
        yield fault(
            ctx,
            column,
            "data.default_fill",
            weight,
            f"{fill.value!r} takes {share(fill.share_current)} of {column.table}.{column.name}, "
            f"was {share(fill.share_reference)}",
            f"{column.name} is filled with {fill.value!r} in {share(fill.share_current)} of rows.",
            "A value that stands for nothing is read as a real one.",
            fill.share_current,
            "share of rows",
            0.05,
        )
    for broken in broken_columns(ctx):
        one = one_filler(broken)
        if one is None or broken.name in named:
            continue
        hit = True
        yield _of_cells(
            ctx,
            broken,
            one,
            "data.default_fill",
            3.5,
            f"{one.example!r} takes {share(one.share)} of {broken.table}.{broken.name}, and lies "
            f"{one.what}",
            f"{broken.name} is filled with {one.example} in {share(one.share)} of rows.",
            "A value that stands for nothing is read as a real one.",
        )
    if ctx.inputs and not hit:
        yield fine(ctx, "No constant fills a column", Signal("data.default_fill", "*", -3.0))


def _beyond_stretches(ctx: Context, column: Column) -> bool:
    """Whether nulls are more than in any stretch of the reference that had as many rows."""
    now = ctx.after(column)[column.name].isna().to_numpy()
    before = ctx.before(column)[column.name].isna().to_numpy()
    return beyond_stretches(before, len(now), float(now.mean()), len(now))


def _foreign(fill: Fill) -> bool:
    """Whether a value stands for nothing and was hardly there before."""
    return fill.sentinel and fill.share_reference < 0.001


def _a_common_value(ctx: Context, column: Column, fill: Fill) -> bool:
    """Whether stretches of the reference had one value as often: of a place, an hour, a day."""
    rows = len(ctx.after(column))
    if not ctx.rows(column).timed or rows < 20:
        return False
    before = ctx.before(column)[column.name]
    codes, _ = pd.factorize(before)
    overall = np.bincount(codes[codes >= 0], minlength=1) / max(len(codes), 1)
    rises = []
    for block in row_blocks(len(codes), rows):
        mine = codes[block]
        here = np.bincount(mine[mine >= 0], minlength=len(overall)) / max(len(mine), 1)
        rises.append(float((here - overall).max()))
    return bool(rises) and fill.share_current - fill.share_reference <= 1.25 * max(rises)


def _with_order(ctx: Context, column: Column) -> bool:
    """Whether nulls may be more only because rows without times are in some order."""
    nulls = ctx.after(column)[column.name].isna().to_numpy()
    new = column.movement.null_reference < 0.02
    return column.movement.surprise is None or confined(nulls) or (new and uneven(nulls))


def _comes_with_order(ctx: Context, column: Column, fill: Fill) -> bool:
    """Whether a value may be common now only because rows without times are in some order."""
    if ctx.rows(column).timed:
        return False
    rows = ctx.after(column)[column.name].astype(str).to_numpy() == fill.value
    ordered = column.movement.surprise is None
    return confined(rows) or uneven(rows) or (ordered and fill.share_current > 0.9)


@check(
    "data.category_recode",
    "Were categories renamed?",
    finds=("data.category_recode",),
    opposes=(
        "drift.harmless",
        "drift.seasonal",
        "none",
        "drift.feature_shift",
        "drift.population_shift",
    ),
)
def recoded(ctx: Context) -> Iterable[Answer]:
    """Look for labels replaced one for one."""
    hit = False
    for column in [c for c in ctx.roots if c.kind == "category" and c.movement.beyond_natural]:
        found = category_recode(
            matched_reference(ctx, column)[column.name], ctx.after(column)[column.name]
        )
        if found is None:
            continue
        hit = True
        pairs = several([f"{old} → {new}" for old, new in found.pairs], 3)
        answer = fault(
            ctx,
            column,
            "data.category_recode",
            4.0,
            f"{column.table}.{column.name} has new labels for the old shares: {pairs}; "
            f"{share(found.covered)} of rows",
            f"The labels of {column.name} were replaced ({pairs}).",
            "The model has never seen the new labels and treats their rows as unknown.",
            found.covered,
            "share of rows",
            0.05,
        )
        # The same rows under new names are no new crowd.
        moved = segment_shift(
            matched_reference(ctx, column)[column.name], ctx.after(column)[column.name]
        )
        segment = f"segment:{column.name}={moved[0]}" if moved is not None else "*"
        crowd = Signal("drift.population_shift", segment, -3.0)
        yield replace(answer, signals=(*answer.signals, crowd))
    if ctx.inputs and not hit:
        yield fine(ctx, "No labels were replaced", Signal("data.category_recode", "*", -3.0))
