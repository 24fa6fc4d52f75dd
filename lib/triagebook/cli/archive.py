"""`triagebook archive` and `unarchive`: incidents that are long over, out of the way and back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from triagebook.cli.output import HomeOption, JsonOption, console, open_home, print_json
from triagebook.core.errors import NotFoundError, TriagebookError
from triagebook.core.times import to_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from triagebook.running.archive import Archive, Archived


def archive(
    incidents: Annotated[
        list[str] | None, typer.Argument(help="These incidents; by default all that are due.")
    ] = None,
    home: HomeOption = Path(),
    older_than: Annotated[
        str | None,
        typer.Option(
            "--older-than", help="Over and unchanged for so long, such as 180d; else as configured."
        ),
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="List what is archived.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Pack incidents that are over into one zip file each, and take them out of the store.

    Nothing is thrown away: `triagebook unarchive` brings one back with all its files.
    """
    from triagebook.incidents.store import Store
    from triagebook.running.archive import Archive

    place, settings = open_home(home)
    with Store.open(place, settings) as store:
        shelf = Archive(place, settings, store)
        if list_:
            _print(list(shelf.all()), json=json, words="archived")
            return
        seconds = _seconds(older_than)
        names = _named(shelf, incidents) if incidents else shelf.due(seconds)
        if not incidents and seconds is None and settings.retention.archive_after is None:
            raise TriagebookError(
                "triagebook.toml says nothing of when incidents are archived",
                "say it here: triagebook archive --older-than 180d",
            )
        if dry_run:
            print_json(names) if json else _print_names(names)
            return
        done = list(_put_away(shelf, names, quiet=json))
        loose = 0 if incidents else shelf.put_away_loose(seconds)
    if json:
        _print(done, json=True, words="")
        return
    out = console()
    size = sum(one.size for one in done) / 1e6
    out.print(f"{len(done):,} incidents archived, {size:,.1f} MB, in {shelf.folder}")
    if loose:
        out.print(f"{loose:,} deliveries of no incident as well")


def unarchive(
    incident: Annotated[str, typer.Argument(help="The incident's id: triagebook archive --list.")],
    home: HomeOption = Path(),
    json: JsonOption = False,
) -> None:
    """Bring an archived incident back, with its notebook, report and evidence."""
    from triagebook.incidents.store import Store
    from triagebook.running.archive import Archive

    place, settings = open_home(home)
    with Store.open(place, settings) as store:
        Archive(place, settings, store).bring_back(incident)
    if json:
        print_json({"id": incident})
        return
    console().print(f"{incident} is back: triagebook show {incident}")


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return to_seconds(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--older-than") from error


def _named(shelf: Archive, names: list[str]) -> list[str]:
    """Return the incidents that were named; NotFoundError or an error where one cannot be archived."""
    due = set(shelf.due(0.0))
    for name in names:
        if name not in due:
            found = shelf.store.incident(name)
            if found is None:
                raise NotFoundError(f"no incident {name!r}", "list them: triagebook incidents")
            raise TriagebookError(
                f"{name} is {found.state}, its run {found.run_state}: it cannot be archived",
                "an incident is archived when it is resolved and no run of it is to come",
            )
    return names


def _put_away(shelf: Archive, names: list[str], *, quiet: bool) -> Iterator[Archived]:
    from rich.progress import track

    shelf.clear()
    hidden = quiet or len(names) < 2
    for name in track(names, "archiving", console=console(stderr=True), disable=hidden):
        done = shelf.put_away(name)
        if done is not None:
            yield done


def _print_names(names: list[str]) -> None:
    out = console()
    for name in names:
        out.print(name)
    out.print(f"{len(names):,} incidents would be archived", style="dim")


def _print(found: list[Archived], *, json: bool, words: str) -> None:
    if json:
        print_json(
            [{"id": one.incident_id, "file": str(one.file), "bytes": one.size} for one in found]
        )
        return
    out = console()
    table = Table.grid(padding=(0, 2, 0, 0))
    for one in found:
        table.add_row(one.incident_id, f"{one.size / 1e6:,.1f} MB", str(one.file))
    out.print(table)
    out.print(f"{len(found):,} {words}", style="dim")
