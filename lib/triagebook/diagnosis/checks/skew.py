"""Whether the model was served what is computed offline for the same rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from triagebook.core.words import clock, count, number, share
from triagebook.diagnosis.answer import Answer, Signal, check
from triagebook.diagnosis.checks.performance import service_of
from triagebook.diagnosis.context import moment
from triagebook.diagnosis.departures import SKEWED_SHARE, differing, skews, why_no_skew
from triagebook.diagnosis.served import served

if TYPE_CHECKING:
    from collections.abc import Iterable

    from triagebook.analysis.skew import Skew
    from triagebook.diagnosis.context import Context

_COLUMN_FAULTS = (
    "data.unit_change",
    "data.missing_values",
    "data.default_fill",
    "data.category_recode",
    "data.corrupted_values",
    "data.column_swap",
    "data.timezone_shift",
)


@check(
    "model.serving_skew",
    "Is the model served what is computed offline?",
    finds=("model.serving_skew",),
    opposes=(
        "drift.seasonal",
        "model.serving_skew",
        "none",
        "drift.feature_shift",
        "drift.harmless",
        "model.concept_drift",
        *_COLUMN_FAULTS,
    ),
)
def serving_skew(ctx: Context) -> Iterable[Answer]:
    """Compare served features with the offline ones of the same key, row by row."""
    out, compared = served(ctx), skews(ctx)
    if out is None or compared is None:
        yield Answer(
            locus=service_of(ctx),
            verdict="unknown",
            statement=f"Whether features are served as computed is unknown: {why_no_skew(ctx)}",
            evidence=ctx.cite("tables"),
        )
        return
    cited = ctx.cite("tables", out.view.name) + [
        i
        for t in ctx.tables.values()
        if t.spec.role == "features"
        for i in ctx.cite("tables", t.name)
    ]
    odd = differing(ctx)
    if not odd:
        most = max(compared, key=lambda s: (s.share_now, s.feature))
        always = [s.feature for s in compared if s.share_now > 0.2]
        yield Answer(
            locus=service_of(ctx),
            verdict="ok",
            statement=(
                f"Of {count(most.rows)} rows of now, features are served as computed offline as often as "
                f"before ({len(compared)} compared; {most.feature} differs most, in {share(most.share_now)}"
                f" of rows, {share(most.share_before)} before)"
                + ("; it has always differed" if always else "")
            ),
            value=round(most.share_now, 4),
            unit="share of rows",
            evidence=cited,
            signals=(Signal("model.serving_skew", "*", -3.5),),
        )
        return
    for found in odd[:6]:
        since = moment(found.since) if found.since is not None and out.timed else None
        weight = 4.0 if found.share_now >= 0.05 else 3.0
        importance = ctx.importance.get(found.feature)
        if importance is not None and importance < 0.02:
            weight -= 1.0
        column = f"column:{out.view.name}.{found.feature}"
        yield Answer(
            locus=f"feature:{found.feature}",
            verdict="bad",
            statement=(
                f"{found.feature} as served differs from the same computed offline in "
                f"{share(found.share_now)} of {count(found.rows)} rows of now, {share(found.share_before)} "
                f"before, since {clock(since)}: {pattern(found)}"
            ),
            value=round(found.share_now, 4),
            unit="share of rows",
            threshold=round(max(found.share_before, min(found.natural, 0.9)) + SKEWED_SHARE, 4),
            effect=round(found.z, 1),
            since=since,
            evidence=cited,
            signals=(
                Signal(
                    "model.serving_skew",
                    f"feature:{found.feature}",
                    weight,
                    headline=f"{found.feature} is served otherwise than it is computed offline.",
                    mechanism=f"Same keys, other values: {pattern(found)}.",
                ),
                # What only the served copy shows did not come with the data.
                *(Signal(cause, column, -3.5) for cause in _COLUMN_FAULTS),
                Signal("drift.feature_shift", f"feature:{found.feature}", -3.0),
                Signal("drift.seasonal", f"feature:{found.feature}", -1.0),
                Signal("none", "*", -4.0 if found.share_now >= 0.05 else -2.0),
            ),
        )


def pattern(found: Skew) -> str:
    """Say in words how served and offline values differ."""
    words = {
        "constant": "one constant is served"
        + (f" ({number(found.size)})" if np.isfinite(found.size) else ""),
        "missing": "nothing is served",
        "scaled": f"served values are {number(found.size)} times the offline ones",
        "shifted": f"served values lie {number(found.size)} off the offline ones",
        "stale": "served values are those of earlier rows, as an old copy has them",
        "other": "no one rule turns the one into the other",
    }
    return words[found.pattern]
