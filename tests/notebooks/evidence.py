"""Evidence for tests: the demo service's, made once a session, and small bundles written by hand."""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from triagebook.core.models import (
    Alert,
    Change,
    LedgerEntry,
    Service,
    TableSpec,
    TaskRun,
    Windows,
)
from triagebook.core.paths import Home
from triagebook.core.settings import load_settings
from triagebook.core.times import now_utc
from triagebook.drills.worlds import flight_delay
from triagebook.evidence.collect import collect
from triagebook.evidence.store import write_bundle
from triagebook.evidence.windows import windows_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

    from triagebook.core.settings import Settings

DAY = timedelta(days=1)
NOW = datetime(2024, 5, 20, 12, tzinfo=UTC)
WINDOWS = Windows(reference=(NOW - 16 * DAY, NOW - 2 * DAY), current=(NOW - 2 * DAY, NOW))
ONSET = NOW - timedelta(hours=8)


@dataclass(frozen=True)
class Demo:
    """The demo service: its home, the alert about it, and the evidence for that alert."""

    home: Home
    settings: Settings
    alert: Alert
    evidence: Path


def shared_folder(factory: pytest.TempPathFactory, name: str) -> Path:
    """Return a folder that all workers of a parallel run have in common (not made here)."""
    base = factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the lock of a shared folder: the second worker waits instead of making it too."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def demo(factory: pytest.TempPathFactory, cache: Path, *, faulty: bool = True) -> Demo:
    """Build the demo's home and collect its evidence, or take what another worker made."""
    root = shared_folder(factory, f"demo-{'faulty' if faulty else 'healthy'}")
    with alone(root):
        world = flight_delay.build(root, fault="unit_change" if faulty else None, cache=cache)
        settings = load_settings(root / "triagebook.toml")
        alert = Alert(
            sender="alertmanager",
            title=world.annotations["summary"],
            incident_type=world.labels["incident_type"],
            service=world.service,
            starts_at=world.alert_at,
            labels=world.labels,
            annotations=world.annotations,
        )
        evidence = root / "collected" / "evidence"
        if not evidence.exists():
            service = settings.service(world.service)
            windows = windows_for(alert, service, now_utc())
            place = {"root": root, "incident_id": "collected", "into": evidence}
            collect(settings, service, alert, windows, **place)
    return Demo(Home(root), settings, alert, evidence)


def moments(start: datetime, end: datetime, minutes: int = 20) -> pd.DatetimeIndex:
    """Return times from start up to end."""
    return pd.date_range(start, end, freq=f"{minutes}min", inclusive="left", unit="us")


def rows(
    side: str, names: tuple[str, str, str] = ("amount", "kind", "score"), seed: int = 3
) -> pd.DataFrame:
    """Return a table's rows of one window: a number that is tripled from the onset on, and two more.

    Parameters
    ----------
    names : (number, category, score)
    """
    rng = np.random.default_rng([seed, side == "current"])
    ts = moments(*(WINDOWS.reference if side == "reference" else WINDOWS.current))
    amount = rng.gamma(4.0, 12.0, len(ts))
    if side == "current":
        amount = np.where(ts >= pd.Timestamp(ONSET), amount * 3.0, amount)
    number, category, score = names
    return pd.DataFrame(
        {
            "id": np.arange(len(ts)) + (10**6 if side == "current" else 0),
            "ts": ts,
            number: amount,
            category: rng.choice(["a", "b", "c"], len(ts)),
            score: 1 / (1 + np.exp(2.0 - amount / 40)),
            "prediction": amount > 80,
        }
    )


def table(
    role: str, names: tuple[str, str, str] = ("amount", "kind", "score"), **more: Any
) -> tuple[TableSpec, pd.DataFrame, pd.DataFrame]:
    """Return a table for `small`."""
    known: dict[str, Any] = {"role": role, "time_column": "ts", "key_columns": ["id"]}
    if role == "predictions":
        known |= {"prediction": "prediction", "score": names[2], "feature_columns": names[:2]}
    spec = TableSpec.model_validate({**known, "unit": {names[0]: "euro"}, **more})
    return spec, rows("reference", names), rows("current", names)


def series(name: str = "queue_length", labels: str = "{}") -> pd.DataFrame:
    """Return one metric over both windows, five times as high from the onset on."""
    ts = moments(WINDOWS.reference[0], WINDOWS.current[1])
    level = np.random.default_rng(5).normal(20.0, 2.0, len(ts))
    value = np.where(ts >= pd.Timestamp(ONSET), level * 5, level)
    return pd.DataFrame({"ts": ts, "name": name, "labels": labels, "value": value})


def changes(number: int, what: str = "deploy of part {}") -> list[Change]:
    """Return changes spread over the current window, the last an hour before the onset."""
    step = (ONSET - timedelta(hours=1) - WINDOWS.current[0]) / number
    return [
        Change.model_validate(
            {
                "ts": WINDOWS.current[0] + (place + 1) * step,
                "what": what.format(place),
                "from": "v1",
                "to": "v2",
                "by": "ci",
            }
        )
        for place in range(number)
    ]


def tasks(number: int, state: str = "failed", name: str = "task_{}") -> list[TaskRun]:
    """Return one run of each of so many tasks, shortly after the onset."""
    return [
        TaskRun(
            pipeline="nightly",
            task=name.format(place),
            state=state,
            start=ONSET + timedelta(seconds=20 * place),
            end=ONSET + timedelta(seconds=20 * place + 15),
        )
        for place in range(number)
    ]


def small(into: Path, *, alert: Alert | None = None, **parts: Any) -> Path:
    """Write a small bundle; the parts are those of `write_bundle`, and each gets its ledger entry."""
    ledger = [
        LedgerEntry(id=f"L{place:02d}", source=source, kind=kind, status="ok", rows=1)
        for place, (source, kind) in enumerate(_sources(parts), 1)
    ]
    service = parts.pop("service", Service(name="shop", kind="model"))
    return write_bundle(
        into,
        alert=alert or Alert(title="something moved", service="shop", starts_at=ONSET),
        service=service,
        windows=WINDOWS,
        ledger=parts.pop("ledger", ledger),
        **parts,
    )


def _sources(parts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for kind in ("metrics", "logs", "changes", "pipeline", "topology"):
        if parts.get(kind) is not None:
            yield kind, kind
    for name in parts.get("tables") or {}:
        yield f"tables:{name}", "tables"


def without(bundle: Path, into: Path, part: str) -> Path:
    """Copy a bundle without one of its parts; its ledger goes on claiming that it is there."""
    shutil.copytree(bundle, into)
    gone = into / part
    if gone.is_dir():
        shutil.rmtree(gone)
    else:
        gone.unlink()
    return into
