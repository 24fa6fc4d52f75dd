"""JupyterLab on 127.0.0.1, as a process that ends with the service.

`python -m triagebook.running.live.labserver FILE`, where FILE is what `server.py` wrote: the token
comes by it, because everybody on the machine can read a command line. Standard input is a pipe
whose other end only the service holds.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from triagebook.running.processes import Identity, adopt_orphans, end, identify
from triagebook.running.runbook import skip_slow_import

GRACE_S = 3.0
NEWS = "@jupyterlab/apputils-extension:announcements"


def options(told: dict[str, Any]) -> list[str]:
    """Return JupyterLab's command line for what the service told."""
    return [
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={told['port']}",
        "--ServerApp.port_retries=0",
        "--ServerApp.open_browser=False",
        "--ServerApp.terminals_enabled=False",
        "--ServerApp.quit_button=False",
        # Whoever runs the service as root has decided that already.
        f"--ServerApp.allow_root={os.getuid() == 0}",
        f"--ServerApp.root_dir={told['root']}",
        f"--IdentityProvider.token={told['token']}",
        "--ServerApp.kernel_spec_manager_class=triagebook.running.kernels.OwnKernelSpecs",
        "--KernelManager.transport=ipc",
        # A kernel that died is said to be dead; a new one would be empty and look the same.
        "--KernelManager.autorestart=False",
        f"--MappingKernelManager.cull_idle_timeout={int(told['idle_s'])}",
        f"--MappingKernelManager.cull_interval={max(1, min(60, int(told['idle_s']) // 2))}",
        "--MappingKernelManager.cull_connected=False",
        # Nothing asks the network for news or versions.
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.extension_manager=readonly",
    ]


def main(arguments: list[str] | None = None) -> int:
    """Serve until the service ends."""
    told = json.loads(Path((arguments or sys.argv[1:])[0]).read_text(encoding="utf-8"))
    adopt_orphans()
    threading.Thread(target=_end_with_service, name="lifeline", daemon=True).start()
    # Connection files and Unix sockets in a folder only we can enter, with a short path.
    os.environ["JUPYTER_RUNTIME_DIR"] = told["connections"]
    _without_news(Path(told["connections"]))
    skip_slow_import()
    lab_app = importlib.import_module("jupyterlab.labapp").LabApp  # an extra; seconds to import

    server = lab_app.initialize_server(argv=options(told))
    server.start()
    return 0


def _without_news(folder: Path) -> None:
    """Switch off what asks everybody who opens JupyterLab whether to fetch news: for ours alone.

    No option does it (`LabApp.news_url` only empties the news), a file of page settings does.
    """
    settings = folder / "labconfig" / "page_config.json"
    settings.parent.mkdir()
    settings.write_text(json.dumps({"disabledExtensions": {NEWS: True}}), encoding="utf-8")
    given = os.environ.get("JUPYTER_CONFIG_PATH")
    os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join([str(folder), *([given] if given else [])])


def _end_with_service() -> None:
    while os.read(0, 64):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    me = identify(os.getpid()) or Identity(os.getpid(), "")
    end([me], within_s=2.0)  # its kernels; itself is left out
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
