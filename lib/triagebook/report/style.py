"""The CSS of a whole document, for a report and for a page."""

from __future__ import annotations

import re

from triagebook.core.paths import templates_dir


def stylesheet() -> str:
    """Return the CSS of a whole document: the shared language, then the page's frame."""
    folder = templates_dir() / "style"
    names = ("triagebook.css", "document.css")
    css = "".join((folder / name).read_text(encoding="utf-8") for name in names)
    return re.sub(r"/\*.*?\*/\s*", "", css, flags=re.DOTALL)
