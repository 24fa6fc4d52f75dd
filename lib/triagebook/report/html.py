"""Write a notebook as one HTML file: no script, nothing loaded, code folded and not removed."""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
from nbconvert.exporters.html import HTMLExporter
from nbconvert.exporters.templateexporter import TemplateExporter
from nbconvert.filters.highlight import Highlight2HTML

import triagebook
from triagebook.core.errors import ReportError
from triagebook.core.paths import templates_dir
from triagebook.report.plain import plain
from triagebook.report.sanitize import clean_html
from triagebook.report.style import stylesheet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbformat import NotebookNode

_HEADING = re.compile(r"^#{1,2}\s+(.+?)\s*#*\s*$", re.MULTILINE)
_FORMS = ("text/html", "image/png", "image/jpeg", "text/markdown", "text/plain")
_UNFINISHED = {"not_run", "pending"}


@dataclass
class Section:
    """A heading and the cells up to the next one."""

    anchor: str
    heading: str = ""
    plain: bool = False
    cells: list[NotebookNode] = field(default_factory=list)


class ReportExporter(HTMLExporter):
    """nbconvert's HTML exporter with our template, our sanitizer, and no second pass over the text."""

    @property
    def default_config(self) -> Any:
        """Our defaults over nbconvert's; callers need to know none of them."""
        config = super().default_config
        config.TemplateExporter.extra_template_basedirs = [str(templates_dir())]
        config.HTMLExporter.template_name = "report"
        config.HTMLExporter.sanitize_html = True
        config.HTMLExporter.exclude_anchor_links = True
        return config

    def default_filters(self) -> Iterator[tuple[str, Any]]:
        """Yield nbconvert's filters, the sanitizer replaced."""
        yield from super().default_filters()  # type: ignore[no-untyped-call]
        yield "clean_html", clean_html
        yield "plain", plain
        yield "output_form", output_form
        yield "alt_text", alt_text
        yield "base64_only", base64_only
        yield "code_label", code_label

    def from_notebook_node(  # type: ignore[override] # as HTMLExporter itself does
        self, nb: NotebookNode, resources: dict[str, Any] | None = None, **kw: Any
    ) -> tuple[str, dict[str, Any]]:
        """Convert. HTMLExporter's own version parses and rewrites the result with another parser.

        What the sanitizer wrote must reach the browser unchanged, hence TemplateExporter's.
        """
        resources = self._init_resources(resources)  # type: ignore[no-untyped-call]
        lexer = nb.metadata.get("language_info", {}).get("pygments_lexer", "ipython3")
        highlight = Highlight2HTML(pygments_lexer=lexer, parent=self)  # type: ignore[no-untyped-call]
        self.register_filter("highlight_code", highlight)  # type: ignore[no-untyped-call]
        html, resources = TemplateExporter.from_notebook_node(self, nb, resources, **kw)
        return str(html), resources


def render(nb: NotebookNode, *, title: str | None = None) -> str:
    """Return a notebook as one HTML document.

    Parameters
    ----------
    nb : NotebookNode
        A notebook of format 4, executed or not. It is not changed.
    title : str, optional
        Title of the document; by default the notebook's first heading.

    Returns
    -------
    str
        A self-contained document: CSS inline, images as data, no script at all.
    """
    sections = _sections(nb)
    heading = next((section.heading for section in sections if section.heading), "")
    ours = {
        "version": triagebook.__version__,
        "title": title or heading or "Investigation",
        "css": stylesheet(),
        "sections": sections,
        "note": _note(nb),
        "footer": "Written by triagebook from the notebook beside this file; code is folded, not removed.",
    }
    exporter = ReportExporter()  # type: ignore[no-untyped-call]
    html, _ = exporter.from_notebook_node(nb, {"triagebook": ours})
    return html


def write_report(notebook: Path, output: Path, *, title: str | None = None) -> None:
    """Write a notebook's report; readers see the whole file or the one before, never a part.

    Parameters
    ----------
    notebook, output : Path
        The `.ipynb` to read and the `.html` to write; the folder of `output` must be there.
    title : str, optional
        Title of the document; by default the notebook's first heading.

    Raises
    ------
    ReportError
        The notebook cannot be read or rendered, or the file cannot be written.
    """
    try:
        text = notebook.read_text(encoding="utf-8")
        nb = nbformat.reads(text, as_version=4)  # type: ignore[no-untyped-call]
    except Exception as error:
        # nbformat raises its own, json's and the file system's errors; all mean the same here.
        raise ReportError(
            f"{notebook} cannot be read as a notebook: {error}",
            "open it in JupyterLab; if it is damaged, execute the run again",
        ) from error
    try:
        html = render(nb, title=title)
    except Exception as error:
        raise ReportError(
            f"the report of {notebook} could not be made: {type(error).__name__}: {error}",
            "the notebook itself is complete: open it instead",
        ) from error
    try:
        _replace(output, html)
    except OSError as error:
        raise ReportError(
            f"the report {output} could not be written: {error}", "check space and permissions"
        ) from error


def output_form(output: NotebookNode) -> str | None:
    """Name what of an output is shown: a media type, stdout, stderr, error; None for nothing."""
    kind = output.get("output_type")
    if kind == "stream":
        return "stderr" if output.get("name") == "stderr" else "stdout"
    if kind == "error":
        return "error"
    data = output.get("data", {})
    return next((form for form in _FORMS if _is_text(data.get(form))), None)


def alt_text(output: NotebookNode) -> str:
    """Return a picture's alternative text: its metadata's `alt`, else its plain text."""
    metadata = output.get("metadata", {})
    for form in ("image/png", "image/jpeg"):
        inner = metadata.get(form)
        if isinstance(inner, dict) and _is_text(inner.get("alt")):
            return str(inner["alt"])
    if _is_text(metadata.get("alt")):
        return str(metadata["alt"])
    plain = output.get("data", {}).get("text/plain")
    return str(plain) if _is_text(plain) else "A figure without a description."


def base64_only(data: str) -> str:
    """Keep the characters of base64, so that picture data can never end the attribute it is in."""
    return re.sub(r"[^A-Za-z0-9+/=]", "", data)


def code_label(cell: NotebookNode) -> str:
    """Say what a folded code cell is."""
    tags = cell.metadata.get("tags", [])
    if "injected-parameters" in tags:
        return "parameters of this run"
    if "parameters" in tags:
        return "parameters and their defaults"
    return "code"


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _sections(nb: NotebookNode) -> list[Section]:
    sections = [Section(anchor="start", plain=True)]
    taken: dict[str, int] = {}
    for cell in nb.cells:
        found = _HEADING.search(cell.source) if cell.cell_type == "markdown" else None
        if found:
            heading = re.sub(r"[*_`]|\[([^\]]*)\]\([^)]*\)", r"\1", found[1])
            slug = re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-") or "section"
            taken[slug] = taken.get(slug, 0) + 1
            anchor = slug if taken[slug] == 1 else f"{slug}-{taken[slug]}"
            # The title stands on the page itself, not in a box.
            top = found[0].startswith("# ")
            sections.append(Section(anchor=f"s-{anchor}", heading=heading, plain=top))
        sections[-1].cells.append(cell)
    for section in sections:
        if section.heading and any(cell.get("id") == "answer" for cell in section.cells):
            # Answer first, on a phone too: parameters and pulls step behind it.
            section.cells.sort(key=_place)
        # An output that brings its own boxes is not boxed again.
        section.plain = section.plain or any(
            "tb-card" in str(output.get("data", {}).get("text/html", ""))
            for cell in section.cells
            for output in cell.get("outputs", [])
        )
    return [section for section in sections if section.cells]


def _place(cell: NotebookNode) -> int:
    if cell.cell_type == "markdown":
        return 0
    return 1 if cell.get("id") == "answer" else 2


def _note(nb: NotebookNode) -> str:
    """Say first what went wrong with the run itself; empty where nothing did."""
    cells = [cell for cell in nb.cells if cell.cell_type == "code"]
    status = [cell.metadata.get("papermill", {}).get("status") for cell in cells]
    failed = sum(state == "failed" for state in status)
    missing = sum(state in _UNFINISHED for state in status)
    parts = []
    if failed:
        parts.append(f"{failed} of {len(cells)} cells failed")
    if missing:
        parts.append(f"{missing} of {len(cells)} were not run")
    return f"{' and '.join(parts)}; what they would have shown is missing below." if parts else ""


def _replace(output: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{output.name}.", dir=output.parent)
    part = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        part.chmod(0o644)
        part.replace(output)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
