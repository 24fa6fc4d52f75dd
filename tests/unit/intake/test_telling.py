"""The queue is told of every incident, and never holds up the intake for long."""

from __future__ import annotations

import threading
import time

from triagebook.core.errors import NotFoundError
from triagebook.intake import telling
from triagebook.intake.telling import Teller


def wait_until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_it_is_told_before_the_intake_goes_on():
    told = []
    teller = Teller(told.append)
    for name in ("a", "b"):
        teller.tell(name)
        assert told[-1] == name


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
    assert calls[:3] == ["a", "gone", "b"]
    wait_until(lambda: calls.count("a") == 3)
    teller.tell("c")
    assert (calls.count("gone"), calls.count("b"), calls[-1]) == (1, 1, "c")


def test_a_queue_that_hangs_holds_up_the_first_delivery_a_little_and_the_next_not_at_all(
    monkeypatch,
):
    monkeypatch.setattr(telling, "TOLD_WITHIN_S", 0.2)
    free, told = threading.Event(), []

    def hang(name):
        assert free.wait(60)
        told.append(name)

    teller = Teller(hang)
    began = time.monotonic()
    teller.tell("a")
    assert time.monotonic() - began >= 0.2
    monkeypatch.setattr(telling, "TOLD_WITHIN_S", 60)
    teller.tell("b")  # would wait for a minute
    teller.tell("c")
    assert told == []
    free.set()
    wait_until(lambda: told == ["a", "b", "c"])
