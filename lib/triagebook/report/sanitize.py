"""Let through the HTML that a report needs, and nothing that can run, load or disguise.

What is in a notebook came from logs, labels and tables, so from anybody. nh3 (ammonia) parses it as
a browser would and writes it again from a list of what is allowed; nothing else decides.
"""

from __future__ import annotations

import re

import nh3

from triagebook.report.plain import plain

_TAGS = set(
    """
    a abbr b blockquote br caption code col colgroup dd del details div dl dt em figcaption figure
    h1 h2 h3 h4 h5 h6 hr i img ins kbd li mark ol p picture pre q s samp section small source
    span strong sub summary sup table tbody td tfoot th thead time tr u ul var wbr
    """.split()  # noqa: SIM905 - sixty short words read better in lines
)

# Removed with what is inside: shown as text it would only confuse.
_DROPPED = {"script", "style", "template", "svg", "math", "iframe", "object", "noscript", "title"}

_ATTRIBUTES = {
    "*": {"class", "title", "dir", "lang", "role"},
    "a": {"href"},
    "details": {"open"},
    "i": {"style"},
    "img": {"src", "alt", "width", "height"},
    "source": {"srcset", "media"},
    "ol": {"start"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan", "scope"},
    "time": {"datetime"},
}

_IMAGE = re.compile(r"data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]+")
_WIDTH = re.compile(r"\s*width\s*:\s*(100|\d{1,2})(\.\d+)?%\s*;?\s*")
_WEB = re.compile(r"(https?://|mailto:|#)", re.IGNORECASE)
_TO_HERE = re.compile(r'(<a [^>]*?href="#[^">]*"[^>]*?) target="_blank"')


def clean_html(html: str) -> str:
    """Return the part of `html` that may stand in a report.

    Kept: prose, tables, figures with embedded raster images, `class`, and `style="width:NN%"` on
    `<i>` (the bars). Links to http, https, mailto and places in the same document stay; all others
    lose their address. Images that would be loaded from elsewhere lose theirs.

    Parameters
    ----------
    html : str
        Anything, well-formed or not.

    Returns
    -------
    str
        HTML without scripts, handlers, forms, frames, styles and outside resources.
    """
    cleaned = nh3.clean(
        plain(html),
        tags=_TAGS,
        clean_content_tags=_DROPPED,
        attributes=_ATTRIBUTES,
        attribute_filter=_attribute,
        generic_attribute_prefixes={"aria-"},
        url_schemes={"http", "https", "mailto", "data"},
        # The report stands in a sandboxed frame, where a link can only open a tab of its own.
        set_tag_attribute_values={"a": {"target": "_blank"}},
        link_rel="noopener noreferrer",
    )
    return _TO_HERE.sub(r"\1", cleaned)


def _attribute(tag: str, name: str, value: str) -> str | None:
    if name == "href":
        return value if _WEB.match(value.strip()) else None
    if name in {"src", "srcset"}:
        return value if _IMAGE.fullmatch(value) else None
    if name == "style":
        return value if tag == "i" and _WIDTH.fullmatch(value) else None
    if name in {"width", "height"}:
        return value if value.isdecimal() and len(value) <= 5 else None
    return value
