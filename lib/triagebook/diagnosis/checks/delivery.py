"""Whether labels come as they always came: as many, as soon, and without contradiction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from triagebook.analysis.delivery import contradictions, delivery
from triagebook.analysis.outcomes import keys_of
from triagebook.core.words import count, share, span
from triagebook.diagnosis.answer import Answer, Signal, check
from triagebook.diagnosis.checks.performance import unlabelled
from triagebook.diagnosis.context import moment
from triagebook.diagnosis.departures import manner
from triagebook.diagnosis.served import served

if TYPE_CHECKING:
    from collections.abc import Iterable

    from triagebook.diagnosis.context import Context
    from triagebook.diagnosis.served import Labels

LOST_SHARE = 0.15
"""Fewer labels missing than this change no figure enough to wake anyone."""
LATER = 1.3
"""The usual delay must grow by this factor, beyond that of any window before."""


@check(
    "model.label_delivery",
    "Do labels come as many and as soon as ever?",
    finds=("model.label_fault",),
    opposes=(
        "data.duplicate_rows",
        "drift.label_shift",
        "model.concept_drift",
        "none",
        "model.label_fault",
    ),
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
    rivals: tuple[Signal, ...] = ()
    picked = _of_one_kind(ctx, labels, 1 - found.share) if lost else None
    if picked is not None:
        came, due = picked
        weight += 2.0
        text += (
            f". Of those that came {share(came)} are positive, {share(due)} by their scores: as many "
            "labels stay away as positive ones are missing"
        )
        rivals = (
            Signal("model.concept_drift", "*", -3.0),
            Signal("drift.label_shift", "*", -3.0),
        )
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
            *rivals,
        )
        if bad
        else (Signal("model.label_fault", "*", -0.8),),
    )


def _of_one_kind(ctx: Context, labels: Labels, missing: float) -> tuple[float, float] | None:
    """Return the share of positive labels of now and the one to expect, where those that lack are positive.

    Parameters
    ----------
    missing : float
        Share of the labels due that did not come, [0, 1].
    """
    how = manner(ctx)
    if how is None or len(how.hit) < 50:
        return None
    came, due = float(labels.y[how.hit].mean()), float(labels.expected[how.hit].mean())
    error = float(np.sqrt(due * (1 - due) / len(how.hit)))
    if due - came < max(4 * error, 0.05) or missing < 0.5 * (due - came):
        return None
    return came, due


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
