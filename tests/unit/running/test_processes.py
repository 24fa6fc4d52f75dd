"""Processes are told apart by start time, and ended with all they started."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from triagebook.running import processes
from triagebook.running.processes import Identity, end, family, identify, is_alive, table

TREE = """
import subprocess, sys
subprocess.Popen(["sleep", "300"])
subprocess.Popen(["sleep", "300"], start_new_session=True)
print("up", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def tree():
    root = subprocess.Popen(
        [sys.executable, "-c", TREE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    with root:
        assert root.stdout is not None
        assert root.stdout.readline() == b"up\n"
        who = identify(root.pid)
        assert who is not None
        everyone = [one for pid in family([who]) if (one := identify(pid)) is not None]
        yield root, who
        end(everyone)


def test_a_tree_is_ended_whole(tree):
    _, who = tree
    members = family([who])
    assert len(members) == 3
    assert end([who])
    rows = table()
    assert [pid for pid in members if pid in rows and not rows[pid].zombie] == []


def test_children_are_ended_after_their_parent_is_gone(tree):
    root, who = tree
    root.kill()
    root.wait()
    assert len(family([who])) == 1  # the one in the root's session; the other cannot be told
    assert end([who])
    assert family([who]) == []


def test_another_process_of_the_same_pid_is_left_alone(tree):
    root, who = tree
    stranger = Identity(who.pid, "another start")
    assert not is_alive(stranger)
    assert family([stranger]) == []
    assert end([stranger])
    assert root.poll() is None


def test_this_process_is_never_among_those_to_end():
    me = identify(os.getpid())
    assert me is not None
    assert os.getpid() not in family([me])


def test_a_pid_that_is_not_there_has_no_identity():
    child = subprocess.Popen(["true"])
    child.wait()
    assert identify(child.pid) is None


def test_the_table_of_ps_agrees_with_proc():
    if not os.path.exists("/bin/ps"):  # noqa: PTH110 - one look
        pytest.skip("macOS only: /bin/ps is there on macOS, and on Linux with procps")
    rows = processes._from_ps()
    mine = rows[os.getpid()]
    assert mine.parent == os.getppid()
    assert mine.group == os.getpgid(0)
    assert not mine.zombie
