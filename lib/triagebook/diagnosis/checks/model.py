"""What the model gives out: whether its scores and decisions moved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from triagebook.core.words import number
from triagebook.diagnosis.answer import Answer, Signal, check

if TYPE_CHECKING:
    from collections.abc import Iterable

    from triagebook.diagnosis.context import Column, Context


def _service(ctx: Context) -> str:
    return f"service:{ctx.bundle.service.name}"


@check("model.output_moved", "Did the model's own output move?", opposes=("none",))
def output_moved(ctx: Context) -> Iterable[Answer]:
    """Compare scores and decisions with the same hours of the reference."""
    view = ctx.role("predictions")
    if view is None:
        yield Answer(
            locus=_service(ctx),
            verdict="unknown",
            statement="The model's output was not seen: "
            + (ctx.why_missing("tables") or "no table of predictions"),
            evidence=ctx.cite("tables"),
        )
        return
    outputs = [
        c
        for c in ctx.columns
        if c.table == view.name and c.name in (view.spec.score, view.spec.prediction)
    ]
    for column in outputs:
        moved = column.movement.beyond_natural
        yield Answer(
            locus=column.locus,
            verdict="bad" if moved else "ok",
            statement=_said(ctx, column, moved=moved),
            value=round(column.movement.effect, 4),
            unit="distance (0 to 1)",
            threshold=round(1.25 * max(column.movement.natural, column.movement.noise, 0.01), 4),
            effect=round(column.movement.ratio, 3),
            since=column.since if moved else None,
            evidence=ctx.cite("tables", view.name),
            signals=(Signal("none", "*", -1.0 if moved else 0.7),),
        )


def _said(ctx: Context, column: Column, *, moved: bool) -> str:
    after, before = ctx.after(column)[column.name], ctx.before(column)[column.name]
    numbers = [pd.to_numeric(part.dropna(), errors="coerce").mean() for part in (after, before)]
    word = f"{column.movement.ratio:.1f} times its natural movement"
    if all(np.isfinite(n) for n in numbers):
        return (
            f"{column.name}: mean {number(numbers[0])}, was {number(numbers[1])}"
            f" ({word}{'' if moved else ', as usual'})"
        )
    return f"{column.name} {'moved' if moved else 'is as usual'} ({word})"
