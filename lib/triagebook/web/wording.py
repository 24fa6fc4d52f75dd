"""Numbers, times and links in the words and shapes that a page shows."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from triagebook.core.times import iso, now_utc, short
from triagebook.report.plain import plain

if TYPE_CHECKING:
    from triagebook.core.models import Onset

_SHARES = {"share", "ratio", "fraction"}


def is_share(unit: str | None) -> bool:
    """Tell whether a unit, such as "share" or "share of decisions", is shown as per cent."""
    return unit is not None and (unit in _SHARES or unit.startswith("share of "))


def clean(value: object) -> str:
    """Return outside text without terminal colours, control characters and direction overrides.

    A per cent sign stays on the line of its number.
    """
    text = plain(str(value))
    return re.sub(r"(?<=\d) %", "\N{NO-BREAK SPACE}%", text)


def number(value: float, unit: str | None = None) -> str:
    """Write a number for people: 18,200; 0.31; a share as 31 %."""
    if not math.isfinite(value):
        return "not known"
    if is_share(unit):
        return f"{value * 100:.3g}\N{NO-BREAK SPACE}%"
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def quantity(value: float, unit: str | None) -> str:
    """Write a number with its unit, a share as per cent."""
    text = number(value, unit)
    if is_share(unit):
        return f"{text} {clean(unit).partition(' ')[2]}".strip()
    return f"{text} {clean(unit)}" if unit else text


def span(seconds: float) -> str:
    """Write a length of time: 8 s, 2 min, 3 h 10 min, 4 days."""
    seconds = max(seconds, 0.0)
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    return f"{round(hours / 24)} days"


def age(since: datetime, now: datetime | None = None) -> str:
    """Write how long something has lasted, in whole seconds at the finest."""
    past_s = max(((now or now_utc()) - since).total_seconds(), 0.0)
    return f"{past_s:.0f} s" if past_s < 10 else span(past_s)


def ago(since: datetime, now: datetime | None = None) -> str:
    """Write how long ago a moment was."""
    past_s = ((now or now_utc()) - since).total_seconds()
    return "just now" if past_s < 5 else f"{age(since, now)} ago"


def moment(value: datetime, *, day: bool = True) -> Markup:
    """Return a `<time>` element, in UTC."""
    # Digits, letters of ours and signs that need no escaping; Markup.format takes ten times as long.
    return Markup(f'<time datetime="{iso(value)}">{short(value, day=day)}</time>')  # noqa: S704


def onset_range(onset: Onset) -> str:
    """Write the interval that the onset lies in, with days where they differ."""
    one_day = onset.low.astimezone(UTC).date() == onset.high.astimezone(UTC).date()
    same = one_day and onset.at.astimezone(UTC).date() == onset.low.astimezone(UTC).date()
    return f"{short(onset.low, day=not same)} to {short(onset.high, day=not same)}"


def words(name: str) -> str:
    """Write a name of ours, such as cause_found, as words."""
    return name.replace("_", " ")


def web_link(address: str, text: str | None = None) -> Markup:
    """Return a link where an address leads into the web; its text alone where it does not."""
    shown = clean(text or address)
    if re.match(r"https?://[^\s]+$", address.strip(), re.IGNORECASE):
        return Markup('<a href="{}" rel="noopener noreferrer nofollow">{}</a>').format(
            address.strip(), shown
        )
    return Markup("{}: {}").format(shown, clean(address)) if text else escape(shown)
