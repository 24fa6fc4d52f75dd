"""The papermill engine "triagebook": atomic saving, true cell statuses, limits, progress."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbformat import NotebookNode


class TriagebookEngine:
    """Execute every cell of a notebook, whatever happens to one of them.

    papermill loads this class, by its entry point, while papermill itself is half imported. A
    subclass of `papermill.engines.NBClientEngine` could therefore not be imported before papermill
    (its base would not be there yet); the three methods that papermill calls can, from anywhere.
    The work is done in `execution.py`, on papermill's and nbclient's own classes.
    """

    @classmethod
    def execute_notebook(
        cls,
        nb: NotebookNode,
        kernel_name: str,
        output_path: str | None = None,
        **options: Any,
    ) -> NotebookNode:
        """Execute a parameterised notebook.

        Parameters
        ----------
        nb : NotebookNode
            As papermill prepared it.
        kernel_name : str
            "python3" is this very interpreter, whatever kernels the machine has.
        output_path : str or None
            Saved after each cell by rename; `save_to` goes first.
        **options : object
            papermill's own (`start_timeout`, `execution_timeout`, …) and those of
            `execution.execute`: `save_to`, `progress`, `cell_limit_s`, `deadline`, `on_kernel`.

        Returns
        -------
        NotebookNode
            The executed notebook. A failing cell, a cell over its limit or a dead kernel is no
            exception here: statuses tell. papermill's `execute_notebook` raises
            `PapermillExecutionError` afterwards where a cell failed; the saved file is complete.

        Raises
        ------
        RunError
            The kernel did not start: no cell was executed.
        """
        from triagebook.running.execution import execute  # noqa: PLC0415 - see the class

        return execute(nb, kernel_name, output_path=output_path, **options)

    @classmethod
    def nb_kernel_name(cls, nb: NotebookNode, name: str | None = None) -> str:
        """Return the name of the kernel a notebook asks for."""
        from papermill.utils import nb_kernel_name  # noqa: PLC0415 - see the class

        return str(nb_kernel_name(nb, name))

    @classmethod
    def nb_language(cls, nb: NotebookNode, language: str | None = None) -> str:
        """Return the language a notebook is written in."""
        from papermill.utils import nb_language  # noqa: PLC0415 - see the class

        return str(nb_language(nb, language))
