"""What holds for every test: no skipping in CI, nothing of the developer's own settings."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.live.postgres import Postgres

# A test that is skipped in CI tests nothing and nobody notices. Only what a Linux machine cannot
# have may skip there; a reason must begin with one of these.
ALLOWED_SKIPS_IN_CI = ("macOS only:",)

# Before anything is imported: evidently must not call home, matplotlib must not look for a screen.
os.environ["DO_NOT_TRACK"] = "1"
os.environ["MPLBACKEND"] = "Agg"


def _in_ci() -> bool:
    return os.environ.get("CI", "").lower() in {"true", "1"}


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    # An expected failure is reported as skipped as well, but it did run.
    if not report.skipped or hasattr(report, "wasxfail") or not _in_ci():
        return
    where = report.longrepr
    reason = where[2] if isinstance(where, tuple) else str(where)
    reason = reason.removeprefix("Skipped: ")
    if not reason.startswith(ALLOWED_SKIPS_IN_CI):
        report.outcome = "failed"
        report.longrepr = (
            f"skipped in CI, where nothing may skip: {reason}\n"
            "Install what it needs (.ci/run does), or begin the reason with one of: "
            f"{', '.join(ALLOWED_SKIPS_IN_CI)}"
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    report = yield
    _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Iterator[None]:
    report = yield
    _refuse_skip(report)
    return report


@pytest.fixture(autouse=True)
def _no_settings_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("TRIAGEBOOK_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Return a real PostgreSQL; a test makes a database of its own in it."""
    from tests.live.postgres import Postgres  # noqa: PLC0415 - few tests need it

    server = Postgres()
    yield server
    server.close()


@pytest.fixture(scope="session")
def world_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache for `flight_delay.build` that holds the faulty world; shared by all workers."""
    from triagebook.drills.worlds import flight_delay  # noqa: PLC0415 - few tests need it

    base = tmp_path_factory.getbasetemp()
    cache = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "world-cache"
    # Building takes all of a core for ten seconds: the second worker waits instead of doing it too.
    with cache.with_name("world-cache.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        flight_delay.build(tmp_path_factory.mktemp("world"), cache=cache)
    return cache
