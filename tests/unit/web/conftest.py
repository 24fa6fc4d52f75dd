from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.web.service import running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.unit.web.service import Service


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with running(tmp_path) as started:
        yield started


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service for tests that only ask: one start for all of a module."""
    with running(tmp_path_factory.mktemp("standing")) as started:
        yield started
