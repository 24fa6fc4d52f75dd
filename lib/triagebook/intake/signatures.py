"""HMAC signatures over the raw body, compared in constant time, and the window of replays."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING

from triagebook.core.errors import NotAuthenticatedError, SettingsError
from triagebook.core.times import now_utc

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path

    from triagebook.core.settings import IntakeSettings
    from triagebook.intake.sender import Delivery

_MILLISECONDS_FROM = 10**11  # seconds are that many in the year 5138


def signing_secret(settings: IntakeSettings, root: Path) -> bytes:
    """Return the configured `secret` as bytes.

    Raises
    ------
    SettingsError
        It is empty, or not to be had.
    """
    if settings.secret is None:
        raise SettingsError("no signing secret is configured", "name one: secret = { env = … }")
    found = settings.secret.value(root)
    if not found:
        raise SettingsError("the signing secret is empty", "write the secret into its file")
    return found.encode("utf-8")


def hex_digest(secret: bytes, *parts: bytes) -> str:
    """Return the HMAC-SHA256 of some bytes in a row, as lower-case hex."""
    return _digest(secret, parts).hex()


def base64_digest(secret: bytes, *parts: bytes) -> str:
    """Return the HMAC-SHA256 of some bytes in a row, in base64."""
    return base64.b64encode(_digest(secret, parts)).decode("ascii")


def _digest(secret: bytes, parts: Iterable[bytes]) -> bytes:
    made = hmac.new(secret, digestmod=hashlib.sha256)
    for part in parts:
        made.update(part)
    return made.digest()


def any_equal(given: Iterable[str], expected: str) -> bool:
    """Tell whether one of several signatures is the expected one; takes as long whatever they are."""
    wanted = expected.encode("ascii")
    hits = [hmac.compare_digest(one.strip().encode("utf-8", "replace"), wanted) for one in given]
    return any(hits)


def check_signature(
    delivery: Delivery, settings: IntakeSettings, root: Path, header: str, hint: str
) -> None:
    """Return where a header holds the HMAC of the body, or of `timestamp:body` where one is configured.

    Parameters
    ----------
    header : str
        Where the signature is, unless `signature_header` says otherwise.
    hint : str
        What to do where it does not fit.

    Raises
    ------
    NotAuthenticatedError
        It does not fit, or the timestamp is older than `max_age`.
    SettingsError
        The secret is not to be had.
    """
    given = delivery.headers.get((settings.signature_header or header).lower(), "")
    parts, stamp = [delivery.body], None
    if settings.timestamp_header is not None:
        stamp = delivery.headers.get(settings.timestamp_header.lower(), "")
        parts = [stamp.encode("utf-8", "replace"), b":", delivery.body]
    expected = hex_digest(signing_secret(settings, root), *parts)
    if not any_equal([given.removeprefix("sha256=")], expected):
        raise NotAuthenticatedError("the signature does not fit the body", hint)
    if stamp is not None:
        check_age(stamp, settings.max_age)


def check_age(text: str, most_s: float, *, now: datetime | None = None) -> None:
    """Return where a time in seconds (or milliseconds) since 1970 is recent.

    Parameters
    ----------
    most_s : float
        How far it may lie from our clock, to either side, seconds.

    Raises
    ------
    NotAuthenticatedError
        It is no number, or lies farther off: a delivery that somebody recorded and plays again.
    """
    try:
        at = float(text)
    except ValueError:
        at = float("nan")
    if at >= _MILLISECONDS_FROM:
        at /= 1_000
    moment = (now or now_utc()).timestamp()
    if not abs(moment - at) <= most_s:  # nan is farther off than anything
        raise NotAuthenticatedError(
            f"the delivery's timestamp lies more than {most_s:g} s from this clock",
            "set both clocks by NTP, or raise max_age under [intake.<sender>]",
        )
