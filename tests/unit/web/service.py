"""The real service in a thread, on a free port; its queue executes nothing, unless told to."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from tests.unit.web.samples import TOKEN, FakeQueue, webhook
from triagebook.core.paths import Home
from triagebook.core.settings import Settings
from triagebook.web.app import create_app
from triagebook.web.serve import make_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from triagebook.web.context import Context
    from triagebook.web.serve import StopServer

AUTH = {"Authorization": f"Bearer {TOKEN}"}


@dataclass
class Service:
    """A running service."""

    home: Home
    url: str
    queue: FakeQueue
    here: Context
    client: httpx.Client
    server: StopServer

    def post(self, body: bytes | Iterator[bytes], **kwargs: Any) -> httpx.Response:
        answer = self.client.post("/intake/alertmanager", content=body, headers=AUTH, **kwargs)
        # The answer does not wait until the queue knows of it; what tests look at then does.
        assert self.here.intake.wait_told()
        return answer

    def incident(self, body: bytes | None = None) -> str:
        answer = self.post(webhook() if body is None else body)
        assert answer.status_code == 202, answer.text
        [found] = answer.json()["opened"]
        return str(found)


@contextmanager
def running(root: Path, *, executes: bool = False, **settings: Any) -> Iterator[Service]:
    """Start the service on a home, stop it at the end; with `executes` it runs notebooks for real."""
    (root / "token").write_text(TOKEN, encoding="utf-8")
    settings.setdefault("intake", {"alertmanager": {"token": {"file": "token"}}})
    settings.setdefault("service", [{"name": "flight-delay", "kind": "model"}])
    home, queue = Home(root), FakeQueue()
    app = create_app(home, Settings(**settings), queue=None if executes else queue)
    listening = socket.create_server(("127.0.0.1", 0), backlog=256)
    up = threading.Event()
    server = make_server(app, up.set)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listening])))
    thread.start()
    try:
        assert up.wait(60 if executes else 20), "the service did not start"
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        # What tests look at after a post is there once the body is read.
        with httpx.Client(base_url=url, headers={"Prefer": "wait=8"}, timeout=20) as client:
            yield Service(home, url, queue, app.state.context, client, server)
    finally:
        server.stop()
        thread.join(60 if executes else 20)
        listening.close()
    assert not thread.is_alive(), "the service did not stop"
