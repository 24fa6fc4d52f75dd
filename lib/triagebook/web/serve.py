"""Run the service until it is told to stop; open streams end at once, work is taken up next time."""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
from typing import TYPE_CHECKING

import uvicorn

from triagebook.core.errors import TriagebookError
from triagebook.web.app import create_app

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from fastapi import FastAPI

    from triagebook.core.paths import Home
    from triagebook.core.settings import Settings

GRACE_S = 2
SWITCH_S = 0.0005
"""How long a thread may compute while another waits, in seconds.

A page asks the database some ten times, and after each answer waits this long for every thread that
computes just then: at Python's own 0.005 a storm of deliveries would cost it a tenth of a second.
"""


class StopServer(uvicorn.Server):
    """A server that tells streams to end when it is told to stop, instead of waiting for them."""

    def __init__(self, config: uvicorn.Config, app: FastAPI, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._application = app
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to answer, then say so."""
        await super().startup(sockets=sockets)
        if self.started:
            self._ready()

    def stop(self) -> None:
        """Stop soon; safe from any thread."""
        here = getattr(self._application.state, "context", None)
        if here is not None:
            here.stopping.set()
        self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop; at a second signal without waiting for anything.

        uvicorn's own version raises the signal again at the end: our callers want to return.
        """
        del sig, frame
        self.force_exit = self.should_exit
        self.stop()


def make_server(app: FastAPI, ready: Callable[[], None] = lambda: None) -> StopServer:
    """Return a server for `app`; `serve(sockets=[...])` starts it on a socket that listens."""
    config = uvicorn.Config(
        app,
        # What a route ends in is logged by web.problems, once; a failed start is raised by serve().
        log_level="critical",
        access_log=False,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=GRACE_S,
    )
    return StopServer(config, app, ready)


def serve(
    home: Home,
    settings: Settings,
    host: str,
    port: int,
    *,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM.

    Parameters
    ----------
    home, settings
        Where state and runs lie, and triagebook.toml.
    host : str
        Address to listen on; loopback unless the network is trusted.
    port : int
        0 for a free one.
    ready : callable, optional
        Called once with the real address, such as "http://127.0.0.1:8642".

    Raises
    ------
    TriagebookError
        The address cannot be listened on.
    Exception
        Whatever kept the service from opening, such as a store of a newer version.
    """
    listening = _listen(host, port)
    shown = host if host not in {"0.0.0.0", "::", ""} else "127.0.0.1"  # noqa: S104 - compared only
    shown = f"[{shown}]" if ":" in shown else shown
    address = f"http://{shown}:{listening.getsockname()[1]}"
    # Who may post without a secret depends on who can reach us, so on the real address.
    server_settings = settings.server.model_copy(update={"host": host, "port": port})
    app = create_app(home, settings.model_copy(update={"server": server_settings}))

    def up() -> None:
        # What was loaded at the start stays. Looking through all of it for garbage, again and again,
        # would stop everything for a quarter of a second each time.
        gc.collect()
        gc.freeze()
        if ready is not None:
            ready(address)

    server = make_server(app, up)
    sys.setswitchinterval(SWITCH_S)
    try:
        asyncio.run(server.serve(sockets=[listening]))
    except SystemExit as end:
        # uvicorn's way of saying that the lifespan did not open; what it was is kept there.
        failure = getattr(app.state, "failure", None)
        if failure is None:
            raise
        raise failure from end
    finally:
        listening.close()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # By its protocol asyncio knows what to send at once. Without it an answer in two parts waits
    # for the client's word that the first has come, which takes Linux 40 ms.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise TriagebookError(
            f"cannot listen on {host}:{port}: {error.strerror}",
            "another service may be running there; name a free port with --port, or 0 for any",
        ) from error
    listening.listen(2048)
    return listening
