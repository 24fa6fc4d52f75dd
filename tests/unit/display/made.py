"""Diagnoses written by hand, with the same text in every place that text can come from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

from triagebook.core.models import (
    Action,
    Alert,
    Diagnosis,
    Finding,
    Hypothesis,
    Impact,
    IncidentType,
    LedgerEntry,
    Onset,
    Service,
    Severity,
    Windows,
)

NOON = datetime(2024, 5, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)
WINDOWS = Windows(reference=(NOON - 9 * DAY, NOON - 2 * DAY), current=(NOON - 2 * DAY, NOON))


def onset(low_min: int = 5, high_min: int = 5, at: datetime = NOON) -> Onset:
    low, high = at - timedelta(minutes=low_min), at + timedelta(minutes=high_min)
    return Onset(at=at, low=low, high=high, **{"from": "rows of orders.amount"})


def entry(ident: str, source: str, status: str, **more: Any) -> LedgerEntry:
    return LedgerEntry.model_validate({"id": ident, "source": source, "status": status, **more})


def finding(
    ident: str = "F01", verdict: str = "bad", said: str = "it moved", **more: Any
) -> Finding:
    return Finding.model_validate(
        {
            "id": ident,
            "check": "drift.inputs_moved",
            "locus": "column:orders.amount",
            "verdict": verdict,
            "statement": said,
            **more,
        }
    )


def diagnosis(said: str = "plain words", **more: Any) -> Diagnosis:
    """Return a full diagnosis; `more` replaces fields."""
    fields: dict[str, Any] = {
        "incident_id": "I-1",
        "incident_type": IncidentType.DRIFT,
        "service": Service(name=said),
        "alert": Alert(title=said, starts_at=NOON + timedelta(hours=2)),
        "windows": WINDOWS,
        "verdict": "cause_found",
        "summary": f"{said} arrives in kilometres. {said}",
        "severity": Severity(level="SEV2", because=[said]),
        "onset": onset(),
        "impact": [
            Impact(what=said, value=0.25, unit="share of predictions", how=said),
            Impact(
                what="predictions likely wrong",
                value=1234,
                unit=said,
                low=1000,
                high=2000,
                how=said,
            ),
        ],
        "findings": [
            finding("F01", "bad", said, cell="fault", evidence=["L01", "L02"]),
            finding("F02", "ok", said, cell="season"),
            finding("F03", "unknown", said),
            finding("F04", "bad", f"deploy: {said}", check="changes.before_onset", since=NOON),
        ],
        "hypotheses": [
            Hypothesis.model_validate(
                {
                    "cause": "data.unit_change",
                    "locus": f"column:{said}",
                    "confidence": 0.86,
                    "for": ["F01"],
                    "against": ["F02"],
                    "mechanism": said,
                    "title": said,
                    "headline": said,
                }
            )
        ],
        "none_of_these": 0.14,
        "ledger": [
            entry("L01", "tables:orders", "ok", rows=1200, sha256="ab" * 32, took_s=0.25),
            entry("L02", "logs:loki", "unavailable", why=said, took_s=4.0),
            entry("L03", f"tables:{said}", "stale", rows=3, why=said),
            entry("L04", "changes", "not_configured", why=said),
        ],
        "actions": [Action(action=said, target=said, dry_run=said, inverse=said, risk=said)],
        "timings": {"total": 1.5},
        "versions": {"triagebook": said},
    }
    return Diagnosis.model_validate({**fields, **more})


class Page(HTMLParser):
    """The tags, attributes, addresses and text of a fragment; every tag has to be closed."""

    VOID = frozenset({"img", "br"})

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.addresses: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.addresses += [str(value) for name, value in attrs if name in ("href", "src")]
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
