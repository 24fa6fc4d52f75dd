"""Which stretch of time is looked at, and which it is compared with; clocks that lie are said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from triagebook.core.errors import BadParameterError
from triagebook.core.models import Alert, Windows
from triagebook.core.times import iso

if TYPE_CHECKING:
    from triagebook.core.settings import ServiceSettings

_WINDOW_S = 172_800.0
_REFERENCE_S = 2_419_200.0
# Go writes "not set" as the year 1, others as the Unix epoch: no alert is older than this.
_NO_TIME_BEFORE = datetime(1971, 1, 1, tzinfo=UTC)


def windows_for(
    alert: Alert,
    service: ServiceSettings | None,
    now: datetime,
    lookback_s: float | None = None,
    reference_s: float | None = None,
) -> Windows:
    """Choose the windows of an investigation.

    The current window ends now, or when the alert ended, but never so late that less than half of
    it lies before the alert: an alert of last week is looked at where it was. On a replay it ends
    where the replay stands. The reference is what lies right before it.

    Parameters
    ----------
    alert : Alert
        Its times may be missing, in the future, or the wrong way round.
    service : ServiceSettings or None
        Lengths, and where a replay stands.
    now : datetime
        Aware.
    lookback_s, reference_s : float or None
        Seconds; instead of the service's lengths.

    Returns
    -------
    Windows
        With `notes` (list of str) where a clock was not believed.

    Raises
    ------
    BadParameterError
        A length that is not above zero, or reaches before the year 1.
    """
    now = now.astimezone(UTC)
    window_s = lookback_s if lookback_s is not None else service.window if service else _WINDOW_S
    past_s = reference_s if reference_s is not None else service.reference if service else None
    past_s = _REFERENCE_S if past_s is None else past_s
    for name, value in (("lookback_s", window_s), ("reference_s", past_s)):
        if not value > 0:
            raise BadParameterError(
                f"{name} is {value:g} s, expected more than 0", "name a length such as 172800"
            )
    notes: list[str] = []
    end = _end(alert, service, now, window_s, notes)
    try:
        start = end - timedelta(seconds=window_s)
        first = start - timedelta(seconds=past_s)
    except OverflowError as error:
        raise BadParameterError(
            f"windows of {window_s:g} s and {past_s:g} s reach before the year 1",
            "name shorter ones; lengths are in seconds",
        ) from error
    windows = Windows(reference=(first, start), current=(start, end))
    return windows.model_copy(update={"notes": notes}) if notes else windows


def _end(
    alert: Alert, service: ServiceSettings | None, now: datetime, window_s: float, notes: list[str]
) -> datetime:
    if service is not None and service.replayed_to is not None:
        if service.replayed_to <= now:
            return service.replayed_to
        notes.append(f"replayed_to ({iso(service.replayed_to)}) lies in the future: now is taken")
        return now
    began = alert.starts_at
    if began is None or began < _NO_TIME_BEFORE:
        notes.append("the alert says no time: now is taken")
        return now
    if began > now:
        notes.append(f"the alert starts in the future ({iso(began)}): now is taken")
        return now
    end = now
    if alert.ends_at is not None and alert.ends_at >= _NO_TIME_BEFORE:
        if alert.ends_at < began:
            notes.append(
                f"the alert ends ({iso(alert.ends_at)}) before it starts ({iso(began)}): "
                "its end is not believed"
            )
        elif alert.status == "resolved":
            end = min(end, alert.ends_at)
    return min(end, began + timedelta(seconds=window_s / 2))


def on_replay_clock(alert: Alert, service: ServiceSettings | None) -> Alert:
    """Return the alert with its times moved to where a replay stands.

    The time received is kept in the annotation `received_starts_at`, and the annotation `clock`
    says `replayed`. Without a replay, or where that was done before, the alert comes back as it is.
    """
    if service is None or service.replayed_to is None or alert.annotations.get("clock"):
        return alert
    said = {**alert.annotations, "clock": "replayed"}
    if alert.starts_at is not None:
        said["received_starts_at"] = iso(alert.starts_at)
    if alert.ends_at is not None:
        said["received_ends_at"] = iso(alert.ends_at)
    moved = {
        "starts_at": service.replayed_to,
        "ends_at": service.replayed_to if alert.status == "resolved" else None,
        "annotations": said,
    }
    return alert.model_copy(update=moved)
