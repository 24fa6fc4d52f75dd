"""Outside text without what would colour, hide or reorder it."""

from __future__ import annotations

import re

_ANSI = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-_])")
# Control characters but tab and line feed; marks and overrides of direction, which make a line read
# otherwise than it is; the byte order mark.
_CONTROLS = re.compile(
    "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069\\ufeff]"
)


def plain(text: str) -> str:
    """Return text without terminal sequences, control characters and direction overrides."""
    return _CONTROLS.sub("", _ANSI.sub("", text))
