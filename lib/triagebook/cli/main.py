"""The command `triagebook`: its commands, its version, and how its errors end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from triagebook import __version__
from triagebook.cli import (
    archive,
    demo,
    doctor,
    incidents,
    init,
    open_in_lab,
    replay,
    run,
    serve,
    worker,
)
from triagebook.cli.output import print_error
from triagebook.core.errors import TriagebookError

if TYPE_CHECKING:
    from collections.abc import Sequence


class _Commands(TyperGroup):
    """Ends with the message and the next step, not with a traceback, where an error is ours."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except TriagebookError as error:
            if ctx.params.get("debug"):
                raise
            print_error(error)
            raise typer.Exit(1) from error


app = typer.Typer(
    name="triagebook",
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    # Our own errors say what to do; of a bug, the plain traceback is what a report needs.
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"triagebook {__version__}")
        raise typer.Exit


@app.callback()
def triagebook(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """When an alert about an ML pipeline fires, the investigation is already written."""


app.command("demo")(demo.demo)
app.command("init")(init.init)
app.command("serve")(serve.serve)
app.command("open")(open_in_lab.open_in_lab)
app.command("worker")(worker.worker)
app.command("run")(run.run)
app.command("replay")(replay.replay)
app.command("incidents")(incidents.incidents)
app.command("show")(incidents.show)
app.command("archive")(archive.archive)
app.command("unarchive")(archive.unarchive)
app.command("doctor")(doctor.doctor)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit: 0 done, 1 failed, 2 wrong usage.

    Parameters
    ----------
    arguments : sequence of str, optional
        What follows the command's name; the process's own by default.
    """
    app(args=None if arguments is None else list(arguments), prog_name="triagebook")
