"""Whether tables are as they should be: schema, keys, and the clocks they carry."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from triagebook.analysis.blocks import HOUR
from triagebook.analysis.clock import clock_shift
from triagebook.analysis.columns import as_numbers, kind_of
from triagebook.analysis.joins import fans_out
from triagebook.analysis.quality import duplicate_share, schema_difference, whole_hours_shift
from triagebook.core.words import several, share
from triagebook.diagnosis.answer import Answer, Signal, check
from triagebook.diagnosis.checks.data import fine
from triagebook.diagnosis.context import last_before, moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from triagebook.diagnosis.context import Context, View
    from triagebook.evidence.bundle import Table


@check(
    "data.schema_change",
    "Is each column there, of its type?",
    finds=("data.schema_change",),
    opposes=("data.missing_values", "none", "data.schema_change"),
)
def schema(ctx: Context) -> Iterable[Answer]:
    """Compare columns and types, and tables that cannot be compared at all."""
    for name, table in ctx.tables.items():
        if table.problems:
            yield Answer(
                locus=f"table:{name}",
                verdict="unknown",
                statement=f"Not all of {name} could be read: {several(table.problems, 2)}",
                evidence=ctx.cite("tables", name),
            )
        elif (why := _nothing_to_compare(table)) is not None:
            yield Answer(
                locus=f"table:{name}",
                verdict="unknown",
                statement=f"{name} could not be compared: {why}",
                evidence=ctx.cite("tables", name),
            )
    hit = False
    for name, table in ctx.tables.items():
        if table.reference is None or table.current is None or table.current.empty:
            continue
        gone_dark = [
            str(c)
            for c in table.reference
            if c in table.current
            and _dark(table.current[c])
            and table.reference[c].notna().mean() > 0.5
            and kind_of(table.reference[c]) != "empty"
        ]
        found = schema_difference(table.reference, table.current, table.spec.expected_schema)
        # What upstream has and this table lost on the way is no change of this table's schema.
        gone_dark = [c for c in gone_dark if not _upstream(ctx, name, c)]
        if not (found.gone or found.retyped or gone_dark):
            continue
        # A column that only ever was written as null may as well be values that were lost.
        dark_only = not (found.gone or found.retyped or found.new)
        downstream, hit = hit, True
        said = [
            f"{word} {several(items)}"
            for word, items in (
                ("gone:", list(found.gone)),
                ("without any value by now:", gone_dark),
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
                    3.0 + _announced(ctx) if dark_only else 4.5,
                    headline=f"The schema of {name} changed ({'; '.join(said)}).",
                    mechanism="What reads the table by the old names or types gets nulls, or fails.",
                ),
                Signal("none", "*", -5.0),
                # The old name's nulls are the renaming, seen from the other side.
                *(
                    Signal("data.missing_values", f"column:{name}.{c}", -2.5 if dark_only else -4.0)
                    for c in gone_dark
                ),
                # What reads the table by its old names and types gets nulls.
                *(
                    Signal("data.missing_values", f"column:{one}.{c}", -2.5)
                    for one in ctx.tables
                    if one != name
                    for c in (*found.gone, *gone_dark, *(c for c, _, _ in found.retyped))
                ),
            ),
        )
    if ctx.inputs and not hit:
        yield fine(
            ctx, "Every column is there, of its type", Signal("data.schema_change", "*", -3.0)
        )


def _upstream(ctx: Context, name: str, column: str) -> bool:
    """Whether a table further upstream than this one still has values of the column."""
    before = list(ctx.tables)[: list(ctx.tables).index(name)]
    parts = [ctx.tables[one].current for one in before]
    return any(p is not None and column in p and not _dark(p[column]) for p in parts)


def _announced(ctx: Context) -> float:
    """Weight of a change of schema in the change log, since a day before the window."""
    since = ctx.bundle.windows.current[0] - timedelta(days=1)
    return 1.5 if any(c.kind == "schema" and c.ts >= since for c in ctx.changes) else 0.0


def _dark(values: pd.Series) -> bool:
    """Whether a column holds nothing in its newest fifth, whatever stood there before."""
    newest = values.iloc[-max(len(values) // 5, 1) :]
    return bool(len(newest) and newest.isna().all())


def _nothing_to_compare(table: Table) -> str | None:
    """Say which file of a table that was read holds nothing to compare; None where both do."""
    spec = table.spec
    times = {spec.time_column, spec.label_time_column}
    for side, frame in (("reference", table.reference), ("current", table.current)):
        if frame is None:
            return f"{side}.parquet is not there"
        if frame.empty:
            # Labels come late: that they are not in is said where they are needed.
            return None if spec.role == "labels" else f"{side}.parquet has no rows"
        values = [column for column in frame if column not in times]
        if not frame[values].notna().any(axis=None):
            return f"{side}.parquet holds nothing but nulls"
    return None


@check(
    "data.keys",
    "Do keys repeat?",
    finds=("data.duplicate_rows", "data.join_broken"),
    opposes=("data.corrupted_values", "model.serving_skew", "none", "data.duplicate_rows"),
)
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
        first = int(np.argmax(repeated.to_numpy()))
        since = moment(int(view.current_times[first])) if view.timed else None
        before = last_before(view, first) if view.timed else None
        by_join = fans_out(view.current, [k for k in view.spec.key_columns if k in view.current])
        fan_out = by_join >= 0.5
        tail = f"; {share(by_join)} of these keys have rows that differ" if fan_out else ""
        cause = "data.join_broken" if fan_out else "data.duplicate_rows"
        yield Answer(
            locus=f"table:{name}",
            verdict="bad",
            since=since,
            since_low=before,
            since_high=since,
            statement=f"{share(now)} of rows of {name} repeat a key, were {share(was)}{tail}",
            value=round(now, 4),
            unit="share of rows",
            threshold=0.005,
            effect=round(now - was, 4),
            evidence=ctx.cite("tables", name),
            signals=(
                Signal(
                    cause,
                    f"table:{name}",
                    4.0,
                    headline=f"A join multiplied rows of {name}: {share(now)} repeat a key."
                    if fan_out
                    else f"{share(now)} of rows of {name} are there twice.",
                    mechanism="Repeated rows count twice in every sum, share and training set.",
                ),
                Signal("none", "*", -5.0),
                # Of keys that repeat no one row can be held against what was served.
                Signal("model.serving_skew", "*", -3.0),
                # Values of a second version of an entity are another's, not garbled.
                *(
                    Signal("data.corrupted_values", f"column:{name}.{column}", -2.5)
                    for column in (view.current if fan_out else ())
                ),
            ),
        )
    if ctx.inputs and not hit:
        yield fine(ctx, "Keys do not repeat", Signal("data.duplicate_rows", "*", -3.0))


@check(
    "data.timezone_shift",
    "Did the clock of a column move by whole hours?",
    finds=("data.timezone_shift",),
    opposes=(
        "data.corrupted_values",
        "none",
        "drift.feature_shift",
    ),
)
def timezone(ctx: Context) -> Iterable[Answer]:
    """Compare hour-of-day profiles of local times and of columns that hold hours."""
    hit: set[str] = set()
    for name in ctx.tables:
        view = ctx.view(name)
        if view is None:
            continue
        yield from _against_utc(ctx, view, hit)
        for column, old, new in _clocks(ctx, view):
            if column in hit:
                continue
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
        yield fine(ctx, "No clock moved by whole hours", Signal("data.timezone_shift", "*", -2.5))


def _against_utc(ctx: Context, view: View, hit: set[str]) -> Iterator[Answer]:
    """Hold a table's local times against its own UTC times: a few rows are enough."""
    local = view.spec.local_time_column
    if not view.timed or local is None or local not in view.reference or local not in view.current:
        return
    gaps = []
    for frame, times in (
        (view.reference, view.reference_times),
        (view.current, view.current_times),
    ):
        clock = pd.to_datetime(frame[local], errors="coerce")
        if clock.dt.tz is not None:
            clock = clock.dt.tz_localize(None)
        at = clock.to_numpy(dtype="datetime64[ns]")
        hours = (at.astype(np.int64) - times) / HOUR
        gaps.append(np.where(np.isnat(at), np.nan, hours))
    found = clock_shift(*gaps)
    if found is None:
        return
    first = not hit
    hit.add(local)
    since = moment(int(view.current_times[found.index]))
    yield Answer(
        locus=f"column:{view.name}.{local}",
        verdict="bad",
        statement=(
            f"{view.name}.{local} stands {found.hours:+d} h off against {view.spec.time_column} on "
            f"{share(found.share)} of rows since {since:%H:%M} UTC"
        ),
        value=found.hours,
        unit="h",
        threshold=2,
        effect=round(found.share, 4),
        since=since,
        since_low=last_before(view, found.index),
        since_high=since,
        evidence=ctx.cite("tables", view.name),
        signals=(
            Signal(
                "data.timezone_shift",
                f"column:{view.name}.{local}",
                4.0 if first else 1.0,
                headline=f"{local} is {found.hours:+d} h off.",
                mechanism="Hours of the day mean something else than in training.",
            ),
            Signal("data.corrupted_values", f"column:{view.name}.{local}", -3.0),
            Signal("none", "*", -4.0),
        ),
    )


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
