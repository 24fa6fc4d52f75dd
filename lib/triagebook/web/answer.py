"""A diagnosis as the page says it: the lead, the facts, the reasons, what was and was not seen."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from triagebook.core.coverage import not_in_yet
from triagebook.core.words import confidence
from triagebook.web.wording import clean, is_share, number, quantity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from triagebook.core.models import Diagnosis, Finding, Hypothesis, Impact, LedgerEntry

_UNITS = {"metrics": "samples", "logs": "lines", "tables": "rows"}
_SEEN = {"ok", "empty"}
_DURATIONS = {"ms", "s", "min", "h", "d"}
_LIKELY = 0.2


@dataclass(frozen=True)
class Reason:
    """One finding's statement, and the report's cell that shows it."""

    text: str
    cell: str | None
    verdict: str


@dataclass(frozen=True)
class Row:
    """A hypothesis with what speaks for and against it."""

    share: str
    percent: float
    title: str
    mechanism: str
    pro: list[Reason]
    contra: list[Reason]
    dim: bool


@dataclass(frozen=True)
class Chip:
    """A pull of the ledger; `kind` is "", "miss" or "off"; `hint` tells the whole story."""

    text: str
    kind: str
    hint: str


@dataclass(frozen=True)
class Chart:
    """The picture that speaks for the first hypothesis, and what it shows in words.

    `narrow` is its rendering for a phone, where the notebook made one.
    """

    name: str
    text: str
    narrow: str | None = None


@dataclass(frozen=True)
class Fact:
    """A label, a value, and what stands behind it in small."""

    label: str
    value: str
    small: str
    how: str = ""


def lead(diagnosis: Diagnosis) -> tuple[str, str]:
    """Return the answer's core and the rest of it."""
    first = diagnosis.hypotheses[0] if diagnosis.hypotheses else None
    summary = clean(diagnosis.summary).strip()
    head = clean(first.headline).strip() if first else ""
    if diagnosis.verdict == "inconclusive":
        head = "No cause is sure enough yet."
    elif diagnosis.verdict == "healthy" and not head:
        head = "Nothing is broken."
    if not head:
        return summary or "There is no answer in words; the reasons are below.", ""
    rest = summary.removeprefix(head).strip()
    return head, "" if rest == head else rest


def facts(diagnosis: Diagnosis, most: int = 2) -> list[Fact]:
    """Return the figures people ask for, estimates of harm first; since and next are the page's own.

    How long it has lasted is left out: "since" says it.
    """
    told = [impact for impact in diagnosis.impact if impact.unit not in _DURATIONS]
    return [_fact(impact) for impact in sorted(told, key=_is_certain)[:most]]


def _is_certain(impact: Impact) -> bool:
    return impact.low is None or impact.low == impact.high


def _fact(impact: Impact) -> Fact:
    small = ""
    if impact.low is not None and impact.high is not None and impact.low != impact.high:
        low, high = number(impact.low, impact.unit), number(impact.high, impact.unit)
        small = f"({low} to {high})"
    what, unit = clean(impact.what), clean(impact.unit)
    # "predictions likely wrong: 18,200 predictions" says it twice.
    bare = not is_share(unit) and unit.lower() in what.lower().split()
    value = number(impact.value) if bare else quantity(impact.value, impact.unit)
    return Fact(what, value, small, clean(impact.how))


FIRST_CHART = "symptom"
"""The runbooks' chart of what changed and when: shown first, wherever a run drew it."""


def chart(diagnosis: Diagnosis, pictures: list[str]) -> Chart | None:
    """Return the symptom over time, or the first picture beside a finding for the first hypothesis."""
    if not diagnosis.hypotheses:
        return None
    known = {finding.id: finding for finding in diagnosis.findings}
    found = [known[name] for name in diagnosis.hypotheses[0].for_ if name in known]
    if not found:
        return None
    text = clean(found[0].statement)
    cells = [FIRST_CHART, *(finding.cell for finding in found)]
    for cell in cells:
        if f"{cell}.png" in pictures:
            if cell != FIRST_CHART:
                text = clean(next(f.statement for f in found if f.cell == cell))
            small = f"{cell}-narrow.png"
            return Chart(f"{cell}.png", text, small if small in pictures else None)
    return None


def reasons(diagnosis: Diagnosis) -> list[Row]:
    """Return the hypotheses in their order, each with its findings in words."""
    known = {finding.id: finding for finding in diagnosis.findings}
    return [
        _row(hypothesis, known, dim=position > 0 and hypothesis.confidence < _LIKELY)
        for position, hypothesis in enumerate(diagnosis.hypotheses)
    ]


def _row(hypothesis: Hypothesis, known: dict[str, Finding], *, dim: bool) -> Row:
    return Row(
        share=confidence(hypothesis.confidence),
        percent=round(hypothesis.confidence * 100, 1),
        title=clean(hypothesis.title or f"{hypothesis.cause} at {hypothesis.locus}"),
        mechanism=clean(hypothesis.mechanism),
        pro=[_reason(name, known) for name in hypothesis.for_],
        contra=[_reason(name, known) for name in hypothesis.against],
        dim=dim,
    )


def _reason(name: str, known: dict[str, Finding]) -> Reason:
    finding = known.get(name)
    if finding is None:
        return Reason(f"{clean(name)} (its finding is missing)", None, "unknown")
    return Reason(clean(finding.statement), finding.cell, finding.verdict)


def chips(ledger: list[LedgerEntry], findings: Sequence[Finding] = ()) -> list[Chip]:
    """Return what was looked at, then what could not be seen, then what was never set up."""
    seen: dict[str, list[LedgerEntry]] = {}
    for entry in ledger:
        if entry.status in _SEEN:
            # Reference and current are two pulls of one thing.
            seen.setdefault(entry.source, []).append(entry)
    missed = [entry for entry in ledger if entry.status not in {*_SEEN, "not_configured"}]
    absent = [entry for entry in ledger if entry.status == "not_configured"]
    lost = [
        Chip(f"{_name(entries[0])}: {_why(entries[0])}", "miss", "\n".join(map(_story, entries)))
        for entries in (list(group) for _, group in groupby(missed, key=lambda entry: entry.source))
    ]
    lost += [Chip(clean(words), "miss", clean(words)) for words in not_in_yet(findings, ledger)]
    found = [_seen(entries) for entries in seen.values()]
    if not absent:
        return [*found, *lost]
    names = ", ".join(dict.fromkeys(_name(entry) for entry in absent))
    return [
        *found,
        *lost,
        Chip(f"not set up: {names}", "off", "\n".join(_story(entry) for entry in absent)),
    ]


def _seen(entries: list[LedgerEntry]) -> Chip:
    name, story = _name(entries[0]), "\n".join(map(_story, entries))
    counts = [entry.rows for entry in entries if entry.rows is not None]
    if (counts and not sum(counts)) or all(entry.status == "empty" for entry in entries):
        return Chip(f"{name}: nothing there", "", story)
    rows = f" {sum(counts):,} {_UNITS.get(entries[0].kind, '')}".rstrip() if counts else ""
    return Chip(f"{name}{rows}", "", story)


def _name(entry: LedgerEntry) -> str:
    # "tables:flights" is flights to a reader, "metrics:files" is metrics.
    head, _, part = clean(entry.source).partition(":")
    return part if head == "tables" and part else head


def _why(entry: LedgerEntry) -> str:
    why = clean(entry.why or entry.status).strip()
    return why if len(why) <= 90 else f"{why[:87]}…"


def _story(entry: LedgerEntry) -> str:
    took = f", {entry.took_s:.2f} s" if entry.took_s is not None else ""
    why = f": {clean(entry.why)}" if entry.why else ""
    return f"{entry.id} {clean(entry.source)} {entry.status}{took}{why}"
