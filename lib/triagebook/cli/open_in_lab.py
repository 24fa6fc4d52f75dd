"""`triagebook open`: a published notebook in JupyterLab, in its live kernel while that is there."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from triagebook.cli.output import HomeOption, JsonOption, console, open_home, print_json
from triagebook.core.errors import NotFoundError


def open_in_lab(
    incident: Annotated[str, typer.Argument(help="The incident's id, as `incidents` lists it.")],
    home: HomeOption = Path(),
    show: Annotated[
        bool, typer.Option("--print", help="Print the address and open nothing.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Open an incident's notebook in the JupyterLab of `serve --lab`, its frames still in memory.

    The address holds JupyterLab's token: who has it can run code as this user.
    """
    from triagebook.running.live.jupyter import Jupyter
    from triagebook.running.live.server import lab_file

    place, _ = open_home(home)
    notebook = place.run_dir(incident) / "investigation.ipynb"
    if Path(incident).name != incident or not notebook.is_file():
        raise NotFoundError(
            f"no notebook of {incident!r} is published in {place.runs}",
            "list the incidents: triagebook incidents",
        )
    jupyter = Jupyter.read(lab_file(place))
    path = jupyter.path_of(notebook)
    session = jupyter.session(path)
    url = jupyter.link(path, with_token=True)
    if json:
        print_json({"url": url, "kernel_alive": session is not None})
        return
    out = console()
    if session is None:
        out.print("Its kernel has ended; the first cell loads the evidence again.", style="dim")
    if show or not webbrowser.open(url):
        out.print(url, soft_wrap=True)
