"""The first screen: what broke, since when, how bad, the ranked causes, what was not seen, what next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triagebook.core.coverage import not_in_yet
from triagebook.core.times import short
from triagebook.core.words import confidence, count, several, span
from triagebook.diagnosis.catalogue import cause as cause_of
from triagebook.display.elements import chip, facts, root, soft, text, to_cell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from triagebook.core.models import Diagnosis, Finding, Hypothesis, Impact, LedgerEntry, Onset

VERDICTS = {
    "cause_found": "cause found",
    "inconclusive": "no cause stands out",
    "healthy": "no fault found",
}
LOST = ("unavailable",)
MISSING = ("unavailable", "not_configured", "truncated", "stale")


def answer(diagnosis: Diagnosis, *, going_on: bool) -> str:
    """Return the answer as HTML."""
    kind = str(diagnosis.incident_type).replace("_", " ")
    level = diagnosis.severity.level
    chips = [
        chip(level, "bad" if level in ("SEV1", "SEV2") else ""),
        chip(VERDICTS[diagnosis.verdict]),
    ]
    over = diagnosis.alert.status == "resolved"
    if diagnosis.onset is not None and not (going_on and over):
        chips.append(chip("still going on" if going_on else "it has stopped"))
    if over:
        chips.append(chip("alert resolved"))
    top = (
        f'<div class="tb-top"><h2 style="margin:0 0 6px">{text(diagnosis.service.name)}: {text(kind)}</h2>'
        f'<div class="tb-chips">{"".join(chips)}</div></div>'
    )
    lead, rest = _lead(diagnosis)
    said = f'<p class="tb-lead" style="font-size:18px;margin:10px 0 4px"><b>{text(lead)}</b> {text(rest)}</p>'
    ranked = "".join(
        hypothesis(h, diagnosis.findings, dim=i > 0) for i, h in enumerate(diagnosis.hypotheses[:3])
    )
    left = 1.0 - sum(h.confidence for h in diagnosis.hypotheses[:3])
    ranked += (
        f'<div class="tb-hyp none">{_confidence(max(left, 0.0))}'
        '<div style="margin-left:76px"><h3 style="margin:0;font-size:15px;font-weight:500">None of these</h3></div></div>'
    )
    return root(
        f'<div class="tb-card">{top}{said}{facts(key_facts(diagnosis))}</div>'
        f'<div class="tb-card"><h2>Why we think so</h2>{ranked}</div>'
        f'<div class="tb-card"><h2>What we looked at, and what we could not</h2>{coverage(diagnosis.ledger, diagnosis.findings)}</div>'
    )


def _lead(diagnosis: Diagnosis) -> tuple[str, str]:
    head, _, tail = diagnosis.summary.partition(". ")
    return (head.rstrip(".") + ".", tail)


def key_facts(diagnosis: Diagnosis) -> list[tuple[str, str, str]]:
    """Return (label, value, addition): since when, how much, and what next."""
    out: list[tuple[str, str, str]] = []
    if diagnosis.onset is not None:
        out.append(("since", short(diagnosis.onset.at), interval(diagnosis.onset)))
    for impact in diagnosis.impact:
        if impact.what in ("predictions likely wrong", "cost"):
            out.append((impact.what, count(impact.value), _range(impact)))
        elif impact.what == "predictions served since the onset":
            out.append(("served since", f"{count(impact.value)} predictions", ""))
    if diagnosis.actions:
        out.append(("next", diagnosis.actions[0].title or diagnosis.actions[0].action, ""))
    elif diagnosis.verdict == "inconclusive":
        names = [_name(e.source).partition("/")[0] for e in diagnosis.ledger if e.status in LOST]
        missing = list(dict.fromkeys(names))
        guess = next((h for h in diagnosis.hypotheses if cause_of(h.cause).fault), None)
        if missing:
            out.append(("next", f"Look by hand at what was not seen: {several(missing)}", ""))
        elif guess is not None:
            out.append(("next", f"Look by hand at the first guess: {guess.title}", ""))
    return out


def interval(onset: Onset) -> str:
    """Return the onset's interval: `(13:55 to 14:05)`, with days where they differ."""
    if short(onset.low) == short(onset.high):
        return ""
    same_day = onset.low.date() == onset.high.date() == onset.at.date()
    return f"({short(onset.low, day=not same_day)} to {short(onset.high, day=not same_day)})"


def _range(impact: Impact) -> str:
    if impact.low is None or impact.high is None:
        return ""
    return f"({count(impact.low)} to {count(impact.high)})"


def _confidence(value: float) -> str:
    width = round(100 * min(max(value, 0.0), 1.0))
    return (
        f'<div style="float:left;width:64px"><div class="tb-p" style="font-size:17px">'
        f"<b>{text(confidence(value))}</b></div>"
        f'<div class="tb-bar" aria-hidden="true"><i style="width:{width}%"></i></div></div>'
    )


def hypothesis(
    found: Hypothesis, findings: Sequence[Finding], *, dim: bool = False, most: int = 3
) -> str:
    """Return one hypothesis with what speaks for and against it, each linked to its section.

    Parameters
    ----------
    most : int
        So many findings on either side; the strongest are kept in their order.
    """
    by_id = {f.id: f for f in findings}

    def side(ids: list[str]) -> str:
        said = [by_id[i] for i in ids if i in by_id][:most]
        return " · ".join(text(f.statement) + to_cell(f.cell) for f in said) or "nothing found"

    weight = "500" if dim else "650"
    return (
        f'<div class="tb-hyp{" dim" if dim else ""}">{_confidence(found.confidence)}<div style="margin-left:76px">'
        f'<h3 style="margin:0;font-size:16px;font-weight:{weight}">{text(found.title)}</h3>'
        f'<p style="margin:2px 0"><b>for</b> {side(found.for_)}</p>'
        f'<p style="margin:2px 0 10px"><b>against</b> {side(found.against)}</p></div></div>'
    )


def hypotheses(diagnosis: Diagnosis) -> str:
    """Return all hypotheses in full, and the share left over."""
    parts = []
    for place, found in enumerate(diagnosis.hypotheses):
        parts.append(hypothesis(found, diagnosis.findings, dim=place > 0, most=12))
        if place == 0:
            parts.append(
                soft(f"What tells it from its look-alikes: {text(cause_of(found.cause).tells)}.")
            )
    parts.append(
        f'<div class="tb-hyp none">{_confidence(diagnosis.none_of_these)}<div style="margin-left:76px">'
        '<h3 style="margin:0;font-size:15px;font-weight:500">None of these</h3></div></div>'
    )
    return root("".join(parts))


def coverage(ledger: Sequence[LedgerEntry], findings: Sequence[Finding] = ()) -> str:
    """Return chips: what was seen with its row count, then what was not, with the reason."""
    seen: dict[str, tuple[int, int]] = {}
    for entry in ledger:
        if entry.status in ("ok", "empty", "stale", "truncated"):
            rows, n = seen.get(entry.source, (0, 0))
            seen[entry.source] = rows + (entry.rows or 0), n + 1
    chips = [chip(f"{_name(source)} {count(rows)} rows") for source, (rows, _) in seen.items()]
    chips += [
        chip(f"{_name(e.source)}: {not_seen(e)}", "miss") for e in ledger if e.status in MISSING
    ]
    absent, others = grouped(not_in_yet(findings, ledger), " could not be seen")
    unknown, others = grouped(others, " is unknown")
    chips += [chip(words, "miss") for words in others]
    if unknown:
        chips.append(chip(f"not known: {several(unknown, 3)}", "miss"))
    if absent:
        chips.append(chip(f"no metric for {several(absent, 6)}", "miss"))
    return f'<div class="tb-led">{"".join(chips) or chip("nothing was asked", "miss")}</div>'


def grouped(said: Sequence[str], tail: str) -> tuple[list[str], list[str]]:
    """Part what was said into the subjects of what ends in `tail`, written small, and the rest."""
    absent = [s.removesuffix(tail) for s in said if s.endswith(tail)]
    small = [s if s[:2].isupper() else s[:1].lower() + s[1:] for s in absent]
    return small, [s for s in said if not s.endswith(tail)]


def not_seen(entry: LedgerEntry) -> str:
    """Say in a few words why a pull gave less than everything."""
    word = {"not_configured": "not configured"}.get(entry.status, entry.status)
    why = (entry.why or "").split("\n")[0]
    took = (
        f" in {span(entry.took_s)}"
        if entry.status == "unavailable" and entry.took_s and not why
        else ""
    )
    return f"{word}{took}" + (f", {why[:120]}" if why and entry.status != "not_configured" else "")


def _name(source: str) -> str:
    kind, _, part = source.partition(":")
    return part if kind == "tables" else kind


def severity(diagnosis: Diagnosis) -> str:
    """Return the severity with its reasons."""
    items = "".join(f"<li>{text(reason)}</li>" for reason in diagnosis.severity.because)
    return root(
        f'<p class="tb-lead"><b>{text(diagnosis.severity.level)}</b>, because</p><ul>{items}</ul>'
    )
