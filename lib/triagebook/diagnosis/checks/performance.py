"""How good the model was where labels are in, and whether the base rate or the mix explains a change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from triagebook.analysis.blocks import DAY, past_windows
from triagebook.analysis.calibration import prior_from_scores
from triagebook.analysis.performance import Measured, measured, mix_effect
from triagebook.core.words import clock, count, number, share, span
from triagebook.diagnosis.answer import Answer, Signal, check
from triagebook.diagnosis.checks.changes import onset_of
from triagebook.diagnosis.context import moment
from triagebook.diagnosis.departures import (
    LEAST_LABELLED,
    label_departure,
    manner,
    score_departure,
)
from triagebook.diagnosis.served import Labels, Served, served

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from triagebook.diagnosis.context import Context


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


def usable(labels: Labels) -> np.ndarray:
    """Positions of the rows whose label counts."""
    return np.flatnonzero(labels.maturity.use & np.isfinite(labels.y))


@check(
    "model.measured_performance",
    "Is the model right as often as before, as far as labels are in?",
    finds=("drift.population_shift",),
    opposes=("none",),
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
    figure = None
    if late.sum() >= 30:
        figure = measured(
            labels.y[rows],
            None if labels.right or out.score is None else out.score[rows],
            np.ones(len(rows)) if labels.right else _decisions(out, rows),
            labels.expected[rows],
            out.times[rows],
            late,
            number=labels.task == "number",
        )
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
    ctx.results["performance"] = figure
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


def _decisions(out: Served, rows: np.ndarray) -> np.ndarray | None:
    return None if out.decision is None else out.decision[rows]


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


@check(
    "model.base_rate",
    "Did the base rate change, and did the scores follow?",
    finds=("drift.label_shift",),
    opposes=("drift.label_shift", "model.concept_drift", "drift.feature_shift"),
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
    y = labels.y[rows]
    was, now = float(y[~late].mean()), float(y[late].mean())
    low, high = natural_range(y[~late], out.times[rows][~late], was, int(late.sum()))
    moved = not low <= now <= high and abs(now - was) >= 0.02
    by_score, follows = "", None
    if moved and out.score is not None:
        by_score, follows = _by_scores(out.score[rows], y, out.times[rows], late)
    yield Answer(
        locus=locus,
        verdict="bad" if moved else "ok",
        statement=(
            f"The base rate is {share(now)} of {count(int(late.sum()))} labels, was {share(was)} "
            f"(days before: {share(low)} to {share(high)}){by_score}"
        ),
        value=round(now, 4),
        unit="share positive",
        threshold=round(high if now > was else low, 4),
        effect=round(now - was, 4),
        since=_since(ctx),
        evidence=cited,
        signals=_base_rate_signals(ctx, locus, was, now, moved=moved, follows=follows),
    )


def _by_scores(
    score: np.ndarray, y: np.ndarray, times: np.ndarray, late: np.ndarray
) -> tuple[str, bool | None]:
    """Tell the base rate that the scores speak of, and whether they followed the labels to theirs."""
    able = np.isfinite(score)
    old, new = np.flatnonzero(able & ~late), np.flatnonzero(able & late)
    was, now = float(y[old].mean()), float(y[new].mean())
    seen, error = prior_from_scores(score[new], score[old], y[old])
    past = []
    for part in past_windows(times[old], int(times[new].min()), int(times[new].max())):
        told, chance = prior_from_scores(score[old[part]], score[old], y[old])
        past.append((told - float(y[old[part]].mean()), chance))
    natural = 0.0
    if len(past) >= 4:
        gaps, chances = (np.array(v) for v in zip(*past, strict=True))
        natural = float(np.sqrt(max(np.var(gaps) - np.mean(chances**2), 0.0)))
    error = max(float(np.hypot(error * np.sqrt(1 + len(new) / len(old)), natural)), 1e-3)
    text = f"; the scores alone speak of {share(seen)} (± {share(1.96 * error)})"
    to_now, to_was = abs(seen - now) / error, abs(seen - was) / error
    part_way = (seen - was) / (now - was)
    if to_was > to_now + 1.5 and to_was > 2 and part_way > 0.5:
        return text, True
    if to_now > to_was + 1.5 and part_way < 0.5:
        return text, False
    return text, None


def natural_range(y: np.ndarray, times: np.ndarray, mean: float, rows: int) -> tuple[float, float]:
    """Range of a share that days before and chance let expect of `rows` rows."""
    days = times // DAY
    size = np.bincount(days - days.min())
    daily = np.bincount(days - days.min(), y)[size >= 20] / size[size >= 20]
    chance = 3 * float(np.sqrt(max(mean * (1 - mean), 1e-4) * (1 / rows + 1 / len(y))))
    if len(daily) < 10:
        return mean - max(chance, 0.05), mean + max(chance, 0.05)
    low, high = (float(np.quantile(daily, q)) for q in (0.02, 0.98))
    # Days have their own chance, by fewer rows: taken off, the days' true spread is left.
    own = max(float(np.var(daily)) - mean * (1 - mean) / float(np.median(size[size >= 20])), 0.0)
    wide = max(chance, 3 * float(np.sqrt(own)))
    return max(low, mean - wide) if wide else low, min(high, mean + wide) if wide else high


def _since(ctx: Context) -> pd.Timestamp | None:
    left = label_departure(ctx)
    return left.since if left is not None else None


def _base_rate_signals(
    ctx: Context, locus: str, was: float, now: float, *, moved: bool, follows: bool | None
) -> tuple[Signal, ...]:
    if not moved:
        return (Signal("drift.label_shift", "*", -3.0),)
    left, how = label_departure(ctx), manner(ctx)
    everywhere = left is not None and left.found is not None and left.found.everything
    # A new base rate alone moves the odds of every row by one factor.
    alike = everywhere and how is not None and how.structured <= 8 and how.world.way == "prior"
    somewhere = left is not None and left.found is not None and not alike
    headline = f"The base rate went from {share(was)} to {share(now)}."
    if follows and not somewhere:
        # A new base rate moves inputs, scores and labels at once; scores then mean something else.
        return (
            Signal(
                "drift.label_shift",
                locus,
                3.5 if alike else 2.0,
                headline=headline,
                mechanism=(
                    "The world has more (or fewer) positive cases: the scores show as many as the labels."
                ),
            ),
            Signal("model.concept_drift", "*", -2.5),
            Signal("model.label_fault", "*", -2.5),
            Signal("model.bad_version", "*", -1.0),
            Signal("drift.feature_shift", "*", -1.2),
        )
    mechanism = "Labels have another share of positive cases than before."
    weight = {True: 1.0, None: 0.5, False: 0.0}[follows]
    weight += 0.7 if alike else 0.0
    return (
        Signal("drift.label_shift", locus, weight + 0.2, headline=headline, mechanism=mechanism),
        Signal("none", "*", -0.7),
    )
