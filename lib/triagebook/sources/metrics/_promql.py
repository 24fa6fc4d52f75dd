"""Write PromQL: labels and values become matchers that nothing in them can get out of."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from triagebook.core.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime, timedelta

LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
STEPS_S = (
    *(1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 240, 300, 600, 900, 1_200, 1_800),
    *(3_600, 7_200, 10_800, 14_400, 21_600, 43_200, 86_400),
)
"""Steps that people read easily, in seconds."""


def quoted(value: str) -> str:
    r"""Return a value as a string of PromQL, in double quotes.

    Go's escapes: backslash, quote and what is not printed. See
    https://prometheus.io/docs/prometheus/latest/querying/basics/#string-literals.
    """
    out = []
    for character in value.encode("utf-8", "replace").decode("utf-8"):
        if character in '\\"':
            out.append(f"\\{character}")
        elif character.isprintable():
            out.append(character)
        else:
            code = ord(character)
            out.append(f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}")
    return f'"{"".join(out)}"'


def matchers(match: Mapping[str, str], narrowed: Mapping[str, str] | None = None) -> list[str]:
    """Return matchers, such as `job="x"`; a value of the settings that begins with `~` is a pattern.

    Parameters
    ----------
    match : mapping
        Label to value, as somebody wrote them into triagebook.toml.
    narrowed : mapping, optional
        Label to value, of an alert: matched as it is, whatever it holds.

    Raises
    ------
    SettingsError
        A name that no label has.
    """
    found = []
    for name, value in match.items():
        sign, text = ("=~", value[1:]) if value.startswith("~") else ("=", value)
        found.append(f"{_label(name)}{sign}{quoted(text)}")
    for name, value in (narrowed or {}).items():
        found.append(f"{_label(name)}={quoted(value)}")
    return found


def selector(metric: str, found: Iterable[str]) -> str:
    """Return `metric{…}`; SettingsError for a name that no metric has."""
    if METRIC.fullmatch(metric) is None:
        raise SettingsError(
            f"{metric!r} is no name of a metric", "letters, digits, '_' and ':', no digit first"
        )
    inner = ",".join(found)
    return f"{metric}{{{inner}}}" if inner else metric


def _label(name: str) -> str:
    if LABEL.fullmatch(name) is None:
        raise SettingsError(
            f"{name!r} is no name of a label", "letters, digits and '_', no digit first"
        )
    return name


def step_of(length: timedelta, points: int, least_s: float) -> int:
    """Return the step of a question, in seconds: at most so many points, no finer than is scraped."""
    wanted = max(length.total_seconds() / points, least_s)
    return next((step for step in STEPS_S if step >= wanted), -int(-wanted // 1))


def duration(seconds: float) -> str:
    """Return a length of time as PromQL writes it; whole seconds."""
    return f"{max(round(seconds), 1)}s"


def at(moment: datetime) -> str:
    """Return a moment as the API takes it: Unix time in seconds."""
    return f"{moment.timestamp():.3f}"
