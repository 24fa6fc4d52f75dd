"""The registry of pipeline sources; each module of this folder is one system."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triagebook.core.registry import Registry

if TYPE_CHECKING:
    from triagebook.sources.base import Source

PIPELINE: Registry[type[Source]] = Registry("pipeline source", __name__, __name__)
