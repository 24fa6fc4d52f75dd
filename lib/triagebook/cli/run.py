"""`triagebook run`: execute a runbook now, in the foreground, for a service, an alert or a bundle."""

from __future__ import annotations

from dataclasses import replace
from json import loads
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from triagebook.cli.output import HomeOption, JsonOption, console, open_home, plain, print_json
from triagebook.core.errors import NotFoundError, NotUnderstoodError, TriagebookError
from triagebook.core.models import Alert, IncidentType
from triagebook.core.paths import Home
from triagebook.core.settings import Settings
from triagebook.core.times import now_utc, to_utc

if TYPE_CHECKING:
    from rich.console import Console

    from triagebook.incidents.store import Store


def run(
    home: HomeOption = Path(),
    service: Annotated[str | None, typer.Option(help="A service of triagebook.toml.")] = None,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="Look at this moment, UTC; now by default.")
    ] = None,
    incident_type: Annotated[
        IncidentType | None, typer.Option("--type", help="Which runbook; generic by default.")
    ] = None,
    alert: Annotated[
        Path | None, typer.Option(metavar="FILE", help="An alert: Alertmanager's JSON, or ours.")
    ] = None,
    bundle: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Frozen evidence: nothing is asked anew.")
    ] = None,
    incident: Annotated[
        str | None, typer.Option(metavar="ID", help="Run an incident's notebook again.")
    ] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option("--parameter", "-p", metavar="NAME=VALUE", help="For the runbook; repeat it."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Investigate now, and print the answer. One of --service, --alert, --bundle and --incident."""
    given = [
        name
        for name, value in (
            ("--service", service),
            ("--alert", alert),
            ("--bundle", bundle),
            ("--incident", incident),
        )
        if value is not None
    ]
    if len(given) != 1:
        said = " and ".join(given) or "none"
        raise typer.BadParameter(
            f"name one of --service, --alert, --bundle and --incident; got {said}"
        )
    if at is not None and service is None:
        raise typer.BadParameter("goes with --service", param_hint="--at")
    if incident is not None and incident_type is not None:
        raise typer.BadParameter("an incident keeps its runbook", param_hint="--type")
    parameters = dict(_parameter(text) for text in parameter or [])
    place, settings = _home(home, optional=bundle is not None)
    if incident is not None:
        _print(_again(place, settings, incident, parameters, console(stderr=True)), json=json)
        return
    about = _about(settings, service, at, alert, bundle)
    if incident_type is not None:
        about = about.model_copy(update={"incident_type": incident_type})
    folder = _investigate(place, settings, about, bundle, parameters, console(stderr=True))
    _print(folder, json=json)


def _home(root: Path, *, optional: bool) -> tuple[Home, Settings]:
    """Return home and settings; frozen evidence needs no triagebook.toml."""
    place = Home(root.resolve())
    if optional and not place.config.exists():
        return place, Settings()
    return open_home(root)


def _about(
    settings: Settings, service: str | None, at: str | None, alert: Path | None, bundle: Path | None
) -> Alert:
    """Return the alert to investigate."""
    if alert is not None:
        return read_alert(alert)
    if bundle is not None:
        from triagebook.evidence.bundle import Bundle

        return Bundle.read(bundle).alert
    assert service is not None  # noqa: S101 - one of the three is there
    settings.service(service)
    try:
        moment = to_utc(at) if at is not None else now_utc()
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--at") from error
    return Alert(
        sender="cli",
        title=f"asked by hand: {service}",
        service=service,
        starts_at=moment,
        labels={"service": service},
    )


def read_alert(path: Path) -> Alert:
    """Read the first firing alert of an Alertmanager body, or one alert in our own shape.

    Raises
    ------
    NotFoundError
        The file cannot be read.
    NotUnderstoodError
        Neither of the two.
    """
    from triagebook.core.settings import IntakeSettings
    from triagebook.intake.senders.alertmanager import Alertmanager

    try:
        body = path.read_bytes()
    except OSError as error:
        raise NotFoundError(f"{path} cannot be read: {error.strerror}", "name a file") from error
    try:
        found = Alertmanager().parse(body, IntakeSettings())
    except NotUnderstoodError as error:
        found = [_own_alert(path, body, error)]
    firing = [item for item in found if item.status == "firing"]
    return (firing or found)[0]


def _own_alert(path: Path, body: bytes, why_no_webhook: NotUnderstoodError) -> Alert:
    """Read one alert in our own shape, which is lenient: something has to be told, though."""
    try:
        found = Alert.model_validate_json(body)
    except ValueError:
        found = None
    a_group = found is not None and "alerts" in (found.model_extra or {})
    if found is None or a_group or not (found.title or found.service or found.labels):
        raise NotUnderstoodError(
            f"{path} holds no alert: {why_no_webhook.message}",
            "expected: the JSON that Alertmanager posts to a webhook (version 4), or one alert",
        ) from why_no_webhook
    return found


def _parameter(text: str) -> tuple[str, Any]:
    """Read NAME=VALUE; the value is JSON where it can be, such as 6 or true, else a text."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise typer.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--parameter")
    try:
        return name, loads(value)
    except ValueError:
        return name, value


def _investigate(
    place: Home,
    settings: Settings,
    about: Alert,
    bundle: Path | None,
    parameters: dict[str, Any],
    out: Console,
) -> Path:
    """Open an incident by hand, run its runbook here, and record what came of it."""
    from triagebook.incidents.lifecycle import open_incident
    from triagebook.incidents.routes import route
    from triagebook.incidents.store import Store

    with Store.open(place, settings) as store:
        way = route(about, settings, place.root)
        way = replace(way, parameters=way.parameters | parameters)
        name = open_incident(store, about, way)
        store.set_run_state(name, "running")
        return _execute(place, settings, store, name, out, bundle=bundle)


def _again(
    place: Home, settings: Settings, part: str, parameters: dict[str, Any], out: Console
) -> Path:
    """Run an incident's runbook here once more; its earlier runs are kept."""
    from triagebook.cli.incidents import find
    from triagebook.incidents.store import Store
    from triagebook.running.foreground import next_number
    from triagebook.running.parameters import check_declared
    from triagebook.running.runbook import own_runbooks

    with Store.open(place, settings) as store:
        view = find(store, part)
        # Before anything is recorded: a slip of the keyboard is no failed run.
        check_declared(view.runbook, parameters, own_runbooks(place, settings))
        free = next_number(place, view.id)
        store.refreshes.begin_here(view.id, parameters, at_least=free)
        return _execute(place, settings, store, view.id, out)


def _execute(
    place: Home,
    settings: Settings,
    store: Store,
    name: str,
    out: Console,
    *,
    bundle: Path | None = None,
) -> Path:
    """Run an incident's present attempt here, and record what came of it."""
    from triagebook.cli.incidents import read_diagnosis
    from triagebook.cli.steps import RunView
    from triagebook.running.feed import feed_for
    from triagebook.running.foreground import run_now

    view = store.incident(name)
    assert view is not None  # noqa: S101 - it was found or made just now
    out.print(f"{name} · runbook {plain(view.runbook)}", style="dim")
    try:
        with RunView(out) as shown:
            done = run_now(
                place,
                settings,
                incident_id=name,
                alert=view.alert,
                incident_type=view.incident_type,
                service=view.service,
                runbook=view.runbook,
                parameters=view.parameters,
                bundle=bundle,
                alerts=store.told(name),
                number=view.attempt,
                feed=feed_for(store, settings, view.service) if bundle is None else None,
                on_progress=shown.see,
            )
    except BaseException as error:
        # Ctrl-C too: an incident that says "running" would be taken up by the next service.
        store.set_run_state(name, "failed", message=_why(error))
        raise
    diagnosis = read_diagnosis(done.folder)
    if diagnosis is not None:
        best = diagnosis.hypotheses[0].headline if diagnosis.hypotheses else ""
        store.set_outcome(
            name,
            severity=diagnosis.severity.level,
            verdict=diagnosis.verdict,
            headline=best or diagnosis.summary or None,
        )
    store.set_run_state(name, "published")
    return done.folder


def _why(error: BaseException) -> str:
    return error.message if isinstance(error, TriagebookError) else type(error).__name__


def _print(folder: Path, *, json: bool) -> None:
    from triagebook.cli.card import card, framed
    from triagebook.cli.incidents import read_diagnosis

    diagnosis = read_diagnosis(folder)
    if diagnosis is None:
        raise TriagebookError(
            f"the notebook ran without writing a diagnosis: {folder / 'investigation.ipynb'}",
            "its first failing cell says why",
        )
    if json:
        print_json(diagnosis.model_dump(mode="json", by_alias=True))
        return
    out = console()
    out.print(framed(card(diagnosis)))
    for name in ("investigation.ipynb", "report.html"):
        if (folder / name).exists():
            out.print(f"  {folder / name}", soft_wrap=True)
