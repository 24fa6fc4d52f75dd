"""Whether the data is broken: nulls, fills, recodes, broken values, schema, keys, volume, freshness."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from triagebook.analysis.columns import as_numbers, kind_of
from triagebook.analysis.movement import same_hours
from triagebook.analysis.quality import (
    category_recode,
    corrupted,
    default_fill,
    duplicate_share,
    schema_difference,
    swapped,
    whole_hours_shift,
)
from triagebook.diagnosis.answer import Answer, Signal, check
from triagebook.diagnosis.checks.inputs import matched_reference, no_tables
from triagebook.diagnosis.context import moment
from triagebook.diagnosis.words import clock, count, several, share, span

if TYPE_CHECKING:
    from collections.abc import Iterable

    from triagebook.diagnosis.context import Column, Context, View


def _fault(
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


def _fine(ctx: Context, statement: str, *signals: Signal) -> Answer:
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
    opposes=("drift.feature_shift", "data.missing_values"),
)
def missing_values(ctx: Context) -> Iterable[Answer]:
    """Compare the share of nulls with the same hours of the reference."""
    if no_tables(ctx):
        yield from no_tables(ctx)
        return
    hit = False
    for column in ctx.roots:
        m = column.movement
        gain = m.null_gap
        if gain < 0.01 or m.null_ratio < 1.25:
            continue
        hit = True
        yield _fault(
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
    if not hit:
        yield _fine(ctx, "No column lost values", Signal("data.missing_values", "*", -3.0))


@check(
    "data.default_fill",
    "Does one value take an unnatural share?",
    finds=("data.default_fill",),
    opposes=("drift.feature_shift",),
)
def filled(ctx: Context) -> Iterable[Answer]:
    """Find a constant or sentinel whose share rose threefold."""
    hit = False
    for column in [c for c in ctx.roots if c.movement.beyond_natural]:
        fill = default_fill(
            matched_reference(ctx, column)[column.name], ctx.after(column)[column.name]
        )
        if fill is None or fill.share_current - fill.share_reference < 0.5 * column.movement.effect:
            continue
        hit = True
        # A number that was continuous and now repeats one value is filled; a category may be real.
        weight = 3.5 if fill.sentinel else (3.0 if column.kind == "number" else 0.8)
        yield _fault(
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
    if ctx.inputs and not hit:
        yield _fine(ctx, "No constant fills a column", Signal("data.default_fill", "*", -3.0))


@check(
    "data.category_recode",
    "Were categories renamed?",
    finds=("data.category_recode",),
    opposes=("drift.feature_shift", "drift.population_shift"),
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
        yield _fault(
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
    if ctx.inputs and not hit:
        yield _fine(ctx, "No labels were replaced", Signal("data.category_recode", "*", -3.0))


@check(
    "data.corrupted_values",
    "Are values out of range or of another form?",
    finds=("data.corrupted_values",),
    opposes=("drift.feature_shift",),
)
def broken(ctx: Context) -> Iterable[Answer]:
    """Look for values outside what the reference ever held."""
    hit = False
    for column in ctx.inputs:
        if any(c.name == column.name and c is not column for c in ctx.roots):
            continue  # named at its root
        found = corrupted(
            ctx.before(column)[column.name],
            ctx.after(column)[column.name],
            number=column.kind == "number",
        )
        if found is None:
            continue
        hit = True
        yield _fault(
            ctx,
            column,
            "data.corrupted_values",
            (2.5 + min(10 * found.share, 1.5)) if found.share < 0.9 else 0.5,
            f"{share(found.share)} of {column.table}.{column.name} is {found.what}, "
            f"such as {found.example!r}",
            f"{share(found.share)} of {column.name} is {found.what}.",
            "Values that cannot be true reach the model.",
            found.share,
            "share of rows",
            0.005,
        )
    if ctx.inputs and not hit:
        yield _fine(
            ctx,
            "All values are of the range and form known",
            Signal("data.corrupted_values", "*", -2.5),
        )


@check(
    "data.column_swap",
    "Do two columns carry each other's values?",
    finds=("data.column_swap",),
    opposes=("drift.feature_shift",),
)
def swap(ctx: Context) -> Iterable[Answer]:
    """Compare each moved column with the past of every other."""
    hit = False
    for table in ctx.tables:
        moved = [
            c
            for c in ctx.roots
            if c.table == table and c.kind == "number" and c.movement.beyond_natural
        ]
        if len(moved) < 2:
            continue
        old = {c.name: as_numbers(matched_reference(ctx, c)[c.name]) for c in moved}
        new = {c.name: as_numbers(ctx.after(c)[c.name]) for c in moved}
        by_name = {c.name: c for c in moved}
        for left, right, gap in swapped(old, new, sorted(by_name)):
            hit = True
            yield _fault(
                ctx,
                by_name[left],
                "data.column_swap",
                4.5,
                f"{table}.{left} carries the values of {right}, and {right} those of {left}",
                f"{left} and {right} are swapped.",
                f"The model reads {right} where it expects {left}.",
                gap,
                "distance once crossed (0 to 1)",
                0.1,
            )
    if ctx.inputs and not hit:
        yield _fine(ctx, "No two columns are swapped", Signal("data.column_swap", "*", -3.0))


@check("data.schema_change", "Is each column there, of its type?", finds=("data.schema_change",))
def schema(ctx: Context) -> Iterable[Answer]:
    """Compare columns and types, and tables that cannot be compared at all."""
    hit = False
    for name, table in ctx.tables.items():
        if table.reference is None or table.current is None or table.current.empty:
            continue
        gone_dark = [
            str(c)
            for c in table.reference
            if c in table.current
            and table.current[c].isna().all()
            and table.reference[c].notna().mean() > 0.5
            and kind_of(table.reference[c]) != "empty"
        ]
        found = schema_difference(table.reference, table.current, table.spec.expected_schema)
        if not (found.gone or found.retyped or (gone_dark and found.new)):
            continue
        downstream, hit = hit, True
        said = [
            f"{word} {several(items)}"
            for word, items in (
                ("gone:", [*found.gone, *gone_dark]),
                ("new:", list(found.new)),
                ("of another type:", [f"{c} ({a} → {b})" for c, a, b in found.retyped]),
            )
            if items
        ]
        yield Answer(
            locus=f"table:{name}",
            verdict="bad",
            statement=f"The schema of {name} changed; {'; '.join(said)}",
            value=len(found.gone) + len(found.retyped) + len(gone_dark),
            unit="columns",
            threshold=1,
            evidence=ctx.cite("tables", name),
            # Tables come furthest upstream first: what follows has it from there.
            signals=()
            if downstream
            else (
                Signal(
                    "data.schema_change",
                    f"table:{name}",
                    4.5,
                    headline=f"The schema of {name} changed ({'; '.join(said)}).",
                    mechanism="What reads the table by the old names or types gets nulls, or fails.",
                ),
                Signal("none", "*", -5.0),
            ),
        )
    if ctx.inputs and not hit:
        yield _fine(
            ctx, "Every column is there, of its type", Signal("data.schema_change", "*", -3.0)
        )


@check("data.keys", "Do keys repeat?", finds=("data.duplicate_rows",))
def keys(ctx: Context) -> Iterable[Answer]:
    """Count repeated keys, at the table furthest upstream that repeats them."""
    hit = False
    for name in ctx.tables:
        view = ctx.view(name)
        if view is None or not view.spec.key_columns:
            continue
        was = duplicate_share(view.reference, view.spec.key_columns)
        now = duplicate_share(view.current, view.spec.key_columns)
        if now - was < 0.005 or hit:
            continue
        hit = True
        repeated = view.current.duplicated([k for k in view.spec.key_columns if k in view.current])
        since = (
            moment(int(view.current_times[int(np.argmax(repeated.to_numpy()))]))
            if view.timed
            else None
        )
        yield Answer(
            locus=f"table:{name}",
            verdict="bad",
            since=since,
            statement=f"{share(now)} of rows of {name} repeat a key, were {share(was)}",
            value=round(now, 4),
            unit="share of rows",
            threshold=0.005,
            effect=round(now - was, 4),
            evidence=ctx.cite("tables", name),
            signals=(
                Signal(
                    "data.duplicate_rows",
                    f"table:{name}",
                    4.0,
                    headline=f"{share(now)} of rows of {name} are there twice.",
                    mechanism="Repeated rows count twice in every sum, share and training set.",
                ),
                Signal("none", "*", -5.0),
            ),
        )
    if ctx.inputs and not hit:
        yield _fine(ctx, "Keys do not repeat", Signal("data.duplicate_rows", "*", -3.0))


@check(
    "data.volume",
    "Did as many rows arrive as at the same hours before, and lately?",
    finds=("data.missing_rows", "data.stale"),
)
def volume(ctx: Context) -> Iterable[Answer]:
    """Compare rows an hour with the same hour and weekday; look at the age of the newest row."""
    hit = timed = False
    for name in ctx.tables:
        view = ctx.view(name)
        if view is None or view.spec.role == "labels":
            continue
        if not view.timed:
            continue
        timed = True
        stale = _stale(ctx, view)
        short_of = None if stale else _short(ctx, view)
        answer = stale or short_of
        if answer is not None and not hit:
            hit = True
            yield answer
    if timed and not hit:
        yield _fine(
            ctx,
            "As many rows arrived as at the same hours before, up to the end",
            Signal("data.missing_rows", "*", -3.0),
            Signal("data.stale", "*", -3.0),
        )


def _stale(ctx: Context, view: View) -> Answer | None:
    end = pd.Timestamp(ctx.bundle.windows.current[1])
    newest = moment(int(view.current_times[-1]))
    age_s = (end - newest).total_seconds()
    every = view.reference_times
    gaps = np.diff(every) / 1e9
    longest = float(np.quantile(gaps, 0.999)) if len(gaps) > 50 else 0.0
    promised = view.spec.freshness_s or max(4 * longest, 3_600.0)
    if age_s <= promised or age_s <= 1.5 * longest:
        return None
    return Answer(
        locus=f"table:{view.name}",
        verdict="bad",
        since=newest,
        statement=(
            f"The newest row of {view.name} is {span(age_s)} old; at most {span(promised)} is "
            f"{'promised' if view.spec.freshness_s else 'usual'}"
        ),
        value=round(age_s),
        unit="s",
        threshold=round(promised),
        effect=round(age_s / promised, 2),
        evidence=ctx.cite("tables", view.name),
        signals=(
            Signal(
                "data.stale",
                f"table:{view.name}",
                5.0,
                headline=f"{view.name} has had no new row since {clock(newest)}.",
                mechanism="The model goes on with values that no longer hold.",
            ),
            Signal("none", "*", -5.0),
        ),
    )


def _short(ctx: Context, view: View) -> Answer | None:
    """Look for the hours that have far fewer rows than the same hours of other days."""
    hour = 3_600_000_000_000
    end = int(view.current_times[-1]) // hour  # the last hour may be under way
    first = int(view.current_times[0]) // hour + 1
    hours = np.arange(first, end)
    if len(hours) < 6:
        return None
    got = np.bincount(
        np.clip(view.current_times // hour - first, -1, len(hours)) + 1, minlength=len(hours) + 2
    )[1:-1]
    past = np.bincount((view.reference_times // hour - view.reference_times[0] // hour).astype(int))
    base = int(view.reference_times[0] // hour)
    usual, spread = [], []
    for h in hours:
        back = h - 24 * np.arange(1, 57) - base
        there = past[back[(back >= 0) & (back < len(past))]]
        usual.append(np.median(there) if len(there) >= 4 else np.nan)
        spread.append(np.quantile(there, 0.1) if len(there) >= 4 else np.nan)
    expected, low = np.array(usual), np.array(spread)
    known = np.isfinite(expected) & (expected >= 5)
    if known.sum() < 4:
        return None
    less = known & (got < 0.7 * low)
    # Three hours short, the latest among them, or a third of all: one thin hour is no fault.
    recent = np.flatnonzero(known)[-3:]
    if not less[recent].all() and less.sum() < max(3, known.sum() / 3):
        return None
    start = int(hours[np.flatnonzero(less)[0]]) * hour
    lost = float((expected[less] - got[less]).sum())
    part = lost / max(float(expected[less].sum()), 1.0)
    blocks = same_hours(view.reference_times, start, int(view.current_times[-1]))
    return Answer(
        locus=f"table:{view.name}",
        verdict="bad",
        since=moment(start),
        statement=(
            f"{view.name} has {share(part)} fewer rows than the same hours of other days "
            f"in {count(less.sum())} hours, about {count(lost)} rows"
        ),
        value=round(part, 4),
        unit="share of rows",
        threshold=0.3,
        effect=round(lost),
        evidence=ctx.cite("tables", view.name),
        signals=(
            Signal(
                "data.missing_rows",
                f"table:{view.name}",
                4.5 if len(blocks) >= 4 else 3.5,
                headline=f"{view.name} lacks about {count(lost)} rows since {clock(moment(start))}.",
                mechanism="Rows that never arrived are missing from everything computed from them.",
            ),
            Signal("none", "*", -5.0),
        ),
    )


@check(
    "data.timezone_shift",
    "Did the clock of a column move by whole hours?",
    finds=("data.timezone_shift",),
    opposes=("drift.feature_shift",),
)
def timezone(ctx: Context) -> Iterable[Answer]:
    """Compare hour-of-day profiles of local times and of columns that hold hours."""
    hit: set[str] = set()
    for name in ctx.tables:
        view = ctx.view(name)
        if view is None:
            continue
        for column, old, new in _clocks(ctx, view):
            found = whole_hours_shift(old, new)
            if found is None:
                continue
            first = not hit
            hit.add(column)
            hours, before, after = found
            yield Answer(
                locus=f"column:{name}.{column}",
                verdict="bad",
                statement=(
                    f"The hour-of-day profile of {name}.{column} moved by {hours:+d} h: shifted back, "
                    f"{share(1 - after / before)} of the difference is gone"
                ),
                value=hours,
                unit="h",
                threshold=1,
                effect=round(before, 4),
                evidence=ctx.cite("tables", name),
                signals=(
                    Signal(
                        "data.timezone_shift",
                        f"column:{name}.{column}",
                        4.0 if first else 1.0,
                        headline=f"{column} is {hours:+d} h off.",
                        mechanism="Hours of the day mean something else than in training.",
                    ),
                    Signal("drift.feature_shift", f"feature:{column}", -2.0),
                    Signal("data.corrupted_values", f"column:{name}.{column}", -3.0),
                    Signal("none", "*", -4.0),
                ),
            )
    if ctx.inputs and not hit:
        yield _fine(ctx, "No clock moved by whole hours", Signal("data.timezone_shift", "*", -2.5))


def _clocks(ctx: Context, view: View) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """List columns that hold a clock: the local time, and numbers within a day whose name says hour."""
    out: list[tuple[str, np.ndarray, np.ndarray]] = []
    # A part of a day has another profile than a whole one: only whole days are compared.
    if not view.timed:
        return []
    day = 86_400_000_000_000
    days = (view.current_times[-1] - view.current_times[0]) // day
    if days < 1:
        return []
    rows = view.current[view.current_times > view.current_times[-1] - days * day]
    local = view.spec.local_time_column
    if local and local in view.reference and local in rows:
        old, new = (
            pd.to_datetime(f[local], errors="coerce").dropna().dt.hour.to_numpy()
            for f in (view.reference, rows)
        )
        out.append((local, old, new))
    for column in ctx.inputs:
        if column.table != view.name or "hour" not in column.name.lower():
            continue
        numbers = [as_numbers(f[column.name]) for f in (view.reference, rows)]
        if all(len(n) and n.min() >= 0 and n.max() <= 24 for n in numbers):
            old, new = (np.floor(n).astype(int) % 24 for n in numbers)
            out.append((column.name, old, new))
    return out
