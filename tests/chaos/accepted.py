"""Kill the service right after it said 202, and before it could: is anything lost, anything doubled?

`python -m tests.chaos.accepted [--times 200] [--before 50] [--seed 1] [--json]`, from the top of the
checkout. First so many kills within a millisecond of the 202 (one that came later does not count, and
is made up for), then so many at a random moment of the 80 ms after the alert was sent, each posted
again by its sender after the restart as senders do; the notebooks are executed meanwhile, and cut off
as it falls. Ends with 1 where an alert was lost or doubled, or a process left.
"""

# ruff: noqa: T201 - its output

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from tests.chaos.serving import Post, Serving, alert, counted, machine, none_left, posted

BEFORE_WITHIN_S = 0.08
WITHIN_S = 0.001
FINISH_WITHIN_S = 900.0


def main(arguments: list[str] | None = None) -> int:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--times", type=int, default=200)
    asked.add_argument("--before", type=int, default=50)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--json", action="store_true")
    told = asked.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        found = played(Path(folder) / "home", told.times, told.before, told.seed)
    print(json.dumps(found, indent=2) if told.json else "\n".join(lines(found)))
    return 0 if found["lost"] == found["doubled"] == found["orphans"] == 0 else 1


def played(root: Path, times: int, before: int, seed: int) -> dict[str, Any]:
    """Kill so often; return the figures."""
    draw = random.Random(seed)  # noqa: S311 - moments, not secrets
    delays: list[float] = []
    answered = 0
    orphans: list[str] = []
    with Serving(root, ["print('first')", "print('last')"]) as site:
        prompt = 0
        while prompt < times and len(delays) < 2 * times:
            site.start()
            delays.append(_after(site, alert(len(delays))))
            prompt += delays[-1] <= WITHIN_S
            orphans += none_left(site)
        posts = len(delays) + before
        for number in range(len(delays), posts):
            site.start()
            answered += _before(site, alert(number), draw.uniform(0, BEFORE_WITHIN_S))
            orphans += none_left(site)
            site.start()
            if posted(site, alert(number)) != 202:
                raise RuntimeError("an alert that is sent again is not taken")
            site.kill()
        site.start()
        site.wait_published(posts, FINISH_WITHIN_S)
        site.stop()
        kept = counted(site)
        orphans += none_left(site)
    return {
        "killed_after_202": len(delays),
        "of_these_within_1_ms": prompt,
        "killed_after_ms": {"median": _ms(statistics.median(delays)), "longest": _ms(max(delays))},
        "killed_before": before,
        "of_these_answered": answered,
        "lost": posts - kept["incidents"] + kept["incidents_doubled"] + kept["unread"],
        "doubled": sum(count for name, count in kept.items() if "doubled" in name)
        + kept["published_twice"],
        "orphans": len(orphans),
        "examples": orphans[:5],
        **kept,
        "machine": machine(),
    }


def _after(site: Serving, body: bytes) -> float:
    """Post, kill once the 202 is read, return the seconds between."""
    post = Post(site.url, body)
    post.send()
    status = post.status()
    read = time.perf_counter()
    site.kill_now()
    killed = time.perf_counter()
    post.close()
    site.stop()
    if status != 202:
        raise RuntimeError(status)
    return killed - read


def _before(site: Serving, body: bytes, delay_s: float) -> bool:
    """Post, kill after so many seconds whatever came; return whether a 202 did."""
    post = Post(site.url, body)
    timer = threading.Timer(delay_s, site.kill_now)
    timer.start()
    post.send()
    status = post.status()
    timer.join()
    post.close()
    site.stop()
    return status == 202


def _ms(seconds: float) -> float:
    return round(seconds * 1_000, 3)


def lines(found: dict[str, Any]) -> list[str]:
    after = found["killed_after_ms"]
    return [
        (
            f"{found['killed_after_202']} times killed after the 202, {found['of_these_within_1_ms']} of "
            f"them within 1 ms (median {after['median']:g} ms, longest {after['longest']:g} ms), {found['killed_before']} times at a random moment before "
            f"or after it ({found['of_these_answered']} had their 202)"
        ),
        (
            f"lost {found['lost']}, doubled {found['doubled']}, orphans {found['orphans']}; "
            f"{found['incidents']} incidents, {found['published']} published"
        ),
        *found["examples"],
        found["machine"],
    ]


if __name__ == "__main__":
    sys.exit(main())
