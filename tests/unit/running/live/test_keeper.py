"""Which live kernels go when there are too many, or when they use too much."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from triagebook.running.live.jupyter import Session
from triagebook.running.live.keeper import Kept, surplus

MIB = 1_048_576


def kept(minute: int, mib: int = 100, *, connections: int = 0, state: str = "idle") -> Kept:
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
    name = f"n{minute}"
    return Kept(Session(name, f"{name}.ipynb", name, connections, state, at), mib * MIB)


def names(kernels: list[Kept]) -> list[str]:
    return [kernel.session.id for kernel in kernels]


@pytest.mark.parametrize(
    ("most", "room_for", "gone"),
    [(4, 0, []), (3, 0, []), (3, 1, ["n1"]), (2, 0, ["n1"]), (1, 1, ["n1", "n2", "n3"])],
)
def test_the_longest_unused_go_first_by_count(most: int, room_for: int, gone: list[str]):
    kernels = [kept(3), kept(1), kept(2)]
    assert names(surplus(kernels, most, 10_000 * MIB, room_for=room_for)) == gone


@pytest.mark.parametrize(("most_mib", "gone"), [(301, []), (300, []), (299, ["n1"])])
def test_memory_counts_in_all(most_mib: int, gone: list[str]):
    assert names(surplus([kept(3), kept(1), kept(2)], 9, most_mib * MIB)) == gone


def test_whoever_is_in_a_kernel_keeps_it():
    kernels = [kept(1, connections=1), kept(2, state="busy"), kept(3)]
    assert names(surplus(kernels, 1, 10_000 * MIB)) == ["n3"]
