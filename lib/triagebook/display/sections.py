"""The rest of a notebook: findings, impact, actions, escalation, similar incidents, postmortem, provenance."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from triagebook.core.times import iso, short
from triagebook.core.words import count, number, share, span
from triagebook.display.elements import Html, chip, root, soft, table, text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from triagebook.core.models import Alert, Diagnosis, Finding, Impact, Windows

_LINE = "border-left:3px solid {colour};padding:1px 0 1px 12px;margin:7px 0"
_SPLIT_SECOND = re.compile(r"\.\d+(?=Z$)")
_COLOURS = {"bad": "#c2410c", "ok": "#2a7448", "unknown": "#9aa5b1"}
_WORDS = {"bad": "bad", "ok": "fine", "unknown": "unknown"}


def findings(found: Sequence[Finding]) -> str:
    """Return one line a finding: its verdict, its statement, its evidence."""
    if not found:
        return root(
            '<p class="tb-finding unknown">No check of this section had anything to look at.</p>'
        )
    loud = [f for f in found if f.verdict == "bad"] + [f for f in found if f.verdict == "unknown"]
    fine = [f for f in found if f.verdict == "ok"]
    lines = [_line(f) for f in loud if f.verdict == "bad"] + _unseen(
        [f for f in loud if f.verdict == "unknown"]
    )
    if len(fine) > FOLD:
        inner = "".join(_line(f) for f in fine)
        every = "" if loud else "all "
        lines.append(
            f"<details><summary>{every}{count(len(fine))} answers are fine</summary>{inner}</details>"
        )
    else:
        lines += [_line(f) for f in fine]
    return root("".join(lines))


FOLD = 3
"""More fine answers than this are folded."""


def _unseen(unknown: Sequence[Finding]) -> list[str]:
    """Return a line each; those that could not be seen for one and the same reason share one, folded."""
    by_reason: dict[str, list[Finding]] = {}
    for finding in unknown:
        subject, colon, why = finding.statement.partition(" could not be seen: ")
        by_reason.setdefault(why if colon and subject else finding.id, []).append(finding)
    out = []
    for why, alike in by_reason.items():
        if len(alike) < FOLD:
            out += [_line(f) for f in alike]
            continue
        subjects = [f.statement.partition(" could not be seen: ")[0] for f in alike]
        small = [s if s[:2].isupper() else s[:1].lower() + s[1:] for s in subjects]
        said = alike[0].model_copy(
            update={
                "statement": f"Not seen ({why}): {', '.join(small)}",
                "id": ", ".join(f.id for f in alike),
                "evidence": list(dict.fromkeys(e for f in alike for e in f.evidence)),
            }
        )
        out.append(_line(said))
    return out


def _line(finding: Finding) -> str:
    return (
        f'<p class="tb-finding {finding.verdict}" style="{_LINE.format(colour=_COLOURS[finding.verdict])}">'
        f"<b>{_WORDS[finding.verdict]}</b> {text(finding.statement)} "
        f'<small style="color:#7b8794">{text(finding.id)} · {text(cited(finding.evidence))}</small></p>'
    )


def cited(ids: Sequence[str]) -> str:
    """Write ledger ids in short: `L03 to L06, L09`."""
    runs: list[list[str]] = []
    for one in ids:
        tail = one[1:]
        if (
            runs
            and tail.isdigit()
            and runs[-1][-1][1:].isdigit()
            and int(tail) == int(runs[-1][-1][1:]) + 1
        ):
            runs[-1].append(one)
        else:
            runs.append([one])
    said = [
        r[0] if len(r) == 1 else f"{r[0]} to {r[-1]}" if len(r) > 2 else ", ".join(r) for r in runs
    ]
    return ", ".join(said) or "no pull"


MOST_ALERTS = 20
"""More alerts than these are in bundle.json only."""


def alerts(together: Sequence[Alert]) -> str:
    """Return a table of an incident's alerts, oldest first: what, since, until, from whom."""
    firing = sum(alert.status == "firing" for alert in together)
    rows = [
        (
            alert.title or alert.labels.get("alertname") or "an alert without a name",
            _second(alert.starts_at) or "not said",
            (_second(alert.ends_at) or "over") if alert.status == "resolved" else "still firing",
            alert.service or alert.labels.get("service") or "",
            alert.sender,
        )
        for alert in together[:MOST_ALERTS]
    ]
    said = (
        f"{count(len(together))} alerts belong to this incident, {count(firing)} of them still fire"
    )
    left = len(together) - len(rows)
    more = soft(f"and {count(left)} more, in evidence/bundle.json") if left else ""
    head = ("alert", "since", "until", "service", "from")
    return root(soft(text(said)) + table(head, rows) + more)


def _second(at: datetime | None) -> str:
    return _SPLIT_SECOND.sub("", iso(at)) if at is not None else ""


def impact(diagnosis: Diagnosis) -> str:
    """Return the impact with its range and how it was computed."""
    if not diagnosis.impact:
        return root(
            soft("No impact could be computed: no onset was found, or no predictions seen.")
        )
    rows = [
        (
            i.what.replace("minutes since", "time since") if i.unit == "min" else i.what,
            valued(i),
            "" if i.low is None or i.high is None or i.low == i.high else _reach(i),
            i.how,
        )
        for i in diagnosis.impact
    ]
    return root(table(("what", "value", "range", "how"), rows, numeric=(1,)))


def valued(i: Impact) -> str:
    """Write an impact's value with its unit: minutes as a length of time, shares as per cent."""
    if i.unit.startswith("share"):
        return share(i.value) + i.unit.removeprefix("share")
    if i.unit == "min":
        return span(60 * i.value)
    word = i.unit
    if i.value == 1 and word.endswith("s") and word.isalpha():
        word = word[:-1]
    return f"{number(i.value)} {word}"


def _reach(i: Impact) -> str:
    if i.unit == "min" and i.low is not None and i.high is not None:
        return f"{span(60 * i.low)} to {span(60 * i.high)}"
    return f"{number(i.low or 0.0)} to {number(i.high or 0.0)}"


def actions(diagnosis: Diagnosis) -> str:
    """Return the proposed actions; none of them has been carried out."""
    if not diagnosis.actions:
        return root(soft("No action is proposed."))
    parts = []
    for action in diagnosis.actions:
        line = " · ".join(
            text(f"{label}: {value}")
            for label, value in (
                ("dry run", action.dry_run),
                ("undo", action.inverse),
                ("risk", action.risk),
            )
            if value
        )
        parts.append(
            f'<div class="tb-act" style="margin:0 0 10px"><div><b>{text(action.title or action.action)}</b>'
            f'<p style="margin:0">{line}</p></div></div>'
        )
    note = soft(
        "Proposals, computed from the evidence. Nothing has been carried out; no action system is connected."
    )
    return root(note + "".join(parts))


def escalation(diagnosis: Diagnosis, roles: Sequence[str], people: Sequence[str]) -> str:
    """Return whom to call, and what to tell them in three lines."""
    who = (
        "".join(f"<li>{text(name)}</li>" for name in [*people, *roles])
        or "<li>nobody is configured</li>"
    )
    since = short(diagnosis.onset.at) if diagnosis.onset else "an unknown time"
    told = (
        f"{diagnosis.service.name}: {diagnosis.severity.level} since {since}. {diagnosis.summary} "
        f"Incident {diagnosis.incident_id}."
    )
    return root(
        f"<p>Whom to call, in order:</p><ol>{who}</ol><p>What to tell them:</p>"
        f'<p class="tb-finding" style="{_LINE.format(colour="#9aa5b1")}">{text(told)}</p>'
    )


def changes_table(rows: Sequence[tuple[str, str, str, str]]) -> str:
    """Return (when, what, by, why it counts or not) as a table."""
    return root(table(("when, UTC", "what", "by", "to the onset"), rows))


def similar(diagnosis: Diagnosis, runs: Path | None) -> str:
    """Return earlier incidents of the same service whose first cause or locus is the same.

    Parameters
    ----------
    runs : Path or None
        The folder of all runs; its diagnosis.json files are read, at most 500.
    """
    first = diagnosis.hypotheses[0] if diagnosis.hypotheses else None
    rows: list[tuple[str, ...]] = []
    looked = 0
    if runs is not None and first is not None:
        for path in sorted(runs.glob("*/diagnosis.json"), reverse=True)[:500]:
            other = _earlier(path)
            if (
                other is None
                or other["incident_id"] == diagnosis.incident_id
                or other["service"] != diagnosis.service.name
            ):
                continue
            looked += 1
            alike = [w for w in ("cause", "locus") if other[w] == getattr(first, w)]
            if alike:
                row = (other["incident_id"], other["title"], " and ".join(alike), other["summary"])
                rows.append(row)
    if not rows:
        if not looked:
            return root(soft("No earlier incident of this service lies here."))
        return root(
            soft(f"No earlier incident of this service is alike; {count(looked)} looked at.")
        )
    return root(table(("incident", "cause", "the same", "summary"), rows[:5]))


def _earlier(path: Path) -> dict[str, str] | None:
    """Read what is compared of another incident; None for what is no diagnosis of ours."""
    try:
        other = json.loads(path.read_text(encoding="utf-8"))
        first = (other.get("hypotheses") or [{}])[0]
        return {
            "incident_id": str(other["incident_id"]),
            "service": str(other["service"].get("name")),
            "summary": str(other.get("summary", "")),
            **{word: str(first.get(word, "")) for word in ("cause", "locus", "title")},
        }
    except (OSError, ValueError, KeyError, AttributeError, IndexError, TypeError):
        return None  # another program's file, or one being written


def postmortem(diagnosis: Diagnosis, attempt_times: dict[str, str]) -> str:
    """Return the facts of a postmortem; judgement is asked for in the cells below it.

    Parameters
    ----------
    attempt_times : dict
        Label to time, such as when the alert was received.
    """
    timeline: list[tuple[str, str]] = []
    if diagnosis.onset is not None:
        timeline.append(
            (
                iso(diagnosis.onset.at),
                "onset: " + (diagnosis.hypotheses[0].headline if diagnosis.hypotheses else ""),
            )
        )
    timeline += [
        (iso(finding.since), finding.statement)
        for finding in diagnosis.findings
        if finding.check == "changes.before_onset" and finding.since is not None
    ]
    if diagnosis.alert.starts_at is not None:
        timeline.append(
            (iso(diagnosis.alert.starts_at), f"alert: {diagnosis.alert.title or 'untitled'}")
        )
    timeline.sort()
    timeline += [(when, what) for what, when in attempt_times.items()]
    timeline = [(_SPLIT_SECOND.sub("", when), what) for when, what in timeline]
    suspects = [
        f for f in diagnosis.findings if f.check == "changes.before_onset" and f.verdict == "bad"
    ]
    head = (
        ("Summary", diagnosis.summary),
        ("Severity", f"{diagnosis.severity.level}: {'; '.join(diagnosis.severity.because)}"),
        (
            "Impact",
            "; ".join(_told(i) for i in diagnosis.impact) or "not known",
        ),
        (
            "Root cause",
            _root_cause(diagnosis),
        ),
        ("Trigger", suspects[0].statement if suspects else "not known"),
        ("Detection", _detection(diagnosis)),
    )
    return root(
        table(("", "fact"), [(label, value) for label, value in head])
        + "<h3>Timeline</h3>"
        + table(("UTC", "what"), timeline)
    )


def _root_cause(diagnosis: Diagnosis) -> str:
    if not diagnosis.hypotheses:
        return "not known"
    first = diagnosis.hypotheses[0]
    said = f"{first.title} (confidence {first.confidence:.2f})"
    return f"not found; the first guess: {said}" if diagnosis.verdict == "inconclusive" else said


def _told(i: Impact) -> str:
    if i.unit == "min":
        return f"{valued(i)} {i.what.removeprefix('minutes ')}"
    if i.what.startswith(i.unit):
        return f"{number(i.value)} {i.what}"
    return f"{i.what}: {valued(i)}"


def _detection(diagnosis: Diagnosis) -> str:
    title = diagnosis.alert.title or "an alert"
    if diagnosis.onset is None or diagnosis.alert.starts_at is None:
        return f"by {title}"
    late = (diagnosis.alert.starts_at - diagnosis.onset.at).total_seconds()
    if late < 0:
        return f"by {title}"
    return f"by {title}, {span(late)} after the onset"


def ledger(diagnosis: Diagnosis) -> str:
    """Return every pull: what was asked, and what came of it."""
    rows = [
        (
            e.id,
            e.source,
            Html(
                chip(
                    e.status.replace("_", " "),
                    "miss" if e.status in ("unavailable", "not_configured") else "",
                )
            ),
            "" if e.rows is None else count(e.rows),
            "" if e.took_s is None else f"{e.took_s:.2f}",
            e.why or "",
        )
        for e in diagnosis.ledger
    ]
    missing = [e.source for e in diagnosis.ledger if e.status in ("unavailable", "not_configured")]
    head = f"{len(diagnosis.ledger)} pulls, {len(missing)} of them without an answer"
    head += f": {', '.join(missing)}" if missing else ""
    inner = table(("id", "source", "status", "rows", "took, s", "why"), rows, numeric=(3, 4))
    return root(f"<details><summary>{text(head)}</summary>{inner}</details>")


def provenance(diagnosis: Diagnosis, windows: Windows) -> str:
    """Return windows, versions, timings and hashes: what it takes to get this answer again."""
    rows = [
        ("current window", f"{iso(windows.current[0])} to {iso(windows.current[1])}"),
        ("reference", f"{iso(windows.reference[0])} to {iso(windows.reference[1])}"),
        ("versions", ", ".join(f"{k} {v}" for k, v in diagnosis.versions.items())),
        ("diagnosed in", f"{diagnosis.timings.get('total', 0):.2f} s"),
        ("again", "triagebook replay evidence --json"),
    ]
    hashes = [(e.id, e.source, e.sha256) for e in diagnosis.ledger if e.sha256]
    notes = [str(n) for n in (getattr(windows, "notes", None) or [])]
    rows += [("clock", note) for note in notes]
    folded = table(("id", "source", "sha256 of what was stored"), hashes)
    return root(
        table(("", ""), rows)
        + f"<details><summary>{count(len(hashes))} hashes</summary>{folded}</details>"
    )
