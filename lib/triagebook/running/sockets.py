"""Where kernels and servers of ours are reached: private folders of Unix sockets, free ports."""

from __future__ import annotations

import shutil
import socket
import tempfile
from pathlib import Path

_PREFIX = "triagebook-kernel-"
_LONGEST_FOLDER = 80  # a Unix socket's path has 104 bytes on macOS, 108 on Linux


def make_sockets_folder() -> Path:
    """Make a folder only we can enter, with a path short enough for Unix sockets."""
    base = tempfile.gettempdir()
    if len(base.encode()) > _LONGEST_FOLDER:
        base = "/tmp"  # noqa: S108 - mkdtemp makes a private folder inside; TMPDIR is too long
    return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))


def remove_sockets(folder: Path) -> None:
    """Remove a folder that `make_sockets_folder` made; anything else is left alone."""
    if folder.name.startswith(_PREFIX):
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
