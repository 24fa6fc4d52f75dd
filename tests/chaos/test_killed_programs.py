"""The programs that kill a real service many times, once each: what they promise holds, and they work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.chaos import accepted, midway

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
def test_killed_after_its_202_and_before_it(tmp_path: Path) -> None:
    found = accepted.played(tmp_path / "home", times=1, before=1, seed=3)
    assert (found["lost"], found["doubled"]) == (0, 0)
    assert found["examples"] == []
    assert found["published"] == found["incidents"] == 2


@pytest.mark.slow
def test_killed_in_mid_notebook_with_warm_runs(tmp_path: Path) -> None:
    found = midway.played(tmp_path / "home", times=1, warm=1, seed=3)
    assert (found["published"], found["doubled"]) == (1, 0)
    assert found["examples"] == []
    assert found["reads"] > 0
