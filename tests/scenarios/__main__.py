"""Score the diagnosis on the scenario library: `python -m tests.scenarios --seeds 0:3`."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

from tests.scenarios.cases import Case, play_case
from tests.scenarios.figures import figures
from tests.scenarios.report import report
from triagebook.drills.scenario import FOLDER, Scenario, library

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Play, score, print; 1 where a play or replay broke, 2 where nothing matches."""
    asked = _arguments(argv)
    chosen = [
        scenario
        for scenario in library(asked.library)
        if fnmatch(scenario.name, asked.only) and asked.world in ("", scenario.world)
    ]
    if not chosen:
        sys.stderr.write(f"no scenario matches --only {asked.only} --world {asked.world}\n")
        return 2
    plays = [(scenario, seed) for scenario in chosen for seed in asked.seeds]
    order = {(scenario.name, seed): at for at, (scenario, seed) in enumerate(plays)}
    began = time.perf_counter()
    cases: list[Case] = []
    for case in _played(plays, asked.jobs, asked.keep):
        cases.append(case)
        if not asked.quiet:
            _progress(case, len(cases), len(plays), time.perf_counter() - began)
    cases.sort(key=lambda case: order[case.scenario, case.seed])
    found = figures(cases)
    command = "python -m tests.scenarios " + " ".join(_repeat(asked))
    if asked.json:
        content = {**found, "command": command, "cases": [asdict(case) for case in cases]}
        sys.stdout.write(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write(report(found, command))
    if asked.write is not None:
        asked.write.write_text(report(found, command), encoding="utf-8")
    for case in cases:
        if case.error:
            sys.stderr.write(f"\n{case.scenario} seed {case.seed} broke:\n{case.error}\n")
    return int(bool(found["errors"]))


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.scenarios", description=__doc__)
    parser.add_argument(
        "--seeds",
        type=_seeds,
        default=range(1),
        metavar="A:B",
        help="from A up to, not including, B; or one seed (default 0:1)",
    )
    parser.add_argument("--only", default="*", metavar="GLOB", help="names of scenarios")
    parser.add_argument("--world", default="", metavar="W", help="only this world's")
    parser.add_argument(
        "--library", type=Path, default=FOLDER, metavar="DIR", help="other scenarios"
    )
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes (default 1)")
    parser.add_argument("--json", action="store_true", help="everything as JSON, with all cases")
    parser.add_argument("--write", type=Path, metavar="FILE.md", help="write the report there too")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the bundles in a new folder")
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")
    asked = parser.parse_args(argv)
    if asked.keep is not None:
        asked.keep.mkdir(parents=True)
    return asked


def _seeds(text: str) -> range:
    first, colon, end = text.partition(":")
    try:
        found = range(int(first), int(end) if colon else int(first) + 1)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected 0:5 or 3, got {text!r}") from error
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} holds no seed")
    return found


def _repeat(asked: argparse.Namespace) -> Iterator[str]:
    yield f"--seeds {asked.seeds.start}:{asked.seeds.stop}"
    if asked.only != "*":
        yield f"--only '{asked.only}'"
    if asked.world:
        yield f"--world {asked.world}"


def _played(plays: Sequence[tuple[Scenario, int]], jobs: int, keep: Path | None) -> Iterator[Case]:
    if jobs <= 1:
        for scenario, seed in plays:
            yield play_case(scenario, seed, keep)
        return
    # Spawned, not forked: numerical libraries may hold threads, and a fork of them can hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        for done in as_completed([pool.submit(play_case, *play, keep) for play in plays]):
            yield done.result()


def _progress(case: Case, done: int, total: int, took_s: float) -> None:
    mark = (
        "broke" if case.error else "right" if case.top1 else "in the top 3" if case.top3 else "MISS"
    )
    left_s = took_s / done * (total - done)
    sys.stderr.write(
        f"{done}/{total} {case.scenario} seed {case.seed}: {mark} "
        f"({case.play_s:.1f} + {case.replay_s:.1f} s, about {left_s:.0f} s left)\n"
    )


if __name__ == "__main__":
    sys.exit(main())
