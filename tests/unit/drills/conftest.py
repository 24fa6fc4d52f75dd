"""Two built worlds, made once a session and shared by the workers of a parallel run."""

import os

import pytest

from triagebook.drills.worlds.flight_delay import build


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    base = tmp_path_factory.getbasetemp()
    parallel = "PYTEST_XDIST_WORKER" in os.environ
    return (base.parent if parallel else base) / "world-cache"


@pytest.fixture(scope="session")
def faulty(tmp_path_factory, cache):
    return build(tmp_path_factory.mktemp("faulty"), cache=cache)


@pytest.fixture(scope="session")
def healthy(tmp_path_factory, cache):
    return build(tmp_path_factory.mktemp("healthy"), fault=None, cache=cache)
