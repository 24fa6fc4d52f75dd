"""What a check says: a finding, and which hypotheses it speaks for or against, and how strongly."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from triagebook.core.errors import RegistryError
from triagebook.core.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from triagebook.core.models import FindingVerdict
    from triagebook.diagnosis.context import Context


@dataclass(frozen=True)
class Signal:
    """Weight of evidence for (positive) or against (negative) a cause at a locus, in nats.

    One nat makes a hypothesis e times as likely as before. `docs/diagnosis.md` lists the weights.
    `*` as locus means every hypothesis of that cause.
    """

    cause: str
    locus: str
    weight: float
    headline: str = ""
    mechanism: str = ""


@dataclass(frozen=True)
class Answer:
    """A check's answer at one locus, before it has an id; fields as in `core.models.Finding`.

    `since_low` and `since_high` bound `since`, where more is known than a moment.
    """

    locus: str
    verdict: FindingVerdict
    statement: str
    value: float | None = None
    unit: str | None = None
    threshold: float | None = None
    effect: float | None = None
    since: datetime | None = None
    since_low: datetime | None = None
    since_high: datetime | None = None
    evidence: list[str] = field(default_factory=list)
    signals: tuple[Signal, ...] = ()


@dataclass(frozen=True)
class Check:
    """One question put to the evidence.

    Attributes
    ----------
    id : str
        Such as `data.unit_change`; the same in findings, docs and thresholds.
    question : str
        In words a tired person understands.
    finds, opposes : tuple of str
        Causes it can find, and causes it can speak against.
    run : callable
        Context in, answers out. Pure: it asks nobody and writes nothing.
    """

    id: str
    question: str
    finds: tuple[str, ...]
    opposes: tuple[str, ...]
    run: Callable[[Context], Iterable[Answer]]


CHECKS: Registry[Check] = Registry("check", "triagebook.diagnosis.checks", "triagebook.checks")
"""All checks, one module a subject."""


def check(
    check_id: str, question: str, *, finds: tuple[str, ...] = (), opposes: tuple[str, ...] = ()
) -> Callable[[Callable[[Context], Iterable[Answer]]], Callable[[Context], Iterable[Answer]]]:
    """Return a decorator that registers a function as a check."""

    def keep(
        run: Callable[[Context], Iterable[Answer]],
    ) -> Callable[[Context], Iterable[Answer]]:
        if "." not in check_id:
            raise RegistryError(f"a check's id has a subject and a name, got {check_id!r}")
        CHECKS.register(check_id)(Check(check_id, question, finds, opposes, run))
        return run

    return keep
