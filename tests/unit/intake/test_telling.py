"""The queue is told of every incident, and never holds up the intake for long."""

from __future__ import annotations

import threading
import time

from triagebook.core.errors import NotFoundError
from triagebook.intake.telling import Teller


def wait_until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_it_is_told_in_order_and_one_can_wait_for_it():
    told = []
    teller = Teller(told.append)
    assert teller.wait_told(0)
    for name in ("a", "b", "c"):
        teller.tell(name)
    assert teller.wait_told(60)
    assert told == ["a", "b", "c"]


def test_once_closed_it_tells_no_more():
    told = []

    def refuse(name):
        told.append(name)
        raise OSError("no room")

    teller = Teller(refuse, again_after_s=0.05)
    assert teller.close(1)  # before anything was told
    teller = Teller(refuse, again_after_s=0.05)
    teller.tell("a")
    assert teller.close(60)
    teller._thread.join(60)
    assert not teller._thread.is_alive()
    assert set(told) == {"a"}


def test_what_the_queue_refuses_it_is_told_again_and_the_others_meanwhile():
    calls = []

    def refuse_twice(name):
        calls.append(name)
        if name == "a" and calls.count("a") < 3:
            raise OSError("no room")
        if name == "gone":
            raise NotFoundError("deleted meanwhile")

    teller = Teller(refuse_twice, again_after_s=0.05)
    for name in ("a", "gone", "b"):
        teller.tell(name)
    assert teller.wait_told(60)
    assert calls[:3] == ["a", "gone", "b"]
    wait_until(lambda: calls.count("a") == 3)
    teller.tell("c")
    assert teller.wait_told(60)
    assert (calls.count("gone"), calls.count("b"), calls[-1]) == (1, 1, "c")


def test_a_queue_that_hangs_holds_up_nobody():
    free, told = threading.Event(), []

    def hang(name):
        assert free.wait(60)
        told.append(name)

    teller = Teller(hang)
    for name in ("a", "b", "c"):
        teller.tell(name)
    assert not teller.wait_told(0.05)
    assert told == []
    free.set()
    assert teller.wait_told(60)
    assert told == ["a", "b", "c"]
