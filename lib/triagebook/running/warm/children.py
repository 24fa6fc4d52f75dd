"""What a forked child does: wait until it is taken, then be a kernel or a runner, once."""

from __future__ import annotations

import json
import logging
import os
import random
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from triagebook.running.limits import limit_memory, stand_back, told_memory_bytes
from triagebook.running.processes import adopt_orphans, die_with_parent
from triagebook.running.warm.client import SOCKET_VARIABLE

if TYPE_CHECKING:
    from triagebook.running.warm.lines import Lines

LOG_NAME = "kernel.log"
"""In a kernel's folder: what its process writes outside of cells, such as the trace of a crash."""


def begin(template: int) -> None:
    """Become a process of its own: session, signals, death with the template, other random draws."""
    die_with_parent()
    if os.getppid() != template:
        os._exit(1)  # it died before the line above
    os.setsid()
    stand_back()
    adopt_orphans()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # The template's log is not theirs.
    logging.root.handlers.clear()
    logging.root.setLevel(logging.WARNING)
    random.seed()
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed()  # or all children would draw the same


def be_kernel(lines: Lines, folder: Path) -> None:
    """Be an IPython kernel that listens on Unix sockets in `folder`.

    Taken, it enters `cwd` and sets `env`, both of the request, before its first cell, and answers
    with its `connection` and its `folder`.
    """
    from ipykernel.kernelapp import IPKernelApp  # noqa: PLC0415 - the template has imported it
    from tornado.ioloop import IOLoop  # noqa: PLC0415

    os.environ.pop(SOCKET_VARIABLE, None)
    _write_to(folder / LOG_NAME)
    app: Any = IPKernelApp.instance()
    app.parent_handle = os.getppid()
    app.initialize(
        [
            "-f",
            str(folder / "k.json"),
            "--transport=ipc",
            f"--ip={folder / 'k'}",
            # What a runbook executes is no history of a person's.
            "--HistoryManager.enabled=False",
        ]
    )
    connection = json.loads((folder / "k.json").read_text(encoding="utf-8"))
    loop: Any = IOLoop.current()

    def taken() -> None:
        loop.remove_handler(lines)
        request = lines.receive(1.0)
        if request is None:
            os._exit(0)
        try:
            enter(request)
        except (OSError, ValueError) as error:
            lines.send({"error": f"the kernel could not enter its folder: {error}"})
            return
        lines.send({"connection": connection, "folder": str(folder)})

    loop.add_handler(lines, lambda *_: taken(), IOLoop.READ)
    app.start()


def be_runner(lines: Lines) -> int:
    """Wait for an attempt's folder, then run it as `python -m triagebook.running.runner` would."""
    request = lines.receive()
    if request is None:
        return 0
    from triagebook.running import runner  # noqa: PLC0415 - the template has imported it

    os.environ.update(request["env"])
    _write_to(Path(request["log"]))
    lines.send({})
    # The runner's lifeline is its standard input: here the template holds the other end.
    os.dup2(lines.fileno(), 0)
    lines.close()
    return runner.main([request["folder"]])


def enter(request: dict[str, Any]) -> None:
    """Let this process, a kernel, work in `cwd`, with `env` set, within the limit that names."""
    os.environ.update(request.get("env") or {})
    if request.get("cwd"):
        os.chdir(request["cwd"])
    limit_memory(told_memory_bytes())


def _write_to(path: Path) -> None:
    """Let standard output and error go to the end of a file."""
    log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
