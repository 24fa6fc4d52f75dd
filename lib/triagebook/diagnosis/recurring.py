"""The inputs whose movement came at the same weekdays and hours in earlier weeks, found once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from triagebook.analysis.season import Recurrence, recurrence

if TYPE_CHECKING:
    from triagebook.diagnosis.context import Column, Context


@dataclass(frozen=True)
class Recurring:
    """A number that moved as it did in the weeks before."""

    column: Column
    pattern: Recurrence


def recurring(ctx: Context) -> list[Recurring]:
    """Return each number that follows a week's pattern, once, the surest first."""
    known: list[Recurring] | None = ctx.results.get("recurring")
    if known is not None:
        return known
    best: dict[str, Recurring] = {}
    for column in ctx.inputs:  # in order of role: the first is furthest upstream
        view = ctx.rows(column)
        if column.kind != "number" or not view.timed or column.name in best:
            continue
        found = recurrence(
            pd.to_numeric(view.reference[column.name], errors="coerce").to_numpy("float64"),
            view.reference_times,
            pd.to_numeric(view.current[column.name], errors="coerce").to_numpy("float64"),
            view.current_times,
            tests=len(ctx.inputs),
        )
        if found is not None and found.holds:
            best[column.name] = Recurring(column, found)
    out = sorted(best.values(), key=lambda r: (-r.pattern.surety, r.column.name))
    ctx.results["recurring"] = out
    return out


def named(ctx: Context, name: str) -> bool:
    """Whether the alert speaks of a column by its name."""
    alert = ctx.bundle.alert
    said = " ".join(
        str(part)
        for part in (alert.title, alert.description, alert.metric, *alert.labels.values())
        if part
    )
    return re.search(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])", said) is not None
