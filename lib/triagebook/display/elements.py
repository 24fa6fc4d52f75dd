"""Small pieces of escaped HTML: chips, links, tables, figures.

JupyterLab strips style sheets from the outputs of a notebook it does not trust, and ours stay
untrusted. So each piece carries the few inline styles it cannot do without, and a class by which
report and page (which strip inline styles) dress it properly.
"""

from __future__ import annotations

import base64
import io
import warnings
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.image import imsave

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

_CHIP = "display:inline-block;padding:2px 9px;margin:0 6px 4px 0;border-radius:12px;border:1px solid #9aa5b1;font-size:13px"
_BAD = ";color:#c2410c;border-color:#c2410c;font-weight:600"
_SOFT = "color:#7b8794;font-size:14px"


def plain(value: object) -> str:
    """Replace control characters other than line breaks: they recolour terminals and turn text round."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in str(value))


def text(value: object) -> str:
    """Escape anything for HTML, without control characters (see `plain`)."""
    return escape(plain(value), quote=True)


def chip(label: str, kind: str = "") -> str:
    """Return a chip; `kind` is "", "bad", "miss" or "ok"."""
    style = _CHIP + (_BAD if kind in ("bad", "miss") else "")
    return f'<span class="tb-chip {kind}" style="{style}">{text(label)}</span>'


def to_cell(cell: str | None, label: str = "see") -> str:
    """Return a link to a cell of the same notebook: JupyterLab's own form, which the report shares."""
    return f' <a href="#cell-id={text(cell)}">{text(label)}</a>' if cell else ""


def soft(label: str) -> str:
    """Return less important words (already escaped)."""
    return f'<p class="tb-how" style="{_SOFT};margin:0 0 8px">{label}</p>'


def root(inner: str) -> str:
    """Wrap a fragment so that its classes take effect."""
    return f'<div class="tb" style="max-width:860px;line-height:1.5">{inner}</div>'


def facts(pairs: Sequence[tuple[str, str, str]]) -> str:
    """Return a row of facts.

    Parameters
    ----------
    pairs : sequence of (label, value, addition), not yet escaped
    """
    style = "display:inline-block;vertical-align:top;border-left:3px solid #cbd2d9;padding-left:10px;margin:10px 26px 4px 0;max-width:260px"
    items = [
        f'<div style="{style}"><span style="{_SOFT};display:block">{text(label)}</span>'
        f"<b>{text(value)}</b> {text(more)}</div>"
        for label, value, more in pairs
    ]
    return f'<div class="tb-facts">{"".join(items)}</div>'


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numeric: Sequence[int] = ()) -> str:
    """Return a table; cells are escaped unless they are `Html`."""

    def cell(value: str, place: int) -> str:
        inner = value if isinstance(value, Html) else text(value)
        kind, style = (
            (' class="num"', "text-align:right") if place in numeric else ("", "text-align:left")
        )
        return f'<td{kind} style="{style};vertical-align:top;padding:4px 12px 4px 0">{inner}</td>'

    top = "".join(
        f'<th scope="col" style="text-align:{"right" if i in numeric else "left"};padding:4px 12px 4px 0">{text(h)}</th>'
        for i, h in enumerate(head)
    )
    body = "".join(
        "<tr>" + "".join(cell(v, i) for i, v in enumerate(row)) + "</tr>" for row in rows
    )
    return f'<div class="tb-table"><table style="margin-left:0"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


class Html(str):
    """Text that is HTML already, made by this package."""

    __slots__ = ()


def png(figure: Figure, dpi: int) -> bytes:
    """Render a figure, twice as fine as a plain screen, without anything that changes from run to run."""
    out = io.BytesIO()
    figure.set_dpi(dpi)
    figure.set_facecolor("white")
    # `savefig` draws everything twice, the first time for the layout alone; the pixels are the same.
    canvas = FigureCanvasAgg(figure)
    with warnings.catch_warnings():
        # A name in a script that the font has not is drawn as boxes; the words beside it say it.
        warnings.filterwarnings("ignore", r"(?s)Glyph .* missing from font")
        warnings.filterwarnings("ignore", "Matplotlib currently does not support")
        canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())
    # None leaves the entry out.
    metadata: Any = {"Software": None}
    imsave(out, pixels, format="png", origin="upper", dpi=dpi, metadata=metadata)
    return out.getvalue()


def picture(wide: bytes, narrow: bytes | None, alt: str) -> str:
    """Return a figure with a rendering for the desk and one for the phone.

    Where styles are stripped only the desk's is seen: the phone's is hidden by an attribute that
    every viewer respects and the style sheet overrides.
    """
    said = text(alt)
    big = base64.b64encode(wide).decode()
    out = f'<img class="tb-wide" src="data:image/png;base64,{big}" alt="{said}" style="max-width:100%;width:860px">'
    if narrow is not None:
        small = base64.b64encode(narrow).decode()
        out += f'<img class="tb-narrow" src="data:image/png;base64,{small}" alt="{said}" style="display:none">'
    return f'<figure class="tb-fig" style="margin:8px 0">{out}</figure>'


def save(data: bytes, path: Path) -> None:
    """Write a file by rename, so that nobody sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(data)
    part.replace(path)
