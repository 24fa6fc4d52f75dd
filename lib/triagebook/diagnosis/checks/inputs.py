"""Which inputs moved, farther than they move anyway, and whether one constant explains it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from triagebook.analysis.blocks import same_hours
from triagebook.analysis.clock import told_by_time
from triagebook.analysis.columns import as_numbers
from triagebook.analysis.distance import noise_floor
from triagebook.analysis.lattice import converted
from triagebook.analysis.movement import step_ratio
from triagebook.analysis.units import (
    ConstantChange,
    constant_changes,
    constant_from_groups,
    constant_within_groups,
    ks,
    partial_conversion,
    pinning,
    with_luck,
)
from triagebook.core.models import IncidentType
from triagebook.core.words import count, number, share
from triagebook.diagnosis.answer import Answer, Signal, check
from triagebook.diagnosis.context import moment
from triagebook.diagnosis.recurring import recurring

if TYPE_CHECKING:
    from collections.abc import Iterable

    from triagebook.diagnosis.context import Column, Context


def no_tables(ctx: Context) -> list[Answer]:
    """Return the unknown answer for a context with no comparable table; empty where there is one."""
    if ctx.inputs:
        return []
    why = ctx.why_missing("tables")
    problems = [p for table in ctx.tables.values() for p in table.problems]
    if why is None and problems:
        why = "; ".join(problems)
    return [
        Answer(
            locus=f"service:{ctx.bundle.service.name}",
            verdict="unknown",
            statement=f"No table could be compared: {why or 'no rows in both windows'}",
            evidence=ctx.cite("tables"),
        )
    ]


def matched_reference(ctx: Context, column: Column) -> pd.DataFrame:
    """Return the reference rows at the hours of day of the rows since the movement began."""
    view = ctx.rows(column)
    if not view.timed:
        return view.reference
    start = view.current_times[column.movement.split.index if column.movement.split else 0]
    blocks = same_hours(view.reference_times, int(start), int(view.current_times[-1]))
    return view.reference.iloc[np.concatenate(blocks)] if len(blocks) >= 4 else view.reference


def how_far(column: Column) -> str:
    """Say how far a column moved: `mean 1,656, was 1,038 (+0.85 sd)`."""
    m = column.movement
    if abs(m.null_gap) >= 0.01 and m.null_ratio >= max(m.ratio, 1.25):
        return f"null in {share(m.null_current)} of rows, was {share(m.null_reference)}"
    if m.mean_current is not None and m.mean_reference is not None:
        shift = f", {m.shift_sd:+.2f} sd" if m.shift_sd is not None else ""
        return f"mean {number(m.mean_current)}, was {number(m.mean_reference)}{shift}"
    return f"shares differ by {share(m.effect)}"


def lead(column: Column, moved: list[Column]) -> float:
    """Nats for having moved the farthest: columns that hang together move together, one before all."""
    strongest = max((other.movement.strength for other in moved), default=0.0)
    return 0.4 * column.movement.strength / strongest if strongest > 0 else 0.0


def _times(column: Column) -> str:
    m = column.movement
    if m.null_ratio >= max(m.ratio, 1.25):
        return f"lost or gained values {m.null_ratio:.1f} times as much"
    if m.ratio >= 1.25:
        return f"moved {m.ratio:.1f} times as far"
    return f"stepped {m.jump:.1f} times as far at one moment"


@check(
    "drift.inputs_moved",
    "Which inputs moved, farther than they move anyway?",
    finds=("drift.feature_shift",),
    opposes=("none",),
)
def inputs_moved(ctx: Context) -> Iterable[Answer]:
    """Compare every input with the same hours of the reference, against its natural movement."""
    yield from no_tables(ctx)
    moved = [column for column in ctx.roots if column.movement.beyond_natural]
    ctx.results["moved"] = moved
    for column in moved[:12]:
        m = column.movement
        told = announced(ctx, column)
        clock = _hour_of_row(ctx, column)
        plain = 1.0 if told is None and not clock else 0.2
        plain *= plainly(column)
        yield Answer(
            # That a column moved is no fault of it; faults name the column.
            locus=f"feature:{column.name}",
            verdict="bad",
            statement=(
                f"{column.table}.{column.name} {_times(column)} as it does anyway: {how_far(column)}"
                + (f"; announced: {told}" if told is not None else "")
                + ("; it is the hour of the row's time: rows came at other hours" if clock else "")
            ),
            value=round(m.effect, 4),
            unit="distance (0 to 1)",
            threshold=round(1.25 * max(m.natural, m.noise, 0.01), 4),
            effect=round(m.strength, 3),
            since=column.since,
            evidence=ctx.cite("tables", column.table),
            signals=(
                Signal(
                    "drift.feature_shift",
                    f"feature:{column.name}",
                    -1.0 if clock else 2.0 * plain + lead(column, moved),
                    headline=f"{column.name} moved: {how_far(column)}.",
                    mechanism=f"{column.name} itself moved; no fault of the data was found that explains it.",
                ),
                Signal("none", "*", -4.0 * plain),
            ),
        )
    quiet = len(ctx.inputs) - len(moved)
    if ctx.inputs and not moved:
        widest = max(ctx.inputs, key=lambda c: c.movement.ratio)
        yield Answer(
            locus=f"service:{ctx.bundle.service.name}",
            verdict="ok",
            statement=(
                f"None of {count(quiet)} inputs moved farther than it does anyway; the farthest is "
                f"{widest.table}.{widest.name}, at {widest.movement.ratio:.1f} times"
            ),
            effect=round(widest.movement.ratio, 3),
            threshold=1.25,
            unit="times its natural movement",
            evidence=ctx.cite("tables"),
            signals=(
                Signal("none", "*", _calm(ctx)),
                Signal("drift.feature_shift", "*", -2.0),
            ),
        )


def plainly(column: Column) -> float:
    """How plainly a column moved, [0.2, 1]: what few earlier days did, days to come may exceed a little."""
    m = column.movement
    # A change at one moment within the window is no day that came out a little farther than others.
    sudden = m.split is not None or m.jump >= 2.5
    if not m.timed or not m.natural or sudden or abs(m.null_gap) >= 0.01:
        return 1.0
    far = (m.effect / max(m.natural, m.noise, 0.01) - 1.0) / 0.6
    # The sharper tests: at 1.25 chance gives it once in thirty alerts, at 1.6 hardly ever.
    sure = (m.ratio - 1.2) / 0.4 if m.ratio > 1.0 + 0.6 * far + 1e-9 else 0.0
    return float(np.clip(max(far, sure), 0.2, 1.0))


def announced(ctx: Context, column: Column) -> str | None:
    """Return the change that announced a value that is new in a category; None where none did."""
    if column.kind != "category":
        return None
    before = set(ctx.before(column)[column.name].dropna().astype(str))
    new = set(ctx.after(column)[column.name].dropna().astype(str)) - before
    start, end = ctx.bundle.windows.current
    for change in ctx.changes:
        if not start - (end - start) <= change.ts <= end:
            continue
        text = " ".join(str(part) for part in (change.what, change.to) if part)
        if new and all(_says(text, value) for value in new):
            return str(change.what)
    return None


def _hour_of_row(ctx: Context, column: Column) -> bool:
    """Whether a column is read off the row's own time: it tells when rows came, not what they hold."""
    view = ctx.rows(column)
    if column.kind != "number" or not view.timed:
        return False
    old, new = (
        pd.to_numeric(frame[column.name], errors="coerce").to_numpy("float64")
        for frame in (view.reference, view.current)
    )
    return told_by_time(old, view.reference_times, new, view.current_times)


def _says(text: str, value: str) -> bool:
    """Whether a text has a value as a word, or words, of its own."""
    whole = rf"(?<![\w\-]){re.escape(value)}(?![\w\-])"
    # Any text has the article "a": one letter names nothing.
    return len(value) > 1 and re.search(whole, text, re.IGNORECASE) is not None


def _calm(ctx: Context) -> float:
    """Nats that quiet tables speak for "nothing is wrong": more where the alert is about the data."""
    about_data = ctx.incident_type in (IncidentType.DRIFT, IncidentType.DATA_QUALITY)
    others = any(ctx.why_missing(kind) is None for kind in ("metrics", "logs", "pipeline"))
    if about_data and (recurring(ctx) or any(c.movement.psi > 0.25 for c in ctx.roots)):
        return 1.0  # a dashboard shows a movement, though one that comes anyway
    nobody_said = ctx.incident_type is IncidentType.UNKNOWN and not others
    return 3.0 if about_data or nobody_said else 1.5


@check(
    "data.unit_change",
    "Does one constant explain it, as a change of unit would?",
    finds=("data.unit_change",),
    opposes=(
        "none",
        "data.corrupted_values",
        "drift.feature_shift",
        "drift.seasonal",
        "drift.harmless",
        "drift.population_shift",
    ),
)
def unit_change(ctx: Context) -> Iterable[Answer]:
    """Undo the best constant and see what movement is left, overall and within groups."""
    found = ctx.results.setdefault("constants", {})
    told = set()
    for column, told_by_digits, rows in _by_digits(ctx):
        told.add(column.name)
        found[column.locus] = told_by_digits, None
        yield _partly(ctx, column, told_by_digits, rows)
    moved = [c for c in ctx.roots if c.kind == "number" and c.movement.beyond_natural]
    for column in [c for c in moved if c.name not in told][:8]:
        reference = matched_reference(ctx, column)
        after = ctx.after(column)
        grouping = pinning(reference, column.name, _groupings(ctx, column, reference))
        exact = constant_from_groups(reference, after, column.name, grouping) if grouping else None
        change = exact or _likeliest(ctx, column, reference, after)
        where = f"{column.table}.{column.name}"
        if change is None or (exact is None and change.explained < 0.85):
            part = partial_conversion(
                as_numbers(reference[column.name]), as_numbers(after[column.name])
            )
            if part is not None:
                found[column.locus] = part, None
                yield _partly(ctx, column, part)
                continue
        if change is None:
            yield Answer(
                locus=column.locus,
                verdict="ok",
                since=column.since,
                statement=f"No one constant explains the movement of {where}",
                evidence=ctx.cite("tables", column.table),
                signals=(Signal("data.unit_change", column.locus, -3.0),),
            )
            continue
        groups = (
            constant_within_groups(reference, after, column.name, change, grouping)
            if grouping
            else None
        )
        held = None if groups is None else groups.agreeing / groups.groups
        found[column.locus] = change, groups
        scale = abs(change.factor - 1) > 1e-6
        # A conversion leaves nothing but chance behind; so does a lucky fit to a change of weather,
        # hence a constant that nobody knows by name says little unless groups confirm it.
        chance = noise_floor(len(reference), len(after), 1, alpha=0.001)
        real = change.explained >= 0.7 and change.after <= max(
            chance, 1.2 * column.movement.natural
        )
        if change.luck and change.spread > max(0.05, 1.2 / np.sqrt(max(len(after), 1))):
            real = False  # the quantiles do not agree on one factor as well as so many rows would
        still = _step_undone(ctx, column, change)
        # Where days differ much by themselves, distances say little; but a column that made a step it
        # never makes, and goes on from where it was once the constant is undone, was converted.
        slow = column.movement.natural >= 0.3
        goes_on = slow and column.movement.jump >= 2.5 and still <= 1.0 and bool(change.name)
        known = 3.5 if not change.luck else float(np.clip(1.2 - np.log(change.luck), 1.2, 3.5))
        weight = -1.0
        if real or exact or goes_on:
            weight = known if change.name else 1.2 if scale else 0.0
        if still > 1.5:
            # A conversion undone goes on from where the column was; a change of weather does not.
            weight -= 4.0
        if held is None and change.explained < 0.85:
            # A conversion undone leaves nothing over; a real movement has some size near one by luck.
            weight -= 3.0
        if held is not None:
            weight += (2.0 if change.name else 3.0) if held >= 0.9 else -2.5
        done = _in_words(change.factor, change.offset)
        named = f" ({change.name})" if change.name else ""
        unit = _unit(ctx, column)
        statement = f"{where} is {done}{named}: undone, {share(max(change.explained, 0))} of the movement is gone"
        if still > 1.5:
            statement += f"; but even undone it steps {still:.1f} times as far as it does anyway"
        if groups is not None:
            statement += (
                f"; {count(groups.agreeing)} of {count(groups.groups)} groups by "
                f"{' and '.join(groups.by)} show the same constant"
            )
        yield Answer(
            locus=column.locus,
            verdict="bad" if weight > 1 else "ok",
            statement=statement,
            value=round(change.factor, 6) if scale else round(change.offset, 6),
            unit="factor" if scale else (unit or "units"),
            threshold=None,
            effect=round(change.explained, 4),
            since=column.since,
            evidence=ctx.cite("tables", column.table),
            signals=(
                Signal(
                    "data.unit_change",
                    column.locus,
                    weight,
                    headline=_headline(column.name, change.name, done),
                    mechanism=(f"Every value is {done}: " if change.name else "")
                    + "the model reads ordinary rows as unusual ones.",
                ),
                *(
                    (
                        Signal("drift.feature_shift", f"feature:{column.name}", -weight * 0.7),
                        Signal("drift.seasonal", f"feature:{column.name}", -weight * 0.5),
                        Signal("drift.harmless", f"feature:{column.name}", -weight * 0.7),
                        Signal("data.corrupted_values", column.locus, -weight * 0.7),
                        Signal("drift.population_shift", "*", -weight * 0.5),
                    )
                    if weight > 1
                    else ()
                ),
            ),
        )


def _by_digits(ctx: Context) -> list[tuple[Column, ConstantChange, np.ndarray]]:
    """Columns whose rows lie on the grid of the reference only once a known conversion is undone."""
    out: list[tuple[Column, ConstantChange, np.ndarray]] = []
    for column in ctx.inputs:
        if column.kind != "number" or any(c.name == column.name for c, _, _ in out):
            continue
        view = ctx.rows(column)
        old, new = (
            pd.to_numeric(part[column.name], errors="coerce").to_numpy("float64", na_value=np.nan)
            for part in (view.reference, view.current)
        )
        one = converted(old, new)
        if one is not None:
            after = new[one.rows]
            before = old[np.isfinite(old)]
            undone = (after - one.offset) / one.factor
            change = ConstantChange(
                one.factor, one.offset, ks(before, after), ks(before, undone), one.name, 0.0
            )
            out.append((column, change, one.rows))
    return out


def _partly(
    ctx: Context, column: Column, change: ConstantChange, rows: np.ndarray | None = None
) -> Answer:
    """Tell of a known conversion that some of a column's rows went through, those beyond its range or grid."""
    done = _in_words(change.factor, change.offset)
    where, since = f"{column.table}.{column.name}", column.since
    statement = (
        f"Rows of {where} beyond its range are {done} ({change.name}): undone, "
        f"they lie as they used to, and {share(max(change.explained, 0))} of the movement is gone"
    )
    if rows is not None:
        since = since or _first(ctx, column, rows)
        statement = (
            f"{share(float(rows[_first_row(rows) :].mean()))} of {where} since then is {done} "
            f"({change.name}): undone, they have the digits that its values always had, which hardly any "
            "other factor gives them"
        )
    return Answer(
        locus=column.locus,
        verdict="bad",
        since=since,
        statement=statement,
        value=round(change.factor, 6),
        unit="factor",
        effect=round(change.explained, 4),
        evidence=ctx.cite("tables", column.table),
        signals=(
            Signal(
                "data.unit_change",
                column.locus,
                4.0,
                headline=_headline(column.name, change.name, done),
                mechanism=f"Values are {done}: the model reads ordinary rows as unusual ones.",
            ),
            Signal("data.corrupted_values", column.locus, -3.5),
            Signal("drift.feature_shift", f"feature:{column.name}", -2.5),
            Signal("drift.seasonal", f"feature:{column.name}", -2.5),
            Signal("drift.harmless", f"feature:{column.name}", -1.5),
            Signal("drift.population_shift", "*", -1.5),
            Signal("none", "*", -3.0),
        ),
    )


def _first(ctx: Context, column: Column, rows: np.ndarray) -> pd.Timestamp | None:
    """Return when the first of the rows came; None without times."""
    view = ctx.rows(column)
    return moment(int(view.current_times[_first_row(rows)])) if view.timed else None


def _first_row(rows: np.ndarray) -> int:
    """Return the place of the first of the rows; a few strays long before the others are left out."""
    place = np.flatnonzero(rows)
    return int(place[len(place) // 100])


def _likeliest(
    ctx: Context, column: Column, reference: pd.DataFrame, after: pd.DataFrame
) -> ConstantChange | None:
    """Return the constant to speak of: of several that fit, the one that goes on from where it was."""
    old, new = as_numbers(reference[column.name]), as_numbers(after[column.name])
    found = constant_changes(old, new)
    if not found:
        return None
    # Where days differ much by themselves, distances cannot choose between conversions.
    near = max(0.02, 0.5 * column.movement.natural)
    rivals = [c for c in found if c.name is not None and c.after <= found[0].after + near]
    best = found[0]
    if found[0].name is not None and len(rivals) > 1:
        best = min(rivals, key=lambda c: (round(_step_undone(ctx, column, c), 1), c.after))
    return with_luck(best, old, new)


def _step_undone(ctx: Context, column: Column, change: ConstantChange) -> float:
    """Return how far the column would still step at the onset with the constant undone."""
    split, view = column.movement.split, ctx.rows(column)
    if split is None or not view.timed:
        return 0.0
    values = pd.to_numeric(view.current[column.name], errors="coerce").astype("float64")
    values.iloc[split.index :] = change.undo(values.iloc[split.index :])
    return step_ratio(
        view.reference[column.name], view.reference_times, values, view.current_times, split
    )


def _in_words(factor: float, offset: float) -> str:
    scaled = f"multiplied by {factor:.4g}" if abs(factor - 1) > 1e-6 else ""
    moved = f"shifted by {offset:+.4g}" if offset else ""
    return " and ".join(part for part in (scaled, moved) if part)


def _headline(column: str, name: str | None, constant: str) -> str:
    if name is None:
        return f"Every value of {column} is {constant}."
    old, _, new = name.partition(" to ")
    if not new or "," in name or "(" in name:
        return f"{column} arrives in another unit ({constant}: {name})."
    return f"{column} arrives in {new}, not {old}."


def _unit(ctx: Context, column: Column) -> str:
    view = ctx.view(column.table)
    return view.spec.unit.get(column.name, "") if view is not None else ""


def _groupings(ctx: Context, column: Column, reference: pd.DataFrame) -> list[tuple[str, ...]]:
    """List single categories and pairs of them that may pin the column's value down."""
    names = [
        c.name
        for c in ctx.columns
        if c.table == column.table and c.kind == "category" and c.name != column.name
    ]
    names = [n for n in names if 2 <= int(reference[n].nunique()) <= 500][:6]
    groupings: list[tuple[str, ...]] = [(n,) for n in names]
    groupings += [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    return groupings
