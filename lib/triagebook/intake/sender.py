"""What an alert sender's plug-in must do, and the registry that finds the plug-ins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from triagebook.core.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from triagebook.core.models import Alert
    from triagebook.core.settings import IntakeSettings


class Sender(Protocol):
    """One alert sender. Made without arguments, kept by nobody, so it holds no state."""

    def authenticate(
        self, headers: Mapping[str, str], body: bytes, settings: IntakeSettings, root: Path
    ) -> None:
        """Return where the delivery is the sender's.

        Called before anything is read or kept, and only where the settings name a secret: without
        one, `receive` lets in what comes to a loopback address and nothing else.

        Parameters
        ----------
        headers : mapping
            Names in lower case.
        body : bytes
            As received, for signatures over it.
        root : Path
            The home folder; secret files are relative to it.

        Raises
        ------
        NotAuthenticatedError
        SettingsError
            The secret is not to be had.
        """

    def parse(self, body: bytes) -> list[Alert]:
        """Return the alerts of a body, at least one, each with `sender` and `fingerprint`.

        Raises
        ------
        NotUnderstoodError
            The body is not what this sender sends; it goes to quarantine.
        """


SENDERS: Registry[type[Sender]] = Registry(
    "alert sender", "triagebook.intake.senders", "triagebook.senders"
)
"""The installed senders, by the name in `POST /intake/{sender}`."""
