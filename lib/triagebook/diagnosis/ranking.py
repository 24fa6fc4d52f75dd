"""From answers to ranked hypotheses: evidence adds up in nats, and every hypothesis competes with none.

Each hypothesis (a cause at a locus) starts from a prior and adds the weights of the signals for and
against it. The weights are set by hand and written down in `docs/diagnosis.md`; `confidence` turns their
sums into probabilities by two numbers that are fitted on scenarios.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from triagebook.core.models import Finding, Hypothesis
from triagebook.diagnosis.catalogue import cause as cause_of
from triagebook.diagnosis.confidence import probabilities

if TYPE_CHECKING:
    from collections.abc import Iterable

    from triagebook.diagnosis.answer import Answer, Signal

PRIOR = -1.0
"""Nats a hypothesis starts with, against 0 of "none of these"."""
EXPECTED_PRIOR = -0.5
"""The same for `none`, `drift.seasonal` and `drift.harmless`: most movements are no fault."""
SEEN = 3.0
"""With tables lost, "nothing is wrong" weighs at most this, less the more of them are."""
HARD = 3.0
"""One signal of this weight for a fault is plain evidence."""
KEEP = 6
"""So many hypotheses are kept; the others' confidence goes to "none of these"."""


@dataclass
class _Case:
    weight: float
    for_: dict[str, float] = field(default_factory=dict)
    against: dict[str, float] = field(default_factory=dict)
    strongest: Signal | None = None


def rank(
    answers: Iterable[tuple[Answer, Finding]], service: str, lost: float = 0.0
) -> tuple[list[Hypothesis], float]:
    """Rank causes.

    Parameters
    ----------
    answers : iterable of (Answer, Finding)
        Each answer with the finding it became.
    service : str
        The service's name: the locus of `none`.
    lost : float
        Share of the tables' pulls that failed, [0, 1]: what was not seen may be what is wrong.

    Returns
    -------
    (hypotheses, none_of_these)
        Highest confidence first; together with `none_of_these` they add up to 1 within rounding.
    """
    pairs = list(answers)
    cases: dict[tuple[str, str], _Case] = {}
    nothing = ("none", f"service:{service}")
    cases[nothing] = _Case(EXPECTED_PRIOR)
    # A locus has to be spoken for before anything can speak against it.
    for answer, _ in pairs:
        for signal in answer.signals if answer.verdict != "unknown" else ():
            if signal.locus != "*" and signal.weight > 0 and signal.headline:
                prior = PRIOR if cause_of(signal.cause).fault else EXPECTED_PRIOR
                cases.setdefault((signal.cause, signal.locus), _Case(prior))
    # What was not seen makes nothing likelier; it only keeps "none" from being sure. A subject that
    # nobody measures counts once, however many checks would have liked to see it.
    blind = {f.check.partition(".")[0] for a, f in pairs if a.verdict == "unknown"}
    cases[nothing].weight -= 0.15 * len(blind)
    for answer, finding in pairs:
        if answer.verdict == "unknown":
            continue
        for signal in answer.signals:
            for key, case in cases.items():
                if key[0] == signal.cause and signal.locus in ("*", key[1]):
                    _add(case, signal, finding.id)
    plain = [
        finding.id
        for answer, finding in pairs
        for signal in answer.signals
        if answer.verdict != "unknown" and signal.weight >= HARD and cause_of(signal.cause).fault
    ]
    if plain:
        # What is plainly broken is not explained by a season elsewhere.
        for (cause, _), case in cases.items():
            if not cause_of(cause).fault:
                case.weight -= 1.5
                case.against.setdefault(plain[0], 1.5)
    _data_before_model(cases, pairs)
    _one_fault_a_column(cases)
    _what_slows_it(cases)
    if lost > 0:
        cases[nothing].weight = min(cases[nothing].weight, SEEN * (1 - lost))
    # What nothing speaks for any more is no hypothesis.
    spoken = [key for key, case in cases.items() if case.for_ or key == nothing]
    order = sorted(spoken, key=lambda key: (-cases[key].weight, key))
    for cause in ("drift.seasonal", "drift.harmless"):
        # A whole weather front moves with the season: two of its features stand for all.
        for key in [key for key in order if key[0] == cause][2:]:
            order.remove(key)
    # Columns of one table that lose their values together lost them to one event.
    alike: dict[tuple[str, str], int] = defaultdict(int)
    for key in list(order):
        if key[0] in ("data.missing_values", "data.corrupted_values"):
            event = key[0], key[1].rpartition(".")[0]
            alike[event] += 1
            if alike[event] > 2:
                order.remove(key)
    if len(order) > 1 and cases[nothing].weight < cases[order[0]].weight - 4.0:
        # "Nothing is wrong" with less than a fiftieth of the first's odds informs nobody.
        order.remove(nothing)
    share, _ = probabilities(np.array([cases[key].weight for key in order]))
    kept = [
        _hypothesis(key, cases[key], round(float(p), 4))
        for place, (key, p) in enumerate(zip(order, share, strict=True))
        if p >= 0.005 or place < 3  # three are shown, however unlikely
    ][:KEEP]
    return kept, round(1.0 - sum(h.confidence for h in kept), 4)


def _add(case: _Case, signal: Signal, finding: str) -> None:
    case.weight += signal.weight
    side = case.for_ if signal.weight > 0 else case.against
    if abs(signal.weight) >= 0.3:
        side[finding] = side.get(finding, 0.0) + abs(signal.weight)
    if signal.headline and (case.strongest is None or signal.weight > case.strongest.weight):
        case.strongest = signal


def _one_fault_a_column(cases: dict[tuple[str, str], _Case]) -> None:
    """Let the best explanation of a column take from the others at the same column.

    A unit change, a corruption and a real movement of one column explain the same rows; what speaks
    for the best of them leaves nothing for the rest to explain.
    """
    by_column: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for cause, locus in cases:
        kind, _, name = locus.partition(":")
        if kind in ("column", "feature"):
            by_column[name.rpartition(".")[2]].append((cause, locus))
    for keys in by_column.values():
        best = max(keys, key=lambda key: cases[key].weight)
        for key in keys:
            if key != best and cases[best].weight > 0:
                cases[key].weight -= 0.5 * cases[best].weight


_OF_THE_MODEL = frozenset({"model.segment_regression", "model.concept_drift", "drift.label_shift"})


def _data_before_model(
    cases: dict[tuple[str, str], _Case], pairs: list[tuple[Answer, Finding]]
) -> None:
    """Let plainly broken data speak against faults of the model: what is fed wrong answers wrong."""
    broken = [
        finding.id
        for answer, finding in pairs
        for signal in answer.signals
        if answer.verdict == "bad"
        and signal.weight >= HARD
        and signal.cause.startswith("data.")
        and signal.locus != "*"
    ]
    if broken:
        for (cause, _), case in cases.items():
            if cause in _OF_THE_MODEL:
                case.weight -= 2.0
                case.against.setdefault(broken[0], 2.0)


def _what_slows_it(cases: dict[tuple[str, str], _Case]) -> None:
    """Let what happened to a callee take from "this callee is slow": it says the same, and why."""
    for (cause, locus), case in cases.items():
        if cause != "latency.slow_dependency":
            continue
        name = locus.partition(":")[2]
        why = [
            other.weight
            for (deeper, at), other in cases.items()
            if at == f"service:{name}" and deeper.startswith(("latency.", "resources."))
        ]
        if why and max(why) > 0.5:
            case.weight -= 0.6 * max(why)


def _strongest_first(side: dict[str, float]) -> list[str]:
    return sorted(side, key=lambda finding: (-side[finding], finding))


def _hypothesis(key: tuple[str, str], case: _Case, confidence: float) -> Hypothesis:
    cause = cause_of(key[0])
    title = cause.titled(key[1])
    return Hypothesis(
        cause=cause.id,
        locus=key[1],
        confidence=min(max(confidence, 0.0), 1.0),
        **{"for": _strongest_first(case.for_)},
        against=_strongest_first(case.against),
        mechanism=case.strongest.mechanism if case.strongest else cause.tells,
        actions=list(cause.moves),
        title=title,
        headline=(case.strongest.headline if case.strongest else "") or f"{title}.",
    )
