"""Amazon SNS over HTTPS: the envelope, its RSA signature, and the confirmation of a subscription."""

from __future__ import annotations

import base64
import binascii
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import httpx
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from pydantic import Field

from triagebook.core.errors import IntakeUnavailableError, NotAuthenticatedError
from triagebook.intake.shapes import Shape

if TYPE_CHECKING:
    from collections.abc import Callable

FETCH_WITHIN_S = 5.0
_HOST = re.compile(r"sns\.[a-z0-9-]{3,32}\.amazonaws\.com(\.cn)?")
_SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": (
        "Message",
        "MessageId",
        "SubscribeURL",
        "Timestamp",
        "Token",
        "TopicArn",
        "Type",
    ),
}
_SIGNED["UnsubscribeConfirmation"] = _SIGNED["SubscriptionConfirmation"]
_MOST_CERTIFICATE = 65_536


class Envelope(Shape):
    """What SNS posts around a message; names as SNS writes them, signed as they are."""

    Type: Literal["Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"]
    MessageId: str = Field(min_length=1)
    TopicArn: str
    Message: str
    Timestamp: str
    SignatureVersion: Literal["1", "2"]
    Signature: str
    SigningCertURL: str
    Subject: str | None = None
    Token: str | None = None
    SubscribeURL: str | None = None


def signed_text(envelope: Envelope) -> bytes:
    r"""Return what the signature is over: `Name\nvalue\n` for each signed key that is there."""
    lines = []
    for name in _SIGNED[envelope.Type]:
        value = getattr(envelope, name)
        if value is not None:
            lines += [name, value]
    return "".join(f"{line}\n" for line in lines).encode("utf-8")


def of_amazon(url: str | None) -> bool:
    """Tell whether an address is SNS' own: https, the usual port, a host of SNS, no user."""
    try:
        parts = urlsplit(url or "")
        port = parts.port
    except ValueError:
        return False
    return (
        parts.scheme == "https"
        and parts.netloc == parts.hostname
        and port is None
        and bool(_HOST.fullmatch(parts.hostname or ""))
    )


def verify(envelope: Envelope, fetch: Callable[[str], bytes]) -> None:
    """Return where the envelope is signed by Amazon.

    Parameters
    ----------
    fetch : callable
        Gives the bytes at an address of Amazon's; raises IntakeUnavailableError.

    Raises
    ------
    NotAuthenticatedError
        The certificate is not Amazon's, or the signature does not fit.
    IntakeUnavailableError
        The certificate could not be fetched: Amazon sends again.

    References
    ----------
    Amazon SNS developer guide, "Verifying the signatures of Amazon SNS messages".
    """
    if not of_amazon(envelope.SigningCertURL):
        raise NotAuthenticatedError(
            "the signing certificate does not lie at Amazon",
            "only https://sns.<region>.amazonaws.com is trusted",
        )
    try:
        proof = base64.b64decode(envelope.Signature, validate=True)
        key = _public_key(fetch(envelope.SigningCertURL))
        # Version 1 is SHA-1, which Amazon still sends by default; the choice is the topic's.
        digest = hashes.SHA256() if envelope.SignatureVersion == "2" else hashes.SHA1()  # noqa: S303
        key.verify(proof, signed_text(envelope), PKCS1v15(), digest)
    except (binascii.Error, ValueError, InvalidSignature) as error:
        raise NotAuthenticatedError(
            "the signature does not fit the message", "let Amazon SNS itself post here"
        ) from error


def _public_key(certificate: bytes) -> RSAPublicKey:
    key = x509.load_pem_x509_certificate(certificate).public_key()
    if not isinstance(key, RSAPublicKey):
        message = "the certificate holds no RSA key"
        raise ValueError(message)  # noqa: TRY004 - told with the other broken certificates
    return key


@lru_cache(maxsize=16)
def fetch_from_amazon(url: str) -> bytes:
    """Return what lies at an address of Amazon's, kept for the next delivery.

    Raises
    ------
    IntakeUnavailableError
        It did not answer in time, or not with 200.
    """
    try:
        # No redirect is followed: it could lead anywhere.
        answer = httpx.get(url, timeout=FETCH_WITHIN_S, follow_redirects=False)
    except httpx.HTTPError as error:
        raise IntakeUnavailableError(
            f"Amazon's certificate could not be fetched: {type(error).__name__}",
            "let this host reach sns.<region>.amazonaws.com by https",
        ) from error
    if answer.status_code != httpx.codes.OK or len(answer.content) > _MOST_CERTIFICATE:
        raise IntakeUnavailableError(
            f"Amazon answered {answer.status_code} for its certificate", "it sends again"
        )
    return answer.content
