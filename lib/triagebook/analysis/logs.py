"""Log lines folded to templates; what is new or multiplied; which known trouble a line speaks of."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

_MASKS = (
    (
        re.compile(
            r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.IGNORECASE
        ),
        "<id>",
    ),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?\b"), "<time>"),
    (re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}(:\d+)?\b"), "<address>"),
    # Digits alone, or behind a point, are a number: 0.1234567890123 folds as 0.12 does.
    (
        re.compile(r"\b0x[0-9a-f]+\b|(?<!\.)\b(?=\d*[a-f])[0-9a-f]{12,}\b", re.IGNORECASE),
        "<hex>",
    ),
    (re.compile(r"(?<![\w.])(/[\w.@+-]+){2,}"), "<path>"),
    (re.compile(r"[-+]?\d+(\.\d+)?([eE][-+]?\d+)?"), "<n>"),
)

TROUBLES: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "pipeline.out_of_memory",
        re.compile(
            r"OOMKilled|out of memory|MemoryError|exit(ed)?( with)?( code)? 137|Cannot allocate memory"
            r"|OutOfMemoryError|oom-kill",
            re.IGNORECASE,
        ),
    ),
    (
        "pipeline.disk_full",
        re.compile(r"No space left on device|ENOSPC|disk( is)? full", re.IGNORECASE),
    ),
    (
        "pipeline.auth_expired",
        re.compile(
            r"\b(401|403)\b|Unauthorized|Forbidden|token (has )?expired|ExpiredToken|permission denied"
            r"|AccessDenied|invalid credentials|authentication failed",
            re.IGNORECASE,
        ),
    ),
    (
        "pipeline.dependency_down",
        re.compile(
            r"connection refused|ECONNREFUSED|connection reset|timed? ?out|\b50[234]\b|unreachable"
            r"|name or service not known|no route to host|ServiceUnavailable",
            re.IGNORECASE,
        ),
    ),
    (
        "pipeline.bad_dependency_version",
        re.compile(
            r"ImportError|ModuleNotFoundError|undefined symbol|has no attribute|incompatible version"
            r"|ABI",
        ),
    ),
    (
        "pipeline.bad_config",
        re.compile(
            r"missing (environment )?variable|KeyError: '[A-Z_]+'|invalid (value|config|setting)"
            r"|ValidationError.*[Ss]ettings|not set\b",
            re.IGNORECASE,
        ),
    ),
    (
        "pipeline.contract_rejected",
        re.compile(
            r"(schema|contract|expectation|data) (validation|check)s? failed|ExpectationSuite|"
            r"rejected \S+ rows|SchemaError",
            re.IGNORECASE,
        ),
    ),
    (
        "pipeline.input_missing",
        re.compile(
            r"FileNotFoundError|no such (file|key)|NoSuchKey|input .*(missing|not found)|upstream_failed"
            r"|waiting for (input|upstream|partition)",
            re.IGNORECASE,
        ),
    ),
    (
        "pipeline.deploy_failed",
        re.compile(
            r"ImagePull(BackOff)?|ErrImagePull|CrashLoopBackOff|failed to load model|"
            r"health check failed|readiness probe failed",
            re.IGNORECASE,
        ),
    ),
    (
        "pipeline.code_error",
        re.compile(r"Traceback|Exception\b|\b[A-Z]\w*Error\b|panic:|Segmentation fault"),
    ),
)
"""Cause and the pattern that speaks for it, the most telling first."""

_BAD = frozenset({"WARN", "WARNING", "ERROR", "CRITICAL", "FATAL"})


@dataclass(frozen=True)
class Template:
    """Lines that differ only in numbers, ids, times and paths."""

    template: str
    source: str
    severity: str
    reference: int
    current: int
    expected: float
    """Lines expected in the current window at the reference's rate."""
    first: pd.Timestamp
    example: str
    cause: str | None

    @property
    def factor(self) -> float:
        """How many times as frequent as expected (half a line counts as the least expected)."""
        return self.current / max(self.expected, 0.5)


def template_of(message: str) -> str:
    """Fold a line: ids, times, addresses, paths and numbers become placeholders; first 300 letters."""
    first = message.strip().splitlines()[0] if message.strip() else ""
    for pattern, name in _MASKS:
        first = pattern.sub(name, first)
    return first[:300]


def trouble_of(message: str) -> str | None:
    """Return the cause whose pattern a message matches first, or None."""
    for cause, pattern in TROUBLES:
        if pattern.search(message):
            return cause
    return None


def changed_templates(
    reference: pd.DataFrame, current: pd.DataFrame, ratio: float
) -> list[Template]:
    """List warnings and errors that are new, or at least three times as frequent as before.

    Parameters
    ----------
    reference, current : DataFrame
        Columns ts, severity, source, message.
    ratio : float
        Length of the current window over the reference's.

    Returns
    -------
    list of Template
        Errors before warnings, then by factor, at most 50.
    """
    lines = current[current["severity"].astype(str).str.upper().isin(_BAD)]
    if lines.empty:
        return []
    now = lines.assign(template=lines["message"].astype(str).map(template_of))
    before = reference.assign(template="")
    before = before[before["severity"].astype(str).str.upper().isin(_BAD)]
    before = before.assign(template=before["message"].astype(str).map(template_of))
    counts = before.groupby(["source", "template"]).size()
    found = []
    for (source, template), rows in now.groupby(["source", "template"], sort=True):
        was = int(counts.get((source, template), 0))
        expected = was * ratio
        if len(rows) < 3 * expected or (was and len(rows) < 5):
            continue
        first = rows.sort_values("ts").iloc[0]
        message = str(first["message"])
        found.append(
            Template(
                str(template),
                str(source),
                str(first["severity"]).upper(),
                was,
                len(rows),
                expected,
                first["ts"],
                message,
                trouble_of(message),
            )
        )
    found.sort(key=lambda t: (t.severity in ("WARN", "WARNING"), -t.factor, t.template))
    return found[:50]
