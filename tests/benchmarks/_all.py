"""Run every benchmark that a folder holds data for: `python -m tests.benchmarks._all DIR`."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

REACH = {
    "petshop": "top-1 .75, top-3 .90, specificity .90; upstream's own method top-1 .375, top-3 .688",
    "nezha": "AS@1 .60, AS@3 .80; Nezha (FSE'23) .867, .978; log signatures alone .20, .33",
    "nab": "70; ARTime 69.5, HTM 73.4, a causal z-score 53.6",
    "mscloud": "event F1 latency .75, all .60; a simple method .60, .43",
    "speed": "replay 2.5 s and 600 MB; 15 times faster than Evidently at 1,000,000 rows (--full)",
    "perf": "AUC MAE .0030, no false alarm; domain weighting .0033 to .0040, constant .0070",
}
"""What to reach, what is published, and what a simple method scores, by benchmark."""


def main(arguments: list[str]) -> int:
    """Print each score beside what is published; say which data is absent."""
    root = Path(arguments[0]) if arguments else None
    if root is None or not root.is_dir():
        sys.stdout.write(
            "most benchmarks skipped: no folder of benchmark data. It is not part of the project; name "
            "it: make bench BENCH=DIR\n"
        )
        root = None
    for name, reach in REACH.items():
        module = importlib.import_module(f"tests.benchmarks.{name}")
        needs = getattr(module, "NEEDS_FOLDER", True)
        folder = root / name if root is not None and needs else None
        if needs and (folder is None or not folder.is_dir()):
            if folder is not None:
                sys.stdout.write(f"{name}: skipped, there is no {folder}\n")
            continue
        sys.stderr.write(f"{name} …\n")
        score = (module.run(folder) if needs else module.run())["score"]
        sys.stdout.write(f"{name}: {json.dumps(score)}\n    to reach and published: {reach}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
