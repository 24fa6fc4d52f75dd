"""What the bodies of several senders have in common: strict shapes, times, numbers, links."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from triagebook.core.errors import NotUnderstoodError
from triagebook.core.times import to_utc
from triagebook.intake.body import HINT

if TYPE_CHECKING:
    from collections.abc import Mapping

S = TypeVar("S", bound=BaseModel)

_SHOWN_PROBLEMS = 3
_NO_YEAR = "0001-"
_LATEST_S = 253_402_300_799  # the last second of the year 9999


class Shape(BaseModel):
    """Part of a body. Strict: a number where a text belongs is not what the sender sends."""

    model_config = ConfigDict(strict=True, extra="ignore")


def read_shape(shape: type[S], document: Any, what: str) -> S:
    """Return a document as a shape; NotUnderstoodError names the first fields that do not fit."""
    try:
        return shape.model_validate(document)
    except ValidationError as error:
        raise NotUnderstoodError(f"the body is no {what}: {problems(error)}", HINT) from error


def problems(error: ValidationError) -> str:
    """Write the first problems of a document, without its values."""
    found = [
        f"{'.'.join(str(part) for part in problem['loc']) or 'the whole'}: {problem['msg']}"
        for problem in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    more = f" and {len(found) - _SHOWN_PROBLEMS} more" if len(found) > _SHOWN_PROBLEMS else ""
    return "; ".join(found[:_SHOWN_PROBLEMS]) + more


def read_time(value: object) -> datetime | None:
    """Read a time as text; Go's year 1 and an empty text mean that there is none."""
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        message = "expected a time as text"
        raise ValueError(message)  # noqa: TRY004 - pydantic turns ValueError into a located message
    if value.startswith(_NO_YEAR):
        return None
    try:
        return to_utc(value)
    except OverflowError as error:
        message = f"{value!r} is no time that a clock can show"
        raise ValueError(message) from error


def read_epoch(value: object) -> datetime | None:
    """Read seconds, or milliseconds, since 1970: a number or its text; none where it is empty or 0."""
    if value is None or value in ("", 0, "0"):
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        message = "expected seconds since 1970"
        raise ValueError(message)  # noqa: TRY004 - pydantic turns ValueError into a located message
    seconds = float(value)
    if seconds > _LATEST_S:
        seconds /= 1_000
    if not 0 <= seconds <= _LATEST_S:
        message = f"{value!r} is no time that a clock can show"
        raise ValueError(message)
    return datetime.fromtimestamp(seconds, UTC)


Time = Annotated[datetime | None, BeforeValidator(read_time)]
Epoch = Annotated[datetime | None, BeforeValidator(read_epoch)]
Texts = dict[str, str]


def first(*texts: str | None) -> str | None:
    """Return the first text that says something."""
    return next((text for text in texts if text), None)


def number(*values: object) -> float | None:
    """Return the first that is a plain finite number or its text; `2.067s`, `NaN` and yes are none."""
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            continue
        try:
            found = float(value)
        except (ValueError, OverflowError):
            continue
        if math.isfinite(found):
            return found
    return None


def web_links(found: Mapping[str, str | None]) -> dict[str, str]:
    """Return the links a browser may be sent to: http and https, and nothing else."""
    return {
        name: url
        for name, url in found.items()
        if url and url.lower().startswith(("http://", "https://"))
    }
