"""What runs of a home share about a server: places, and rest after failures."""

from __future__ import annotations

import multiprocessing
import threading
import time
from typing import TYPE_CHECKING

import pytest

from triagebook.core.errors import SourceError, SourceTimeoutError
from triagebook.sources import guard as guards
from triagebook.sources.guard import FAILURES, LONGEST_REST_S, REST_S, Guard

if TYPE_CHECKING:
    from multiprocessing.synchronize import Event
    from pathlib import Path

SERVER = "http://prometheus:9090"


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is moved."""

    class Clock:
        now = 1_000_000.0

    monkeypatch.setattr(guards.time, "time", lambda: Clock.now)
    return Clock


def _hold(folder: Path, held: Event, end: Event) -> None:
    with Guard(folder, SERVER, 1).turn(5):
        held.set()
        end.wait(30)


def test_places_are_shared_by_threads_and_processes(tmp_path):
    fork = multiprocessing.get_context("spawn")
    held, end = fork.Event(), fork.Event()
    other = fork.Process(target=_hold, args=(tmp_path, held, end))
    other.start()
    try:
        assert held.wait(60)
        refused = pytest.raises(SourceTimeoutError, match=r"1 other questions .* were under way")
        with refused, Guard(tmp_path, SERVER, 1).turn(0.1):
            pytest.fail("the only place was taken")
        two = Guard(tmp_path, SERVER, 2)
        with two.turn(0.1), pytest.raises(SourceTimeoutError), two.turn(0.1):
            pytest.fail("both were taken")
        with Guard(tmp_path, "http://another:9090", 1).turn(0.1):
            pass
    finally:
        end.set()
        other.join(30)
    with Guard(tmp_path, SERVER, 1).turn(5):
        pass


def test_never_more_at_once_than_there_are_places(tmp_path):
    now, most, lock = [0], [0], threading.Lock()

    def ask() -> None:
        with Guard(tmp_path, SERVER, 3).turn(30):
            with lock:
                now[0] += 1
                most[0] = max(most[0], now[0])
            time.sleep(0.01)
            with lock:
                now[0] -= 1

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (now[0], most[0]) == (0, 3)


def test_a_place_is_given_back_whatever_happens(tmp_path):
    guard = Guard(tmp_path, SERVER, 1)
    with pytest.raises(ValueError, match="inside"), guard.turn(1):
        raise ValueError("inside")
    with guard.turn(0.1):
        pass


def fail(guard: Guard, times: int) -> None:
    for _ in range(times):
        with guard.turn(1):
            guard.failed("refused")


def test_a_server_that_fails_is_left_alone_for_a_while(tmp_path, clock):
    guard = Guard(tmp_path, SERVER, 4)
    fail(guard, FAILURES - 1)
    with guard.turn(1):
        guard.failed("refused")
    other = Guard(tmp_path, SERVER, 4)  # another run's
    refused = pytest.raises(SourceError, match=r"not asked: .* failed a moment ago \(refused\)")
    with refused as told, other.turn(1):
        pytest.fail("it rests")
    assert "until 1970-01-12T13:47:11Z" in told.value.hint
    clock.now += REST_S - 0.1
    with pytest.raises(SourceError), other.turn(1):
        pytest.fail("it still rests")
    clock.now += 0.1
    # One tries; the others wait for what comes of it.
    with other.turn(1):
        with pytest.raises(SourceError), guard.turn(1):
            pytest.fail("one is enough")
        other.answered()
    with guard.turn(1):
        pass


def test_a_trial_that_fails_or_dies_lets_it_rest_on(tmp_path, clock):
    guard = Guard(tmp_path, SERVER, 4)
    fail(guard, FAILURES)
    clock.now += REST_S
    fail(guard, 1)
    with pytest.raises(SourceError), guard.turn(1):
        pytest.fail("it rests again")
    clock.now += REST_S
    with guard.turn(1):
        pass  # killed, say: nothing is noted
    with pytest.raises(SourceError), guard.turn(1):
        pytest.fail("somebody tries")
    clock.now += REST_S
    with guard.turn(1):
        guard.answered()


def test_an_answer_makes_earlier_failures_forgotten(tmp_path):
    guard = Guard(tmp_path, SERVER, 4)
    for _ in range(FAILURES):
        fail(guard, FAILURES - 1)
        guard.answered()
    with guard.turn(1):
        pass


@pytest.mark.parametrize(("wanted_s", "rests_s"), [(5, 5), (1e6, LONGEST_REST_S)])
def test_when_to_come_back_is_obeyed_at_once(tmp_path, clock, wanted_s, rests_s):
    guard = Guard(tmp_path, SERVER, 4)
    guard.failed("status 429", wanted_s)
    clock.now += rests_s - 0.1
    with pytest.raises(SourceError, match="429"), guard.turn(1):
        pytest.fail("it asked for rest")
    clock.now += 0.1
    with guard.turn(1):
        pass


def test_a_record_that_was_cut_off_is_none(tmp_path):
    guard = Guard(tmp_path, SERVER, 4)
    fail(guard, FAILURES)
    [record] = tmp_path.glob("*.json")
    record.write_text('{"failures": 3, "rests_u')
    with guard.turn(1):
        pass
    guard.answered()
    assert not record.exists()
