"""Do once, before anything is forked, what every run does: what is compiled on the way no run compiles again."""

from __future__ import annotations

import nbformat
from jupyter_client.provisioning.factory import KernelProvisionerFactory
from nbformat import v4

from triagebook.report.html import render


def rehearse() -> None:
    """Check, write, read and render a notebook of two cells; look for the kinds of kernels.

    The schema of notebooks becomes code, the report's template and the colouring of its code become
    tables, and all installed packages are asked for provisioners of kernels: a quarter of a second,
    which each run's process would spend again.
    """
    cells = [v4.new_markdown_cell("# Rehearsal"), v4.new_code_cell("print(1)")]  # type: ignore[no-untyped-call]
    notebook = v4.new_notebook(cells=cells)  # type: ignore[no-untyped-call]
    text = nbformat.writes(notebook)  # type: ignore[no-untyped-call]
    render(nbformat.reads(text, as_version=4))  # type: ignore[no-untyped-call]
    KernelProvisionerFactory.instance()
