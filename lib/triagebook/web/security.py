"""What every answer carries so that a hostile alert, page or host name gets nowhere."""

from __future__ import annotations

import ipaddress
import secrets
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fastapi import HTTPException, Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from triagebook.core.settings import ServerSettings

REPORT_POLICY = (
    # The links of a report may open a tab; that tab is then a page like any other.
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; img-src data:; "
    "style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
"""For a notebook's report: whatever is in it, nothing runs and nothing is loaded."""

FILE_POLICY = "sandbox; default-src 'none'; frame-ancestors 'none'"
"""For downloads: should a browser show one all the same, it is as good as text."""

_SHUT = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

# Machines reach these by whatever name they know us; a browser gains nothing from them.
_ANY_HOST = ("/intake/", "/healthz", "/readyz", "/metrics")


def page_policy(nonce: str) -> str:
    """Return the Content-Security-Policy of our own pages."""
    return (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; "
        "img-src 'self' data:; connect-src 'self'; frame-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    )


def of_another_origin(headers: Mapping[str, str]) -> bool:
    """Tell whether a browser says that a page of another origin asks; no program says so."""
    return headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}


def new_nonce() -> str:
    """Return a number that is used once."""
    return secrets.token_urlsafe(18)


async def no_foreign_page(request: Request) -> None:
    """Refuse a change that another origin's page asks for: a dependency of every unsafe route.

    A form can post anywhere, but not as JSON; JSON from another origin needs a leave that is never
    given here. A browser also says who asks.
    """
    if of_another_origin(request.headers):
        raise HTTPException(403, "a web page of another origin cannot change anything here")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise HTTPException(415, "send the body as JSON, with Content-Type: application/json")


class SecurityHeaders:
    """Add the headers that an answer does not bring itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the application does, with the headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("X-Content-Type-Options", "nosniff")
                headers.setdefault("Referrer-Policy", "no-referrer")
                headers.setdefault("Content-Security-Policy", _SHUT)
                headers.setdefault("X-Frame-Options", "DENY")
                headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
                headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, with_headers)


class KnownHosts:
    """Refuse a Host that is not ours, so that no foreign name can be pointed at this machine.

    A name that resolves to 127.0.0.1 lets a page out there read what is answered here (DNS
    rebinding). That needs a name, so addresses are always right.
    """

    def __init__(self, app: ASGIApp, server: ServerSettings) -> None:
        self._app = app
        public = urlsplit(server.public_url).hostname if server.public_url else None
        names = {"localhost", server.host, socket.gethostname(), public}
        self._names = {name.lower() for name in names if name}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 421 to a name that is not ours, else as the application does."""
        if scope["type"] == "http" and not scope["path"].startswith(_ANY_HOST):
            host = Headers(scope=scope).get("host", "")
            if not self._known(host):
                refusal = PlainTextResponse(
                    "This name is not known here. Open the address that `triagebook serve` prints, "
                    "or set server.public_url in triagebook.toml.\n",
                    status_code=421,
                )
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _known(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name in self._names or name.endswith(".localhost"):
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True
