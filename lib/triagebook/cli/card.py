"""A diagnosis as a card in the terminal: the answer first, and all of it on one screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from triagebook.cli.output import plain
from triagebook.core.times import short
from triagebook.core.words import confidence, several, span

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType

    from triagebook.core.models import Diagnosis, Finding, Hypothesis, Impact, LedgerEntry

BEST = 3
"""Hypotheses shown; the page and the notebook have all of them."""

BAR_WIDTH = 8
_VERDICTS = {"cause_found": "cause found", "inconclusive": "inconclusive", "healthy": "healthy"}
_SEVERITY = {"SEV1": "bold white on red", "SEV2": "bold red", "SEV3": "bold yellow", "SEV4": "bold"}
_EIGHTHS = " ▏▎▍▌▋▊▉█"
# What these stand for is not there or not whole; `empty` was asked and answered.
_NOT_SEEN = {"unavailable": "", "stale": "stale", "truncated": "a sample"}


def card(diagnosis: Diagnosis) -> RenderableType:
    """Return a diagnosis as what rich can print, at any width from 60 columns on.

    Parameters
    ----------
    diagnosis : Diagnosis
        Its texts may come from outside: they are printed as text, whatever is in them.

    Returns
    -------
    RenderableType
        Complete without colour.
    """
    parts: list[RenderableType] = [_heading(diagnosis), Text()]
    parts += [_answer(diagnosis), Text(), _facts(diagnosis)]
    if diagnosis.hypotheses:
        parts += [Text(), _hypotheses(diagnosis)]
    parts += [Text(), _closing(diagnosis)]
    return Group(*parts)


def _heading(diagnosis: Diagnosis) -> RenderableType:
    level = diagnosis.severity.level
    left = Text(plain(diagnosis.service.name), style="bold")
    left.append(f" · {diagnosis.incident_type.value.replace('_', ' ')} · ", style="not bold")
    left.append(level, style=_SEVERITY[level])
    left.append(f" · {_VERDICTS[diagnosis.verdict]}", style="not bold")
    state = "still going on" if diagnosis.onset is not None else ""
    state = "alert resolved" if diagnosis.alert.status == "resolved" else state
    grid = Table.grid(expand=True)
    grid.add_column(ratio=1)
    grid.add_column(justify="right", no_wrap=True)
    grid.add_row(left, Text(state, style="dim"))
    return grid


def _answer(diagnosis: Diagnosis) -> Text:
    best = diagnosis.hypotheses[0].headline if diagnosis.hypotheses else ""
    words = plain(diagnosis.summary or best)
    return Text(words or _VERDICTS[diagnosis.verdict].capitalize(), style="bold")


def _facts(diagnosis: Diagnosis) -> RenderableType:
    grid = _labelled()
    grid.add_row("incident", Text(plain(diagnosis.incident_id)))
    grid.add_row("since", _since(diagnosis))
    for number, impact in enumerate(diagnosis.impact[:BEST]):
        grid.add_row("" if number else "impact", _impact(impact))
    because = "; ".join(plain(reason) for reason in diagnosis.severity.because)
    if because:
        grid.add_row("severity", Text(f"{diagnosis.severity.level}: {because}"))
    return grid


def _labelled() -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True, min_width=8)
    grid.add_column(overflow="fold")
    return grid


def _since(diagnosis: Diagnosis) -> Text:
    onset = diagnosis.onset
    if onset is None:
        return Text("no start found")
    same_day = onset.low.date() == onset.high.date() == onset.at.date()
    low, high = (short(moment, day=not same_day) for moment in (onset.low, onset.high))
    text = Text(short(onset.at), style="bold")
    if (low, high) == (short(onset.at, day=not same_day),) * 2:
        return text
    return text.append(f" (between {low} and {high})", style="not bold")


def _impact(impact: Impact) -> Text:
    what = plain(impact.what)
    if impact.unit == "min":
        text = Text(span(60 * impact.value), style="bold")
        return text.append(f" {what.replace('minutes since', 'since')}", style="not bold")
    # "463 predictions predictions served" says nothing more than "463 predictions served".
    named = what.lower().startswith(impact.unit.lower())
    unit = "" if named else impact.unit
    text = Text(number(impact.value, unit), style="bold")
    text.append(f" {what}", style="not bold")
    if impact.low is not None and impact.high is not None and impact.low < impact.high:
        low, high = (
            number(value, unit if unit == "share" else "") for value in (impact.low, impact.high)
        )
        text.append(f" ({low} to {high})", style="not bold")
    return text


def number(value: float, unit: str) -> str:
    """Write a figure for people: 18,200 · 0.31 · 12 % (for a share)."""
    if unit == "share":
        return f"{100 * value:.3g} %"
    written = f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
    # A counted thing is named by the words that follow.
    return written if unit in {"", "count", "1"} else f"{written} {plain(unit)}"


def _hypotheses(diagnosis: Diagnosis) -> RenderableType:
    findings = {finding.id: finding for finding in diagnosis.findings}
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True, justify="right")
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True, width=BAR_WIDTH)
    grid.add_column(overflow="fold")
    for rank, hypothesis in enumerate(diagnosis.hypotheses[:BEST], 1):
        style = "bold" if rank == 1 else ""
        grid.add_row(
            Text(str(rank), style=style),
            Text(confidence(hypothesis.confidence), style=style),
            Text(bar(hypothesis.confidence), style="cyan" if rank == 1 else "dim"),
            _hypothesis(hypothesis, findings, style),
        )
    rest = diagnosis.hypotheses[BEST:]
    if rest:
        share = sum(hypothesis.confidence for hypothesis in rest)
        grid.add_row("", confidence(share), bar(share), Text(f"{len(rest)} more", style="dim"))
    left = diagnosis.none_of_these
    grid.add_row(
        "", confidence(left), Text(bar(left), style="dim"), Text("none of these", style="dim")
    )
    return grid


def bar(share: float) -> str:
    """Draw a share (0 to 1) as a bar of `BAR_WIDTH` columns, in eighths of one."""
    eighths = round(max(0.0, min(1.0, share)) * BAR_WIDTH * 8)
    full, part = divmod(eighths, 8)
    return "█" * full + (_EIGHTHS[part] if part else "")


def _hypothesis(hypothesis: Hypothesis, findings: dict[str, Finding], style: str) -> RenderableType:
    title = plain(hypothesis.title or hypothesis.cause)
    where = plain(hypothesis.locus.partition(":")[2])
    if where and where not in title:
        title = f"{title}: {plain(hypothesis.locus)}"
    for_ = _first(hypothesis.for_, findings)
    lines = [Text(title, style=style), Text(f"for: {for_ or 'nothing found'}")]
    against = _first(hypothesis.against, findings)
    if against or style:
        lines.append(Text(f"against: {against or 'nothing found'}"))
    return Group(*lines)


def _first(ids: Iterable[str], findings: dict[str, Finding]) -> str:
    """Return the statement of the first finding, and how many more there are."""
    known = [findings[name] for name in ids if name in findings]
    if not known:
        return ""
    more = f" (+{len(known) - 1})" if len(known) > 1 else ""
    return plain(known[0].statement) + more


def _closing(diagnosis: Diagnosis) -> RenderableType:
    grid = _labelled()
    grid.add_row("not seen", Text(" · ".join(not_seen(diagnosis)) or "nothing: all was there"))
    actions = [
        plain(action.title or f"{action.action} {action.target}") for action in diagnosis.actions
    ]
    healthy = diagnosis.verdict == "healthy"
    if not actions and diagnosis.hypotheses:
        # What could not be judged is not closed.
        first = [a for a in diagnosis.hypotheses[0].actions if healthy or a != "close"]
        actions = [plain(name) for name in first]
    for rank, action in enumerate(actions[:BEST]):
        grid.add_row("" if rank else "next", Text(action, style="" if rank else "bold"))
    if not actions:
        grid.add_row("next", Text("nothing to do" if healthy else "look at what was not seen"))
    return grid


def not_seen(diagnosis: Diagnosis) -> list[str]:
    """List what could not be checked: pulls that failed, then checks without an answer."""
    gone = [entry for entry in diagnosis.ledger if entry.status in _NOT_SEEN]
    told = {entry.id for entry in gone}
    lines = [_pull(entry) for entry in gone]
    # What nobody set up is told once, below, not once for each check that would have looked at it.
    unset = tuple(
        f": {plain(entry.why)}"
        for entry in diagnosis.ledger
        if entry.status == "not_configured" and entry.why
    )
    subjects: list[str] = []
    unmeasured: list[str] = []
    for finding in diagnosis.findings:
        if finding.verdict != "unknown" or told.intersection(finding.evidence):
            continue
        said = plain(finding.statement)
        if unset and said.endswith(unset):
            continue
        # Of what nobody set up, one word a subject is enough; a list of questions hides the rest.
        if said.endswith(": not configured"):
            subjects.append(finding.check.partition(".")[0])
        elif said.endswith(_UNMEASURED):
            unmeasured.append(said.removesuffix(_UNMEASURED))
        else:
            lines.append(said)
    if unmeasured:
        lines.append(f"no metric for: {several(list(dict.fromkeys(unmeasured)), 6)}")
    absent = [plain(e.source) for e in diagnosis.ledger if e.status == "not_configured"]
    if absent:
        lines.append(f"not configured: {', '.join(absent)}")
    elif subjects:
        lines.append(f"nothing configured to ask about: {', '.join(dict.fromkeys(subjects))}")
    return list(dict.fromkeys(lines))


_UNMEASURED = " could not be seen: no metric of that kind"


def _pull(entry: LedgerEntry) -> str:
    why = plain(entry.why or _NOT_SEEN[entry.status])
    return f"{plain(entry.source)} ({why})" if why else plain(entry.source)


def framed(content: RenderableType) -> RenderableType:
    """Set a card off from the lines around it."""
    return Padding(content, (1, 2))
