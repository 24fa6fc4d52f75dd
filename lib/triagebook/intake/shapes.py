"""What the bodies of several senders have in common: strict shapes, times, numbers, links."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from triagebook.core.errors import NotUnderstoodError
from triagebook.intake.body import HINT
from triagebook.intake.times import read_epoch, read_time

if TYPE_CHECKING:
    from collections.abc import Mapping

S = TypeVar("S", bound=BaseModel)

_SHOWN_PROBLEMS = 3


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
