"""`triagebook run`: execute a runbook now, in the foreground, for a service, an alert or a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from triagebook.cli.output import HomeOption, JsonOption, console, open_home, plain, print_json
from triagebook.core.errors import NotFoundError, NotUnderstoodError, TriagebookError
from triagebook.core.models import Alert, IncidentType
from triagebook.core.paths import Home
from triagebook.core.settings import Settings
from triagebook.core.times import now_utc, to_utc

if TYPE_CHECKING:
    from rich.console import Console


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
    json: JsonOption = False,
) -> None:
    """Investigate now, and print the answer. One of --service, --alert and --bundle."""
    given = [
        name
        for name, value in (("--service", service), ("--alert", alert), ("--bundle", bundle))
        if value is not None
    ]
    if len(given) != 1:
        said = " and ".join(given) or "none"
        raise typer.BadParameter(f"name one of --service, --alert and --bundle; got {said}")
    if at is not None and service is None:
        raise typer.BadParameter("goes with --service", param_hint="--at")
    place, settings = _home(home, optional=bundle is not None)
    about = _about(settings, service, at, alert, bundle)
    if incident_type is not None:
        about = about.model_copy(update={"incident_type": incident_type})
    folder = _investigate(place, settings, about, bundle, console(stderr=True))
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


def _investigate(
    place: Home, settings: Settings, about: Alert, bundle: Path | None, out: Console
) -> Path:
    """Open an incident by hand, run its runbook here, and record what came of it."""
    from triagebook.cli.incidents import read_diagnosis
    from triagebook.cli.steps import RunView
    from triagebook.incidents.lifecycle import open_incident
    from triagebook.incidents.routes import route
    from triagebook.incidents.store import Store
    from triagebook.running.foreground import run_now

    with Store.open(place) as store:
        way = route(about, settings, place.root)
        name = open_incident(store, about, way)
        store.set_run_state(name, "running")
        out.print(f"{name} · runbook {plain(way.runbook)}", style="dim")
        try:
            with RunView(out) as view:
                done = run_now(
                    place,
                    settings,
                    incident_id=name,
                    alert=about,
                    incident_type=way.incident_type,
                    service=way.service,
                    runbook=way.runbook,
                    parameters=way.parameters,
                    bundle=bundle,
                    on_progress=view.see,
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
