"""Whether labels can be believed: whether they still say what they said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from triagebook.analysis.labels import rescaled
from triagebook.core.words import clock, count, number, share
from triagebook.diagnosis.answer import Answer, Signal, check
from triagebook.diagnosis.checks.performance import unlabelled
from triagebook.diagnosis.context import moment
from triagebook.diagnosis.departures import (
    STRUCTURED,
    label_departure,
    manner,
    moved_inputs,
    score_departure,
)
from triagebook.diagnosis.served import served

if TYPE_CHECKING:
    from collections.abc import Iterable

    from triagebook.analysis.labels import Way
    from triagebook.core.models import Change
    from triagebook.diagnosis.context import Context
    from triagebook.diagnosis.departures import Departure, Manner
    from triagebook.diagnosis.served import Labels, Served

NEAR_S = 2 * 3_600.0


_WAYS: dict[Way, str] = {
    "flipped": "turned round",
    "positives_lost": "positive ones written as negative",
    "negatives_lost": "negative ones written as positive",
    "shuffled": "given to other rows",
}


@check(
    "model.labels_plausible",
    "Do labels still say what they said?",
    finds=("model.label_fault",),
    opposes=(
        "model.bad_version",
        "model.stale",
        "none",
        "model.label_fault",
        "model.concept_drift",
        "drift.label_shift",
    ),
)
def labels_plausible(ctx: Context) -> Iterable[Answer]:
    """Look for values never seen, for one value only, and for departures that hit every row alike."""
    nothing = unlabelled(ctx, "Whether labels say what they said")
    out = served(ctx)
    if nothing is not None or out is None or out.labels is None:
        yield from [nothing] if nothing is not None else []
        return
    labels = out.labels
    locus, cited = f"table:{labels.table}", ctx.cite("tables", labels.table)
    plain = _unreadable(out, labels) or _constant(out, labels)
    if plain is not None:
        text, value, headline, since = plain
        yield Answer(
            locus=locus,
            verdict="bad",
            statement=text,
            value=round(value, 4),
            unit="share of labels",
            since=since,
            evidence=cited,
            signals=(
                Signal(
                    "model.label_fault",
                    locus,
                    4.0,
                    headline=headline,
                    mechanism="The labels changed, not the model: the measured drop is not real.",
                ),
                *_not_the_model(-3.0),
            ),
        )
        return
    left, how = label_departure(ctx), manner(ctx)
    if left is None:
        yield Answer(
            locus=locus,
            verdict="unknown",
            statement="Whether labels say what they said is unknown: too few of now are in",
            evidence=cited,
        )
        return
    if left.found is not None and left.found.everything and labels.task == "number":
        yield _by_line(out, labels, left, locus, cited)
        return
    if left.found is None or not left.found.everything or how is None:
        quiet = left.found is None
        yield Answer(
            locus=locus,
            verdict="ok",
            statement=(
                f"Of {count(left.late_rows)} labels of now, as many are positive at each score as before"
                if quiet
                else "Labels left the scores in some rows only, or are no classes: no sign of a fault of "
                "theirs"
            ),
            evidence=cited,
            signals=(Signal("model.label_fault", "*", -1.5 if quiet else -1.0),),
        )
        return
    yield _by_manner(ctx, left, how, locus, cited)


def _by_manner(ctx: Context, left: Departure, how: Manner, locus: str, cited: list[str]) -> Answer:
    strayed = score_departure(ctx)
    scores_moved = strayed is not None and strayed.found is not None
    structured = how.structured > STRUCTURED
    weight, words = 0.0, []
    hit = f"{share(how.fault.size)} of labels {_WAYS[how.fault.way]}"
    upside_down = how.world.way == "slope" and how.world.size < -0.3
    by_arrival = left.arrival_nats > 4
    if structured:
        # The clock of the labels outweighs places: the world does not know when a label comes.
        weight -= 0.3 if by_arrival else 2.0
        words.append("rows differ in how far their labels moved, as the world does")
    elif how.lead > 3 or upside_down:
        weight += 3.8 if upside_down else 2.8
        words.append(f"{hit} explains them best, all rows alike")
    elif how.lead > -3:
        # Labels that say less of every row alike: noise is likelier than a world that does that.
        weight += 0.8
        if how.world.way == "slope" and how.world.size < 0.5:
            weight += 2.0 if how.world.size < 0.25 else 1.0
        words.append(f"{hit} explains them as well as a changed world does, all rows alike")
    else:
        weight -= 2.0
        words.append("another share of positive cases explains them better than wrong labels")
    if weight > 0 and not by_arrival:
        # The nearer a slice comes to standing out, the less alike all rows are.
        doubt = float(np.clip((how.structured - 3) / (STRUCTURED - 3), 0, 1))
        weight -= doubt * (weight + 2.0)
    kept = _kept(ctx, how)
    if kept < FEW_LEFT and not structured and not scores_moved:
        weight += 2.0
        words.append(
            f"{share(kept)} of the positive ones to expect are left, whatever the row: the world seldom "
            "loses so many at once"
        )
    if by_arrival:
        weight += 1.5 + min((left.arrival_nats - 4) / 6, 1.5)
        words.append(
            f"they changed by when the label came (from {clock(_arrival(left))}), not by when the "
            "decision was made"
        )
    elif left.arrival_nats < -4:
        weight -= 1.2
        words.append("they changed by when the decision was made, not by when the label came")
    change = _change_near(ctx, locus.partition(":")[2], left)
    if change is not None:
        weight += 1.0
        words.append(f"{change.what} went live {clock(change.ts)} upstream of the labels")
    if moved_inputs(ctx, left.since):
        weight -= 1.5
        words.append("inputs moved at the same time")
    if scores_moved:
        weight -= 1.5
        words.append("the scores moved as well")
    fault = weight > 0.5
    signals = [
        Signal(
            "model.label_fault",
            locus,
            weight,
            headline=f"Labels in {locus.partition(':')[2]} are wrong since {clock(_arrival(left))}.",
            mechanism=f"{share(how.fault.size)} of labels are {_WAYS[how.fault.way]}: the measured drop "
            "is not real.",
        )
    ]
    if fault:
        signals += _not_the_model(-min(weight, 3.5) * 0.8)
    return Answer(
        locus=locus,
        verdict="bad" if fault else "ok",
        statement="Labels left what scores let expect: " + "; ".join(words),
        value=round(how.lead, 2),
        unit="nats for faulty labels",
        threshold=3.0,
        effect=round(how.fault.size, 3),
        since=_arrival(left) if fault else None,
        evidence=cited,
        signals=tuple(signals),
    )


FEW_LEFT = 0.35
"""Where fewer of the positive labels to expect are left, they are lost rather than fewer."""


def _kept(ctx: Context, how: Manner) -> float:
    """Return the positive labels of the rows since it began, over those their scores let expect."""
    out = served(ctx)
    if out is None or out.labels is None:
        return 1.0
    due = float(np.nansum(out.labels.expected[how.hit]))
    return float(np.nansum(out.labels.y[how.hit])) / due if due >= 20 else 1.0


def _by_line(out: Served, labels: Labels, left: Departure, locus: str, cited: list[str]) -> Answer:
    """Judge labels that are quantities: on another scale, of other rows, or by their own clock."""
    rows = left.rows
    old = rows[out.times[rows] < labels.maturity.start]
    hit = left.inside
    if left.arrival is not None and left.arrival_nats > 4 and labels.arrived is not None:
        hit = rows[labels.arrived[rows] >= left.arrival.at]
    line = rescaled(labels.expected[hit], labels.y[hit], labels.expected[old], labels.y[old])
    weight, words = -1.0, ["on no other scale, and not unrelated"]
    if line is not None and line.way == "scaled":
        weight = 2.8
        words = [f"all are about {number(line.factor)} times what they were, as tight as before"]
    elif line is not None and line.way == "unrelated":
        weight = 1.5
        words = [
            f"they no longer have to do with them (correlation {line.tight:.2f}, {line.loose:.2f} before)"
        ]
    if left.arrival_nats > 4:
        weight += 1.5 + min((left.arrival_nats - 4) / 6, 1.5)
        words.append(f"they changed by when the label came (from {clock(_arrival(left))})")
    elif left.arrival_nats < -4:
        weight -= 1.2
        words.append("they changed by when the prediction was made, not by when the label came")
    fault = weight > 0.5
    return Answer(
        locus=locus,
        verdict="bad" if fault else "ok",
        statement="Labels left the predictions: " + "; ".join(words),
        value=round(line.factor, 3) if line is not None else None,
        unit="times what they were",
        since=_arrival(left) if fault else None,
        evidence=cited,
        signals=(
            Signal(
                "model.label_fault",
                locus,
                weight,
                headline=f"Labels in {labels.table} are wrong since {clock(_arrival(left))}.",
                mechanism="The labels changed, not the model: the measured error is not real.",
            ),
            *(_not_the_model(-min(weight, 3.5) * 0.8) if fault else ()),
        ),
    )


def _not_the_model(weight: float) -> list[Signal]:
    return [
        Signal(cause, "*", weight)
        for cause in (
            "model.concept_drift",
            "drift.label_shift",
            "model.bad_version",
            "model.stale",
        )
    ]


def _arrival(left: Departure) -> pd.Timestamp | None:
    if left.arrival is not None and left.arrival_nats > -4:
        return moment(left.arrival.at)
    return left.since


def _change_near(ctx: Context, table: str, left: Departure) -> Change | None:
    """Find a change upstream of the labels, and not of the predictions, shortly before."""
    from triagebook.diagnosis.checks.changes import node_of  # noqa: PLC0415 - its own registration

    when = _arrival(left)
    if when is None or left.arrival is None:
        return None
    predictions = next((t.name for t in ctx.tables.values() if t.spec.role == "predictions"), "")
    feeds = ctx.upstream_of({table}) - ctx.upstream_of({predictions})
    low, high = moment(left.arrival.low), moment(left.arrival.high)
    for change in ctx.changes:
        at = pd.Timestamp(change.ts)
        if (low - at).total_seconds() > NEAR_S or (at - high).total_seconds() > 300:
            continue
        if node_of(change, feeds | {table}) is not None:
            return change
    return None


def _late(out: Served, labels: Labels) -> np.ndarray:
    """Rows whose label came in the window, whenever they were made."""
    if labels.arrived is not None:
        return labels.here & (labels.arrived >= out.window[0])
    return labels.here & (out.times >= labels.maturity.start)


Plain = tuple[str, float, str, pd.Timestamp | None]


def _first(out: Served, labels: Labels, hit: np.ndarray) -> pd.Timestamp | None:
    if labels.arrived is not None:
        return moment(int(labels.arrived[hit].min()))
    return moment(int(out.times[hit].min())) if out.timed else None


def _unreadable(out: Served, labels: Labels) -> Plain | None:
    """Labels of a value that the reference never had."""
    late = _late(out, labels)
    odd = late & ~np.isfinite(labels.y)
    before = labels.here & ~late
    if late.sum() < 30 or not odd.any() or labels.right:
        return None
    was = float((~np.isfinite(labels.y[before])).mean()) if before.any() else 0.0
    now = float(odd[late].mean())
    if now < was + 0.05:
        return None
    return (
        f"{share(now)} of labels that came have a value never seen before ({share(was)} before)",
        now,
        f"Labels in {labels.table} have values never seen before.",
        _first(out, labels, odd),
    )


def _constant(out: Served, labels: Labels) -> Plain | None:
    """Labels of one value only, from a moment on, though scores let expect others."""
    late = np.flatnonzero(_late(out, labels) & np.isfinite(labels.y))
    if len(late) < 40 or labels.right:
        return None
    when = labels.arrived[late] if labels.arrived is not None else out.times[late]
    y = labels.y[late[np.argsort(when, kind="stable")]]
    expected = labels.expected[late[np.argsort(when, kind="stable")]]
    same = y == y[-1]
    run = len(y) - (int(np.flatnonzero(~same)[-1]) + 1 if not same.all() else 0)
    if run < 40:
        return None
    tail = expected[-run:]
    tail = tail[np.isfinite(tail)]
    if labels.task == "binary":
        others = float((1 - tail).sum() if y[-1] > 0.5 else tail.sum())
        if others < 20:
            return None
        said = f"{count(others)} of the other kind were to be expected"
    else:
        said = "no quantity stays the same so long"
    return (
        f"The last {count(run)} labels that came are all {y[-1]:g}; {said}",
        run / len(y),
        f"Labels in {labels.table} are all {y[-1]:g}.",
        moment(int(np.sort(when, kind="stable")[-run])) if out.timed else None,
    )
