"""Kill -9 at the worst moments: what was kept is processed exactly once after a restart."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.payloads.alertmanager import build

PROGRAM = """
import os, signal, sys
from pathlib import Path
from triagebook.core.settings import Settings
from triagebook.incidents import lifecycle
from triagebook.incidents.store import Store
from triagebook.intake import receive
from triagebook.intake.senders.alertmanager import Alertmanager

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

moment, root = sys.argv[1], Path(sys.argv[2])
if moment == "parse":
    Alertmanager.parse = die
elif moment == "transaction":
    lifecycle.Work.new_incident = die
store = Store(f"sqlite:///{root / 'store.db'}")
settings = Settings(service=[{"name": "flight-delay"}])
intake = receive.Intake(store, settings, root, die)
intake.accept("alertmanager", {}, sys.stdin.buffer.read())
intake.wait_told(60)
"""


@pytest.mark.parametrize(
    ("moment", "left"), [("parse", 1), ("transaction", 1), ("announcement", 0)]
)
def test_a_kill_loses_nothing_and_repeats_nothing(tmp_path, store, intake, told, moment, left):
    died = subprocess.run(
        [sys.executable, "-c", PROGRAM, moment, str(tmp_path)],
        input=build.body(build.alert()),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    assert len(store.deliveries.unread()) == left
    assert len(intake.replay_stored()) == left
    assert intake.replay_stored() == []
    (incident,) = store.incidents()
    assert len(store.alerts(incident.id)) == 1
    # Told by the replay, or found by the sweep at the start: either way its run is to be done.
    assert store.runs_to_do() == [incident.id]
    assert len(told) == left
