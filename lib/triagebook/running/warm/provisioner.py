"""A jupyter_client provisioner whose kernels are warm; a plain one wherever there is none."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from triagebook.running.warm.client import SOCKET_VARIABLE, WarmError, WarmProcess, take

if TYPE_CHECKING:
    from jupyter_client.connect import KernelConnectionInfo

NAME = "triagebook-warm"
"""Its entry point in `jupyter_client.kernel_provisioners`."""

_END_WITHIN_S = 0.5

log = logging.getLogger(__name__)


class WarmProvisioner(LocalProvisioner):
    """Takes a kernel from the template that the environment names; else starts a plain one.

    A kernel that it took talks over Unix sockets in the folder `warm_folder`, with a key of its
    own; both are in the connection that it returns. Each kernel is used once: a restart takes a
    new one.
    """

    warm_folder: Path | None = None

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Take a warm kernel, or start a plain one by `cmd`."""
        self.warm_folder = None
        process = self._take(kwargs)
        if process is None:
            return await super().launch_kernel(cmd, **kwargs)
        self.warm_folder = Path(process.answer["folder"])
        self.process: Any = process
        self.pid = self.pgid = process.pid  # it leads a session
        connection: Any = dict(process.answer["connection"])
        connection["key"] = connection["key"].encode()
        self.connection_info = connection
        return self.connection_info

    async def kill(self, restart: bool = False) -> None:
        """Kill the kernel, and see it end: jupyter_client looks only each tenth of a second."""
        await super().kill(restart)
        until = time.monotonic() + _END_WITHIN_S
        while (  # noqa: ASYNC110 - the process is the template's child: nothing tells us of its end
            await self.poll() is None and time.monotonic() < until
        ):
            await asyncio.sleep(0.005)

    def _take(self, kwargs: dict[str, Any]) -> WarmProcess | None:
        path = os.environ.get(SOCKET_VARIABLE)
        if not path:
            return None
        env = {k: v for k, v in (kwargs.get("env") or os.environ).items() if k != SOCKET_VARIABLE}
        request = {"cwd": kwargs.get("cwd") or str(Path.cwd()), "env": env}
        try:
            process = take(path, "kernel", request)
        except WarmError as error:
            log.warning("no warm kernel, starting a plain one: %s", error)
            return None
        if "connection" not in process.answer:
            log.warning("no warm kernel, starting a plain one: %s", process.answer.get("error"))
            process.kill()
            return None
        return process
