"""The floor of the benchmark `warm`: execute a runbook's code cells in this interpreter, when told where.

One folder a line on standard input; the seconds it took, a line, on standard output. The first is done twice, and
only the second time is told: then everything has been imported and done once.
"""

from __future__ import annotations

import importlib
import io
import os
import shutil
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path

import nbformat
from IPython.core.interactiveshell import InteractiveShell

from triagebook.core.paths import runbook_path
from triagebook.running.warm.template import MODULES


def once(folder: Path) -> float:
    """Execute the cells in `folder`; seconds."""
    os.chdir(folder)
    shell = InteractiveShell.instance()
    shell.reset(new_session=True)
    runbook = nbformat.read(runbook_path("drift"), as_version=4)
    cells = [cell.source for cell in runbook.cells if cell.cell_type == "code"]
    given = 'incident_id, incident_type, service = "inc-1", "drift", "s"'
    began = time.perf_counter()
    with redirect_stdout(io.StringIO()):
        for source in [cells[0], given, *cells[1:]]:
            shell.run_cell(source).raise_error()
    return time.perf_counter() - began


def main() -> None:
    """Answer until the input ends."""
    for name in MODULES:
        importlib.import_module(name)
    first = True
    for line in sys.stdin:
        folder = Path(line.strip())
        if first:
            again = folder.with_name("rehearsal")
            shutil.copytree(folder, again)
            once(again)
            shutil.rmtree(again, ignore_errors=True)
            first = False
        sys.stdout.write(f"{once(folder)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
