"""From weights of evidence to probabilities: two numbers, fitted on scenarios, make them honest.

The weights of a diagnosis add up as if each piece of evidence were independent of the others, and they
are set by hand. So their sum is too sure or not sure enough by some factor, and "none of these" is more
or less likely than its zero says. Both are learnt from scenarios whose truth is known, by maximum
likelihood: `python -m tests.scenarios.calibrate` prints them. On 282 scenarios it gave 1.26 and −0.11. A
little less sharp is taken: what people run is less like the scenarios than those are like one another.
"""

from __future__ import annotations

import numpy as np

SHARPNESS = 1.2
"""What a nat of evidence is worth: below 1 the weights say too much, above 1 too little."""
NOTHING = -0.1
"""Weight of "none of these", in nats, after sharpening."""
CAP = 4.0
"""No sum of evidence goes beyond this before sharpening."""


def probabilities(
    weights: np.ndarray, sharpness: float = SHARPNESS, nothing: float = NOTHING
) -> tuple[np.ndarray, float]:
    """Return the probability of each hypothesis, and of none of them; together they are 1.

    Parameters
    ----------
    weights : float array, shape (n,), nats

    References
    ----------
    Guo, Pleiss, Sun, Weinberger (2017), On calibration of modern neural networks: temperature scaling.
    """
    odds = np.exp(np.minimum(weights, CAP) * sharpness)
    total = float(odds.sum() + np.exp(nothing))
    return odds / total, float(np.exp(nothing)) / total
