"""A server that remembers who called: what hostile text would reach if it ran or loaded anything."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Canary:
    """Requests that came, and pages that it hands out."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.calls: list[str] = []
        self.pages: dict[str, str] = {}

    @property
    def fired(self) -> list[str]:
        """Requests that only a script, style, image, form or frame of the hostile text makes."""
        return [path for path in self.calls if path.startswith("/canary/")]


@contextmanager
def listening() -> Iterator[Canary]:
    """Serve until the end of the block."""
    canary = Canary("")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            canary.calls.append(self.path)
            body = canary.pages.get(self.path, "").encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Access-Control-Allow-Origin", "*")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - the name that http.server calls

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    canary.url = f"http://127.0.0.1:{server.server_address[1]}/canary/"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield canary
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
