"""Fit the two numbers of `diagnosis.confidence` on scored scenarios: `python -m tests.scenarios.calibrate FILE…`.

FILE is what `python -m tests.scenarios --json` printed. Use other seeds here than for the report.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import minimize

from triagebook.diagnosis.catalogue import EXPECTED
from triagebook.diagnosis.confidence import NOTHING, SHARPNESS, probabilities

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Print the fitted numbers and the mean log loss before and after."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.scenarios.calibrate", description=__doc__
    )
    parser.add_argument("files", nargs="+", type=Path)
    asked = parser.parse_args(argv)
    cases = [
        case
        for path in asked.files
        for case in json.loads(path.read_text(encoding="utf-8"))["cases"]
        if case["guesses"] and not case["error"]
    ]
    known = [_weights(case) for case in cases]
    found = minimize(_loss, [SHARPNESS, NOTHING], args=(known,), method="Nelder-Mead")
    before = _loss([SHARPNESS, NOTHING], known)
    sys.stdout.write(
        f"SHARPNESS = {found.x[0]:.2f}\nNOTHING = {found.x[1]:.2f}\n"
        f"log loss {before:.3f} before, {found.fun:.3f} after, {len(known)} cases\n"
    )
    return 0


def _weights(case: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Take the weights back out of the confidences, and which hypotheses are right."""
    share = np.array([max(g["confidence"], 1e-4) for g in case["guesses"]])
    none = max(1 - share.sum(), 1e-4)
    weights = (np.log(share / none) + NOTHING) / SHARPNESS
    calm = not case["truth"]
    right = [g["right"] or (calm and g["cause"] in EXPECTED) for g in case["guesses"]]
    return weights, np.array(right)


def _loss(numbers: Sequence[float], known: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """Mean negative logarithm of the probability given to what was right."""
    total = 0.0
    for weights, right in known:
        share, none = probabilities(weights, *numbers)
        total -= np.log(max(float(share[right].sum()) if right.any() else none, 1e-6))
    return total / len(known)


if __name__ == "__main__":
    sys.exit(main())
