"""`triagebook init`: write a home folder to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from triagebook.cli.output import JsonOption, console, print_json
from triagebook.core.errors import TriagebookError
from triagebook.core.times import iso


def init(
    demo: Annotated[
        Path, typer.Option("--demo", metavar="DIR", help="Write the demo service into DIR.")
    ],
    json: JsonOption = False,
) -> None:
    """Write the demo service flight-delay, its data and its triagebook.toml into DIR."""
    from triagebook.drills.worlds import flight_delay

    root = empty_folder(demo)
    out = console(stderr=True)
    world = flight_delay.build(root, progress=lambda text: out.print(text, style="dim"))
    if json:
        print_json({"home": str(root), "service": world.service, "at": iso(world.at)})
        return
    out = console()
    out.print(f"{world.service} is in {root}", soft_wrap=True)
    out.print(f"Next: triagebook run --home {root} --service {world.service}", soft_wrap=True)
    out.print(f"  or: triagebook serve --home {root}", soft_wrap=True)


def empty_folder(path: Path) -> Path:
    """Return a folder that is there and empty, as an absolute path.

    Raises
    ------
    TriagebookError
        There is something in it already, or it cannot be made.
    """
    root = path.resolve()
    try:
        root.mkdir(parents=True, exist_ok=True)
        taken = next(root.iterdir(), None)
    except OSError as error:
        raise TriagebookError(
            f"{root} cannot be used as a folder: {error.strerror}", "name another one"
        ) from error
    if taken is not None:
        raise TriagebookError(
            f"{root} is not empty: there is {taken.name}", "name a folder that is not there yet"
        )
    return root
