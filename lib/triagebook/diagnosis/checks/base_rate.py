"""Whether the base rate changed: the share of positive cases, as labels and as scores tell it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from triagebook.analysis.baserate import RateChange, rate_change
from triagebook.core.words import count, share
from triagebook.diagnosis.answer import Answer, Signal, check
from triagebook.diagnosis.checks.performance import unlabelled
from triagebook.diagnosis.departures import (
    LEAST_LABELLED,
    STRUCTURED,
    label_departure,
    manner,
    moved_inputs,
)
from triagebook.diagnosis.measured import usable
from triagebook.diagnosis.served import served

if TYPE_CHECKING:
    from collections.abc import Iterable

    from triagebook.diagnosis.context import Context


@check(
    "model.base_rate",
    "Did the base rate change, and did the scores follow?",
    finds=("drift.label_shift",),
    opposes=(
        "model.bad_version",
        "model.label_fault",
        "none",
        "drift.label_shift",
        "model.concept_drift",
        "drift.feature_shift",
    ),
)
def base_rate(ctx: Context) -> Iterable[Answer]:
    """Hold the share of positive labels against that of other days, and against what scores say."""
    nothing = unlabelled(ctx, "The base rate")
    out = served(ctx)
    if nothing is not None or out is None or out.labels is None:
        yield from [nothing] if nothing is not None else []
        return
    labels, rows = out.labels, usable(out.labels)
    locus, cited = f"table:{labels.table}", ctx.cite("tables", labels.table)
    if labels.task != "binary":
        yield Answer(
            locus=locus,
            verdict="unknown",
            statement="Labels are not of two classes: there is no base rate",
            evidence=cited,
        )
        return
    late = out.times[rows] >= labels.maturity.start
    if late.sum() < LEAST_LABELLED:
        yield Answer(
            locus=locus,
            verdict="unknown",
            statement=f"Only {count(int(late.sum()))} labels of now are in: too few for a base rate",
            evidence=cited,
        )
        return
    # Since labels left the scores, where they did: rows before would water it down.
    how, left = manner(ctx), label_departure(ctx)
    since = late if how is None else np.isin(rows, how.hit)
    score = None if out.score is None else out.score[rows]
    found = rate_change(score, labels.y[rows], out.times[rows], ~late, since)
    text = (
        f"The base rate is {share(found.now)} of {count(int(since.sum()))} labels, was {share(found.was)} "
        f"at the same hours before (usual: {share(found.low)} to {share(found.high)})"
    )
    if found.moved and found.seen is not None and found.error is not None:
        text += f"; by their scores alone it is {share(found.seen)} ± {share(1.96 * found.error)}"
    yield Answer(
        locus=locus,
        verdict="bad" if found.moved else "ok",
        statement=text,
        value=round(found.now, 4),
        unit="share positive",
        threshold=round(found.high if found.now > found.was else found.low, 4),
        effect=round(found.now - found.was, 4),
        since=left.since if left is not None else None,
        evidence=cited,
        signals=_signals(ctx, locus, found),
    )


def _signals(ctx: Context, locus: str, found: RateChange) -> tuple[Signal, ...]:
    if not found.moved:
        return (Signal("drift.label_shift", "*", -3.0),)
    left, how = label_departure(ctx), manner(ctx)
    headline = f"The base rate went from {share(found.was)} to {share(found.now)}."
    if left is None or left.found is None:
        if left is not None and moved_inputs(ctx):
            # At each score as many are positive as before: what moved the inputs moved the rate.
            return (Signal("drift.label_shift", "*", -1.5), Signal("none", "*", -0.7))
        return (
            Signal(
                "drift.label_shift",
                locus,
                1.0 if left is None or found.follows else 0.3,
                headline=headline,
                mechanism="Labels have another share of positive cases than before, scores as well.",
            ),
            Signal("none", "*", -0.7),
        )
    # A new base rate alone moves the odds of every row by one factor.
    # Scores that followed say so too: then a slice may stand out by more.
    alike = how is not None and how.only_rate(1.7 * STRUCTURED if found.follows else STRUCTURED)
    if alike and how is not None and not left.found.everything:
        alike = how.prior.nats >= left.found.gain
    if not alike:
        return (
            Signal(
                "drift.label_shift",
                locus,
                0.2,
                headline=headline,
                mechanism="Labels have another share of positive cases than before, in some rows more.",
            ),
            Signal("none", "*", -0.7),
        )
    follows = found.follows
    # A rate just beyond what other days had is little more than one of them.
    edge = found.high if found.now > found.was else found.low
    plain = abs(found.now - edge) / max(0.5 * abs(edge - found.was), 1e-9)
    plain = float(np.clip(plain, 0.2, 1.0))
    mechanism = {
        True: "The world has more (or fewer) positive cases: scores show as many as labels do.",
        None: "Every row's odds moved by one factor, as they do when the share of positive cases changes.",
        False: "Every row's odds moved by one factor, and the scores do not know of it.",
    }[follows]
    return (
        Signal(
            "drift.label_shift",
            locus,
            {True: 3.5, None: 3.0, False: 2.8}[follows] * plain,
            headline=headline,
            mechanism=mechanism,
        ),
        Signal("model.concept_drift", "*", {True: -3.0, None: -2.7, False: -2.2}[follows]),
        Signal("model.label_fault", "*", -2.5 if follows else -0.5),
        *(
            (Signal("model.bad_version", "*", -1.0), Signal("drift.feature_shift", "*", -1.2))
            if follows
            else ()
        ),
        Signal("none", "*", -1.0 * plain),
    )
