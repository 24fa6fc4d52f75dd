from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.intake.patient import PatientIntake
from triagebook.core.settings import Settings
from triagebook.incidents.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from triagebook.intake.receive import Intake


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(f"sqlite:///{tmp_path / 'store.db'}") as opened:
        yield opened


@pytest.fixture
def told() -> list[str]:
    """Collect the incidents that the intake announced."""
    return []


@pytest.fixture
def make_intake(store: Store, tmp_path: Path, told: list[str]) -> Iterator[Callable[..., Intake]]:
    made = []

    def make(on_incident: Callable[[str], None] = told.append, **settings: object) -> Intake:
        known = {"service": [{"name": "flight-delay"}], **settings}
        made.append(PatientIntake(store, Settings(**known), tmp_path, on_incident))
        return made[-1]

    yield make
    # A queue that refuses is told again and again until its intake is closed.
    for intake in made:
        assert intake.close(60)


@pytest.fixture
def intake(make_intake: Callable[..., Intake]) -> Intake:
    return make_intake()
