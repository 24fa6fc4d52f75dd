"""How urgent a run is: from the words of the alert's severity, then from the service's criticality."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from triagebook.core.models import Alert

Level = Literal["critical", "high", "normal", "low"]
Criticality = Literal["high", "medium", "low"]

_LEVELS: tuple[Level, ...] = ("critical", "high", "normal", "low")
_CRITICALITIES: tuple[Criticality, ...] = ("high", "medium", "low")

_WORDS: dict[Level, frozenset[str]] = {
    "critical": frozenset(
        [
            "critical",
            "crit",
            "page",
            "fatal",
            "emergency",
            "emerg",
            "disaster",
            "panic",
            "blocker",
            "p0",
            "p1",
            "sev0",
            "sev1",
        ]
    ),
    "high": frozenset(["error", "err", "high", "major", "severe", "urgent", "p2", "sev2"]),
    "normal": frozenset(
        ["warning", "warn", "medium", "moderate", "average", "minor", "p3", "sev3"]
    ),
    "low": frozenset(
        [
            "info",
            "information",
            "informational",
            "notice",
            "none",
            "debug",
            "ok",
            "low",
            "p4",
            "p5",
            "sev4",
            "sev5",
        ]
    ),
}
_LABELS = ("severity", "priority", "urgency", "level")
_ASKED = 100
"""How much smaller a rank gets when a person asks for the run."""


def rank(alert: Alert, criticality: Criticality = "medium") -> int:
    """Return the place of an alert's run among others: the smaller goes first.

    The alert's severity decides; where it is none, or a word that nobody knows (a bare number
    counts upwards with some senders and downwards with others), its labels; where they do not say
    either, it is `normal`. Among equals the service's criticality decides.

    Returns
    -------
    int
        110 (critical, high criticality) to 142 (low, low).
    """
    told = [alert.severity, *(alert.labels.get(name) for name in _LABELS)]
    found = next((known for text in told if text and (known := level_of(text))), "normal")
    return _ASKED + 10 * (_LEVELS.index(found) + 1) + _CRITICALITIES.index(criticality)


def level_of(text: str) -> Level | None:
    """Return the level that a severity's words mean, the most urgent of several; None for no known."""
    # "SEV-1", "Sev 1" and "P 1" are written as often as "SEV1".
    joined = re.sub(r"\b(sev|p)[\s_-]*(\d)\b", r"\1\2", text.lower())
    words = set(re.findall(r"[a-z0-9]+", joined))
    return next((level for level in _LEVELS if words & _WORDS[level]), None)


def level(rank_: int) -> Level:
    """Return the level of a rank, whether or not a person asked for the run."""
    return _LEVELS[rank_ % _ASKED // 10 - 1]


def asked(rank_: int) -> int:
    """Return the rank of a run that a person asked for: before all that nobody asked for."""
    return rank_ % _ASKED


def not_asked(rank_: int) -> int:
    """Return the rank without a person's word."""
    return _ASKED + rank_ % _ASKED


def is_asked(rank_: int) -> bool:
    """Tell whether a person asked for the run."""
    return rank_ < _ASKED


USUAL = _ASKED + 31
"""The rank of an alert that says nothing, of a service of medium criticality."""
