"""Objects over a socket, whole or not at all."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from triagebook.running.warm.lines import Lines

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def ends() -> Iterator[tuple[Lines, socket.socket]]:
    mine, theirs = socket.socketpair()
    with mine, theirs:
        yield Lines(mine), theirs


def test_a_line_in_two_parts_is_one_object(ends: tuple[Lines, socket.socket]):
    lines, other = ends
    other.sendall(b'{"a": ')
    assert lines.pending() == []
    other.sendall(b'1}\n{"b": 2}\n{"c"')
    assert lines.pending() == [{"a": 1}, {"b": 2}]
    assert lines.pending() == []


def test_what_was_sent_before_the_end_is_still_read(ends: tuple[Lines, socket.socket]):
    lines, other = ends
    Lines(other).send({"exit": 3})
    other.close()
    assert lines.pending() == [{"exit": 3}]
    assert lines.pending() is None
    assert lines.receive(1) is None


def test_waiting_ends_in_time(ends: tuple[Lines, socket.socket]):
    lines, _ = ends
    with pytest.raises(TimeoutError, match=r"0\.05 s"):
        lines.receive(0.05)
