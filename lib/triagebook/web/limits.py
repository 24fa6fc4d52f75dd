"""Read a request's body, but no more and no longer than is allowed."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from triagebook.core.errors import IntakeError, TooLargeError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from fastapi import Request


_DRAIN_BYTES = 33_554_432
_DRAIN_S = 2.0


class TooSlowError(IntakeError):
    """The body did not arrive in time."""


async def read_body(request: Request, max_bytes: int, limit_s: float = 30.0) -> bytes:
    """Read the body of a request.

    Parameters
    ----------
    request : Request
        With or without a Content-Length; what it claims is believed only when it is too much.
    max_bytes : int
        The largest body that is taken.
    limit_s : float
        Seconds within which the whole body must arrive.

    Raises
    ------
    TooLargeError
        The rest is not kept, and read only for so long that a usual sender sees the answer.
    TooSlowError
        The body did not arrive within `limit_s`.
    """
    too_large = TooLargeError(
        f"the body is larger than {max_bytes:,} bytes",
        "send fewer alerts at a time, or raise server.max_body_bytes",
        max_bytes=max_bytes,
    )
    claimed = request.headers.get("content-length", "")
    stream = request.stream()
    if claimed.isdecimal() and int(claimed) > max_bytes:
        await _drain(stream)
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(limit_s):
            async for chunk in stream:
                body += chunk
                if len(body) > max_bytes:
                    await _drain(stream)
                    raise too_large
    except TimeoutError as error:
        raise TooSlowError(
            f"the body did not arrive within {limit_s:g} s", "check the way to the sender"
        ) from error
    return bytes(body)


async def _drain(stream: AsyncGenerator[bytes, None]) -> None:
    # Closing a connection while the sender still writes resets it, and the sender never sees why.
    left = _DRAIN_BYTES
    with suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_S):
            async for chunk in stream:
                left -= len(chunk)
                if left < 0:
                    return
