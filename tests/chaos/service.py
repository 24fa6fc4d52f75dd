"""A service without its web page: works on a home's queue until it is killed."""

from __future__ import annotations

import sys
from pathlib import Path

from triagebook.core.paths import Home
from triagebook.core.settings import ServerSettings, Settings
from triagebook.incidents.store import Store
from triagebook.running.queue import RunQueue


def main() -> None:
    home = Home(Path(sys.argv[1]))
    settings = Settings(server=ServerSettings(notebooks="runbooks", deadline=60, warm=0))
    with Store.open(home) as store, RunQueue(home, settings, store):
        print("ready", flush=True)  # noqa: T201 - what the test waits for
        sys.stdin.read()


if __name__ == "__main__":
    main()
