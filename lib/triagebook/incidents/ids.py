"""Names of incidents and deliveries: a time that people can read, and a random tail."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"


def random_tail(length: int) -> str:
    """Return `length` random base32 characters, lower case."""
    return "".join(secrets.choice(_BASE32) for _ in range(length))


def incident_id(at: datetime, tail: str) -> str:
    """Return `inc-YYYYMMDD-HHMMSS-xxxxx`; `at` in UTC."""
    return f"inc-{at:%Y%m%d-%H%M%S}-{tail}"


def delivery_id(at: datetime, tail: str) -> str:
    """Return `dlv-YYYYMMDD-HHMMSS-xxxxxxxx`; `at` in UTC."""
    return f"dlv-{at:%Y%m%d-%H%M%S}-{tail}"
