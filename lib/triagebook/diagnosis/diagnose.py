"""A bundle in, a diagnosis out: run the checks, rank, weigh, propose. The same bundle, the same answer."""

from __future__ import annotations

import platform
import time
import traceback
from importlib.metadata import version
from typing import TYPE_CHECKING

import pandas as pd

import triagebook
from triagebook.core.models import Diagnosis, Finding, IncidentType, Onset
from triagebook.core.times import to_utc
from triagebook.core.words import clock, number, several
from triagebook.diagnosis.actions import propose
from triagebook.diagnosis.answer import CHECKS, Answer
from triagebook.diagnosis.catalogue import cause as cause_of
from triagebook.diagnosis.context import Context, moment
from triagebook.diagnosis.impact import CLIMBS, toll
from triagebook.diagnosis.measured import measured_of
from triagebook.diagnosis.ranking import rank
from triagebook.diagnosis.severity import severity
from triagebook.diagnosis.spec import TYPES, Spec
from triagebook.evidence.bundle import Bundle

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from triagebook.core.models import Hypothesis, LedgerEntry, Verdict

SURE = 0.5
"""Confidence from which the first hypothesis is called found."""


def spec_for(incident_type: str | IncidentType) -> Spec:
    """Return the spec of an incident type; the generic one where it has none of its own."""
    name = str(incident_type)
    return TYPES.get(name if name in TYPES else "generic")


def replay(bundle: Path, incident_type: str | None = None) -> Diagnosis:
    """Diagnose a bundle again, from its files alone.

    Parameters
    ----------
    bundle : Path
        The bundle's folder.
    incident_type : str or None
        Instead of the alert's own.

    Returns
    -------
    Diagnosis
        The same as that of the run that collected the bundle, apart from `timings`.
    """
    return diagnose(Bundle.read(bundle), incident_type)[0]


def diagnose(
    bundle: Bundle,
    incident_type: str | IncidentType | None = None,
    progress: Callable[[str], None] | None = None,
) -> tuple[Diagnosis, Context]:
    """Diagnose.

    Parameters
    ----------
    bundle : Bundle
    incident_type : str, IncidentType or None
        Which spec to run; None takes the alert's.
    progress : callable or None
        Told each check's question before it runs.

    Returns
    -------
    (Diagnosis, Context)
        The context holds what charts draw.
    """
    began = time.perf_counter()
    kind = IncidentType(incident_type) if incident_type else bundle.alert.incident_type
    spec = spec_for(kind)
    ctx = Context(bundle, kind)
    timings: dict[str, float] = {}
    pairs: list[tuple[Answer, Finding]] = []
    for check_id in spec.checks:
        check = CHECKS.get(check_id)
        if progress is not None:
            progress(check.question)
        start = time.perf_counter()
        for answer in _ask(ctx, check_id):
            pairs.append((answer, _finding(answer, check_id, len(pairs) + 1, spec)))
        timings[check_id] = round(time.perf_counter() - start, 4)
    name = bundle.service.name
    pulls = [e for e in ctx.bundle.ledger if e.kind == "tables"]
    lost = sum(_table_lost(e) for e in pulls) / len(pulls) if pulls else 0.0
    hypotheses, none_of_these = rank(pairs, name, lost)
    first = hypotheses[0] if hypotheses else None
    findings = [finding for _, finding in pairs]
    verdict = _verdict(hypotheses, spec, ctx)
    by_id = {finding.id: answer for answer, finding in pairs}
    felt = _felt(verdict, first, by_id)
    onset = _onset(ctx, first, by_id) if verdict != "healthy" else None
    if felt is not None:
        onset = onset or _onset_of(*felt)
    found = toll(ctx, first if verdict != "healthy" else None, onset)
    fault = first is not None and cause_of(first.cause).fault
    sev = severity(
        bundle.service,
        verdict,
        found.impact,
        wrong_share=found.wrong_share,
        going_on=found.going_on,
        fault=fault,
        felt=felt is not None,
        climbs=first is not None and first.cause in CLIMBS,
        resolved=bundle.alert.status == "resolved",
    )
    ctx.results["findings"] = findings
    ctx.results["going_on"] = found.going_on
    timings["total"] = round(time.perf_counter() - began, 4)
    diagnosis = Diagnosis(
        incident_id=bundle.manifest.incident_id or bundle.root.resolve().parent.name,
        incident_type=_type_of(kind, first),
        service=bundle.service,
        alert=bundle.alert,
        windows=bundle.windows,
        verdict=verdict,
        summary=_summary(verdict, first, onset, ctx, felt[1] if felt else None),
        severity=sev,
        onset=onset,
        impact=found.impact,
        findings=findings,
        hypotheses=hypotheses,
        none_of_these=max(none_of_these, 0.0),
        ledger=bundle.ledger,
        # What could not be judged is not closed.
        actions=[
            one
            for one in propose(ctx, first, onset)
            if verdict == "healthy" or one.action != "close"
        ],
        timings=timings,
        versions=versions(),
    )
    ctx.results["diagnosis"] = diagnosis
    return diagnosis, ctx


def versions() -> dict[str, str]:
    """Return the versions that the answer depends on."""
    return {
        "triagebook": triagebook.__version__,
        "python": platform.python_version(),
        **{name: version(name) for name in ("numpy", "pandas", "scikit-learn")},
    }


def _ask(ctx: Context, check_id: str) -> list[Answer]:
    try:
        return list(CHECKS.get(check_id).run(ctx))
    except Exception as error:  # noqa: BLE001 - one broken check costs its own finding, said as such
        where = traceback.extract_tb(error.__traceback__)[-1]
        return [
            Answer(
                locus=f"service:{ctx.bundle.service.name}",
                verdict="unknown",
                statement=(
                    f"The check {check_id} failed: {type(error).__name__}: {error} "
                    f"({where.name}, line {where.lineno})"
                ),
            )
        ]


def _finding(answer: Answer, check_id: str, number: int, spec: Spec) -> Finding:
    return Finding(
        id=f"F{number:02d}",
        check=check_id,
        locus=answer.locus,
        verdict=answer.verdict,
        statement=answer.statement,
        value=answer.value,
        unit=answer.unit,
        threshold=answer.threshold,
        effect=answer.effect,
        since=to_utc(_plain_time(answer.since)) if answer.since is not None else None,
        evidence=answer.evidence,
        cell=spec.cell_of(check_id),
    )


def _plain_time(when: datetime) -> datetime:
    return when.to_pydatetime(warn=False) if isinstance(when, pd.Timestamp) else when


def _verdict(hypotheses: Sequence[Hypothesis], spec: Spec, ctx: Context) -> Verdict:
    """Call a fault found, or no fault, when it holds more than half; else say that neither does.

    "Nothing", a season and harmless movements of several features can all be true at once, so their
    confidences count together.
    """
    if not hypotheses:
        return "inconclusive"
    first = hypotheses[0]
    if cause_of(first.cause).fault:
        # Columns of one table that broke in one way at once are one event, whichever is named first.
        event = (first.cause, first.locus.rpartition(".")[0])
        held = sum(
            h.confidence
            for h in hypotheses
            if h is first or (event[1] and event == (h.cause, h.locus.rpartition(".")[0]))
        )
        return "cause_found" if held >= SURE else "inconclusive"
    calm = sum(h.confidence for h in hypotheses if not cause_of(h.cause).fault)
    blind = [kind for kind in spec.needs if ctx.why_missing(kind) is not None]
    if "tables" in spec.needs:
        # One table of five says little of the four that could not be had.
        blind += [e.id for e in ctx.bundle.ledger if _table_lost(e)]
    # A model that is measured to be worse than ever is not well because no cause was found.
    figure = measured_of(ctx)
    worse = figure is not None and figure.bad
    well = calm >= SURE and not blind and not worse and ctx.bundle.ledger
    return "healthy" if well else "inconclusive"


def _onset(ctx: Context, first: Hypothesis | None, answers: dict[str, Answer]) -> Onset | None:
    """Read the onset where the first hypothesis lies; else from the findings that speak for it."""
    if first is None:
        return None
    kind, _, name = first.locus.partition(":")
    name = name.partition("=")[0] if kind == "segment" else name
    # A column of which only some rows broke has its moment too, though it did not move as a whole.
    for column in (*ctx.roots, *ctx.inputs):
        if name in (f"{column.table}.{column.name}", column.name) and column.movement.split:
            split = column.movement.split
            return Onset(
                at=_plain_time(moment(split.time)),
                low=_plain_time(moment(split.time_low)),
                high=_plain_time(moment(split.time_high)),
                **{"from": f"rows of {column.table}.{column.name}"},
            )
    # The strongest evidence for it tells the moment best.
    for one in first.for_:
        answer = answers.get(one)
        found = _onset_of(one, answer) if answer is not None else None
        if found is not None:
            return found
    return None


def _onset_of(finding: str, answer: Answer) -> Onset | None:
    if answer.since is None:
        return None
    at = to_utc(_plain_time(answer.since))
    low, high = answer.since_low or answer.since, answer.since_high or answer.since
    return Onset(
        at=at,
        low=min(to_utc(_plain_time(low)), at),
        high=max(to_utc(_plain_time(high)), at),
        **{"from": f"finding {finding}"},
    )


def _felt(
    verdict: Verdict, first: Hypothesis | None, answers: dict[str, Answer]
) -> tuple[str, Answer] | None:
    """Return what speaks against "nothing is wrong", where no cause of it was found.

    Users feel it, whatever it comes from: it has a moment, and is no SEV4.
    """
    if verdict != "inconclusive" or first is None or first.cause != "none":
        return None
    bad = [(one, answers[one]) for one in first.against if answers[one].verdict == "bad"]
    return next((pair for pair in bad if pair[1].since is not None), bad[0] if bad else None)


def _summary(
    verdict: Verdict,
    first: Hypothesis | None,
    onset: Onset | None,
    ctx: Context,
    felt: Answer | None = None,
) -> str:
    if verdict == "healthy" and first is not None:
        if first.cause != "none":
            return first.headline
        unseen = _parts_unseen(ctx)
        return "Nothing is wrong beyond normal variation: the alert does not hold up." + (
            f" Not seen: {several(unseen)}." if unseen else ""
        )
    if verdict == "inconclusive" or first is None:
        kinds = [k for k in ("tables", "metrics", "logs", "changes") if ctx.why_missing(k)]
        missing = list(dict.fromkeys([*kinds, *_parts_unseen(ctx)]))
        tail = f" Not seen: {several(missing)}." if missing else ""
        if felt is not None:
            since = f", since {clock(onset.at)}" if onset is not None else ""
            return f"{felt.statement.rstrip('.')}{since}. Why was not found.{tail}"
        lead = f" The first guess: {first.headline}" if first and first.cause != "none" else ""
        figure = measured_of(ctx)
        worse = (
            f" The model does worse: {figure.what} {number(figure.now)}, was {number(figure.before)}."
            if figure is not None and figure.bad
            else ""
        )
        return f"No cause stands out.{worse}{lead}{tail}"
    headline = first.headline.rstrip()
    headline += "" if not headline or headline.endswith((".", "!", "?")) else "."
    told = onset is None or clock(onset.at) in headline
    since = "" if told else f" Since {clock(onset.at)}."  # type: ignore[union-attr]
    return f"{headline}{since} {first.mechanism}".strip()


def _table_lost(entry: LedgerEntry) -> bool:
    return entry.status == "unavailable" and entry.source.partition(":")[0] == "tables"


def _parts_unseen(ctx: Context) -> list[str]:
    """Name what was asked for and not had: a kind, or a table."""
    return list(
        dict.fromkeys(
            (entry.source.partition(":")[2] or entry.source).partition("/")[0]
            for entry in ctx.bundle.ledger
            if entry.status == "unavailable"
        )
    )


_KINDS = {
    "data": IncidentType.DATA_QUALITY,
    "model": IncidentType.MODEL_PERFORMANCE,
    "drift": IncidentType.DRIFT,
    "pipeline": IncidentType.PIPELINE_FAILURE,
    "latency": IncidentType.LATENCY,
    "resources": IncidentType.RESOURCE_EXHAUSTION,
}


def _type_of(
    kind: IncidentType,
    first: Hypothesis | None,
) -> IncidentType:
    """Say which type an incident is that came without one: the first hypothesis' family."""
    if kind is not IncidentType.UNKNOWN or first is None:
        return kind
    return _KINDS.get(first.cause.partition(".")[0], IncidentType.UNKNOWN)
