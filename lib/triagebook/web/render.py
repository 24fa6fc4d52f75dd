"""Turn a template and its values into an HTML answer with its own Content-Security-Policy."""

from __future__ import annotations

from functools import cache
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

import triagebook
from triagebook.core.paths import templates_dir
from triagebook.core.times import now_utc
from triagebook.core.words import confidence
from triagebook.incidents.refresh import WORDS
from triagebook.report.style import stylesheet
from triagebook.web import wording
from triagebook.web.security import new_nonce, page_policy


def page(
    template: str, status: int = 200, headers: dict[str, str] | None = None, **values: Any
) -> HTMLResponse:
    """Return an answer made from `templates/web/<template>`.

    Every value is escaped where it stands. Scripts and styles carry a nonce of this answer alone,
    so nothing that slipped into the text could run.
    """
    nonce = new_nonce()
    text = (
        _environment()
        .get_template(template)
        .render(nonce=nonce, css=_css(), now=now_utc(), **values)
    )
    policy = {"Content-Security-Policy": page_policy(nonce)}
    return HTMLResponse(text, status_code=status, headers={**policy, **(headers or {})})


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(templates_dir() / "web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in (
        "clean",
        "number",
        "span",
        "age",
        "ago",
        "moment",
        "onset_range",
        "words",
        "web_link",
    ):
        environment.filters[name] = getattr(wording, name)
    environment.filters["confidence"] = confidence
    environment.filters["refresh_words"] = WORDS.__getitem__
    environment.globals["version"] = triagebook.__version__
    return environment


@cache
def _css() -> Markup:
    own = (templates_dir() / "style" / "web.css").read_text(encoding="utf-8")
    # Our own files, not anybody's text.
    return Markup(stylesheet() + own)  # noqa: S704
