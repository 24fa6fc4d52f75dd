"""Whether tables still join: rows multiplied by a join, rows that found no partner."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from triagebook.analysis.joins import null_together, unmatched
from triagebook.core.words import several, share
from triagebook.diagnosis.answer import Answer, Signal, check
from triagebook.diagnosis.context import last_before, moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pandas as pd

    from triagebook.analysis.joins import Unmatched
    from triagebook.diagnosis.context import Context, View


@check(
    "data.join_broken",
    "Do tables still join?",
    finds=("data.join_broken",),
    opposes=(
        "drift.feature_shift",
        "none",
        "data.join_broken",
        "data.missing_values",
        "data.corrupted_values",
        "data.category_recode",
        "data.stale",
        "drift.population_shift",
    ),
)
def joins(ctx: Context) -> Iterable[Answer]:
    """Look for rows whose key the table they are joined to does not have."""
    hit = asked = False
    for view, other, key in _pairs(ctx):
        asked = True
        found = unmatched(
            view.reference[key], view.current[key], other.reference[key], other.current[key]
        )
        if found is None or hit:
            continue
        hit = True
        yield _answer(ctx, view, other, key, found)
    if asked and not hit:
        yield Answer(
            locus=f"service:{ctx.bundle.service.name}",
            verdict="ok",
            statement="Rows find their partners in other tables as often as before",
            evidence=ctx.cite("tables"),
            signals=(Signal("data.join_broken", "*", -1.0),),
        )


def _pairs(ctx: Context) -> Iterator[tuple[View, View, str]]:
    """List (table, table it is joined to, key): the key identifies a row of the other, further upstream."""
    views = [view for name in ctx.tables if (view := ctx.view(name)) is not None]
    views = [view for view in views if view.spec.role != "labels"]
    for place, view in enumerate(views):
        for at, other in enumerate(views):
            # Of a table of daily snapshots the day is no part of what rows are joined by.
            keys = [k for k in other.spec.key_columns if k != other.spec.time_column]
            # Of two tables with the same key, the one further upstream is the one to be found in.
            mutual = view.spec.key_columns == keys and at > place
            if at == place or len(keys) != 1 or mutual:
                continue
            frames = (view.reference, view.current, other.reference, other.current)
            if all(keys[0] in frame for frame in frames):
                yield view, other, keys[0]


def _brought(ctx: Context, view: View, other: View, key: str) -> Iterator[tuple[str, str]]:
    """List what the join brings: columns of the other table, wherever they stand downstream of both."""
    for name, table in ctx.tables.items():
        if name in (view.name, other.name) or table.current is None:
            continue
        for column in other.current:
            if column not in (key, other.spec.time_column) and column in table.current:
                yield name, str(column)


def _answer(ctx: Context, view: View, other: View, key: str, found: Unmatched) -> Answer:
    first = int(np.flatnonzero(found.rows)[0])
    since: pd.Timestamp | None = None
    low = high = None
    if view.timed:
        since = high = moment(int(view.current_times[first]))
        low = last_before(view, first)
    names = [str(c) for c in view.current if c not in {*view.spec.key_columns, key}]
    empty = null_together(view.current, found.rows, names)
    nulls = f"; {several(empty, 3)} are null on just these" if empty else ""
    return Answer(
        locus=f"table:{view.name}",
        verdict="bad",
        since=since,
        since_low=low,
        since_high=high,
        statement=(
            f"{share(found.share)} of rows of {view.name} have a {key} that {other.name} does not, such as "
            f"{found.example!r}; usually {share(found.usual)}{nulls}"
        ),
        value=round(found.share, 4),
        unit="share of rows",
        threshold=round(found.usual + 0.02, 4),
        effect=round(found.share - found.usual, 4),
        evidence=[*ctx.cite("tables", view.name), *ctx.cite("tables", other.name)],
        signals=(
            Signal(
                "data.join_broken",
                f"table:{view.name}",
                4.5 if empty else 3.5,
                headline=f"{share(found.share)} of rows of {view.name} find no partner in {other.name}.",
                mechanism="What comes from the other table is missing for them.",
            ),
            *(
                signal
                for name in empty
                for signal in (
                    Signal("data.missing_values", f"column:{view.name}.{name}", -3.0),
                    Signal("drift.feature_shift", f"feature:{name}", -2.0),
                )
            ),
            *(
                Signal("data.missing_values", f"column:{name}.{column}", -3.0)
                for name, column in _brought(ctx, view, other, key)
            ),
            Signal("data.corrupted_values", f"column:{view.name}.{key}", -3.0),
            # A key under another name is what broke the join.
            Signal("data.category_recode", f"column:{view.name}.{key}", -3.0),
            Signal("drift.population_shift", "*", -1.5),
            # What is built of the join may drop the rows: it is old for want of them.
            *(
                Signal("data.stale", f"table:{name}", -3.0)
                for name, table in ctx.tables.items()
                if table.spec.role in ("features", "predictions") and name != view.name
            ),
            Signal("none", "*", -5.0),
        ),
    )
