"""Say which alerts are the same one told again: by what the sender says, else by the labels."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from triagebook.core.models import Alert

LONGEST = 128
"""Fingerprints of senders are kept up to this many characters; longer ones are hashed."""

_FNV_OFFSET = 14_695_981_039_346_656_037
_FNV_PRIME = 1_099_511_628_211
_SEPARATOR = b"\xff"


def of_labels(labels: Mapping[str, str]) -> str:
    """Return Prometheus' fingerprint of a label set: 16 hex digits.

    References
    ----------
    prometheus/common, model/signature.go, labelSetToFingerprint: FNV-1a, 64 bit, over the names in
    order, each name and value followed by the byte 255.
    """
    total = _FNV_OFFSET
    for name in sorted(labels):
        for byte in name.encode("utf-8") + _SEPARATOR + labels[name].encode("utf-8") + _SEPARATOR:
            total = ((total ^ byte) * _FNV_PRIME) % 2**64
    return f"{total:016x}"


def of_alert(alert: Alert) -> str:
    """Return the key that, with the sender, names the alert's episode."""
    given = alert.fingerprint or of_labels(alert.labels)
    if len(given) <= LONGEST:
        return given
    return hashlib.sha256(given.encode("utf-8")).hexdigest()
