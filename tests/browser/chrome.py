"""Drive a real headless Chromium over its DevTools protocol: open, ask, click, photograph."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from websockets.sync.client import ClientConnection, connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DEADLINE_S = 30.0
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)


def program() -> str | None:
    """Find Chromium or Chrome."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next((found for name in names if (found := shutil.which(name))), None)


def until(what: Callable[[], Any], why: str, deadline_s: float = DEADLINE_S) -> Any:
    """Ask again and again until there is an answer."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        time.sleep(0.05)  # between two looks, not instead of one
    raise AssertionError(f"not within {deadline_s:g} s: {why}")


@dataclass
class Page:
    """One tab."""

    connection: ClientConnection
    session: str
    _last: int = 0

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command, return its result; events in between are of no interest."""
        self._last += 1
        message = {
            "id": self._last,
            "method": method,
            "params": params,
            "sessionId": self.session,
        }
        self.connection.send(json.dumps(message))
        while True:
            answer = json.loads(self.connection.recv(timeout=DEADLINE_S))
            if answer.get("id") == self._last and answer.get("sessionId") == self.session:
                assert "error" not in answer, answer
                return dict(answer["result"])

    def ask(self, expression: str) -> Any:
        """Evaluate in the page, whatever its policy says of scripts."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def go(self, url: str) -> None:
        """Navigate, wherever that leads."""
        self.call("Page.enable")
        self.call("Page.navigate", url=url)

    def open(self, url: str) -> None:
        """Navigate and wait until everything is loaded."""
        self.go(url)
        until(
            lambda: self.ask(
                f"location.href.split('#')[0] === {json.dumps(url.split('#', maxsplit=1)[0])}"
                " && document.readyState === 'complete'"
            ),
            f"{url} is loaded",
        )

    def size(self, width: int, height: int = 900) -> None:
        """Make the window so large; a phone below 600 pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if width < 600 else 1,
            mobile=width < 600,
        )

    def prefer(self, scheme: str) -> None:
        """Ask for light or dark."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.call("Emulation.setEmulatedMedia", features=[feature])

    def scripts(self, *, allowed: bool) -> None:
        """Switch scripts of pages on or off."""
        self.call("Emulation.setScriptExecutionDisabled", value=not allowed)

    def photograph(self, path: Path, *, whole: bool = True) -> None:
        """Write a PNG of the page."""
        answer = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer["data"]))


class Chrome:
    """A running browser."""

    def __init__(self, connection: ClientConnection) -> None:
        self._browser = Page(connection, "")
        self._connection = connection

    def _command(self, method: str, **params: Any) -> dict[str, Any]:
        self._browser._last += 1
        number = self._browser._last
        self._connection.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            answer = json.loads(self._connection.recv(timeout=DEADLINE_S))
            if answer.get("id") == number and "sessionId" not in answer:
                assert "error" not in answer, answer
                return dict(answer["result"])

    @contextmanager
    def page(self, width: int = 1000, height: int = 900) -> Iterator[Page]:
        """Open a tab with its own cookies and caches; close it at the end."""
        context = self._command("Target.createBrowserContext")["browserContextId"]
        target = self._command("Target.createTarget", url="about:blank", browserContextId=context)[
            "targetId"
        ]
        session = self._command("Target.attachToTarget", targetId=target, flatten=True)
        page = Page(self._connection, session["sessionId"])
        page.size(width, height)
        try:
            yield page
        finally:
            self._command("Target.disposeBrowserContext", browserContextId=context)

    def tabs(self) -> list[str]:
        """Return the addresses of all open tabs and frames."""
        return [info["url"] for info in self._command("Target.getTargets")["targetInfos"]]


@contextmanager
def started(chromium: str, profile: Path) -> Iterator[Chrome]:
    """Start a browser with a profile of its own; end it and its children."""
    process = subprocess.Popen(
        [chromium, *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    port_file = profile / "DevToolsActivePort"
    try:
        lines = until(
            lambda: (
                port_file.is_file()
                and len(text := port_file.read_text(encoding="ascii").splitlines()) == 2
                and text
            ),
            "Chromium says where it listens",
        )
        address = f"ws://127.0.0.1:{lines[0]}{lines[1]}"
        with connect(address, max_size=None, open_timeout=DEADLINE_S, proxy=None) as connection:
            yield Chrome(connection)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(DEADLINE_S)
