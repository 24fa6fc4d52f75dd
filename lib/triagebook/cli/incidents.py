"""`triagebook incidents` and `triagebook show`: what happened, from the store and the run's folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from triagebook.cli.output import HomeOption, JsonOption, console, open_home, plain, print_json
from triagebook.core.errors import NotFoundError, TriagebookError
from triagebook.core.models import Diagnosis, IncidentType
from triagebook.core.times import iso

if TYPE_CHECKING:
    from rich.console import Console

    from triagebook.incidents.views import IncidentView, TimelineEntry

FILES = ("investigation.ipynb", "report.html", "diagnosis.json", "evidence")


def incidents(
    home: HomeOption = Path(),
    state: Annotated[str | None, typer.Option(help="open, acknowledged, resolved, …")] = None,
    incident_type: Annotated[IncidentType | None, typer.Option("--type")] = None,
    service: Annotated[str | None, typer.Option(help="Of this service only.")] = None,
    text: Annotated[str | None, typer.Option(help="With this text in id, title or answer.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at the most.")] = 50,
    json: JsonOption = False,
) -> None:
    """List incidents, newest first."""
    from triagebook.incidents.store import Store

    place, settings = open_home(home)
    known = _state(state)
    with Store.open(place, settings) as store:
        found = store.incidents(
            state=known, incident_type=incident_type, service=service, text=text, limit=limit
        )
        places = store.line.places(view.id for view in found if view.run_state == "queued")
        sizes = store.line.sizes()
    if json:
        print_json([view.as_json() | {"place": places.get(view.id)} for view in found])
        return
    out = console()
    if found:
        out.print(_table(found, places, sizes.waiting))
    else:
        out.print("No incident yet. Alerts go to the service: triagebook serve")
    if sizes.unread:
        several = sizes.unread > 1
        what = f"{sizes.unread} deliver{'ies' if several else 'y'}"
        is_, it = ("are", "them") if several else ("is", "it")
        out.print(
            f"{what} came in and {is_} not read yet; the service reads {it}: triagebook serve"
        )


def show(
    incident: Annotated[str, typer.Argument(help="An incident's id, or a part of only one.")],
    home: HomeOption = Path(),
    json: JsonOption = False,
) -> None:
    """Show one incident: the answer, what happened when, and where its files are."""
    from triagebook.incidents.store import Store

    place, settings = open_home(home)
    with Store.open(place, settings) as store:
        view = find(store, incident)
        timeline = store.timeline(view.id)
        alerts = store.alerts(incident_id=view.id, limit=1_000)
        place_in_line, waiting = store.line.place(view.id), store.line.sizes().waiting
    folder = place.run_dir(view.id)
    diagnosis = read_diagnosis(folder)
    files = {name: str(folder / name) for name in FILES if (folder / name).exists()}
    if json:
        content: dict[str, Any] = view.as_json() | {"place": place_in_line}
        content["alerts"] = [alert.as_json() for alert in alerts]
        content["timeline"] = [entry.as_json() for entry in timeline]
        content["diagnosis"] = (
            None if diagnosis is None else diagnosis.model_dump(mode="json", by_alias=True)
        )
        content["files"] = files
        print_json(content)
        return
    out = console()
    if diagnosis is None:
        out.print(Text(plain(view.title), style="bold"))
        stands = _stands(view, place_in_line, waiting)
        out.print(Text(f"{view.id} · {view.state} · run {view.attempt} is {stands}"))
    else:
        from triagebook.cli.card import card, framed

        out.print(framed(card(diagnosis)))
    _print_timeline(out, timeline)
    for name, path in files.items():
        out.print(Text(f"  {name:<20} {path}"), soft_wrap=True)


def read_diagnosis(folder: Path) -> Diagnosis | None:
    """Read the diagnosis in a run's folder; None where there is none yet.

    Raises
    ------
    TriagebookError
        It is there and cannot be read.
    """
    path = folder / "diagnosis.json"
    try:
        return Diagnosis.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise TriagebookError(
            f"{path} is no diagnosis: {error}", "look at investigation.ipynb beside it"
        ) from error


def _state(text: str | None) -> Any:
    from typing import get_args

    from triagebook.incidents.views import IncidentState

    if text is not None and text not in get_args(IncidentState):
        known = ", ".join(get_args(IncidentState))
        raise typer.BadParameter(f"{text!r} is none of {known}", param_hint="--state")
    return text


def find(store: Any, name: str) -> IncidentView:
    """Return the incident of that id, or the only one with that part in its id; else NotFoundError."""
    found = store.incident(name)
    if found is not None:
        return found  # type: ignore[no-any-return]
    near = [view for view in store.incidents(text=name, limit=1_000) if name in view.id]
    if len(near) == 1:
        return near[0]  # type: ignore[no-any-return]
    what = f"{len(near)} incidents have {name!r} in their id" if near else f"no incident {name!r}"
    raise NotFoundError(what, "list them: triagebook incidents")


def _stands(view: IncidentView, place: int | None, waiting: int) -> str:
    """Say how a run stands, with its place in line or the end of its being held."""
    if place is not None:
        return f"{view.run_state}, place {place:,} of {waiting:,}"
    if view.run_state == "held" and view.held_until is not None:
        return f"held until {iso(view.held_until)}: {plain(view.held_because or '')}"
    return view.run_state


def _table(found: list[IncidentView], places: dict[str, int], waiting: int) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("incident", "sev", "state", "run"):
        table.add_column(name, no_wrap=True)
    table.add_column("what", overflow="fold")
    for view in found:
        what = Text(plain(view.headline or view.title))
        if view.service:
            what = Text(f"{plain(view.service)}: ").append_text(what)
        place = places.get(view.id)
        run = f"queued {place:,}/{waiting:,}" if place is not None else view.run_state
        table.add_row(view.id, view.severity or "–", view.state, run, what)
    return table


def _print_timeline(out: Console, timeline: list[TimelineEntry]) -> None:
    table = Table.grid(padding=(0, 2, 0, 0))
    for entry in timeline:
        table.add_row(
            Text(f"  {iso(entry.ts.replace(microsecond=0))}", style="dim"),
            entry.kind,
            Text(plain(entry.text)),
        )
    out.print(table)
