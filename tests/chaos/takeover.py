"""Kill the worker that executes a run, again and again, and tell how soon another has it.

`python -m tests.chaos.takeover [--times 20] [--how kill|freeze]`, from the top of the checkout. Prints one
line a round and the summary with the machine; ends with 1 where a round took longer than allowed.
"""

# ruff: noqa: T201 - its output

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tests.live.postgres import Postgres
from tests.live.workers import STUCK_ONCE, Site, wait_until

ALLOWED_S = 10.0


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--times", type=int, default=20)
    asked.add_argument("--how", choices=("kill", "freeze"), default="kill")
    told = asked.parse_args()
    server = Postgres()
    taken: list[float] = []
    executed: list[float] = []
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            Site(Path(folder), server, "print('first')", STUCK_ONCE, "print('last')") as site,
        ):
            for number in range(2):
                site.start(f"w{number}")
            for number in range(told.times):
                took, again = _round(site, told.how, f"w{number + 2}")
                taken.append(took)
                executed.append(again)
                print(
                    f"{number + 1:3d}  taken over after {took:5.2f} s, executed after {again:5.2f} s"
                )
    finally:
        server.close()
    within = sum(took <= ALLOWED_S for took in taken)
    print(
        f"{told.how}: {within} of {len(taken)} taken over within {ALLOWED_S:g} s; median "
        f"{statistics.median(taken):.2f} s, longest {max(taken):.2f} s; executed again after "
        f"{statistics.median(executed):.2f} s, longest {max(executed):.2f} s; each published once"
    )
    print(f"{os.cpu_count()} cores, {platform.platform()}, Python {platform.python_version()}")
    return 0 if within == len(taken) else 1


def _round(site: Site, how: str, following: str) -> tuple[float, float]:
    """Lose the worker of a run in its middle; return when it was taken over and executed, in seconds."""
    incident = site.open_run()
    wait_until("it is executed", lambda: site.in_the_middle(incident))
    lost = site.executor(incident)
    began = time.monotonic()
    lost.kill() if how == "kill" else lost.freeze()
    wait_until("it is taken over", lambda: site.state(incident)[1] == 2)
    took = time.monotonic() - began
    wait_until("it is executed again", lambda: site.told(incident) == ["1", "2"])
    again = time.monotonic() - began
    wait_until("it is published", lambda: site.state(incident) == ("published", 2))
    site.published_once(incident, 2)
    if how == "freeze":
        lost.thaw()
        wait_until("it notices", lambda: "worker is back" in lost.log())
        site.published_once(incident, 2)
        lost.kill()
    site.start(following)
    return took, again


if __name__ == "__main__":
    sys.exit(main())
