from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from triagebook.core.models import Alert
from triagebook.core.settings import Settings
from triagebook.incidents.lifecycle import apply_delivery
from triagebook.incidents.routes import route
from triagebook.incidents.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from triagebook.incidents.applying import Applied

NOON = datetime(2013, 6, 4, 12, tzinfo=UTC)


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def go_on(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.live)])
def store(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Store]:
    """Open an empty store; what holds must hold on both databases."""
    count = itertools.count()
    url = f"sqlite:///{tmp_path / 'store.db'}"
    if request.param == "postgres":
        url = request.getfixturevalue("postgres").store()
    with Store(
        url,
        clock=clock,
        tail=lambda length: f"{next(count):0{length}d}",
    ) as opened:
        yield opened


@pytest.fixture
def settings() -> Settings:
    return Settings(service=[{"name": "flight-delay"}, {"name": "churn"}])


@pytest.fixture
def deliver(store: Store, settings: Settings, tmp_path: Path) -> Callable[..., Applied | None]:
    """Keep and apply a delivery of alerts, as the intake does."""

    def send(*alerts: Alert, sender: str = "alertmanager") -> Applied | None:
        name = store.deliveries.add(sender, {}, b"{}")
        return apply_delivery(store, name, alerts, lambda alert: route(alert, settings, tmp_path))

    return send


@pytest.fixture
def drift() -> Callable[..., Alert]:
    """Make a drift alert of flight-delay; `labels` change or add labels."""

    def make(status: str = "firing", *, fingerprint: str = "f1", **labels: str) -> Alert:
        return Alert(
            sender="alertmanager",
            fingerprint=fingerprint,
            status=status,
            title=f"drift {fingerprint}",
            starts_at=NOON,
            ends_at=NOON + timedelta(minutes=5) if status == "resolved" else None,
            labels={"service": "flight-delay", "incident_type": "drift", **labels},
        )

    return make
