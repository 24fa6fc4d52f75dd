"""Whether labels still follow the scores, and scores the inputs; in which slice they do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from triagebook.analysis.encompass import encompassing
from triagebook.core.words import count, number, share
from triagebook.diagnosis.answer import Answer, Signal, check
from triagebook.diagnosis.checks.performance import service_of, unlabelled
from triagebook.diagnosis.checks.versions import new_models
from triagebook.diagnosis.departures import (
    LEAST_GAIN,
    LEAST_STRAYED,
    differing,
    label_departure,
    moved_inputs,
    score_departure,
)
from triagebook.diagnosis.served import served

if TYPE_CHECKING:
    from collections.abc import Iterable

    from triagebook.diagnosis.context import Context
    from triagebook.diagnosis.departures import Departure
    from triagebook.diagnosis.served import Labels, Served


_HANDFUL, _HALF_A_DAY_S = 50, 12 * 3_600.0
"""Fewer rows within less time may share one event: an airline's evening, a branch's bad hour."""


def sure(departure: Departure) -> float:
    """Turn the nats a departure explains into a weight between 2 and 4."""
    gain = departure.found.gain if departure.found is not None else 0.0
    return 2.0 + 2.0 * float(np.clip((gain - LEAST_GAIN) / 20, 0, 1))


def overlap(left: Departure, right: Departure) -> float:
    """Share of the rows that left in the first which left in the second as well."""
    mine, theirs = left.inside, right.inside
    return float(np.isin(mine, theirs).mean()) if len(mine) else 0.0


@check(
    "model.labels_follow_scores",
    "Do labels still follow the scores, everywhere?",
    finds=("model.concept_drift",),
    opposes=("none", "model.concept_drift"),
)
def labels_follow_scores(ctx: Context) -> Iterable[Answer]:
    """Search for the slice in which labels given the score are no longer what they were."""
    nothing = unlabelled(ctx, "Whether labels follow the scores")
    out, left = served(ctx), label_departure(ctx)
    if nothing is not None or out is None or out.labels is None or left is None:
        yield nothing or Answer(
            locus=service_of(ctx),
            verdict="unknown",
            statement="Whether labels follow the scores is unknown: too few labels of now are in",
            evidence=ctx.cite("tables"),
        )
        return
    cited = ctx.cite("tables", out.labels.table) + ctx.cite("tables", out.view.name)
    if left.found is None:
        yield Answer(
            locus=service_of(ctx),
            verdict="ok",
            statement=(
                f"At each score labels are what they were, in every slice ({count(left.late_rows)} "
                "labels of now)"
            ),
            evidence=cited,
            signals=(Signal("model.concept_drift", "*", -3.0), Signal("none", "*", 0.2)),
        )
        return
    found, labels = left.found, out.labels
    weight, words = sure(left), []
    strayed = score_departure(ctx)
    if strayed is not None and strayed.found is not None:
        shared = overlap(left, strayed)
        if shared >= 0.3:
            weight -= 3.5
            words.append("there the scores no longer follow the inputs either")
    elif strayed is not None:
        weight += 0.5
        words.append("scores follow the inputs as before")
    skewed = differing(ctx)
    if skewed:
        weight -= 2.5
        words.append(f"{skewed[0].feature} was served otherwise than it is")
    moved = moved_inputs(ctx, left.since)
    if moved:
        weight -= 2.5
        words.append(f"{moved[0]} moved at the same time")
    if _short(out, left):
        weight -= 2.5
        words.append("few labels of a few hours: a bad evening of that slice looks alike")
    yield Answer(
        locus=left.segment,
        verdict="bad",
        statement=_said(left, labels) + (f"; {'; '.join(words)}" if words else ""),
        value=round(float(found.after[0]), 4),
        unit="label above what its score let expect"
        if labels.task != "number"
        else "spreads of the error",
        threshold=round(LEAST_GAIN, 1),
        effect=round(found.gain, 2),
        since=left.since,
        evidence=cited,
        signals=(
            Signal(
                "model.concept_drift",
                left.segment,
                weight,
                headline=f"Labels no longer follow the scores {_where(left)}.",
                mechanism=(
                    "What comes of a row changed while inputs, model and scores stayed as they were."
                ),
            ),
            Signal("none", "*", -1.5),
        ),
    )


def _short(out: Served, left: Departure) -> bool:
    """Whether a slice left in a handful of rows of less than half a day."""
    rows = left.inside
    if left.found is None or left.found.everything or not out.timed or not len(rows):
        return False
    lasted_s = float(out.times[rows].max() - out.times[rows].min()) / 1e9
    return len(rows) < _HANDFUL and lasted_s < _HALF_A_DAY_S


def _where(left: Departure) -> str:
    if left.found is None or left.found.everything:
        return "anywhere"
    return f"where {left.found.name.replace('=', ' = ')}"


def _said(left: Departure, labels: Labels) -> str:
    found = left.found
    if found is None:
        return ""
    rows = left.inside
    if labels.task == "binary" and not labels.right:
        now, due = float(labels.y[rows].mean()), float(labels.expected[rows].mean())
        text = (
            f"{share(now)} of {count(len(rows))} labels are positive, {share(due)} by their scores"
        )
        if abs(now - due) < 0.03:
            text += ", and scores rank them worse"
    elif labels.right:
        now, due = float(labels.y[rows].mean()), float(labels.expected[rows].mean())
        text = f"{share(now)} of {count(len(rows))} predictions are right, {share(due)} before"
    else:
        gap = float((labels.y[rows] - labels.expected[rows]).mean())
        text = f"{count(len(rows))} labels lie {number(gap)} off what was predicted for them"
    text = f"Labels no longer follow the scores {_where(left)}: {text}"
    if not found.everything:
        small = abs(found.outside_share)
        text += (
            f"; elsewhere {share(small)} of that" if found.outside_z > 3 else "; elsewhere they do"
        )
    return text


@check(
    "model.scores_follow_inputs",
    "Do scores still follow the inputs, everywhere?",
    finds=("model.segment_regression",),
    opposes=("none", "model.segment_regression", "model.bad_version", "model.concept_drift"),
)
def scores_follow_inputs(ctx: Context) -> Iterable[Answer]:
    """Search for the slice in which the model no longer says what it used to say of such inputs."""
    out, strayed = served(ctx), score_departure(ctx)
    if out is None or strayed is None or out.follows is None:
        why = "no predictions with inputs and scores in both windows"
        if out is not None and out.behaviour is not None:
            why = (
                f"the inputs logged explain {share(max(out.behaviour.fidelity, 0.0))} of the scores"
            )
        yield Answer(
            locus=service_of(ctx),
            verdict="unknown",
            statement=f"Whether scores follow the inputs is unknown: {why}",
            evidence=ctx.cite("tables"),
        )
        return
    cited = ctx.cite("tables", out.view.name)
    fidelity = out.follows.fidelity
    if strayed.found is None:
        yield Answer(
            locus=service_of(ctx),
            verdict="ok",
            statement=(
                f"The model says of {count(strayed.late_rows)} rows of now what it used to say of such "
                f"inputs, in every slice (stand-in R² {fidelity:.2f})"
            ),
            evidence=cited,
            signals=(
                Signal("model.segment_regression", "*", -3.0),
                # Within what the stand-in can see: a weak one sees less. The rows of a new version are
                # looked at on their own elsewhere.
                Signal(
                    "model.bad_version",
                    "*",
                    -1.0 if new_models(ctx) else (-3.0 if fidelity > 0.8 else -1.5),
                ),
                Signal("none", "*", 0.2),
            ),
        )
        return
    found = strayed.found
    weight = sure(strayed)
    words = []
    if found.everything:
        # All rows at once: a new model or other code, not a slice.
        if new_models(ctx):
            weight -= 3.0
        else:
            # Nor is it one of anything where nothing of ours changed: then inputs lack that it reads.
            weight -= 0.8 if _changed(ctx, strayed) else 2.5
    elif new_models(ctx):
        # A new version explains where it errs; that it errs in one slice most is its way to err, all
        # the more where it errs elsewhere too.
        weight -= 3.0 if found.elsewhere else 1.5
    elif not _changed(ctx, strayed):
        # A model does not come to answer otherwise by itself; a stand-in errs in weather it never saw.
        weight -= 1.5
    moved = moved_inputs(ctx, strayed.since)
    if moved:
        # Rows of a kind never seen: the stand-in may be what is wrong about them.
        weight -= 2.5
        words.append(f"{moved[0]} moved at the same time")
    stirred = -2.2 if _changed(ctx, strayed) else -1.2
    worse = harmed(out, strayed)
    if worse is not None:
        gap, z, lead = worse
        if lead > 2 or (z > 2 and lead > -1):
            weight += 0.7
            words.append("labels say that they are worse for it")
        elif gap < 0.005 and z < 1 and lead < 1:
            weight -= 2.0
            stirred = -1.2
            words.append("labels say that they are no worse for it")
    since = strayed.since
    yield Answer(
        locus=strayed.segment,
        verdict="bad",
        statement=_strayed_text(out, strayed) + (f"; {'; '.join(words)}" if words else ""),
        value=round(float(found.shift[1]), 4),
        unit="share of rows that strayed, above usual",
        threshold=LEAST_STRAYED,
        effect=round(found.gain, 2),
        since=since,
        evidence=cited,
        signals=(
            Signal(
                "model.segment_regression",
                strayed.segment,
                weight,
                headline=f"The model fails {_where(strayed)}.",
                mechanism="There its scores no longer follow the inputs as they used to.",
            ),
            # The model answers otherwise: "nothing moved" it is not.
            Signal("none", "*", stirred),
        ),
    )


def _changed(ctx: Context, strayed: Departure) -> bool:
    """Whether code, settings or hosts changed up to six hours before scores left the inputs."""
    if ctx.bundle.changes is None or strayed.since is None:
        return True
    return any(
        -600 <= (strayed.since - pd.Timestamp(change.ts)).total_seconds() <= 6 * 3_600
        for change in ctx.changes
        if change.kind in ("deploy", "config", "flag", "infra", "model")
    )


def harmed(out: Served, strayed: Departure) -> tuple[float, float, float] | None:
    """Compare the loss of what was served with that of what the model used to say, on the same rows.

    Returns
    -------
    (gap, z, lead) or None
        Mean squared error served less expected, over what it is in the reference, in squares of the
        label's unit (or spread), with its z; standard errors by which labels follow what was expected
        rather than what was served (0 where that cannot be told). None with fewer than 50 labelled rows
        that strayed.
    """
    labels, model = out.labels, out.follows
    if labels is None or model is None or out.score is None or labels.right:
        return None
    both = np.isfinite(model.expected) & np.isfinite(labels.y) & np.isfinite(labels.expected)
    rows = strayed.inside
    rows = rows[both[rows]]
    if len(rows) < 50:
        return None
    old = np.flatnonzero(both & ~out.late)
    usual = labels.meant(model.expected)
    scale = 1.0 if labels.task == "binary" else max(float(np.var(labels.y[old])), 1e-12)
    paired = ((labels.y - labels.expected) ** 2 - (labels.y - usual) ** 2) / scale
    gap = float(paired[rows].mean() - paired[old].mean())
    error = float(np.sqrt(np.var(paired[rows]) / len(rows) + np.var(paired[old]) / len(old)))
    told = (
        encompassing(labels.y[rows], usual[rows], labels.expected[rows])
        if labels.task == "binary"
        else None
    )
    return gap, gap / max(error, 1e-9), told.z if told is not None else 0.0


def _strayed_text(out: Served, strayed: Departure) -> str:
    model, found = out.follows, strayed.found
    if model is None or found is None or out.score is None:
        return ""
    rows = strayed.inside
    said, due = float(np.mean(out.score[rows])), float(np.mean(model.expected[rows]))
    off = float(np.mean(np.abs(model.residual[rows])))
    text = (
        f"Scores no longer follow the inputs {_where(strayed)}: {share(float(found.after[1]))} of "
        f"{count(len(rows))} rows lie far from what the model used to say, {share(float(found.before[1]))}"
        f" before ({number(off)} on average; mean {number(said)}, expected {number(due)}; stand-in R² "
        f"{model.fidelity:.2f})"
    )
    if not found.everything:
        text += (
            f"; elsewhere {share(abs(found.outside_share))} of that"
            if found.outside_z > 3
            else "; elsewhere they do"
        )
    return text
