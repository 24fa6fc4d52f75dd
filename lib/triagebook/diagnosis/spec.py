"""An incident type's spec: its checks in order, and the sections of its notebook with their words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from triagebook.core.registry import Registry

if TYPE_CHECKING:
    from triagebook.core.models import IncidentType


@dataclass(frozen=True)
class Section:
    """One question of a notebook.

    Attributes
    ----------
    id : str
        The notebook cell's id, and the `cell` of the findings shown there.
    question : str
        The heading.
    how : str
        How to read the chart: axes, units, threshold, what bad looks like, a common false alarm.
    checks : tuple of str
        Ids of the checks that answer it, in order.
    chart : str or None
        The chart's name in `triagebook.charts`.
    second : (str, str) or None
        Another chart below it, and how to read that one.
    """

    id: str
    question: str
    how: str
    checks: tuple[str, ...] = ()
    chart: str | None = None
    second: tuple[str, str] | None = None


@dataclass(frozen=True)
class Spec:
    """An incident type.

    Attributes
    ----------
    name : IncidentType
    title, meaning : str
        What it is called, and one sentence on what such an alert means.
    needs : tuple of str
        Kinds of evidence without which no cause can be called found.
    sections : tuple of Section
    """

    name: IncidentType
    title: str
    meaning: str
    needs: tuple[str, ...]
    sections: tuple[Section, ...]
    escalate: tuple[str, ...] = field(default=())

    @property
    def checks(self) -> tuple[str, ...]:
        """Ids of all checks, in the order of the sections, each once."""
        return tuple(dict.fromkeys(c for section in self.sections for c in section.checks))

    def section(self, section_id: str) -> Section:
        """Return a section by id; KeyError where there is none."""
        return next(s for s in self.sections if s.id == section_id)

    def cell_of(self, check: str) -> str | None:
        """Return the id of the cell that shows a check's findings."""
        return next((s.id for s in self.sections if check in s.checks), None)


TYPES: Registry[Spec] = Registry(
    "incident type", "triagebook.diagnosis.types", "triagebook.incident_types"
)
"""Specs by name; `generic` serves every type without one of its own."""
