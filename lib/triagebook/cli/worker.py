"""`triagebook worker`: executes runs of a queue on Postgres, and serves nothing."""

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
from triagebook.core.settings import ServerSettings, Settings

WorkerIdOption = Annotated[
    str | None,
    typer.Option("--id", help="Name among those on one Postgres; by default from host and home."),
]


def worker(
    home: HomeOption = Path(),
    worker_id: WorkerIdOption = None,
    concurrency: Annotated[
        int | None,
        typer.Option(min=1, max=64, help="Notebooks at once; by default server.concurrency."),
    ] = None,
    json: JsonOption = False,
    until_stdin_closes: Annotated[
        bool, typer.Option("--until-stdin-closes", hidden=True, help="End with the parent.")
    ] = False,
) -> None:
    """Execute runs that wait, beside `serve` and other workers; until Ctrl-C or SIGTERM.

    With --json, one line of JSON (worker, pid) is printed once it works.
    """
    from triagebook.incidents.store import Store
    from triagebook.running.lease import default_worker_id
    from triagebook.running.queue import RunQueue

    log_to_stderr()
    place, settings = open_home(home)
    settings = as_worker(settings, worker_id, concurrency)
    if settings.server.database is None:
        raise TriagebookError(
            "a worker needs a database that several processes can share; this home has SQLite",
            "name a Postgres: server.database in triagebook.toml (docs/several-machines.md), "
            "or let `triagebook serve` alone do the work",
        )
    if settings.server.concurrency == 0:
        raise TriagebookError(
            "server.concurrency is 0: this worker would do nothing", "give it --concurrency 2"
        )
    over = threading.Event()
    for kind in (signal.SIGINT, signal.SIGTERM):
        signal.signal(kind, lambda *_: over.set())
    if until_stdin_closes:
        threading.Thread(target=end_with_parent, name="parent-watch", daemon=True).start()
    name = settings.server.worker_id or default_worker_id(place.root)
    with Store.open(place, settings) as store, RunQueue(place, settings, store):
        if json:
            sys.stdout.write(json_.dumps({"worker": name, "pid": os.getpid()}) + "\n")
            sys.stdout.flush()
        else:
            console().print(f"[bold]{name}[/bold] works. Ctrl-C ends it.", soft_wrap=True)
        over.wait()


def as_worker(settings: Settings, worker_id: str | None, concurrency: int | None) -> Settings:
    """Return the settings with what the command line says of this process."""
    told = {"worker_id": worker_id, "concurrency": concurrency}
    given = {name: value for name, value in told.items() if value is not None}
    if worker_id is not None:
        _check(worker_id)
    return settings.model_copy(update={"server": settings.server.model_copy(update=given)})


def _check(worker_id: str) -> None:
    try:
        ServerSettings(worker_id=worker_id)
    except ValueError as error:
        raise typer.BadParameter(
            "letters, digits, '.', '_' and '-', at most 64, the first a letter or digit",
            param_hint="--id",
        ) from error


def end_with_parent() -> None:
    """Wait until standard input closes, then end this process in order.

    The other end closes however the parent goes, kill -9 included, on Linux and macOS alike.
    """
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
