"""Whether a movement is the mix's, or without consequence for the model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from triagebook.analysis.columns import as_numbers
from triagebook.analysis.harm import back_to_reference
from triagebook.analysis.mix import MixChange, lost_rows, mix_change, segment_shift
from triagebook.core.words import count, share
from triagebook.diagnosis.answer import Answer, Signal, check
from triagebook.diagnosis.checks.inputs import (
    announced,
    lead,
    matched_reference,
    no_tables,
    plainly,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from triagebook.analysis.harm import Harm, StandIn
    from triagebook.diagnosis.context import Column, Context

HARMLESS_SHARE = 0.01
"""Fewer decisions changed than this, and a movement is called harmless."""
_LEADS = 1.5
"""So many times as far as another, and a column can be what moved it."""
_TENTH = "\x1ftenth"
_HARDLY_USED = 0.02
"""A feature that carries less of the model's output than this is hardly used."""


def _groups(ctx: Context) -> list[Column]:
    """List the categories whose shares moved."""
    return [c for c in ctx.roots if c.kind == "category" and c.movement.beyond_natural]


@dataclass(frozen=True)
class _Shares:
    """The value of a category whose share moved most, and its shares before and since, [0, 1]."""

    value: str
    was: float
    now: float
    lost: Answer | None
    """Rows of one value stay away: then no crowd came or went."""


def _shares(ctx: Context) -> dict[str, _Shares]:
    """Return how the mix moved, by column, found once: at most four columns."""
    known: dict[str, _Shares] | None = ctx.results.get("shares")
    if known is None:
        known = ctx.results["shares"] = {}
        for column in _groups(ctx)[:4]:
            moved = segment_shift(
                matched_reference(ctx, column)[column.name], ctx.after(column)[column.name]
            )
            if moved is not None:
                known[column.name] = _Shares(*moved, _lost(ctx, column))
    return known


def _crowd(ctx: Context, column: Column) -> str | None:
    """Return the value of which more or fewer rows came, if the column tells of such a crowd."""
    moved = _shares(ctx).get(column.name)
    return moved.value if moved is not None and moved.lost is None else None


@check(
    "drift.mix",
    "Did the mix of rows change?",
    finds=("drift.population_shift",),
    opposes=("drift.feature_shift", "drift.population_shift"),
)
def mix(ctx: Context) -> Iterable[Answer]:
    """Re-weight the reference to the current mix and see what movement of the other inputs is left."""
    found: list[MixChange] = []
    for column in [c for c in ctx.roots if c.movement.beyond_natural and c.kind == "number"][:5]:
        reference, after = matched_reference(ctx, column), ctx.after(column)
        for other in ctx.columns:
            if other.table != column.table or other.kind != "category" or other.name == column.name:
                continue
            if (
                reference[other.name].nunique() > 50
            ):  # so many values pin rows down, they are no mix
                continue
            result = mix_change(reference, after, column.name, other.name)
            if result is not None:
                found.append(result)
    ctx.results["mix"] = sorted(found, key=lambda r: -r.explained)
    groups = _groups(ctx)
    best: dict[str, MixChange] = {}
    for result in ctx.results["mix"]:
        best.setdefault(result.column, result)
    carried = {r.by: r for r in best.values() if r.explained >= 0.6}
    for column in groups[:4]:
        moved = _shares(ctx).get(column.name)
        if moved is None:
            continue
        if moved.lost is not None:
            yield moved.lost
            continue
        value, was, now = moved.value, moved.was, moved.now
        helps = carried.get(column.name)
        weight = (2.5 if helps else 2.0) * plainly(column) + lead(column, groups)
        weight -= 2.0 if announced(ctx, column) is not None else 0.0
        # A value that was never there is rather a new label than a new crowd.
        weight -= 1.0 if was == 0 else 0.0
        extra = f"; at that mix {helps.column} is as before" if helps else ""
        yield Answer(
            locus=f"segment:{column.name}={value}",
            verdict="bad",
            statement=f"{column.name} = {value} has {share(now)} of rows, had {share(was)}{extra}",
            value=round(now, 4),
            unit="share of rows",
            threshold=round(was, 4),
            effect=round(column.movement.ratio, 3),
            since=column.since,
            evidence=ctx.cite("tables", column.table),
            signals=(
                Signal(
                    "drift.population_shift",
                    f"segment:{column.name}={value}",
                    weight,
                    headline=f"Rows with {column.name} = {value} went from {share(was)} to {share(now)}.",
                    mechanism="The mix of rows changed; each segment itself is as before.",
                ),
                # Shares of a category are the mix of rows: there is no other way for it to move.
                Signal("drift.feature_shift", f"feature:{column.name}", -1.6),
            ),
        )
    yield from _followers(ctx, carried)
    for name, result in best.items():
        if result.explained < 0.3:
            yield Answer(
                locus=f"feature:{name}",
                verdict="ok",
                statement=(
                    f"The mix does not explain {name}: with today's shares of {result.by} "
                    f"{share(max(result.explained, 0.0))} of its movement is gone"
                ),
                effect=round(result.explained, 3),
                evidence=ctx.cite("tables"),
                signals=(
                    Signal("drift.population_shift", f"segment:{result.by}={result.segment}", -1.5),
                ),
            )
    if ctx.inputs and not groups and not best:
        yield Answer(
            locus=f"service:{ctx.bundle.service.name}",
            verdict="ok",
            statement="No category's share moved farther than it does anyway",
            evidence=ctx.cite("tables"),
            signals=(Signal("drift.population_shift", "*", -2.5),),
        )


def _followers(ctx: Context, carried: dict[str, MixChange]) -> Iterable[Answer]:
    """Tell of numbers that moved because another column did, with which they hang together."""
    moved = [c for c in ctx.roots if c.movement.beyond_natural]
    told: set[str] = set()
    for by, result in carried.items():
        told.add(result.column)
        yield _follower(ctx, result, by)
    for column in [c for c in moved if c.kind == "number" and c.name not in told][:8]:
        leaders = [
            c
            for c in moved
            if c.table == column.table
            and c.kind == "number"
            and c.movement.strength >= _LEADS * column.movement.strength
        ]
        if not leaders:
            continue
        leader = leaders[0]
        old, new = matched_reference(ctx, leader), ctx.after(leader)
        cuts = np.unique(np.nanquantile(as_numbers(old[leader.name]), np.linspace(0.1, 0.9, 9)))
        pairs = []
        for part in (old, new):
            number = pd.to_numeric(part[leader.name], errors="coerce").to_numpy("float64")
            tenth = pd.Series(np.searchsorted(cuts, number).astype(str), index=part.index)
            pairs.append(part[[column.name]].assign(**{_TENTH: tenth.where(~np.isnan(number))}))
        found = mix_change(pairs[0], pairs[1], column.name, _TENTH)
        if found is not None and found.explained >= 0.6:
            yield _follower(ctx, found, leader.name)


def _follower(ctx: Context, result: MixChange, leader: str) -> Answer:
    return Answer(
        locus=f"feature:{result.column}",
        verdict="ok",
        statement=(
            f"{result.column} moved along with {leader}: at today's {leader}, "
            f"{share(min(max(result.explained, 0.0), 1.0))} of its movement is gone"
        ),
        effect=round(result.explained, 3),
        evidence=ctx.cite("tables"),
        signals=(Signal("drift.feature_shift", f"feature:{result.column}", -2.0),),
    )


def _lost(ctx: Context, column: Column) -> Answer | None:
    """Tell of rows of one value that stay away while the others come as ever: lost, not fewer."""
    view, start = ctx.rows(column), column.movement.split.index if column.movement.split else 0
    if not view.timed:
        return None
    found = lost_rows(
        view.reference[column.name],
        view.reference_times,
        ctx.after(column)[column.name],
        view.current_times[start:],
    )
    if found is None:
        return None
    value, came, due = found
    return Answer(
        locus=f"table:{column.table}",
        verdict="bad",
        statement=(
            f"{column.table} has {count(came)} rows with {column.name} = {value}, usually {count(due)} at "
            "these hours; the others come as ever"
        ),
        value=round(came),
        unit="rows",
        threshold=round(0.3 * due),
        effect=round(1 - came / due, 3),
        since=column.since,
        evidence=ctx.cite("tables", column.table),
        signals=(
            Signal(
                "data.missing_rows",
                f"table:{column.table}",
                4.0,
                headline=f"{column.table} lacks the rows with {column.name} = {value}.",
                mechanism="Rows that never arrived are missing from everything computed from them.",
            ),
            Signal("drift.population_shift", "*", -2.5),
            Signal("drift.feature_shift", f"feature:{column.name}", -3.0),
        ),
    )


@dataclass(frozen=True)
class FeatureHarm:
    """What putting one feature back would change."""

    feature: str
    locus: str
    harm: Harm
    restored: str
    """How it was put back, in words."""
    since: pd.Timestamp | None


def restored_rows(
    ctx: Context, column: Column
) -> tuple[pd.DataFrame, pd.DataFrame, np.ndarray, str] | None:
    """Return the rows since the column moved, the same put back, the decisions served, and how; or None."""
    view = ctx.role("predictions")
    if view is None or ctx.stand_in is None or column.name not in ctx.stand_in.features:
        return None
    if column.since is not None and view.timed:
        start = int((view.current_times >= column.since.value).argmax())
        if view.current_times[-1] < column.since.value:
            return None
    else:
        start = 0
    rows = view.current.iloc[start:][ctx.stand_in.features]
    constant = ctx.results.get("constants", {}).get(column.locus)
    again = rows.copy()
    if constant is not None and constant[0].explained >= 0.7:
        again[column.name] = constant[0].undo(pd.to_numeric(rows[column.name], errors="coerce"))
        how = "the constant undone"
    else:
        again[column.name] = back_to_reference(view.reference[column.name], rows[column.name])
        how = "mapped back to its reference distribution"
    score = pd.to_numeric(view.current.iloc[start:][view.spec.score], errors="coerce")
    served = (score >= (ctx.threshold if ctx.threshold is not None else np.inf)).to_numpy()
    return rows, again, served, how


@check(
    "drift.harm",
    "What does it do to the model?",
    finds=("drift.harmless",),
    opposes=("drift.population_shift", "drift.harmless", "drift.feature_shift", "drift.seasonal"),
)
def harm(ctx: Context) -> Iterable[Answer]:
    """Put each moved feature back and count the decisions that would have been others."""
    out: list[FeatureHarm] = []
    ctx.results["harm"] = out
    if no_tables(ctx):
        yield from no_tables(ctx)
        return
    moved = [c for c in ctx.roots if c.movement.beyond_natural]
    # The loud ones that moved no farther than they do anyway are what a dashboard would blame.
    loud = [c for c in ctx.roots if c not in moved and c.kind == "number" and c.movement.psi > 0.25]
    moved += sorted(loud, key=lambda c: -c.movement.psi)[:2]
    if ctx.role("predictions") is None:
        yield Answer(
            locus=f"service:{ctx.bundle.service.name}",
            verdict="unknown",
            statement=(
                "What it does to the model is unknown: no predictions with scores "
                f"({ctx.why_missing('tables') or 'no table of that role'})"
            ),
            evidence=ctx.cite("tables"),
        )
    stand_in = ctx.stand_in
    # What the model reads comes first: what it does not read is weighed against that.
    moved = sorted(moved[:8], key=lambda c: bool(ctx.features) and c.name not in ctx.features)
    for column in moved:
        weight = ctx.importance.get(column.name)
        if stand_in is not None and stand_in.fidelity >= 0.5:
            put_back = restored_rows(ctx, column)
            result = stand_in.harm(*put_back[:3]) if put_back else None
            if result is not None and put_back is not None:
                how = put_back[3]
                mixed = _of_the_mix(ctx, column, put_back[0], put_back[2], result)
                if mixed is not None:
                    result, how = mixed, "rows weighed to the reference's mix"
                out.append(FeatureHarm(column.name, column.locus, result, how, column.since))
                yield _harm_answer(ctx, column, stand_in, result, how)
                continue
        if weight is None and ctx.features and column.name not in ctx.features:
            harms = any(h.harm.changed >= HARMLESS_SHARE for h in out)
            yield _not_read(ctx, column, harms=harms)
        if weight is None or (not ctx.features and not ctx.importance):
            continue
        yield _importance_answer(ctx, column, weight)


def _of_the_mix(
    ctx: Context, column: Column, rows: pd.DataFrame, served: np.ndarray, alone: Harm
) -> Harm | None:
    """Measure what a mix did by the rows that it brought; None where the column alone did more.

    More rows of a segment bring all that they differ in, not only their label: as many decisions are
    others as the segment's share moved, times how much oftener it is decided positive.
    """
    view = ctx.role("predictions")
    value = _crowd(ctx, column)
    if value is None or view is None:
        return None
    inside = (rows[column.name].astype(str) == value).to_numpy()
    known = view.reference[column.name].dropna().astype(str)
    if not 0 < inside.sum() < len(rows) or known.empty:
        return None
    more = float(inside.mean()) - float((known == value).mean())
    rates = [float(served[part].mean()) for part in (inside, ~inside)]
    spread = sum(
        rate * (1 - rate) / part.sum() for rate, part in zip(rates, (inside, ~inside), strict=True)
    )
    moved = more * (rates[0] - rates[1])
    error = 1.96 * abs(more) * float(np.sqrt(spread))
    if abs(moved) <= alone.changed:
        return None
    return replace(
        alone,
        changed=abs(moved),
        low=max(0.0, abs(moved) - error),
        high=min(1.0, abs(moved) + error),
        positive_restored=alone.positive_now - moved,
    )


def _harmful(ctx: Context, column: Column, result: Harm) -> bool:
    """Whether the model minds: surely so, or by a feature that it uses.

    A few decisions near the threshold change whatever is put back. Where the range of what changes
    reaches below the line, the importance, learnt from many more rows, has to say so too; a
    mix brings more than the column that tells it. Where scores are probabilities, their mean says by
    how many positives in a hundred the model expects others, whichever side of the threshold.
    """
    view = ctx.role("predictions")
    score = view.reference[view.spec.score] if view is not None and view.spec.score else None
    likely = score is not None and _probabilities(score)
    if likely and abs(result.score_shift) >= HARMLESS_SHARE:
        return True
    sure = result.low >= HARMLESS_SHARE
    mix = _crowd(ctx, column) is not None
    used = mix or ctx.importance.get(column.name, 1.0) >= _HARDLY_USED
    return result.changed >= HARMLESS_SHARE and (sure or used)


def _probabilities(score: pd.Series) -> bool:
    numbers = pd.to_numeric(score, errors="coerce").dropna()
    return bool(numbers.between(0, 1).all())


def _harm_answer(ctx: Context, column: Column, stand_in: StandIn, result: Harm, how: str) -> Answer:
    harmful = _harmful(ctx, column, result)
    crowd = _crowd(ctx, column)
    segment = f"segment:{column.name}={crowd}" if crowd is not None else None
    view = ctx.role("predictions")
    return Answer(
        # A natural movement changes decisions too: that is the model at work.
        locus=f"feature:{column.name}",
        verdict="bad" if harmful and column.movement.beyond_natural else "ok",
        statement=(
            f"With {column.name} put back ({how}), {share(result.changed)} of decisions change "
            f"({share(result.low)} to {share(result.high)}); positive {share(result.positive_now)} "
            f"as served, {share(result.positive_restored)} put back. Stand-in fitted on "
            f"{stand_in.rows:,} logged scores, R² {stand_in.fidelity:.2f}"
        ),
        value=round(result.changed, 4),
        unit="share of decisions",
        threshold=HARMLESS_SHARE,
        effect=round(result.score_shift, 4),
        since=column.since,
        evidence=ctx.cite("tables", view.name if view is not None else None),
        signals=(
            Signal(
                "drift.harmless",
                f"feature:{column.name}",
                -3.0 if harmful else 2.0,
                headline=f"{column.name} moved, and the model hardly minds.",
                mechanism=f"Put back, {share(result.changed)} of decisions change.",
            ),
            # What a category does to the model it does as a change of the mix.
            *(
                (Signal("drift.population_shift", segment, 1.2 if harmful else -2.5),)
                if segment
                else ()
            ),
            *(
                (Signal("drift.feature_shift", f"feature:{column.name}", 0.7 if harmful else -1.0),)
                if not (segment and harmful)
                else ()
            ),
            Signal("drift.seasonal", f"feature:{column.name}", 0.3 if not harmful else -0.2),
        ),
    )


def _not_read(ctx: Context, column: Column, *, harms: bool) -> Answer:
    """Tell of a column that moved and that no feature carries the name of.

    Where another that moved does harm, it answers nothing that this one does none.
    """
    return Answer(
        locus=f"feature:{column.name}",
        verdict="ok",
        statement=f"{column.name} is no feature of the model",
        since=column.since,
        evidence=ctx.cite("tables", column.table),
        signals=(
            Signal(
                "drift.harmless",
                f"feature:{column.name}",
                0.8 if harms else 2.5,
                headline=f"{column.name} moved, and the model does not read it.",
                mechanism="No feature of the model carries its name.",
            ),
            Signal("drift.feature_shift", f"feature:{column.name}", -2.0),
        ),
    )


def _importance_answer(ctx: Context, column: Column, weight: float) -> Answer:
    little = weight < _HARDLY_USED
    return Answer(
        locus=f"feature:{column.name}",
        verdict="ok" if little else "bad",
        statement=f"{column.name} carries {share(weight)} of the model's output",
        value=round(weight, 4),
        unit="share of importance",
        threshold=_HARDLY_USED,
        since=column.since,
        evidence=ctx.cite("tables", column.table),
        signals=(
            Signal(
                "drift.harmless",
                f"feature:{column.name}",
                2.0 if little else -1.5,
                headline=f"{column.name} moved, and the model hardly uses it.",
                mechanism=f"It carries {share(weight)} of the output.",
            ),
            Signal("drift.feature_shift", f"feature:{column.name}", 0.4 if not little else -1.0),
        ),
    )
