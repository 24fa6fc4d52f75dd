"""Look at a page as a reader of HTML does: is it well-formed, and has outside text become part of it."""

from __future__ import annotations

from html.parser import HTMLParser

_VOID = frozenset({"meta", "link", "img", "source", "br", "hr", "input", "base", "embed", "wbr"})
_LOADS = ("src", "srcset", "data", "poster", "background", "action", "formaction")
# What our own templates are made of; `rect` and `svg` are the bars.
_OURS = frozenset(
    [
        "html",
        "head",
        "meta",
        "link",
        "title",
        "style",
        "body",
        "a",
        "div",
        "header",
        "nav",
        "main",
        "footer",
        "section",
        "h1",
        "h2",
        "h3",
        "p",
        "span",
        "b",
        "code",
        "pre",
        "ul",
        "ol",
        "li",
        "dl",
        "dt",
        "dd",
        "details",
        "summary",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "time",
        "svg",
        "rect",
        "iframe",
        "figure",
        "figcaption",
        "picture",
        "source",
        "img",
        "progress",
        "noscript",
        "script",
        "button",
        "form",
        "label",
        "select",
        "option",
        "input",
        "small",
        "em",
        "i",
        "br",
    ]
)


class _Reader(HTMLParser):
    def __init__(self, canary: str) -> None:
        super().__init__(convert_charrefs=True)
        self.canary = canary
        self.open: list[str] = []
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag not in _OURS:
            self.wrong.append(f"<{tag}>")
        if tag in {"script", "style"} and not given.get("nonce"):
            self.wrong.append(f"<{tag}> without a nonce")
        for name, value in given.items():
            loads = name in _LOADS and (self.canary in value or "script:" in value)
            if name.startswith("on") or loads or value.strip().lower().startswith("javascript:"):
                self.wrong.append(f"<{tag} {name}={value[:60]!r}>")
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open[-1] != tag:
            self.wrong.append(f"</{tag}> within {self.open[-1:]}")
        else:
            self.open.pop()

    def handle_comment(self, data: str) -> None:
        self.wrong.append(f"a comment: {data[:60]!r}")


def faults(html: str, canary: str) -> list[str]:
    """Return what is wrong with a page of ours; empty where nothing is.

    Parameters
    ----------
    canary : str
        Nothing on the page may be loaded from addresses that hold it.
    """
    reader = _Reader(canary)
    reader.feed(html)
    reader.close()
    if reader.open:
        reader.wrong.append(f"left open: {reader.open}")
    return reader.wrong
