"""Changes that were posted, as evidence: those of the windows that no other source tells."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

from triagebook.core.words import several_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from triagebook.core.models import Change, ChangeFeed
    from triagebook.evidence.ledger import Ledger

SAME_S = 900.0
"""Two sources that tell the same kind and version no farther apart tell the same change."""


def inside(feed: ChangeFeed, window: tuple[datetime, datetime]) -> list[Change]:
    """Return the changes of a closed-open window."""
    return [change for change in feed.changes if window[0] <= change.ts < window[1]]


def merge_feed(
    feed: ChangeFeed,
    window: tuple[datetime, datetime],
    pulled: Sequence[Change],
    ledger: Ledger,
    entry: str,
) -> list[Change]:
    """Close the feed's entry of the ledger, and return the changes that it adds to those pulled.

    Parameters
    ----------
    window : pair of datetime
        Closed-open.
    pulled : sequence of Change
        What the sources gave: a change of a model that counted twice would be believed twice.
    entry : str
        Id of the open entry.
    """
    found = inside(feed, window)
    new = [change for change in found if not any(_same(change, other) for other in pulled)]
    notes = []
    if len(found) > len(new):
        notes.append(f"{several_of(len(found) - len(new), 'change')} told by another source too")
    early = [change for change in new if "told_at" in (change.model_extra or {})]
    if early:
        notes.append(
            f"{several_of(len(early), 'change')} told for a time in the future: "
            "the time it was received is taken"
        )
    cut = feed.cut and (not feed.changes or feed.changes[0].ts > window[0])
    if cut:
        notes.append("only the newest changes were handed over")
    ledger.close(
        entry,
        "truncated" if cut and new else "ok" if new else "empty",
        rows=len(new),
        query=f"posted by {' and '.join(feed.posted_by)}",
        why="; ".join(notes) or None,
    )
    return new


def _same(one: Change, other: Change) -> bool:
    near = abs(one.ts - other.ts) <= timedelta(seconds=SAME_S)
    return near and one.kind == other.kind and _version(one) == _version(other) is not None


def _version(change: Change) -> str | None:
    """Return the version a change leads to, however it is written: `3` of `churn/3`, `churn:v3`."""
    if change.to is None:
        return None
    return re.sub(r"^v(?=\d)", "", re.split(r"[/:@ ]", change.to.strip())[-1])
