"""One service a home."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from triagebook.core.errors import RunError
from triagebook.running.lock import HomeLock

if TYPE_CHECKING:
    from triagebook.core.paths import Home

HOLD = """
import sys, time
from pathlib import Path
from triagebook.core.paths import Home
from triagebook.running.lock import HomeLock
HomeLock(Home(Path(sys.argv[1]))).take()
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_service_is_refused_until_the_first_is_gone(home: Home):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(home.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RunError, match=rf"process {holder.pid}") as caught:
            HomeLock(home).take()
        assert "--home" in str(caught.value)
        holder.kill()
    with HomeLock(home):
        pass


def test_two_homes_do_not_mind_each_other(home: Home, tmp_path):
    with HomeLock(home), HomeLock(type(home)(tmp_path / "other")):
        pass


def test_release_lets_the_next_one_in(home: Home):
    lock = HomeLock(home).take()
    lock.release()
    lock.release()
    with HomeLock(home):
        pass
