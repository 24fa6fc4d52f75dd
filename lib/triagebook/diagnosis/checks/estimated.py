"""How good the model is likely to be now, estimated without the labels of now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triagebook.core.words import clock, count, number, share
from triagebook.diagnosis.answer import Answer, Signal, check
from triagebook.diagnosis.checks.changes import onset_of
from triagebook.diagnosis.checks.performance import service_of, unlabelled
from triagebook.diagnosis.context import moment, nanoseconds
from triagebook.diagnosis.outlook import Outlook, outlook
from triagebook.diagnosis.served import served

if TYPE_CHECKING:
    from collections.abc import Iterable

    from triagebook.diagnosis.context import Context

_STRANGE = 0.5


@check(
    "model.estimated_performance",
    "How good is the model likely to be now, labels or not?",
    opposes=("none",),
)
def estimated(ctx: Context) -> Iterable[Answer]:
    """Estimate from inputs and scores, and hold it against the reference and against labels that are in."""
    nothing = unlabelled(ctx, "Estimated performance")
    out = served(ctx)
    if nothing is not None or out is None or out.labels is None:
        yield from [nothing] if nothing is not None else []
        return
    cited = ctx.cite("tables", out.view.name)
    onset = onset_of(ctx)
    found = outlook(out, out.labels, None if onset is None else nanoseconds(onset))
    if isinstance(found, str):
        yield Answer(
            locus=service_of(ctx),
            verdict="unknown",
            statement=f"Estimated performance is unknown: {found}",
            evidence=cited,
        )
        return
    ctx.results["outlook"] = found
    doubt = _doubt(found)
    verdict = "unknown" if doubt else "bad" if found.worse else "ok"
    estimate = found.estimate
    yield Answer(
        locus=service_of(ctx),
        verdict=verdict,  # type: ignore[arg-type]
        statement=_said(found, doubt, None if onset is None else clock(moment(nanoseconds(onset)))),
        value=round(estimate.value, 4),
        unit=found.what,
        threshold=None if estimate.threshold is None else round(estimate.threshold, 4),
        effect=round(estimate.value - estimate.reference, 4),
        evidence=cited,
        # A good estimate is no evidence that nothing is wrong: what it cannot see may be.
        signals=(Signal("none", "*", -0.5),) if verdict == "bad" else (),
    )


def _doubt(found: Outlook) -> str:
    """Say why an estimate is not to be trusted here; empty where nothing speaks against it."""
    if found.new_version > _STRANGE:
        return (
            f"a version that the reference does not know served {share(found.new_version)} of these "
            "rows, and what its scores mean was not learnt"
        )
    said = found.contradicted
    if said is None:
        return ""
    return (
        f"labels that are in say {_figure(found, said)}: they follow the inputs by another rule than "
        "before, or are wrong themselves"
    )


def _said(found: Outlook, doubt: str, since: str | None) -> str:
    e = found.estimate
    text = (
        f"{found.what} is estimated at {_figure(found, e.value)} ({_figure(found, e.low)} to "
        f"{_figure(found, e.high)}) from inputs and scores of {count(e.rows)} decisions"
        f"{'' if since is None else f' since {since}'}; it was {_figure(found, e.reference)} with labels "
        "in the reference"
    )
    if doubt:
        return f"{text}. Not to be trusted here: {doubt}"
    return f"{text}. It cannot see labels that follow the inputs by another rule than before"


def _figure(found: Outlook, value: float) -> str:
    return f"{value:.3f}" if found.what == "AUC" else number(value)
