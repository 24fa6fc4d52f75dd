"""How things are printed: results on standard output, errors and progress on standard error."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import structlog
import typer
from rich.console import Console
from rich.text import Text

from triagebook.core.paths import Home
from triagebook.core.settings import Settings, load_settings

if TYPE_CHECKING:
    from triagebook.core.errors import TriagebookError

MAX_WIDTH = 100
"""Columns at the most: longer lines are hard to read at 3 a.m."""

HomeOption = Annotated[
    Path, typer.Option("--home", help="Folder with triagebook.toml, state/ and runs/.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]


def console(*, stderr: bool = False) -> Console:
    """Return a console; NO_COLOR and output that is no terminal are respected by rich itself."""
    made = Console(stderr=stderr, highlight=False)
    made.width = min(made.width, MAX_WIDTH)
    return made


def plain(text: object) -> str:
    """Return a text on one line, without what a terminal would act on.

    Alerts and log lines come from outside: an escape sequence in one could rewrite the screen, a
    direction mark could turn a line around.
    """
    words = " ".join(str(text).split())
    return "".join(letter for letter in words if letter.isprintable())


def print_json(content: object) -> None:
    """Print JSON, and nothing else, on standard output."""
    sys.stdout.write(json.dumps(content, indent=2, ensure_ascii=False, default=str) + "\n")
    sys.stdout.flush()


def print_error(error: TriagebookError) -> None:
    """Print what failed and what to do next, on standard error."""
    out = console(stderr=True)
    # Paths are to be copied, so lines are not broken.
    out.print(
        Text("triagebook: ", style="bold red").append(error.message, style="not bold default"),
        soft_wrap=True,
    )
    if error.hint:
        out.print(Text(f"  → {error.hint}"), soft_wrap=True)


def log_to_stderr() -> None:
    """Let what a long-running command logs go to standard error: standard output is for results.

    A traceback is the plain one. One that shows every local value writes bodies, secrets in them
    and all, into the log, and takes seconds for a large one, in which nothing else is answered.
    """
    *before, _ = structlog.get_config()["processors"]
    last = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
    # Asked for at each use: tests put another stream in its place.
    structlog.configure(
        processors=[*before, last], logger_factory=lambda *_: _StandardError(sys.stderr)
    )


class _StandardError(structlog.PrintLogger):
    """Where it cannot be written to (its disk is full, its reader gone), the line is lost and no more.

    Else a full disk would fail the very answer that says so.
    """

    def msg(self, message: str) -> None:
        with suppress(OSError):
            super().msg(message)

    log = debug = info = warn = warning = fatal = failure = err = error = critical = exception = msg


def open_home(root: Path) -> tuple[Home, Settings]:
    """Return a home folder and its settings.

    Raises
    ------
    SettingsError
        No triagebook.toml there, or a wrong one.
    """
    root = root.resolve()
    settings = load_settings(Home(root).config)
    runs = settings.server.runs
    return Home(root, None if runs is None else root / runs), settings
