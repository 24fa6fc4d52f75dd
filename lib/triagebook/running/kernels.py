"""The kernel of a run: this interpreter, over Unix sockets, with its output kept apart."""

from __future__ import annotations

from typing import Any

from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager

from triagebook.running.sockets import make_sockets_folder, remove_sockets


class OwnKernelSpecs(KernelSpecManager):
    """Kernel specs of the machine, but "python3" is always the interpreter that triagebook is in.

    A spec of that name in the user's folder would win otherwise, and start a Python in which
    `triagebook.nb` is not installed.
    """

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """Return a kernel's spec by name; NoSuchKernel where there is none."""
        if kernel_name in {"python3", "python", ""}:
            return KernelSpec(**get_kernel_dict())
        return super().get_kernel_spec(kernel_name)


class Kernel:
    """Makes the kernel manager of one run, and tidies up after it.

    Parameters
    ----------
    name : str
        Kernel name.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.sockets = make_sockets_folder()

    def manager(self) -> AsyncKernelManager:
        """Return a manager whose kernel talks over Unix sockets in a folder only we can enter."""
        return AsyncKernelManager(
            kernel_name=self.name,
            kernel_spec_manager=OwnKernelSpecs(),
            transport="ipc",
            connection_file=str(self.sockets / "k.json"),
        )

    def tidy(self) -> None:
        """Remove the sockets' folder."""
        remove_sockets(self.sockets)


def start_options(log: Any, *, before_exec: Any) -> dict[str, Any]:
    """Return what is passed on to the kernel's Popen: its raw output goes to `log`, not to ours."""
    return {"stdout": log, "stderr": log, "preexec_fn": before_exec}
