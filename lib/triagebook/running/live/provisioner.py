"""A jupyter_client provisioner whose kernel belongs to a Jupyter server, by a notebook's session."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from traitlets import Unicode

from triagebook.core.errors import RunError
from triagebook.running.live.jupyter import Jupyter, Session
from triagebook.running.processes import Identity, identify, is_alive
from triagebook.running.warm.client import SOCKET_VARIABLE

if TYPE_CHECKING:
    from jupyter_client.connect import KernelConnectionInfo

NAME = "triagebook-live"
"""Its entry point in `jupyter_client.kernel_provisioners`."""
ENTER_WITHIN_S = 60.0

log = logging.getLogger(__name__)


class ForeignProcess:
    """A process that another one started, as far as `subprocess.Popen` is needed of it.

    How it ended is known to its parent alone: `returncode` is 0 once it is gone.
    """

    stdin = stdout = stderr = None

    def __init__(self, who: Identity) -> None:
        self.who = who
        self.pid = who.pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return 0 where it is gone; None while it runs."""
        if self.returncode is None and not is_alive(self.who):
            self.returncode = 0
        return self.returncode

    def wait(self) -> int:
        """Return 0; called where it is gone."""
        return self.poll() or 0

    def send_signal(self, signum: int) -> None:
        """Send a signal, unless it is gone."""
        if self.poll() is None:
            os.kill(self.pid, signum)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)


class LiveProvisioner(LocalProvisioner):
    """Starts a session on a Jupyter server and gives its kernel out.

    Attributes
    ----------
    server : str
        The file that says where the server is (`live/server.py`).
    path : str
        The notebook's path on the server.
    """

    server = Unicode().tag(config=True)
    path = Unicode().tag(config=True)
    session: Session | None = None

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Start the session, and let its kernel enter `cwd` with our environment.

        Raises
        ------
        RunError
            The server does not answer, or the notebook's present kernel is somebody's.
        """
        del cmd
        jupyter = Jupyter.read(Path(self.server))
        await asyncio.to_thread(make_free, jupyter, self.path)
        self.session = await asyncio.to_thread(jupyter.start, self.path)
        try:
            connection: Any = await asyncio.to_thread(jupyter.connection, self.session)
            who = await _enter(connection, kwargs)
        except BaseException:
            await asyncio.to_thread(jupyter.end, self.session)
            raise
        self.process: Any = ForeignProcess(who)
        self.pid, self.pgid = who.pid, os.getpgid(who.pid)
        self.connection_info = connection
        return self.connection_info

    def give_back(self) -> None:
        """End the session: its kernel is dead, or nobody is to go on in it."""
        if self.session is not None:
            try:
                Jupyter.read(Path(self.server)).end(self.session)
            except RunError as error:
                log.warning("the session could not be ended: %s", error)
            self.session = None


def make_free(jupyter: Jupyter, path: str) -> None:
    """End the session that a notebook has, unless somebody works in it.

    Raises
    ------
    RunError
        Somebody does.
    """
    earlier = jupyter.session(path)
    if earlier is None:
        return
    if earlier.connections:
        raise RunError("somebody works in the notebook's kernel: it is left to them")
    jupyter.end(earlier)


async def _enter(connection: dict[str, Any], kwargs: dict[str, Any]) -> Identity:
    """Let a kernel enter our folder; return its process."""
    env = kwargs.get("env") or os.environ
    told = {
        "cwd": kwargs.get("cwd") or str(Path.cwd()),
        # Its other variables are the server's.
        "env": {
            n: v for n, v in env.items() if n.startswith("TRIAGEBOOK_") and n != SOCKET_VARIABLE
        },
    }
    code = (
        "import json as _j, triagebook.running.warm.children as _c\n"
        f"_c.enter(_j.loads({json.dumps(told)!r}))\n"
        "del _j, _c"
    )
    client = AsyncKernelClient()
    client.load_connection_info(connection)  # type: ignore[arg-type]
    client.start_channels(iopub=False, stdin=False, hb=False, control=False)
    try:
        asked = client.execute(
            code,
            silent=True,
            store_history=False,
            user_expressions={"pid": "__import__('os').getpid()"},
        )
        while True:
            reply = await asyncio.wait_for(client.get_shell_msg(), ENTER_WITHIN_S)
            if reply["parent_header"].get("msg_id") == asked:
                break
    except TimeoutError as error:
        raise RunError("the Jupyter server's kernel does not answer") from error
    finally:
        client.stop_channels()
    content = reply["content"]
    if content["status"] != "ok":
        raise RunError(
            f"the Jupyter server's kernel could not enter the run's folder: {content.get('evalue')}",
            "it needs the same Python environment, with triagebook in it",
        )
    who = identify(int(content["user_expressions"]["pid"]["data"]["text/plain"]))
    if who is None:
        raise RunError("the Jupyter server's kernel runs on another machine, or has ended")
    return who
