"""The engine is registered with papermill, and can be imported first or last."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import papermill
import pytest
from papermill.engines import papermill_engines
from papermill.exceptions import PapermillExecutionError

from tests.unit.running.conftest import code
from triagebook.running.engine import TriagebookEngine

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.running.conftest import WriteRunbook

MODULES = ["papermill", "triagebook.running.engine", "triagebook.running.execution"]


def test_papermill_knows_the_engine_by_its_entry_point():
    assert papermill_engines.get_engine("triagebook") is TriagebookEngine


@pytest.mark.parametrize("first", MODULES)
def test_the_order_of_imports_does_not_matter(first: str):
    rest = [name for name in MODULES if name != first]
    source = (
        f"import sys; sys.modules['rfc3987_syntax'] = None; import {first}, {', '.join(rest)};"
        "print(papermill.engines.papermill_engines.get_engine('triagebook').__module__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=False
    )
    assert done.stdout == "triagebook.running.engine\n", done.stderr


def test_anybody_may_use_it_through_papermill(write_runbook: WriteRunbook, tmp_path: Path):
    path = write_runbook(
        code("n = 1", "p", tags=["parameters"]), code("1 / 0", "a"), code("print(n)", "b")
    )
    output = tmp_path / "out.ipynb"
    with pytest.raises(PapermillExecutionError):
        papermill.execute_notebook(
            path,
            output,
            parameters={"n": 42},
            engine_name="triagebook",
            kernel_name="python3",
            language="python",
            progress_bar=False,
        )
    cells = json.loads(output.read_text())["cells"]
    last = cells[-1]
    assert last["outputs"][0]["text"] == ["42\n"]
    assert last["metadata"]["papermill"]["status"] == "completed"
