"""Log lines as events: which statement of the program wrote a line, and how grave it is."""

from __future__ import annotations

import re

from triagebook.analysis.logs import template_of

_PLACE = re.compile(
    r"(?<![\w.$/])([A-Za-z_$][\w.$\[\]-]*(?:\.(?:py|java|kt|scala|go|js|ts|rb|rs|cc|cpp|cs):|#|\([\w.]+:)\d+)"
)
_LEVEL = re.compile(r"\b(TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|SEVERE|CRITICAL|FATAL|PANIC)\b")
_NESTED = re.compile(r"[\[({][^\[\](){}]*[=:,…][^\[\](){}]*[\])}]")
_VALUE = re.compile(r"(?<==)\s*[^\s\]\[(){},;][^\]\[(){},;]*")
_GRAVE = frozenset({"ERROR", "SEVERE", "CRITICAL", "FATAL", "PANIC"})


def level_of(message: str) -> str:
    """Return the level that a line states within its first 100 letters, in capitals; "" where none."""
    found = _LEVEL.search(message[:100])
    return found.group(1) if found else ""


def is_grave(level: str) -> bool:
    """Tell whether a level is an error or worse."""
    return level.upper() in _GRAVE


def signature_of(message: str, level: str | None = None) -> str:
    """Return what stays the same each time one statement of a program writes its line.

    Parameters
    ----------
    message : str
    level : str or None
        None looks for it in the message.

    Returns
    -------
    str
        Level and place in the code (`Class#12`, `file.py:12`) where the line names one within its first
        200 letters: values in the text then do not matter. Else level and the folded text, without
        lists, records, and what follows "="; 120 letters at most.
    """
    level = level_of(message) if level is None else level.upper()
    place = _PLACE.search(message[:200])
    if place:
        return f"{level} {place.group(1)}"
    text, rest = template_of(message), ""
    while text != rest:
        text, rest = _NESTED.sub("…", text), text
    return f"{level} {_VALUE.sub('…', text)[:120]}"
