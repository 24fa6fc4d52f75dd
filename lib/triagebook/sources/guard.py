"""Spare a server: so many questions to it at once from this host, and none for a while after it failed.

Every run is a process of its own, so what they share lies in small files of the home folder.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from triagebook.core.errors import SourceError, SourceTimeoutError
from triagebook.core.times import iso

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FAILURES = 3
"""After so many failures one after the other a server is left alone."""
REST_S = 30.0
"""For so long, in seconds, unless it says itself when to come back."""
LONGEST_REST_S = 600.0
_TRIAL_S = 10.0
_LOOK_EVERY_S = 0.02


@dataclass
class _Record:
    """What is known of a server's failures; times are Unix times in seconds."""

    failures: int = 0
    rests_until: float = 0.0
    why: str = ""


class Guard:
    """What all runs of a home share about one server.

    Parameters
    ----------
    folder : Path
        Where the files lie; made where it is missing.
    server : str
        Its origin, such as `http://127.0.0.1:9090`.
    most : int
        Questions at once, by all processes of this host.
    """

    def __init__(self, folder: Path, server: str, most: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        readable = re.sub(r"[^A-Za-z0-9.-]+", "-", server)[:60].strip("-")
        name = f"{readable}-{hashlib.sha256(server.encode()).hexdigest()[:8]}"
        self._server = server
        self._slots = [str(folder / f"{name}.{number}.lock") for number in range(most)]
        self._file = folder / f"{name}.json"
        self._lock = FileLock(str(folder / f"{name}.lock"))

    @contextmanager
    def turn(self, within_s: float) -> Iterator[None]:
        """Wait for a free place, and hold it while the block lasts.

        Raises
        ------
        SourceError
            The server failed a moment ago and is left alone.
        SourceTimeoutError
            No place got free in `within_s` seconds.
        """
        self._may_ask()
        with self._place(within_s):
            yield

    def answered(self) -> None:
        """Note that the server answered: earlier failures are forgotten."""
        if self._file.exists():
            with self._lock:
                self._file.unlink(missing_ok=True)

    def failed(self, why: str, again_in_s: float | None = None) -> None:
        """Note a failure, and when the server itself asked to come back, if it did."""
        with self._lock:
            known = self._read()
            known.failures += 1
            known.why = why
            if again_in_s is not None:
                known.rests_until = time.time() + min(again_in_s, LONGEST_REST_S)
            elif known.failures >= FAILURES:
                known.rests_until = time.time() + REST_S
            self._write(known)

    def _may_ask(self) -> None:
        if not self._file.exists():
            return
        with self._lock:
            known = self._read()
            now = time.time()
            if now < known.rests_until:
                until = iso(datetime.fromtimestamp(int(known.rests_until) + 1, UTC))
                raise SourceError(
                    f"not asked: {self._server} failed a moment ago ({known.why})",
                    f"it is left alone until {until}",
                )
            if known.rests_until:
                # One tries; the others wait for what comes of it.
                known.rests_until = now + _TRIAL_S
                self._write(known)

    @contextmanager
    def _place(self, within_s: float) -> Iterator[None]:
        deadline = time.monotonic() + within_s
        slots = random.sample(self._slots, len(self._slots))
        while True:
            for path in slots:
                # A lock of its own for each holder: threads of one process count as well.
                lock = FileLock(path, thread_local=False, blocking=False)
                try:
                    lock.acquire()
                except Timeout:
                    continue
                try:
                    yield
                finally:
                    lock.release()
                return
            if time.monotonic() >= deadline:
                raise SourceTimeoutError(
                    f"not asked: {len(slots)} other questions to {self._server} were under way "
                    f"for {within_s:.1f} s",
                    "raise `connections`, if the server can bear it, or give the pull more time",
                )
            time.sleep(_LOOK_EVERY_S)

    def _read(self) -> _Record:
        try:
            return _Record(**json.loads(self._file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            # Not there, or cut off by a kill: then nothing is known.
            return _Record()

    def _write(self, known: _Record) -> None:
        self._file.write_text(json.dumps(asdict(known)), encoding="utf-8")
