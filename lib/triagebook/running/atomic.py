"""Write a file so that a reader sees the old content or the new, never a part."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_whole(
    path: Path, content: str | bytes, *, durable: bool = False, mode: int | None = None
) -> None:
    """Write `content` to a hidden file beside `path`, then rename it to `path`.

    Parameters
    ----------
    path : Path
        The file to write or replace; its folder is there.
    content : str or bytes
        Text is written as UTF-8. A lone surrogate, which UTF-8 cannot hold, is written as its
        escape, which is the right one in JSON.
    durable : bool
        Wait until the disk has it. Only a power cut needs that; a killed process does not.
    mode : int or None
        Permissions, set before anything is written.
    """
    data = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as file:
        if mode is not None:
            os.fchmod(file.fileno(), mode)
        file.write(data)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    part.replace(path)
