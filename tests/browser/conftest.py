from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.canary import listening
from tests.browser.chrome import program, started
from tests.unit.web.service import running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.browser.canary import Canary
    from tests.browser.chrome import Chrome
    from tests.unit.web.service import Service


@pytest.fixture(scope="session")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    found = program()
    if found is None:
        pytest.skip("no Chromium here: apt-get install chromium, or install Google Chrome")
    with started(found, tmp_path_factory.mktemp("chrome")) as browser:
        yield browser


@pytest.fixture
def canary() -> Iterator[Canary]:
    with listening() as server:
        yield server


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with running(tmp_path) as server:
        yield server
