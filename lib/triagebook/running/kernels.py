"""The kernel of a run: this interpreter, over Unix sockets, with its output kept apart."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from queue import Empty
from typing import TYPE_CHECKING, Any, Literal

from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.factory import KernelProvisionerFactory

from triagebook.running.limits import limit_memory, told_memory_bytes
from triagebook.running.live import provisioner as live_provisioner
from triagebook.running.processes import die_with_parent
from triagebook.running.sockets import make_sockets_folder, remove_sockets
from triagebook.running.warm import provisioner
from triagebook.running.warm.children import LOG_NAME
from triagebook.running.warm.client import SOCKET_VARIABLE

if TYPE_CHECKING:
    from pathlib import Path


class OwnKernelSpecs(KernelSpecManager):
    """Kernel specs of the machine, but "python3" is always the interpreter that triagebook is in.

    A spec of that name in the user's folder would win otherwise, and start a Python in which
    `triagebook.nb` is not installed. Where the environment names a template, its kernels are warm.
    """

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """Return a kernel's spec by name; NoSuchKernel where there is none."""
        if kernel_name not in {"python3", "python", ""}:
            return super().get_kernel_spec(kernel_name)
        plain = KernelSpec(**get_kernel_dict())
        if not os.environ.get(SOCKET_VARIABLE):
            return plain
        warm = {"kernel_provisioner": {"provisioner_name": provisioner.NAME}}
        spec = KernelSpec(**{**get_kernel_dict(), "metadata": {**plain.metadata, **warm}})
        # An installation that was not made anew after an update lacks the entry point.
        known = KernelProvisionerFactory.instance().is_provisioner_available(spec)
        return spec if known else plain


@dataclass(frozen=True)
class LiveKernel:
    """Where a live kernel comes from: the file about the Jupyter server, the notebook's path there."""

    server: Path
    path: str


class _LiveKernelSpecs(KernelSpecManager):
    """One spec: the kernel of a notebook's session on a Jupyter server."""

    def __init__(self, live: LiveKernel) -> None:
        super().__init__()
        self._live = live

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """Return the spec, whatever the name."""
        del kernel_name
        provisioner_ = {
            "provisioner_name": live_provisioner.NAME,
            "config": {"server": str(self._live.server), "path": self._live.path},
        }
        return KernelSpec(**{**get_kernel_dict(), "metadata": {"kernel_provisioner": provisioner_}})


class _PromptClient(AsyncKernelClient):
    """A client that uses a kernel as soon as it answers.

    jupyter_client's own then reads what the kernel still says until 0.2 s pass without a word, so
    that nobody takes it for the output of a cell. nbclient tells outputs apart by their request.
    """

    async def wait_for_ready(
        self,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is jupyter_client's
    ) -> None:
        """Wait until the kernel answers and its outputs arrive.

        Raises
        ------
        RuntimeError
            It died, or took longer than `timeout` seconds.
        """
        until = float("inf") if timeout is None else time.monotonic() + timeout
        while True:
            self.kernel_info()
            with contextlib.suppress(Empty):
                said = await self.get_shell_msg(timeout=1)
                if said["msg_type"] == "kernel_info_reply":
                    await self.get_iopub_msg(timeout=0.2)
                    self._handle_kernel_info_reply(said)
                    return
            if not await self.is_alive():
                message = "the kernel died before it answered"
                raise RuntimeError(message)
            if time.monotonic() > until:
                message = f"the kernel did not answer within {timeout:g} s"
                raise RuntimeError(message)


class Kernel:
    """Makes the kernel manager of one run, and tidies up after it.

    Parameters
    ----------
    name : str
        Kernel name.
    log : Path or None
        Gets what the kernel's process writes outside of cells.
    live : LiveKernel or None
        Take the kernel of a Jupyter server, by the session of a notebook.

    Attributes
    ----------
    stays : bool
        Whether a live kernel outlives the run; set by whoever knows that the run went well.
    """

    def __init__(self, name: str, log: Path | None = None, live: LiveKernel | None = None) -> None:
        self.name = name
        self.log = log
        self.live = live
        self.stays = False
        self.own_sockets = make_sockets_folder()
        self._manager: AsyncKernelManager | None = None

    def manager(self) -> AsyncKernelManager:
        """Return a manager whose kernel talks over Unix sockets in a folder only we can enter."""
        specs = OwnKernelSpecs() if self.live is None else _LiveKernelSpecs(self.live)
        self._manager = AsyncKernelManager(
            client_factory=_PromptClient,
            kernel_name=self.name,
            kernel_spec_manager=specs,
            transport="ipc",
            connection_file=str(self.own_sockets / "k.json"),
        )
        return self._manager

    @property
    def kind(self) -> Literal["plain", "warm", "live"]:
        """What kind of kernel it is."""
        if self.live is not None:
            return "live"
        return "warm" if self.is_warm else "plain"

    @property
    def is_warm(self) -> bool:
        """Whether the kernel was taken from a template."""
        return self._warm_folder is not None

    @property
    def sockets(self) -> Path:
        """The folder of the kernel's sockets."""
        return self._warm_folder or self.own_sockets

    def raw_output(self) -> bytes:
        """Return the end of what the kernel's process wrote outside of cells."""
        log = self.log if self._warm_folder is None else self._warm_folder / LOG_NAME
        try:
            return b"" if log is None else log.read_bytes()[-65_536:]
        except FileNotFoundError:
            return b""

    def keep_log(self) -> None:
        """Copy a warm kernel's output to the run's log, before its folder goes."""
        if self.is_warm and self.log is not None and (written := self.raw_output()):
            with self.log.open("ab") as out:
                out.write(written)

    def tidy(self) -> None:
        """Remove the sockets' folder, and give a live kernel back unless it is to stay.

        The template removes a warm kernel's folder, the Jupyter server a live one's files.
        """
        used = getattr(self._manager, "provisioner", None)
        if isinstance(used, live_provisioner.LiveProvisioner) and not self.stays:
            used.give_back()
        remove_sockets(self.own_sockets)

    @property
    def _warm_folder(self) -> Path | None:
        used = getattr(self._manager, "provisioner", None)
        return used.warm_folder if isinstance(used, provisioner.WarmProvisioner) else None


def start_options(log: Any) -> dict[str, Any]:
    """Return what is passed on to a plain kernel's Popen: its raw output goes to `log`, not to ours."""
    return {"stdout": log, "stderr": log, "preexec_fn": _before_exec}


def _before_exec() -> None:
    # Between fork and exec: only calls to the system.
    die_with_parent()
    limit_memory(told_memory_bytes())
