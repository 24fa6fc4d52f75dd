"""Times as senders write them: ISO 8601 and its relatives, seconds since 1970, and what means none."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from zoneinfo import ZoneInfo

from triagebook.core.times import to_utc

_NO_YEAR = ("0001-", "0000-")
_LATEST_S = 253_402_300_799  # the last second of the year 9999
_FINER = 3  # milliseconds, microseconds, nanoseconds
_EPOCH = re.compile(r"[0-9]{9,}(\.[0-9]+)?")  # shorter ones are dates, as 20130604
_LEAP = re.compile(r"(?<=[0-9]:[0-5][0-9]:)60")
# 14:05:03 +0530, 14:05:03 +0000 UTC (Go's own), 14:05:03+02:00[Europe/Berlin] (Java's own)
_OFFSET = re.compile(
    r"(?P<clock>.*:[0-9.]+) ?(?P<offset>[+-][0-9]{2}:?[0-9]{2})( [A-Z]+|\[[^\]]*\])?"
)
_NAMED = re.compile(
    r"(?P<clock>.*:[0-9.]+) ?\[?(?P<name>UTC|GMT|[A-Z][A-Za-z_]+(/[A-Z][A-Za-z_-]+)+)\]?"
)


def read_time(value: object) -> datetime | None:
    """Read a time.

    Parameters
    ----------
    value : object
        ISO 8601 with an offset, the name of a zone or neither (then it is UTC), the date of an
        e-mail, or seconds since 1970 as `read_epoch` takes them. A leap second is the one after it.

    Returns
    -------
    datetime or None
        In UTC. None for nothing, for an empty text, and for the years 0 and 1, by which programs
        say that there is no time.

    Raises
    ------
    ValueError
        It is no time, or none between the years 1 and 9999.
    """
    if isinstance(value, int | float):
        return read_epoch(value)
    if value is None:
        return None
    if not isinstance(value, str):
        message = "expected a time as text"
        raise ValueError(message)  # noqa: TRY004 - pydantic turns ValueError into a located message
    text = value.strip()
    if not text or text.startswith(_NO_YEAR):
        return None
    if _EPOCH.fullmatch(text):
        return read_epoch(text)
    try:
        return _read(text)
    except (OverflowError, KeyError, OSError) as error:  # the last two: no zone is called that
        message = f"{text[:60]!r} is no time that a clock can show"
        raise ValueError(message) from error


def read_epoch(value: object) -> datetime | None:
    """Read seconds since 1970, or milli-, micro- or nanoseconds: a number or its text.

    Returns
    -------
    datetime or None
        None where it is nothing, empty or 0.

    Raises
    ------
    ValueError
        It is no number, or lies before 1970 or after the year 9999.
    """
    if value is None or value in ("", 0, "0"):
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        message = "expected seconds since 1970"
        raise ValueError(message)  # noqa: TRY004 - pydantic turns ValueError into a located message
    try:
        seconds = float(value)
    except OverflowError:
        seconds = float("inf")
    for _ in range(_FINER):
        if seconds > _LATEST_S:
            seconds /= 1_000
    if not 0 <= seconds <= _LATEST_S:
        message = f"{str(value)[:60]!r} is no time that a clock can show"
        raise ValueError(message)
    return datetime.fromtimestamp(seconds, UTC)


def _read(text: str) -> datetime:
    leap = timedelta(seconds=1) if _LEAP.search(text) else timedelta()
    text = _LEAP.sub("59", text)
    zone = None
    if found := _OFFSET.fullmatch(text):
        text = found["clock"] + found["offset"]
    elif found := _NAMED.fullmatch(text):
        text, zone = found["clock"], ZoneInfo(found["name"])
    try:
        moment = to_utc(text)
    except ValueError:
        moment = _of_mail(text)
    if zone is not None:
        moment = moment.replace(tzinfo=zone).astimezone(UTC)
    return moment + leap


def _of_mail(text: str) -> datetime:
    try:
        return to_utc(parsedate_to_datetime(text))
    except (ValueError, TypeError, IndexError) as error:
        message = f"{text[:60]!r} is no time, such as 2013-06-04T14:00:00Z"
        raise ValueError(message) from error
