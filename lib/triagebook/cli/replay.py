"""`triagebook replay`: diagnose frozen evidence again, without home, server or network."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Annotated

import typer

from triagebook.cli.output import JsonOption, console
from triagebook.core.models import IncidentType, to_json


def replay(
    bundle: Annotated[Path, typer.Argument(help="An evidence folder: the one with bundle.json.")],
    incident_type: Annotated[
        IncidentType | None,
        typer.Option("--type", help="Take it for this type; by default the alert's."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Diagnose an evidence bundle again; exit 0 whatever the verdict."""
    from triagebook.cli.card import card, framed
    from triagebook.diagnosis import diagnose

    # Whatever a library prints while it works is not the answer.
    with contextlib.redirect_stdout(sys.stderr):
        found = diagnose.replay(bundle, incident_type.value if incident_type else None)
    if json:
        sys.stdout.write(to_json(found) + "\n")
    else:
        console().print(framed(card(found)))
