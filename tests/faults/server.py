"""A server that answers wrongly in one of many ways, on a free port of this machine."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

Api = Callable[[str, dict[str, str], bytes], Any]
"""Path, query and form, body to what a healthy server answers: JSON, or bytes, or pieces of them.

Among the query may be `nothing` (answer that there is nothing), `shifted` (times are so many seconds
off) and `many` (answer so many series or lines).
"""

DRIP_S = 0.2
BOMB_BYTES = 2_000_000_000
MANY = 1_000_000


@dataclass(frozen=True)
class Fault:
    """One way to answer wrongly.

    Attributes
    ----------
    status : set of str
        What the ledger may say of the pull.
    says : str
        Words that must stand in the reason.
    """

    name: str
    status: frozenset[str]
    says: str = ""


def _fault(name: str, status: str, says: str = "") -> Fault:
    return Fault(name, frozenset(status.split()), says)


FAULTS = (
    _fault("refused", "unavailable", "cannot be reached"),
    _fault("hangs", "unavailable", "no answer in"),
    _fault("slow drip", "unavailable", "no answer in"),
    _fault("401", "unavailable", "does not accept the credentials"),
    _fault("403", "unavailable", "does not let these credentials read"),
    _fault("404", "unavailable", "knows no such address"),
    _fault("429, come back in 1 s", "ok"),
    _fault("429, come back in an hour", "unavailable", "come back in 3600 s"),
    _fault("500", "unavailable", "500"),
    _fault("503 once", "ok"),
    _fault("JSON cut off", "unavailable", "no JSON"),
    _fault("connection cut off", "unavailable", "broke off"),
    _fault("a web page", "unavailable", "web page"),
    _fault("gzip bomb", "unavailable", "more than"),
    _fault("a million series", "unavailable truncated", "more than"),
    _fault("nothing there", "empty"),
    _fault("times of another zone", "unavailable", "outside"),
    _fault("clock 3 h behind", "ok", "is 3 h behind ours"),
    _fault("certificate of nobody", "unavailable", "not trusted"),
    _fault("sends us elsewhere", "unavailable", "sends us on"),
)


@dataclass
class Faulty:
    """A running server.

    Attributes
    ----------
    url : str
    seen : list of (str, dict)
        Paths and headers (lower case) of the requests it got.
    elsewhere : list of (str, dict)
        The same of the server that it redirects to.
    """

    url: str
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    elsewhere: list[tuple[str, dict[str, str]]] = field(default_factory=list)


@contextmanager
def faulty(fault: str, api: Api, folder: Path) -> Iterator[Faulty]:
    """Run a server with a fault while the block lasts.

    Parameters
    ----------
    fault : str
        Name of one of `FAULTS`, or "healthy".
    api : callable
        What it would answer were it healthy.
    folder : Path
        For its certificate.
    """
    if fault == "refused":
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            yield Faulty(f"http://127.0.0.1:{probe.getsockname()[1]}")
        return
    over = threading.Event()
    found = Faulty("")
    other = _serve(_elsewhere(found))
    server = _serve(_handler(fault, api, found, over, f"http://127.0.0.1:{other.server_port}"))
    scheme = "http"
    if fault == "certificate of nobody":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*_certificate(folder))
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    found.url = f"{scheme}://127.0.0.1:{server.server_port}"
    for one in (server, other):
        threading.Thread(
            target=one.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()
    try:
        yield found
    finally:
        over.set()
        for one in (server, other):
            one.shutdown()
            one.server_close()


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that give up are what is tested."""


def _serve(handler: type[BaseHTTPRequestHandler]) -> _Quiet:
    return _Quiet(("127.0.0.1", 0), handler)


def _elsewhere(found: Faulty) -> type[BaseHTTPRequestHandler]:
    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.elsewhere.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
            self.send_response(200)
            self.end_headers()

        do_POST = do_GET  # noqa: N815 - http.server names it so

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    return Elsewhere


def _handler(
    fault: str,
    api: Api,
    found: Faulty,
    over: threading.Event,
    elsewhere: str,
) -> type[BaseHTTPRequestHandler]:
    once = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            found.seen.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
            with suppress(ConnectionError, ssl.SSLError, ValueError):
                self.wrong(body)

        do_POST = do_GET  # noqa: N815 - http.server names it so

        def wrong(self, body: bytes) -> None:
            if fault == "hangs":
                over.wait(60)
            elif fault == "slow drip":
                self.head(200, {"Content-Length": "1000000"})
                while not over.wait(DRIP_S):
                    self.wfile.write(b" ")
            elif fault in {"401", "403", "404", "500"}:
                self.whole(int(fault), json.dumps({"error": f"this is {fault}"}).encode())
            elif fault.startswith("429"):
                if "hour" in fault or not once.is_set():
                    once.set()
                    seconds = "3600" if "hour" in fault else "1"
                    self.whole(429, b"too many", {"Retry-After": seconds})
                else:
                    self.good(body)
            elif fault == "503 once" and not once.is_set():
                once.set()
                self.whole(503, b"a moment")
            elif fault == "JSON cut off":
                raw = self.answer(body)
                self.whole(200, raw[: len(raw) // 2])
            elif fault == "connection cut off":
                raw = self.answer(body)
                self.head(200, {"Content-Length": str(len(raw) + 1)})
                self.wfile.write(raw[: len(raw) // 2])
                self.close_connection = True
            elif fault == "a web page":
                page = b"<!DOCTYPE html><html><body>log in</body></html>"
                self.whole(200, page, {"Content-Type": "text/html"})
            elif fault == "gzip bomb":
                self.bomb()
            elif fault == "sends us elsewhere":
                self.whole(302, b"", {"Location": f"{elsewhere}{self.path}"})
            else:
                self.good(body)

        def told(self, body: bytes) -> Any:
            parts = urlsplit(self.path)
            asked = {k: v[-1] for k, v in parse_qs(parts.query).items()}
            if "form" in self.headers.get("content-type", ""):
                asked |= {k: v[-1] for k, v in parse_qs(body.decode()).items()}
            if fault == "nothing there":
                asked["nothing"] = "yes"
            if fault == "times of another zone":
                asked["shifted"] = str(14 * 3600)
            if fault == "a million series":
                asked["many"] = str(MANY)
            return api(parts.path, asked, body)

        def answer(self, body: bytes) -> bytes:
            return _raw(self.told(body))

        def good(self, body: bytes) -> None:
            if isinstance(told := self.told(body), Iterator):
                self.stream(told)
            else:
                self.whole(200, _raw(told))

        def head(self, status: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.end_headers()

        def whole(self, status: int, raw: bytes, headers: dict[str, str] | None = None) -> None:
            self.head(status, {"Content-Length": str(len(raw)), **(headers or {})})
            self.wfile.write(raw)

        def bomb(self) -> None:
            self.head(200, {"Content-Encoding": "gzip", "Connection": "close"})
            packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
            for _ in range(BOMB_BYTES // 10_000_000):
                self.wfile.write(packer.compress(b"0" * 10_000_000))
            self.close_connection = True

        def stream(self, parts: Iterable[bytes]) -> None:
            self.head(200, {"Connection": "close"})
            for part in parts:
                self.wfile.write(part)
            self.close_connection = True

        def date_time_string(self, timestamp: float | None = None) -> str:
            behind_s = 3 * 3_600 if fault.startswith("clock") else 0
            return super().date_time_string((timestamp or time.time()) - behind_s)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    return Handler


def _raw(told: Any) -> bytes:
    return told if isinstance(told, bytes) else json.dumps(told).encode()


def _certificate(folder: Path) -> tuple[str, str]:
    certificate, key = folder / "server.pem", folder / "server.key"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=nobody", "-keyout", str(key)]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return str(certificate), str(key)
