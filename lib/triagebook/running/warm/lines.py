"""JSON objects, one a line, over a socket: how service, template and children speak."""

from __future__ import annotations

import json
import select
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket

_CHUNK = 65_536


class Lines:
    """A stream socket that carries one JSON object a line.

    Parameters
    ----------
    connection : socket
        Connected; closed by `close`.
    """

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._buffer = b""
        self._ended = False

    def fileno(self) -> int:
        """Return the socket's descriptor, for a selector."""
        return self.connection.fileno()

    def send(self, message: dict[str, Any]) -> None:
        """Send one object; OSError where the other end is gone."""
        self.connection.sendall(json.dumps(message).encode() + b"\n")

    def pending(self) -> list[dict[str, Any]] | None:
        """Return the whole lines that lie here, without waiting; None at the end of the stream.

        Raises
        ------
        ValueError
            A line is no JSON object.
        """
        self._read()
        found: list[dict[str, Any]] = []
        while (line := self._line()) is not None:
            found.append(line)
        return None if self._ended and not found else found

    def receive(self, within_s: float | None = None) -> dict[str, Any] | None:
        """Return the next object; None where the stream ended.

        Raises
        ------
        TimeoutError
            Nothing whole came within `within_s` seconds; None waits for ever.
        """
        deadline = None if within_s is None else time.monotonic() + within_s
        while True:
            line = self._line()
            if line is not None:
                return line
            if self._ended:
                return None
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            ready, _, _ = select.select([self], [], [], left)
            if not ready:
                message = f"no answer within {within_s:g} s"
                raise TimeoutError(message)
            self._read()

    def close(self) -> None:
        """Close the socket; again is harmless."""
        self.connection.close()

    def _read(self) -> None:
        while not self._ended and select.select([self], [], [], 0)[0]:
            try:
                part = self.connection.recv(_CHUNK)
            except ConnectionResetError:
                part = b""
            self._ended = not part
            self._buffer += part

    def _line(self) -> dict[str, Any] | None:
        whole, newline, rest = self._buffer.partition(b"\n")
        if not newline:
            return None
        self._buffer = rest
        content = json.loads(whole)
        if not isinstance(content, dict):
            message = "a line is no JSON object"
            raise ValueError(message)  # noqa: TRY004 - as for a line that is no JSON at all
        return content
