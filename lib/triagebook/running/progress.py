"""progress.jsonl: append a line at each step of a run, and read it while it grows."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from triagebook.core.models import Progress, to_json
from triagebook.core.times import now_utc

if TYPE_CHECKING:
    from pathlib import Path

PROGRESS_FILE = "progress.jsonl"


class ProgressLog:
    """Appends to an attempt's progress.jsonl.

    Each line is one write to a file opened for appending, so the runner and the service may both
    write, and a reader sees at worst a torn last line.
    """

    def __init__(self, attempt_dir: Path) -> None:
        self.path = attempt_dir / PROGRESS_FILE

    def add(self, event: str, **fields: Any) -> Progress:
        """Append a line stamped with this moment; return it."""
        clean = {name: _clean(value) for name, value in fields.items()}
        line = Progress.model_validate({"ts": now_utc(), "event": event, **clean})
        text = to_json(line, indent=None) + "\n"
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(handle, text.encode())
        finally:
            os.close(handle)
        return line


def _clean(value: Any) -> Any:
    # The text of an exception may hold half a surrogate pair, which UTF-8 cannot.
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def read_progress(path: Path) -> list[Progress]:
    """Read a progress.jsonl, or the one in an attempt's folder.

    Returns
    -------
    list of Progress
        In the order written; empty where there is no file yet. A line that is torn (a writer was
        killed, or is just writing) or that another version wrote is left out.
    """
    file = path / PROGRESS_FILE if path.is_dir() else path
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return []
    return _parse(content)


class ProgressTail:
    """Reads only what was added since the last look."""

    def __init__(self, attempt_dir: Path) -> None:
        self.path = attempt_dir / PROGRESS_FILE
        self._offset = 0

    def new(self) -> list[Progress]:
        """Return the whole lines that were added; a line without its end waits for the next look."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                content = file.read()
        except FileNotFoundError:
            return []
        whole = content[: content.rfind(b"\n") + 1]
        self._offset += len(whole)
        return _parse(whole)


def _parse(content: bytes) -> list[Progress]:
    lines = []
    for line in content.split(b"\n"):
        if not line.strip():
            continue
        try:
            lines.append(Progress.model_validate_json(line))
        except ValidationError:
            continue
    return lines
