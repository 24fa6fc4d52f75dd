"""One service a home: a file lock that ends with the process that holds it."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING, Self

from triagebook.core.errors import RunError

if TYPE_CHECKING:
    from triagebook.core.paths import Home


class HomeLock:
    """Held while a service works on a home; two of them would run every notebook twice.

    The lock belongs to the open file, so the kernel lets go of it however the process ends.
    """

    def __init__(self, home: Home) -> None:
        self.home = home
        self.path = home.state / "service.lock"
        self._handle: int | None = None

    def take(self) -> Self:
        """Take the lock; RunError naming the process that has it where it is taken."""
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(handle, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(handle)
            raise RunError(
                f"another triagebook service works on {self.home.root} (process {holder})",
                "stop it first, or start this one with another --home",
                holder=holder,
            ) from error
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode("ascii"), 0)
        self._handle = handle
        return self

    def release(self) -> None:
        """Let go of the lock; again is harmless."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def __enter__(self) -> Self:
        return self.take()

    def __exit__(self, *_: object) -> None:
        self.release()
