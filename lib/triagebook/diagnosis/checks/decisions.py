"""Whether decisions still follow the scores: the cut from which the model decides."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pandas as pd

from triagebook.analysis.cutoff import Cut, cut_of
from triagebook.core.words import clock, count, number, share
from triagebook.diagnosis.answer import Answer, Signal, check
from triagebook.diagnosis.checks.performance import service_of
from triagebook.diagnosis.context import moment
from triagebook.diagnosis.served import served

if TYPE_CHECKING:
    from collections.abc import Iterable

    from triagebook.core.models import Change
    from triagebook.diagnosis.context import Context

NEAR_S, _NAMED_S = 6 * 3_600.0, 24 * 3_600.0
"""A setting changed this long before the first odd decision may be the one; a roll-out takes time."""


@check(
    "model.decision_cut",
    "Do decisions follow the scores as before?",
    finds=("model.threshold_change",),
    opposes=("model.threshold_change", "model.bad_version", "none"),
)
def decision_cut(ctx: Context) -> Iterable[Answer]:
    """Hold decisions of now against the score that parted them before."""
    out = served(ctx)
    found = None
    if out is not None and out.spec.score and out.score is not None and out.decision is not None:
        found = cut_of(out.score, out.decision, out.late)
    if out is None or found is None:
        why = "scores and decisions of two kinds are not both logged"
        if out is not None and out.decision is not None and out.spec.score:
            why = "no single score parts the decisions of the reference"
        yield Answer(
            locus=service_of(ctx),
            verdict="unknown",
            statement=f"The score from which the model decides is unknown: {why}",
            evidence=ctx.cite("tables"),
        )
        return
    cited = ctx.cite("tables", out.view.name)
    if not found.moved:
        yield Answer(
            locus=service_of(ctx),
            verdict="ok",
            statement=(
                f"Decisions are cut at a score of {number(found.before)} as before; {share(found.odd_now)} "
                "are decided otherwise"
            ),
            value=round(found.odd_now, 4),
            unit="share of decisions",
            threshold=round(0.005 + 3 * found.odd_before, 4),
            evidence=cited,
            signals=(Signal("model.threshold_change", "*", -3.5),),
        )
        return
    since = moment(int(out.times[found.since])) if found.since is not None and out.timed else None
    change = config_change(ctx, since, found)
    locus = f"config:{key_of(change)}" if change is not None else "config:unknown"
    said = f", after {change.what} {clock(change.ts)}" if change is not None else ""
    cut = number(found.now) if found.now is not None else "no single score"
    yield Answer(
        locus=locus,
        verdict="bad",
        statement=(
            f"Decisions are cut at {cut} since {clock(since)}, at {number(found.before)} before: "
            f"{share(found.odd_now)} of {count(found.odd_rows / max(found.odd_now, 1e-9))} decisions are "
            f"others than the old cut would give{said}"
        ),
        value=round(found.odd_now, 4),
        unit="share of decisions",
        threshold=round(0.005 + 3 * found.odd_before, 4),
        effect=round(found.now - found.before, 4) if found.now is not None else None,
        since=since,
        evidence=cited + (ctx.cite("changes") if change is not None else []),
        signals=(
            Signal(
                "model.threshold_change",
                locus,
                4.0 if found.now is not None else 2.5,
                headline=f"The decision threshold moved from {number(found.before)} to {cut}.",
                mechanism=(
                    f"Decisions follow another cut of the same scores: {share(found.odd_now)} are others."
                ),
            ),
            Signal("none", "*", -2.0),
        ),
    )


def config_change(ctx: Context, since: pd.Timestamp | None, cut: Cut) -> Change | None:
    """Find the change that moved the cut: by its values, else the only setting changed nearby."""
    near = []
    for change in ctx.changes:
        early = (since - pd.Timestamp(change.ts)).total_seconds() if since is not None else 0.0
        values = [_value(change.from_), _value(change.to)]
        hits = sum(
            value is not None
            and there is not None
            and abs(value - there) < 0.02 * max(abs(there), 1)
            for value, there in zip(values, (cut.before, cut.now), strict=True)
        )
        names = bool(
            re.search(r"thresh|cut.?off|\bcut\b|operating.?point", change.what, re.IGNORECASE)
        )
        kind = change.kind in ("config", "flag")
        # Decisions near the cut are few at night: a change that names both cuts may be hours older.
        if not -600 <= early <= (_NAMED_S if hits == 2 else NEAR_S):
            continue
        points = 2 * hits + 2 * names + kind
        if points:
            near.append((points, pd.Timestamp(change.ts).value, change))
    if not near:
        return None
    return max(near, key=lambda item: item[:2])[2]


def _value(text: str | None) -> float | None:
    found = re.search(r"-?\d+(?:\.\d+)?", str(text)) if text is not None else None
    return float(found.group()) if found else None


def key_of(change: Change) -> str:
    """Read the name of the setting out of a change's text: the word that looks like a key."""
    words = [w.strip(".,;:()[]'\"`") for w in re.split(r"[\s=]+", change.what)]
    words = [w for w in words if w]
    keys = [w for w in words if re.search(r"[A-Za-z]", w) and re.search(r"[._/-]|[a-z][A-Z]", w)]
    telling = [w for w in keys if re.search(r"thresh|cut", w, re.IGNORECASE)]
    if telling or keys:
        return (telling or keys)[0]
    named = [w for w in words if re.search(r"thresh|cut", w, re.IGNORECASE)]
    return (named or words or ["unknown"])[0]
