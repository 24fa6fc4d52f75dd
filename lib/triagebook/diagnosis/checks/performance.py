"""How good the model was where labels are in, and whether the base rate or the mix explains a change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from triagebook.analysis.performance import mix_effect
from triagebook.core.words import clock, count, number, share, span
from triagebook.diagnosis.answer import Answer, Signal, check
from triagebook.diagnosis.checks.changes import onset_of
from triagebook.diagnosis.context import moment
from triagebook.diagnosis.departures import label_departure, score_departure
from triagebook.diagnosis.measured import measured_of, usable
from triagebook.diagnosis.served import served

if TYPE_CHECKING:
    from collections.abc import Iterable

    from triagebook.analysis.performance import Measured
    from triagebook.diagnosis.context import Context
    from triagebook.diagnosis.served import Labels, Served


def service_of(ctx: Context) -> str:
    """Return the locus of what is said of the service as a whole."""
    return f"service:{ctx.bundle.service.name}"


def unlabelled(ctx: Context, what: str) -> Answer | None:
    """Answer "unknown" where predictions or labels are missing; None where both are there."""
    out = served(ctx)
    if out is not None and out.labels is not None:
        return None
    if out is None:
        why = ctx.why_missing("tables") or "no table of predictions with rows in both windows"
    else:
        why = out.why_no_labels
    return Answer(
        locus=service_of(ctx),
        verdict="unknown",
        statement=f"{what} is unknown: {why}",
        evidence=ctx.cite("tables"),
    )


@check(
    "model.measured_performance",
    "Is the model right as often as before, as far as labels are in?",
    finds=("drift.population_shift",),
    opposes=(
        "model.bad_version",
        "model.stale",
        "none",
    ),
)
def performance(ctx: Context) -> Iterable[Answer]:
    """Compare performance on rows whose labels had the same time to arrive."""
    nothing = unlabelled(ctx, "Measured performance")
    out = served(ctx)
    if nothing is not None or out is None or out.labels is None:
        yield from [nothing] if nothing is not None else []
        return
    labels = out.labels
    cited = ctx.cite("tables", labels.table)
    rows = usable(labels)
    late = out.times[rows] >= labels.maturity.start
    upto = moment(int(out.times[rows].max())) if len(rows) else None
    figure = measured_of(ctx)
    if figure is None:
        yield Answer(
            locus=service_of(ctx),
            verdict="unknown",
            statement=(
                "Measured performance is unknown: labels of the current window are not in"
                f" ({count(int(late.sum()))} so far)"
            ),
            evidence=cited,
        )
        return
    yield Answer(
        locus=service_of(ctx),
        verdict="bad" if figure.bad else "ok",
        statement=_said(figure, labels, out) + f". Newest labelled decision: {clock(upto)}",
        value=round(figure.now, 4),
        unit=figure.what,
        threshold=round(figure.worst, 4),
        effect=round(figure.now - figure.before, 4),
        evidence=cited,
        signals=(Signal("none", "*", -1.5 if figure.bad else 0.3),),
    )
    onset = onset_of(ctx)
    if onset is not None and upto is not None and upto < onset:
        yield Answer(
            locus=service_of(ctx),
            verdict="unknown",
            statement=(
                f"Labels of decisions since the onset are not in: the newest labelled decision is of "
                f"{clock(upto)}{_delay(labels, out)}"
            ),
            evidence=cited,
        )
    if figure.bad:
        yield from _by_mix(ctx, out, labels, rows, late, figure)


def _said(figure: Measured, labels: Labels, out: Served) -> str:
    def write(value: float) -> str:
        if figure.what == "AUC":
            return f"{value:.3f}"
        return share(value) if figure.what == "accuracy" else number(value)

    text = (
        f"{figure.what} {write(figure.now)} ± {write(1.96 * figure.error)} on "
        f"{count(figure.rows_now)} labelled decisions, was {write(figure.before)} on "
        f"{count(figure.rows_before)}; windows before and chance explain {write(figure.worst)}"
    )
    if labels.maturity.horizon_s > 0:
        text += f". Compared: labels that came within {span(labels.maturity.horizon_s)}"
    if labels.maturity.start < out.window[0]:
        text += f", decisions since {clock(moment(labels.maturity.start))}"
    if figure.expected is not None and figure.drop > 0 and figure.bad:
        text += f". The scores of today's rows would let expect {write(figure.expected)}"
    return text


def _delay(labels: Labels, out: Served) -> str:
    if labels.arrived is None or not labels.here.any():
        return ""
    late_s = float(np.median((labels.arrived - out.times)[labels.here])) / 1e9
    return f"; labels come about {span(late_s)} later"


def _by_mix(
    ctx: Context,
    out: Served,
    labels: Labels,
    rows: np.ndarray,
    late: np.ndarray,
    figure: Measured,
) -> Iterable[Answer]:
    left, strayed = label_departure(ctx), score_departure(ctx)
    if (left is not None and left.found) or (strayed is not None and strayed.found):
        return
    gap = np.abs(labels.y[rows] - labels.expected[rows])
    found = mix_effect(gap, late, [c.only(rows) for c in out.columns])
    if found is None or found.explained < 0.6 or found.within > 4:
        return
    yield Answer(
        locus=f"segment:{found.column}={found.value}",
        verdict="bad",
        statement=(
            f"{found.column} = {found.value} has {share(found.share_now)} of rows, had "
            f"{share(found.share_before)}: at the old mix {share(min(found.explained, 1.0))} of the loss "
            f"of {figure.what} is gone, and within each value the model is as good as before"
        ),
        value=round(found.share_now, 4),
        unit="share of rows",
        threshold=round(found.share_before, 4),
        effect=round(found.explained, 3),
        evidence=ctx.cite("tables", labels.table),
        signals=(
            Signal(
                "drift.population_shift",
                f"segment:{found.column}={found.value}",
                2.5,
                headline=(
                    f"Rows with {found.column} = {found.value} went from {share(found.share_before)} "
                    f"to {share(found.share_now)}."
                ),
                mechanism="The mix of rows changed; within each segment the model is as good as before.",
            ),
            Signal("model.bad_version", "*", -1.5),
            Signal("model.stale", "*", -1.5),
        ),
    )
