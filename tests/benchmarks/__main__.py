"""Run one benchmark: python -m tests.benchmarks NAME [DIR] [--full] [--json]."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path


def names() -> list[str]:
    """Return the benchmarks that there are: the modules of this folder that have a `run`."""
    here = Path(__file__).parent
    return sorted(p.stem for p in here.glob("*.py") if not p.stem.startswith("_"))


def main(arguments: list[str] | None = None) -> int:
    """Print the score; 2 where the name or the data is missing."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("name", choices=names())
    parser.add_argument(
        "folder",
        type=Path,
        nargs="?",
        help="where the data lies; it is not part of the project (speed: where to write, if anywhere)",
    )
    parser.add_argument("--full", action="store_true", help="speed: also what takes minutes")
    parser.add_argument("--json", action="store_true", help="print the cases too, as JSON")
    given = parser.parse_args(arguments)
    module = importlib.import_module(f"tests.benchmarks.{given.name}")
    needs = getattr(module, "NEEDS_FOLDER", True)
    if given.folder is None and needs:
        sys.stderr.write(
            f"{given.name}: name the folder that holds its data; it is not part of the project.\n"
        )
        return 2
    if given.folder is not None and not given.folder.is_dir():
        sys.stderr.write(
            f"{given.name}: there is no folder {given.folder}. Benchmark data is not part of the "
            "project; name the folder that holds it.\n"
        )
        return 2
    try:
        result = module.run(given.folder) if needs else module.run(given.folder, full=given.full)
    except FileNotFoundError as missing:
        sys.stderr.write(f"{given.name}: {given.folder} does not hold its data: {missing}\n")
        return 2
    answer = {"benchmark": given.name, "score": result["score"], "cases": result["cases"]}
    if given.json:
        sys.stdout.write(json.dumps(answer, allow_nan=False) + "\n")
    else:
        sys.stdout.write(
            f"{given.name}: {json.dumps(answer['score'])} on {len(answer['cases'])} cases\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
