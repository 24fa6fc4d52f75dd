"""Check a bearer token or basic auth in constant time."""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import TYPE_CHECKING

from triagebook.core.errors import NotAuthenticatedError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from triagebook.core.settings import IntakeSettings, SecretRef


def check_authorization(
    headers: Mapping[str, str],
    settings: IntakeSettings,
    root: Path,
    in_address: str | None = None,
) -> None:
    """Return where the Authorization header, or that of the settings, holds what they ask for.

    A token and a user with password may both be configured; either will do.

    Parameters
    ----------
    headers : mapping
        Names in lower case.
    root : Path
        The home folder; secret files are relative to it.
    in_address : str, optional
        The token, for a sender that can only put it into the address.

    Raises
    ------
    NotAuthenticatedError
        No header, another scheme, or wrong credentials; which of them is not told.
    SettingsError
        The secret to compare with is not to be had.
    """
    scheme, _, given = headers.get("authorization", "").strip().partition(" ")
    proof = _bytes(given.strip())
    expected: list[bytes] = []
    own = headers.get(settings.header.lower()) if settings.header is not None else in_address
    if own is not None and settings.token is not None:
        proof = _bytes(own.strip())
        expected = [_secret(settings.token, "token", root).encode("utf-8")]
    elif scheme.lower() == "bearer" and settings.token is not None and settings.header is None:
        expected = [_secret(settings.token, "token", root).encode("utf-8")]
    elif scheme.lower() == "basic" and settings.password is not None:
        pair = f"{settings.user or ''}:{_secret(settings.password, 'password', root)}"
        expected = [pair.encode("utf-8")]
        proof = _decoded(proof)
    if not any(hmac.compare_digest(proof, secret) for secret in expected):
        raise NotAuthenticatedError(
            "the sender did not prove who it is",
            "let it send the token, or the user and password, named in triagebook.toml "
            "under [intake.<sender>]",
        )


def _secret(reference: SecretRef, name: str, root: Path) -> str:
    found = reference.value(root)
    if not found:
        # Compared as it is, an empty file would let in whoever sends nothing.
        raise SettingsError(f"the {name} of a sender is empty", "write the secret into its file")
    return found


def _bytes(text: str) -> bytes:
    # HTTP servers read header bytes as latin-1; a token of other characters arrives as such.
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape")


def _decoded(proof: bytes) -> bytes:
    try:
        return base64.b64decode(proof, validate=True)
    except binascii.Error:
        return b""
