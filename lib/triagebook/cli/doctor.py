"""`triagebook doctor`: is everything there that an investigation needs, and what to do if not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from triagebook.cli.output import JsonOption, console, open_home, plain, print_json
from triagebook.core.errors import SettingsError
from triagebook.core.paths import Home

if TYPE_CHECKING:
    from collections.abc import Iterator

    from triagebook.cli.checks import Check

_MARKS = {"ok": ("✓", "green"), "bad": ("✗", "bold red"), "skipped": ("–", "dim")}


def doctor(
    home: Annotated[
        Path | None, typer.Option(help="A home folder; the current one where it is one.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Check the installation, and a home folder with its sources; exit 1 if something is wrong."""
    found = list(_checks(home))
    if json:
        print_json([check.as_json() for check in found])
    else:
        out = console()
        out.print(_table(found))
    if any(check.status == "bad" for check in found):
        raise typer.Exit(1)


def _checks(root: Path | None) -> Iterator[Check]:
    from triagebook.cli import checks

    yield from checks.installation()
    if root is None and not Home(Path()).config.exists():
        yield checks.Check(
            "home", "skipped", "no triagebook.toml here", "name a home folder with --home"
        )
        return
    try:
        place, settings = open_home(root or Path())
    except SettingsError as error:
        yield checks.Check("settings", "bad", error.message, error.hint)
        return
    yield from checks.of_home(place, settings)


def _table(found: list[Check]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check in found:
        mark, style = _MARKS[check.status]
        says = Text(plain(check.says))
        if check.do:
            says.append(f"\n→ {plain(check.do)}", style="bold" if check.status == "bad" else "dim")
        table.add_row(Text(mark, style=style), plain(check.name), says)
    return table
