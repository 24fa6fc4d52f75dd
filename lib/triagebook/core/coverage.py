"""What an investigation could not tell although its sources answered: labels that are not in yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from triagebook.core.models import Finding, LedgerEntry

_ANSWERED = frozenset({"ok", "stale", "truncated"})


def not_in_yet(findings: Sequence[Finding], ledger: Sequence[LedgerEntry]) -> list[str]:
    """Return, in a few words each, the unknown findings that rest on pulls which did answer.

    The words are the finding's statement up to its first colon. What rests on a pull that failed is
    left out: the pull itself says so.
    """
    answered = {entry.id for entry in ledger if entry.status in _ANSWERED}
    return [
        finding.statement.partition(":")[0]
        for finding in findings
        if finding.verdict == "unknown" and finding.evidence and set(finding.evidence) <= answered
    ]
