"""The registries of sources by kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triagebook.sources.changes import CHANGES
from triagebook.sources.logs import LOGS
from triagebook.sources.metrics import METRICS
from triagebook.sources.pipeline import PIPELINE
from triagebook.sources.tables import TABLES

if TYPE_CHECKING:
    from triagebook.core.registry import Registry
    from triagebook.sources.base import Source

REGISTRIES: dict[str, Registry[type[Source]]] = {
    "metrics": METRICS,
    "logs": LOGS,
    "tables": TABLES,
    "changes": CHANGES,
    "pipeline": PIPELINE,
}
