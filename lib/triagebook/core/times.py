"""Time as the project means it: timezone-aware, UTC, ISO 8601 with a Z."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer

_DURATION = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)\s*$")
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}


def now_utc() -> datetime:
    """Return this moment, timezone-aware, in UTC."""
    return datetime.now(UTC)


def to_utc(value: object) -> datetime:
    """Turn an ISO 8601 text, a Unix time in seconds or a datetime into an aware UTC datetime.

    A time without a zone is taken as UTC. Anything else raises ValueError.
    """
    if isinstance(value, datetime) and value.tzinfo is UTC:
        return value  # by far the most: what the store gives out
    if isinstance(value, bool):
        message = f"expected a time, got {value!r}"
        raise ValueError(message)  # noqa: TRY004 - pydantic turns ValueError into a located message
    if isinstance(value, int | float):
        try:
            return datetime.fromtimestamp(float(value), UTC)
        except (OverflowError, OSError) as error:
            message = f"{value!r} is no Unix time in seconds"
            raise ValueError(message) from error
    if isinstance(value, str):
        # Go's clients write nanoseconds; fromisoformat takes six digits at the most.
        value = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", value.strip()))
    if not isinstance(value, datetime):
        message = f"expected a time such as 2013-06-04T14:00:00Z, got {value!r}"
        raise ValueError(message)  # noqa: TRY004 - pydantic turns ValueError into a located message
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def iso(moment: datetime) -> str:
    """Write a time as 2013-06-04T14:00:00Z, with microseconds only where there are any."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def to_seconds(value: object) -> float:
    """Turn a duration (90, "90s", "10m", "48h", "56d", "4w") into seconds; ValueError otherwise."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    match = _DURATION.match(value) if isinstance(value, str) else None
    if match is None:
        message = f"expected a duration such as 90s, 10m, 48h or 56d, got {value!r}"
        raise ValueError(message)
    return float(match[1]) * _UNIT_S[match[2]]


def short(moment: datetime, *, day: bool = True) -> str:
    """Write a time for people: "4 June 2013 14:00 UTC", or "14:00" when the day is known."""
    utc = moment.astimezone(UTC)
    clock = utc.strftime("%H:%M")
    return f"{utc.day} {utc.strftime('%B %Y')} {clock} UTC" if day else clock


Utc = Annotated[
    datetime,
    BeforeValidator(to_utc),
    PlainSerializer(iso, return_type=str, when_used="json"),
]
"""A pydantic field type: any time in, an aware UTC datetime held, ISO 8601 with Z in JSON."""

Seconds = Annotated[float, BeforeValidator(to_seconds)]
"""A pydantic field type: "48h" or 172800 in, seconds held."""
