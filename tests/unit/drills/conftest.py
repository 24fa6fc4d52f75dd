"""Two built worlds, made once a session and shared by the workers of a parallel run."""

import fcntl

import pytest

from triagebook.drills.worlds.flight_delay import build


@pytest.fixture(scope="session")
def cache(world_cache):
    return world_cache


@pytest.fixture(scope="session")
def faulty(tmp_path_factory, cache):
    return build(tmp_path_factory.mktemp("faulty"), cache=cache)


@pytest.fixture(scope="session")
def healthy(tmp_path_factory, cache):
    # One worker builds, the other waits and takes it from the cache.
    with cache.with_name("healthy-world.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return build(tmp_path_factory.mktemp("healthy"), fault=None, cache=cache)
