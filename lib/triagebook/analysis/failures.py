"""What a failure's text names: the system it could not reach, the key it missed, the line that is ours."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_FOREIGN = re.compile(
    r"site-packages|dist-packages|/lib/python\d|<frozen|importlib|/usr/lib/|\bjava\.|\bsun\.|org\.apache|airflow/|pyspark/|celery/"
)
_FRAME = re.compile(
    r'File "([^"]+)", line (\d+), in (\S+)|^\s*at ([\w.$<>]+)\(([^)]*)\)', re.MULTILINE
)
_LAST = re.compile(
    r"^(?:[\w.]+\.)?[A-Z]\w*(?:Error|Exception|Exit|Interrupt|Timeout|Killed|Fault|Warning)\b.*",
    re.MULTILINE,
)
_ENDPOINT = (
    re.compile(r"host=['\"]?([\w.\-]+)"),
    re.compile(r"\b[a-z][a-z0-9+]*://(?:[^@/\s]+@)?([\w.\-]+)"),
    re.compile(
        r"(?:connect\w*|connection|reach|server|host|to|from|at|for) (?:to )?(?:server )?(?:at )?['\"]?([A-Za-z][\w.\-]*[\w])['\"]?(?::\d+|,? port)"
    ),
    re.compile(r"\b([a-z][a-z0-9\-]*(?:\.[a-z0-9\-]+)+):\d{2,5}"),
    re.compile(r"\b([a-z][a-z0-9\-]{2,}):\d{2,5}\b"),
)
_KEY = (
    re.compile(r"validation errors? for \w+\s*\n\s*([A-Za-z][\w.]*)\s*\n"),
    re.compile(r"KeyError: ['\"]([\w.\-]+)['\"]"),
    re.compile(
        r"(?i:environment )?(?i:variable|setting|option|parameter|key|config(?:uration)?(?: (?:value|key|entry))?|field|argument) ['\"`]?([A-Za-z][\w.\-]*[._A-Z][\w.\-]*)"
    ),
    re.compile(r"\b([A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+)\b"),
    re.compile(r"['\"`]([a-z][\w\-]*(?:[._][\w\-]+)+)['\"`]"),
    re.compile(r"['\"`]([A-Za-z][\w\-]{2,})['\"`]"),
    re.compile(r"\b([a-z][\w\-]*(?:[._][\w\-]+)+)\s*[=:]"),
)


_SCHEDULERS = frozenset(
    {"dag_id", "task_id", "run_id", "execution_date", "map_index", "try_number", "logical_date"}
)
"""Words by which a scheduler says which run a line is about: no settings of ours."""


def headline_of(text: str, most: int = 160) -> str:
    """Return the line that says what went wrong: the exception's own, else the last one, at most so long."""
    found = _LAST.findall(text)
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    line = (_LAST.search(text) and found[-1]) or (lines[-1] if lines else "")
    return str(line).strip()[:most]


def our_line(text: str) -> str | None:
    """Fold a stack trace to the last frame that is no library's; None without a trace.

    Parameters
    ----------
    text : str
        A Python traceback or a Java stack trace.
    """
    frames = list(_FRAME.finditer(text))
    ours = [f for f in frames if not _FOREIGN.search(f.group(0))]
    if not ours:
        return None
    # Python prints the innermost call last, Java first.
    frame = ours[-1] if ours[-1].group(1) else ours[0]
    if frame.group(1):
        return f"{frame.group(1)}:{frame.group(2)} in {frame.group(3)}"
    return f"{frame.group(4)} ({frame.group(5)})"


def name_in(text: str, names: Iterable[str]) -> str | None:
    """Return the known name that a text holds, the longest first: by itself, else as part of another.

    `container mirror_accounts in pod` names the table `accounts_in` only where no other is named.
    """
    low = text.lower()
    found: list[tuple[int, int, str]] = []
    for name in sorted({name for name in names if len(name) >= 2}):
        # A name is spelt with dashes in one place and with underscores in the next.
        spelt = "[-_. ]".join(re.escape(part) for part in re.split(r"[-_]", name.lower()))
        hits = re.finditer(rf"(?<![a-z0-9]){spelt}(?![a-z0-9])", low)
        found.extend((*hit.span(), name) for hit in hits)
    # The store of "feature store" is no other than that.
    outer = [
        (start, end, name)
        for start, end, name in found
        if not any(s <= start and end <= e and e - s > end - start for s, e, _ in found)
    ]
    if not outer:
        return None

    def alone(start: int, end: int) -> bool:
        return not {low[max(start - 1, 0) : start], low[end : end + 1]} & {"-", "_"}

    return max(outer, key=lambda hit: (alone(*hit[:2]), hit[1] - hit[0]))[2]


def endpoint_of(text: str) -> str | None:
    """Return the host a failure could not reach, as written, without port; None where none is named."""
    for pattern in _ENDPOINT:
        for found in pattern.finditer(text):
            host = found.group(1).strip(".-")
            if host and not re.fullmatch(r"[\d.]+|localhost|line|port|File", host):
                return host
    return None


def key_of(text: str) -> str | None:
    """Return the configuration key or variable a failure names; None where it names none."""
    for pattern in _KEY:
        for found in pattern.finditer(text):
            key = found.group(1).strip(".-")
            if key.lower() in _SCHEDULERS:
                continue
            if not key.endswith(("Error", "Exception", ".py", ".java", ".scala", ".sh", ".sql")):
                return key
    return None
