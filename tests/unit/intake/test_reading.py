"""One thread reads what is kept; whoever waits for a delivery learns in time what came of it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from triagebook.intake.reading import Reader


class Kept:
    """Deliveries to read, as a store has them."""

    def __init__(self):
        self.names = []
        self.read = []
        self.turn = threading.Lock()
        self.breaks = 0

    def add(self, name):
        with self.turn:
            self.names.append(name)

    def __call__(self):
        if self.breaks:
            self.breaks -= 1
            raise OSError("away")
        while True:
            with self.turn:
                if not self.names:
                    return
                name = self.names.pop(0)
            self.read.append(name)
            yield name, name.upper()


@pytest.fixture
def kept():
    return Kept()


@pytest.fixture
def reader(kept):
    made = Reader(kept, again_after_s=0.02)
    yield made
    made.close(60)
    assert made._thread is None or not made._thread.is_alive()


def test_it_says_what_came_of_a_delivery_and_reads_those_before_it_first(kept, reader):
    kept.add("a")
    kept.add("b")
    came = reader.wait("b", 60)
    assert (came.how, came.result) == ("read", "B")
    assert kept.read == ["a", "b"]
    # It was read by the turn before.
    assert reader.wait("a", 60).how == "over"


def test_many_at_once_are_read_once_each(kept, reader):
    names = [f"n{number}" for number in range(200)]

    def post(name):
        kept.add(name)
        return reader.wait(name, 60)

    with ThreadPoolExecutor(16) as pool:
        came = list(pool.map(post, names))
    assert sorted(kept.read) == sorted(names)
    # Each was read: here, or by a turn that another had asked for before it began to wait.
    assert {one.how for one in came} <= {"read", "over"}
    assert all(one.result == one.delivery.upper() for one in came if one.how == "read")


def test_nobody_waits_longer_than_they_want():
    free = threading.Event()

    def slow():
        assert free.wait(60)
        yield "a", "A"

    slow_reader = Reader(slow)
    assert slow_reader.wait("a", 0.0).how == "late"
    assert slow_reader.wait("a", 0.05).how == "late"
    with ThreadPoolExecutor(2) as pool:
        twice = [pool.submit(slow_reader.wait, "a", 60) for _ in range(2)]
        free.set()
        assert {one.result().how for one in twice} <= {"read", "over"}
    slow_reader.close(60)


def test_what_fails_is_said_and_read_again_later_without_being_asked(kept, reader):
    kept.breaks = 3
    kept.add("a")
    assert reader.wait("a", 60).how == "failed"
    deadline = threading.Event()
    for _ in range(600):
        if kept.read == ["a"]:
            break
        deadline.wait(0.1)
    assert kept.read == ["a"]
    assert reader.wait("a", 60).how == "over"


def test_after_a_failure_who_asks_next_does_not_wait_for_the_next_try(kept):
    reader = Reader(kept, again_after_s=3_600)
    kept.breaks = 1
    kept.add("a")
    assert reader.wait("a", 60).how == "failed"
    assert reader.wait("a", 60).how == "read"
    reader.close(60)


def test_closed_in_the_middle_it_ends_after_the_delivery_it_reads():
    reading, go_on, done = threading.Event(), threading.Event(), []

    def read():
        for name in ("a", "b", "c"):
            reading.set()
            assert go_on.wait(60)
            done.append(name)
            yield name, name.upper()

    reader = Reader(read)
    with ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(reader.wait, "c", 60)
        assert reading.wait(60)
        closing = pool.submit(reader.close, 60)
        assert waiting.result().how == "late"  # it does not wait for what will not come
        go_on.set()
        closing.result()
    assert not reader._thread.is_alive()
    assert done == ["a"]


def test_once_closed_it_reads_no_more(kept):
    reader = Reader(kept)
    reader.close(1)
    kept.add("a")
    assert reader.wait("a", 60).how == "late"
    assert kept.read == []
