"""What of the change feed goes with a run: the kernel has no way to the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triagebook.core.models import ChangeFeed
from triagebook.incidents.changes import concerning, subjects_of
from triagebook.intake.sender import announcing

if TYPE_CHECKING:
    from triagebook.core.settings import Settings
    from triagebook.incidents.store import Store

MOST_CHANGES = 1_000
"""So many go with a run, the newest; of these the kernel takes what lies in its windows."""


def feed_for(
    store: Store, settings: Settings, service: str | None, most: int = MOST_CHANGES
) -> ChangeFeed | None:
    """Return what was posted about changes to a service.

    Returns
    -------
    ChangeFeed or None
        None where the service is not configured, or nobody posts changes: no sender of them is
        configured, and none was ever heard.
    """
    about = next((one for one in settings.services if one.name == service), None)
    if about is None:
        return None
    posted_by = sorted({*announcing(settings.intake), *store.changes.senders()})
    if not posted_by:
        return None
    found = store.changes.about(subjects_of(about), most + 1)
    return ChangeFeed(
        posted_by=posted_by, changes=concerning(found[-most:], about), cut=len(found) > most
    )
