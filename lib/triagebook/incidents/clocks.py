"""Times that a sender's clock cannot have meant: said where the alert is shown, held against our own clock."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from triagebook.core.times import iso
from triagebook.core.words import span

if TYPE_CHECKING:
    from triagebook.core.models import Alert

AHEAD_S = 120.0
"""So far in the future a time may lie before the sender's clock is doubted, in seconds."""
BEHIND_S = 900.0
"""So late after its start an alert may come first, in seconds: senders group, wait and retry."""
_NO_TIME_BEFORE = datetime(1971, 1, 1, tzinfo=UTC)  # as in evidence.windows


def doubts_of_message(alert: Alert, received_at: datetime) -> list[str]:
    """Say what cannot be true of the times of an alert that just came; empty where all may be.

    Parameters
    ----------
    received_at : datetime
        By our own clock.
    """
    found = []
    for word, told in (("starts", alert.starts_at), ("ended", alert.ends_at)):
        ahead_s = (told - received_at).total_seconds() if told is not None else 0.0
        if told is not None and ahead_s > AHEAD_S:
            found.append(
                f"it says that it {word} at {iso(told)}, {span(ahead_s)} after it came: "
                "its sender's clock is ahead of ours"
            )
    began, over = alert.starts_at, alert.ends_at
    if began is not None and began < _NO_TIME_BEFORE:
        found.append(f"it says that it started at {iso(began)}, which is not believed")
    elif began is not None and over is not None and over < began:
        found.append(
            f"it says that it ended at {iso(over)}, {span((began - over).total_seconds())} before it "
            "started: its end is not believed"
        )
    return found


def doubts_of_start(starts_at: datetime | None, first_at: datetime) -> list[str]:
    """Say where an alert came first long after the start that it tells; empty where it did not."""
    if starts_at is None or starts_at < _NO_TIME_BEFORE:
        return []
    late_s = (first_at - starts_at).total_seconds()
    if late_s <= BEHIND_S:
        return []
    return [
        (
            f"it came {span(late_s)} after the start that it tells: it was held up, or its sender's clock "
            "is behind ours"
        )
    ]
