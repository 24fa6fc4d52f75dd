"""Whether labels can be believed: do they all come, as soon as ever, and do they say what they said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from triagebook.analysis.delivery import contradictions, delivery
from triagebook.analysis.outcomes import keys_of
from triagebook.core.words import clock, count, share, span
from triagebook.diagnosis.answer import Answer, Signal, check
from triagebook.diagnosis.checks.performance import unlabelled
from triagebook.diagnosis.context import moment
from triagebook.diagnosis.departures import STRUCTURED, label_departure, manner, score_departure
from triagebook.diagnosis.served import served

if TYPE_CHECKING:
    from collections.abc import Iterable

    from triagebook.analysis.labels import Way
    from triagebook.core.models import Change
    from triagebook.diagnosis.context import Context
    from triagebook.diagnosis.departures import Departure, Manner
    from triagebook.diagnosis.served import Labels, Served

LOST_SHARE = 0.15
"""Fewer labels missing than this change no figure enough to wake anyone."""
LATER = 1.3
"""The usual delay must grow by this factor, beyond that of any window before."""
NEAR_S = 2 * 3_600.0


@check(
    "model.label_delivery",
    "Do labels come as many and as soon as ever?",
    finds=("model.label_fault",),
    opposes=("none", "model.label_fault"),
)
def label_delivery(ctx: Context) -> Iterable[Answer]:
    """Hold the labels that came against the usual delay curve, and look for ones that contradict."""
    out = served(ctx)
    nothing = unlabelled(ctx, "Whether labels come as usual")
    if nothing is not None or out is None or out.labels is None:
        yield from [nothing] if nothing is not None else []
        return
    labels = out.labels
    locus, cited = f"table:{labels.table}", ctx.cite("tables", labels.table)
    twice = _contradicting(ctx, labels.table)
    if twice is not None:
        was, now = twice
        yield Answer(
            locus=locus,
            verdict="bad",
            statement=(f"{share(now)} of keys carry two different labels, {share(was)} did before"),
            value=round(now, 4),
            unit="share of keys",
            threshold=round(was + 0.02, 4),
            evidence=cited,
            signals=(
                Signal(
                    "model.label_fault",
                    locus,
                    3.5,
                    headline=f"Labels in {labels.table} contradict one another.",
                    mechanism=f"{share(now)} of keys carry two different labels: one of them is wrong.",
                ),
                Signal("model.concept_drift", "*", -2.5),
                # A repeated key is the lesser fault where what it repeats says another thing.
                Signal("data.duplicate_rows", locus, -3.5),
            ),
        )
    found = None
    if labels.arrived is not None:
        found = delivery(out.times, labels.arrived, labels.here, *out.window)
    cut = _not_whole(ctx, labels.table)
    if found is None or cut:
        why = cut or (
            "when labels arrived is not recorded"
            if labels.arrived is None
            else "too few came before to know the usual delay, or none was due"
        )
        yield Answer(
            locus=locus,
            verdict="unknown",
            statement=f"Whether labels come as usual is unknown: {why}",
            evidence=cited,
        )
        return
    lost = found.share < found.low and found.share < 1 - LOST_SHARE
    slow = found.delay_s > LATER * found.high_delay_s and found.delay_s - found.high_delay_s > 600
    text = (
        f"{count(found.came)} labels came, {count(found.expected)} were due by the usual delay "
        f"({share(found.share)}; {found.windows} windows before had at least {share(found.low)}); "
        f"they took {span(found.delay_s) if np.isfinite(found.delay_s) else 'an unknown time'} in the "
        f"median, {span(found.usual_delay_s)} before"
    )
    since = moment(found.since) if found.since is not None else None
    weight = 0.0
    if lost:
        weight += 2.0 + 2.0 * min((1 - found.share - LOST_SHARE) / 0.4, 1.0)
    if slow:
        weight = max(weight, 3.0) + (0.5 if lost else 0.0)
    bad = lost or slow
    yield Answer(
        locus=locus,
        verdict="bad" if bad else "ok",
        statement=text,
        value=round(found.share, 4),
        unit="share of the labels due",
        threshold=round(min(found.low, 1 - LOST_SHARE), 4),
        since=since,
        evidence=cited,
        signals=(
            Signal(
                "model.label_fault",
                locus,
                weight,
                headline=(
                    f"Labels in {labels.table} {'stay away' if lost else 'come late'}"
                    f": {share(found.share)} of those due."
                    if lost
                    else f"Labels in {labels.table} come late."
                ),
                mechanism="What is measured of the model rests on the labels that happened to come.",
            ),
            Signal("none", "*", -1.5),
        )
        if bad
        else (Signal("model.label_fault", "*", -0.8),),
    )


def _not_whole(ctx: Context, name: str) -> str:
    """Say why the labels at hand are not all that came; empty where they are."""
    if ctx.tables[name].current is None:
        return "those of the current window were not seen"
    cited = set(ctx.cite("tables", name))
    if any(e.status == "truncated" for e in ctx.bundle.ledger if e.id in cited):
        return "only a sample of them was pulled"
    return ""


def _contradicting(ctx: Context, name: str) -> tuple[float, float] | None:
    """Share of keys with two labels, before and now, where clearly more have them now."""
    table = ctx.tables[name]
    spec = table.spec
    shares = []
    for frame in (table.reference, table.current):
        if (
            frame is None
            or not spec.label
            or not spec.key_columns
            or not {spec.label, *spec.key_columns} <= set(frame)
        ):
            return None
        rows = frame[frame[spec.label].notna()]
        if len(rows) > 60_000:
            rows = rows.iloc[-60_000:]
        if len(rows) < 50:
            return None
        keys = keys_of(rows, spec.key_columns)
        # Most tables repeat no key; then nothing can contradict.
        if not keys.duplicated().any():
            shares.append(0.0)
            continue
        shares.append(contradictions(keys.to_numpy(), rows[spec.label].astype(str).to_numpy()))
    was, now = shares
    return (was, now) if now > was + 0.02 and now > 3 * was else None


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
    opposes=("none", "model.label_fault", "model.concept_drift", "drift.label_shift"),
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
        weight += 1.8 if how.world.way == "slope" and how.world.size < 0.5 else 0.8
        words.append(f"{hit} explains them as well as a changed world does, all rows alike")
    else:
        weight -= 2.0
        words.append("another share of positive cases explains them better than wrong labels")
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
