"""Every error the project raises on purpose; each says what failed, on what, and what to do next.

TriagebookError
├── SettingsError        triagebook.toml is wrong or missing
├── RegistryError        two plug-ins of one name, a broken plug-in, an unknown name
├── BundleError          a bundle that cannot be read
├── SourceError          a source did not give what was asked (becomes a ledger entry, never a crash)
│   ├── SourceTimeoutError
│   └── SourceDataError  it answered, but not with usable data
├── IntakeError          a delivery that is refused
│   ├── UnknownSenderError       404
│   ├── NotAuthenticatedError    401
│   ├── TooLargeError            413
│   ├── IntakeUnavailableError   503: not kept, the sender should try again
│   └── NotUnderstoodError   stored in quarantine
├── StoreError           the incident store cannot be opened, read or written
├── RunError             a runbook that could not be executed or published
│   ├── RunbookNotFoundError
│   ├── BadParameterError
│   ├── RunUnderWayError         409: it has to end first
│   └── DeadlineError
├── NotFoundError        no such incident, file or service
├── ReportError
└── ScenarioError        a scenario that cannot be read or played
"""

from __future__ import annotations


class TriagebookError(Exception):
    """Base class.

    Parameters
    ----------
    message : str
        What failed, on which value, and what was expected.
    hint : str
        What to try next; may be empty.
    details : object
        Values a program may want; kept as attributes in `details` and through pickling.
    """

    def __init__(self, message: str, hint: str = "", **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details

    def __str__(self) -> str:
        return f"{self.message}\n  → {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.message, self.hint, self.details))


def _rebuild(
    kind: type[TriagebookError], message: str, hint: str, details: dict[str, object]
) -> TriagebookError:
    return kind(message, hint, **details)


class SettingsError(TriagebookError):
    """triagebook.toml is missing, is no TOML, or holds a wrong key or value."""


class RegistryError(TriagebookError):
    """A plug-in is unknown, broken, or there twice."""


class BundleError(TriagebookError):
    """A folder is no evidence bundle, or a part of it cannot be read."""


class SourceError(TriagebookError):
    """A source did not give what was asked."""


class SourceTimeoutError(SourceError):
    """A source did not answer within its share of the budget."""


class SourceDataError(SourceError):
    """A source answered, but not with data that can be used."""


class IntakeError(TriagebookError):
    """A delivery is refused."""


class NotAuthenticatedError(IntakeError):
    """The sender did not prove who it is."""


class UnknownSenderError(IntakeError):
    """No sender of that name is installed."""


class TooLargeError(IntakeError):
    """The body is larger than server.max_body_bytes."""


class IntakeUnavailableError(IntakeError):
    """The delivery could not be checked or kept just now; it is not stored, so send it again."""


class NotUnderstoodError(IntakeError):
    """The sender is known, the body is not understood; it is kept in quarantine."""


class StoreError(TriagebookError):
    """The incident store cannot be opened, read or written."""


class RunError(TriagebookError):
    """A runbook could not be executed or published."""


class RunbookNotFoundError(RunError):
    """No runbook of that name."""


class BadParameterError(RunError):
    """A parameter that the runbook does not declare, or of a type that cannot be passed."""


class RunUnderWayError(RunError):
    """A run of that incident is queued or running."""


class DeadlineError(RunError):
    """A run reached its deadline and was ended."""


class NotFoundError(TriagebookError):
    """No such incident, file or service."""


class ForbiddenError(TriagebookError):
    """It is there, but not for whoever asks."""


class ReportError(TriagebookError):
    """A report could not be made."""


class ScenarioError(TriagebookError):
    """A scenario cannot be read, or a world cannot plant what it asks for."""
