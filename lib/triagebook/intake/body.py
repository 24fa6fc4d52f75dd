"""Read a JSON body strictly: what cannot be kept in a database or shown is not understood."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from triagebook.core.errors import NotUnderstoodError

HINT = "the body is kept in quarantine; look at what the sender was told to send"


def read_json(body: bytes) -> Any:
    """Return what a JSON body says.

    Raises
    ------
    NotUnderstoodError
        Not UTF-8, no JSON, NaN or Infinity, a number of thousands of digits, nested too deeply,
        or text with a NUL character or half of a surrogate pair.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _refused(f"is no UTF-8: {error.reason} at byte {error.start}") from error
    try:
        document = json.loads(text, parse_constant=_no_constant)
    except RecursionError as error:
        raise _refused("is nested too deeply") from error
    except ValueError as error:
        raise _refused(f"is no JSON: {error}") from error
    _check_texts(document)
    return document


def _no_constant(name: str) -> NoReturn:
    message = f"{name} is no JSON number"
    raise ValueError(message)


def _check_texts(document: Any) -> None:
    # A stack of our own: the parser takes nesting that a recursive walk would not.
    waiting = [document]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting.extend(item.keys())
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, str):
            _check_text(item)


def _check_text(text: str) -> None:
    if "\x00" in text:
        raise _refused(f"holds a NUL character in {text[:40]!r}")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise _refused(f"holds half of a surrogate pair in {text[:40]!r}") from error


def _refused(what: str) -> NotUnderstoodError:
    return NotUnderstoodError(f"the body {what}", HINT)
