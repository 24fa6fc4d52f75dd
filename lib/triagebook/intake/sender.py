"""What an alert sender's plug-in must do, and the registry that finds the plug-ins."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from triagebook.core.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from triagebook.core.models import Alert
    from triagebook.core.settings import IntakeSettings
    from triagebook.incidents.changes import Announced


@dataclass(frozen=True)
class Delivery:
    """What was posted, as it came.

    Attributes
    ----------
    headers : mapping
        Names in lower case.
    body : bytes
        As received: signatures are over these bytes.
    query : mapping
        Of the address, for senders that can only put their token there.
    """

    headers: Mapping[str, str]
    body: bytes
    query: Mapping[str, str] = field(default_factory=dict)


class Sender(Protocol):
    """One alert sender. Made without arguments, kept by nobody, so it holds no state."""

    def authenticate(self, delivery: Delivery, settings: IntakeSettings, root: Path) -> None:
        """Return where the delivery is the sender's.

        Called before anything is read or kept, and only where the settings name a secret (or, for a
        sender that proves itself by a public key, what it may speak for): without one, `receive` lets
        in what comes to a loopback address and nothing else.

        Parameters
        ----------
        root : Path
            The home folder; secret files are relative to it.

        Raises
        ------
        NotAuthenticatedError
        SettingsError
            The secret is not to be had.
        """

    def key(self, delivery: Delivery) -> str | None:
        """Return the sender's own id of the delivery, the same when it is sent again; None for none.

        Must not raise, whatever the body is. Without an id the hash of the body says that it is the same.
        """

    def parse(self, body: bytes, settings: IntakeSettings) -> list[Alert]:
        """Return the alerts of a body, each with `sender` and `fingerprint`.

        Empty where the body is the sender's and says nothing of an alert: a test, a confirmation, a note.

        Raises
        ------
        NotUnderstoodError
            The body is not what this sender sends; it goes to quarantine.
        """


class Unnamed:
    """A sender that names no delivery: what it sends again is told by its alerts."""

    def key(self, delivery: Delivery) -> str | None:
        """Return None."""
        del delivery
        return None


@runtime_checkable
class Confirming(Protocol):
    """A sender that posts nothing more until an address it names was fetched once."""

    def confirm(self, body: bytes) -> None:
        """Fetch it, where the body asks for it; called in a thread of its own, after it is kept.

        Called for authenticated deliveries only. What it raises is logged; the sender asks again.
        """


@runtime_checkable
class Announcing(Protocol):
    """A sender that tells of changes; it may post alerts as well."""

    def changes(self, body: bytes) -> list[Announced]:
        """Return what a body says was changed; called after `parse`, once the delivery is kept.

        Raises
        ------
        NotUnderstoodError
            The body is not what this sender sends; it goes to quarantine.
        """


SENDERS: Registry[type[Sender]] = Registry(
    "alert sender", "triagebook.intake.senders", "triagebook.senders"
)
"""The installed senders, by the name in `POST /intake/{sender}`."""


def announcing(names: Iterable[str]) -> list[str]:
    """Return those of some senders that are installed and tell of changes, sorted."""
    known = {name for name in names if name in SENDERS}
    return sorted(name for name in known if issubclass(SENDERS.get(name), Announcing))
