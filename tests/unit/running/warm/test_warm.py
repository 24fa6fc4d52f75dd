"""A real template: its children are used once, are as plain ones are, and never outlive their owner."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.running.conftest import code, wait_for
from triagebook.running.processes import identify, is_alive
from triagebook.running.supervise import execute_attempt
from triagebook.running.warm import pool as pool_module
from triagebook.running.warm.client import SOCKET_VARIABLE, WarmError, take
from triagebook.running.warm.pool import WarmPool, fingerprint

if TYPE_CHECKING:
    from tests.unit.running.conftest import MakeAttempt
    from triagebook.running.attempt import Attempt

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="macOS only: no warm processes there"
)

LEFT_BEHIND = (
    "import subprocess\n"
    "done = subprocess.run(['sh', '-c', 'setsid sleep 300 >/dev/null 2>&1 & echo $!'],"
    " capture_output=True, text=True)\n"
    "open('background.pid', 'w').write(done.stdout)\n"
)


def values(attempt: Attempt) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((attempt.folder / "values.json").read_text())
    return found


def kernel_of(attempt: Attempt) -> str:
    notebook = json.loads(attempt.notebook.read_text())
    return str(notebook["metadata"]["triagebook"]["kernel"])


TELL = """
import json, os, random, sys
import numpy
json.dump({"pid": os.getpid(), "cwd": os.getcwd(), "home": os.environ["TRIAGEBOOK_HOME"],
  "draws": [random.random(), numpy.random.rand()], "imported": "triagebook.nb" in sys.modules,
  "main": __name__, "warm": os.environ.get("TRIAGEBOOK_WARM")}, open("values.json", "w"))
"""


def test_a_warm_kernel_has_its_imports_done_and_is_used_once(
    pool: WarmPool, make_attempt: MakeAttempt
):
    seen = []
    for _ in range(2):
        attempt = make_attempt(code(TELL, "one"))
        for file in attempt.folder.glob("*.json"):
            if file.name != "request.json":
                file.unlink()
        assert execute_attempt(attempt, start=pool.start).failed_cells == []
        assert kernel_of(attempt) == "warm"
        seen.append(values(attempt))
    first, second = seen
    assert first["imported"]
    assert first["cwd"] == str(attempt.folder)
    assert first["home"] == attempt.request().home
    assert first["main"] == "__main__"
    assert first["warm"] is None  # a cell has no business with the template
    assert first["pid"] != second["pid"]
    assert first["draws"][0] != second["draws"][0]
    assert first["draws"][1] != second["draws"][1]


def test_a_kernel_whose_owner_goes_is_ended_with_all_it_started(pool: WarmPool, tmp_path: Path):
    program = f"""
import asyncio, json, os, sys
from triagebook.running.kernels import Kernel
from nbclient import NotebookClient
from nbformat import v4
os.environ[{SOCKET_VARIABLE!r}] = sys.argv[1]
manager = Kernel("python3").manager()
nb = v4.new_notebook(cells=[v4.new_code_cell({LEFT_BEHIND!r})])
client = NotebookClient(nb, km=manager)
client.create_kernel_manager = lambda: manager
with client.setup_kernel():
    client.execute_cell(nb.cells[0], 0)
    print(manager.provisioner.pid, flush=True)
    sys.stdin.read()
"""
    owner = subprocess.Popen(
        [sys.executable, "-c", program, str(pool.socket)],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert owner.stdout is not None
    kernel = identify(int(owner.stdout.readline()))
    left = identify(int((tmp_path / "background.pid").read_text()))
    assert kernel is not None
    assert left is not None
    owner.kill()
    owner.communicate()
    wait_for(lambda: not is_alive(kernel) and not is_alive(left))


def test_a_killed_service_leaves_no_process(tmp_path: Path):
    program = """
import sys, time
from pathlib import Path
from triagebook.running.warm.pool import WarmPool
pool = WarmPool(1, [], Path(sys.argv[1]) / "template.log")
pool.open()
while not pool.socket.exists():
    time.sleep(0.05)
print(pool.process_id, pool.socket, flush=True)
sys.stdin.read()
"""
    service = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert service.stdout is not None
    pid, path = service.stdout.readline().split()
    kernel = take(path, "kernel", {"cwd": str(tmp_path)})
    everybody = [identify(int(pid)), identify(kernel.pid)]
    service.kill()
    service.communicate()
    wait_for(lambda: not any(who is not None and is_alive(who) for who in everybody))
    wait_for(lambda: kernel.poll() is not None)


def test_without_a_template_runners_are_plain(make_attempt: MakeAttempt, tmp_path: Path):
    pool = WarmPool(0, [], tmp_path / "template.log")
    pool.open()
    attempt = make_attempt(code("1", "one"))
    assert execute_attempt(attempt, start=pool.start).status == "executed"
    assert kernel_of(attempt) == "plain"
    assert (pool.warm_starts, pool.plain_starts) == (0, 1)
    pool.close()


def test_a_changed_file_replaces_the_template_and_a_run_keeps_its_own(
    make_attempt: MakeAttempt, tmp_path: Path
):
    watched = tmp_path / "triagebook.toml"
    watched.write_text("")
    pool = WarmPool(1, [watched], tmp_path / "template.log")
    pool.open()
    try:
        first = pool.socket
        assert first is not None
        wait_for(first.exists)
        taken = take(first, "kernel", {"cwd": str(tmp_path)})
        watched.write_text("# changed")
        attempt = make_attempt(code("1", "one"))
        assert execute_attempt(attempt, start=pool.start).status == "executed"
        assert pool.plain_starts == 1  # the next template is only on its way
        assert pool.socket != first
        wait_for(lambda: pool.socket is not None and pool.socket.exists())
        assert taken.poll() is None
        with pytest.raises(WarmError):
            take(first, "kernel", {})
        taken.kill()
        assert taken.wait(30) == -signal.SIGKILL
    finally:
        pool.close()


def test_a_killed_template_costs_nothing_but_its_speed(make_attempt: MakeAttempt, tmp_path: Path):
    pool = WarmPool(1, [], tmp_path / "template.log")
    pool.open()
    try:
        wait_for(lambda: pool.socket is not None and pool.socket.exists())
        kill = (
            f"import os, signal, time\nos.kill({pool.process_id}, signal.SIGKILL)\ntime.sleep(60)"
        )
        cut_off = make_attempt(code("print('seen')", "one"), code(kill, "two"), code("3", "three"))
        result = execute_attempt(cut_off, start=pool.start)
        assert result.status == "executed"
        assert result.failed_cells == ["two"]
        assert result.not_run_cells == ["three"]
        (cut_off.folder / "result.json").unlink()
        again = make_attempt(code("1", "one"))
        assert execute_attempt(again, start=pool.start).failed_cells == []
        assert kernel_of(again) == "plain"
    finally:
        pool.close()


def test_nobody_listening_is_said(tmp_path: Path):
    with pytest.raises(WarmError, match="does not answer"):
        take(tmp_path / "none.sock", "kernel", {})
    closing = socket.socket(socket.AF_UNIX)
    closing.bind(str(tmp_path / "deaf.sock"))
    with pytest.raises(WarmError, match="does not answer"):
        take(tmp_path / "deaf.sock", "kernel", {})
    closing.close()


def test_what_is_no_request_does_not_end_the_template(pool: WarmPool, tmp_path: Path):
    for nonsense in (b"no json\n", b'{"take": "money"}\n', b"[]\n", b"\n", b""):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(pool.socket))
            connection.sendall(nonsense)
    process = take(str(pool.socket), "kernel", {"cwd": str(tmp_path)})
    assert Path(f"/proc/{process.pid}/cwd").samefile(tmp_path)
    process.kill()
    process.wait(30)


def test_a_look_ahead_holds_for_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    watched = tmp_path / "triagebook.toml"
    watched.write_text("")
    pool = WarmPool(1, [watched], tmp_path / "template.log")
    pool.look()  # no template yet: there is nothing to look for
    assert pool._present() == fingerprint(pool.watched)
    pool._folder = tmp_path
    pool.look()
    seen = fingerprint(pool.watched)
    watched.write_text("# changed")
    at, _ = pool._looked
    for after_s, present in ((0.99, seen), (1.01, fingerprint(pool.watched))):
        monkeypatch.setattr(pool_module.time, "monotonic", lambda s=after_s: at + s)
        assert pool._present() == present


def test_the_fingerprint_tells_changes(tmp_path: Path):
    file = tmp_path / "a.py"
    before = fingerprint([tmp_path, file])
    file.write_text("1")
    changed = fingerprint([tmp_path, file])
    assert before != changed
    assert fingerprint([tmp_path, file]) == changed


def test_a_service_that_ends_while_the_template_imports_leaves_none(tmp_path: Path):
    log = tmp_path / "template.log"
    with log.open("wb") as out:
        template = subprocess.Popen(
            [sys.executable, "-m", "triagebook.running.warm.template", str(tmp_path / "s"), "1"],
            stdin=subprocess.PIPE,
            stderr=out,
        )
    assert template.stdin is not None
    template.stdin.close()
    assert template.wait(60) == 0
    assert "ready" not in log.read_text()
    assert not (tmp_path / "s").exists()
