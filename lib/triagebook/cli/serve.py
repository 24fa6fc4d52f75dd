"""`triagebook serve`: the service: intake, queue, page and API."""

from __future__ import annotations

import json as json_
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer

from triagebook.cli.output import HomeOption, JsonOption, console, log_to_stderr, open_home
from triagebook.core.errors import TriagebookError


def serve(
    home: HomeOption = Path(),
    host: Annotated[
        str | None, typer.Option(help="By default server.host of the settings.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, help="By default server.port; 0 takes a free one."),
    ] = None,
    lab: Annotated[
        bool, typer.Option("--lab", help="With JupyterLab: the kernels of runs stay alive.")
    ] = False,
    json: JsonOption = False,
    or_any_port: Annotated[
        bool, typer.Option("--or-any-port", hidden=True, help="A free one where it is taken.")
    ] = False,
    until_stdin_closes: Annotated[
        bool, typer.Option("--until-stdin-closes", hidden=True, help="End with the parent.")
    ] = False,
) -> None:
    """Take alerts, execute their runbooks, show the incidents; until Ctrl-C or SIGTERM.

    With --json, one line of JSON (url, pid) is printed once it answers.
    """
    from triagebook.web.serve import serve as run_service

    log_to_stderr()
    place, settings = open_home(home)
    if lab:
        settings.lab.enabled = True

    answered: list[str] = []

    def ready(url: str) -> None:
        answered.append(url)
        if json:
            sys.stdout.write(json_.dumps({"url": url, "pid": os.getpid()}) + "\n")
            sys.stdout.flush()
            return
        out = console()
        out.print(f"[bold]{url}[/bold]  the incidents", soft_wrap=True)
        for sender in settings.intake or ("SENDER",):
            out.print(f"{url}/intake/{sender}  alerts go here (POST)", soft_wrap=True)
        out.print("Ctrl-C ends it.", style="dim")

    if until_stdin_closes:
        threading.Thread(target=_end_with_parent, name="parent-watch", daemon=True).start()
    address = settings.server.host if host is None else host
    number = settings.server.port if port is None else port
    try:
        run_service(place, settings, address, number, ready=ready)
    except (TriagebookError, OSError):
        # Asking first whether the port is free would leave time for another to take it.
        if not or_any_port or answered:
            raise
        run_service(place, settings, address, 0, ready=ready)


def _end_with_parent() -> None:
    # The other end closes however the parent goes, kill -9 included, on Linux and macOS alike.
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
