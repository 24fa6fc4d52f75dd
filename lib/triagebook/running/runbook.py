"""Read a runbook: a notebook that names its kernel and language, or gets Python's."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from triagebook.core.errors import RunError

if TYPE_CHECKING:
    from pathlib import Path

    from nbformat import NotebookNode

    from triagebook.core.paths import Home
    from triagebook.core.settings import Settings


def own_runbooks(home: Home, settings: Settings) -> Path | None:
    """Return the folder of a team's own runbooks, which is relative to the home, if there is one."""
    folder = settings.server.notebooks
    return None if folder is None else home.root.resolve() / folder


def load_runbook(path: Path) -> NotebookNode:
    """Read a runbook.

    Raises
    ------
    RunError
        The file is no notebook.
    """
    skip_slow_import()
    import nbformat  # noqa: PLC0415 - after the line above, and not in the service

    try:
        notebook: NotebookNode = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    except (ValueError, AttributeError, KeyError, TypeError, nbformat.ValidationError) as error:
        # nbformat raises any of these on JSON that is no notebook.
        raise RunError(
            f"{path.name} is no notebook: {error}", "open it in JupyterLab and save it again"
        ) from error
    kernel = notebook.metadata.setdefault("kernelspec", {"name": "python3"})
    if kernel.get("name") == "python3":
        # As ipykernel's own spec says it: JupyterLab would write that in, and ask to save it.
        kernel.update(display_name="Python 3 (ipykernel)", language="python")
    return notebook


def skip_slow_import() -> None:
    """Spare jsonschema, which nbformat imports, a second of import that nobody here needs.

    rfc3987_syntax builds a grammar to check addresses in schemas; notebooks' schemas have none.
    """
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
