"""How labels left what scores let expect: as a fault of labels does, or as the world does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Way = Literal["none", "flipped", "positives_lost", "negatives_lost", "shuffled", "prior", "slope"]

FAULTS: tuple[Way, ...] = ("flipped", "positives_lost", "negatives_lost", "shuffled")
"""What a fault of labels does: each row is hit with one probability, whatever its inputs."""


@dataclass(frozen=True)
class Fit:
    """One way in which labels may have left what was expected.

    Attributes
    ----------
    way : Way
    size : float
        Share of labels hit, in [0, 1]; for `prior` the shift of the log-odds; for `slope` its factor.
    nats : float
        Log-likelihood over "as expected", less one nat a parameter (Akaike 1974).
    chance : float array, shape (n,)
        Probability of a positive label under it.
    """

    way: Way
    size: float
    nats: float
    chance: np.ndarray


def fits(expected: np.ndarray, label: np.ndarray, base: float) -> list[Fit]:
    """Fit every way, the likeliest first.

    Parameters
    ----------
    expected : float array, shape (n,)
        Probability of a positive label by the score, as the reference had it.
    label : float array, shape (n,), 0 or 1
    base : float
        Share of positive labels in the reference.
    """
    m = np.clip(expected, 1e-3, 1 - 1e-3)
    nothing = _log(m, label)
    out = [Fit("none", 0.0, 0.0, m)]
    shares = np.linspace(0.0, 1.0, 51)[1:]
    for way, mixed in (
        ("flipped", 1 - m),
        ("positives_lost", np.zeros_like(m)),
        ("negatives_lost", np.ones_like(m)),
        ("shuffled", np.full_like(m, base)),
    ):
        q = max(shares, key=lambda s: _log((1 - s) * m + s * mixed, label))
        p = (1 - q) * m + q * mixed
        out.append(Fit(way, float(q), _log(p, label) - nothing - 1, p))  # type: ignore[arg-type]
    odds = np.log(m / (1 - m))
    shift = _newton(odds[:, None] * 0 + 1, odds, label)
    p = _sigmoid(odds + shift[0])
    out.append(Fit("prior", float(shift[0]), _log(p, label) - nothing - 1, p))
    both = _newton(np.column_stack([np.ones_like(odds), odds]), np.zeros_like(odds), label)
    p = _sigmoid(both[0] + both[1] * odds)
    out.append(Fit("slope", float(both[1]), _log(p, label) - nothing - 2, p))
    out.sort(key=lambda f: -f.nats)
    return out


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -30, 30))))


def _log(p: np.ndarray, label: np.ndarray) -> float:
    p = np.clip(p, 2e-3, 1 - 2e-3)
    return float(np.where(label > 0.5, np.log(p), np.log(1 - p)).sum())


def _newton(design: np.ndarray, offset: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Logistic regression with an offset, a tenth of a nat of ridge to stay finite."""
    beta = np.zeros(design.shape[1])
    for _ in range(25):
        p = _sigmoid(design @ beta + offset)
        slope = design.T @ (label - p) - 0.1 * beta
        bend = (design * (p * (1 - p))[:, None]).T @ design + 0.1 * np.eye(len(beta))
        change = np.linalg.solve(bend, slope)
        beta += np.clip(change, -2, 2)
        if np.abs(change).max() < 1e-6:
            break
    return beta


@dataclass(frozen=True)
class Rescaled:
    """A quantity's labels as a line of what was expected of them.

    Attributes
    ----------
    factor : float
        Slope of the line through labels against expectation.
    tight, loose : float
        Correlation of labels and expectation now, and in the reference; [-1, 1].
    """

    factor: float
    tight: float
    loose: float

    @property
    def way(self) -> Literal["scaled", "unrelated", "other"]:
        """`scaled`: as tight as before, on another slope; `unrelated`: no longer related."""
        if self.loose > 0.3 and self.tight < 0.2 * self.loose:
            return "unrelated"
        as_tight = self.tight > 0.93 * self.loose
        return "scaled" if as_tight and abs(np.log(max(self.factor, 1e-6))) > 0.2 else "other"


def rescaled(
    expected: np.ndarray, label: np.ndarray, expected_before: np.ndarray, label_before: np.ndarray
) -> Rescaled | None:
    """Fit the line; None with fewer than 50 rows, or where nothing varies.

    Parameters
    ----------
    expected, label : float array, shape (n,)
        Rows since labels left what was expected.
    expected_before, label_before : float array, shape (m,)
        The reference's.
    """
    spreads = (np.std(expected), np.std(label), np.std(expected_before), np.std(label_before))
    if min(len(label), len(label_before)) < 50 or min(spreads) < 1e-12:
        return None
    now = float(np.corrcoef(expected, label)[0, 1])
    before = float(np.corrcoef(expected_before, label_before)[0, 1])
    # By spreads, not by regression: noise of the labels flattens a regression's slope.
    ratio = float(
        np.std(label) / np.std(expected) / (np.std(label_before) / np.std(expected_before))
    )
    return Rescaled(ratio if now >= 0 else -ratio, now, before)
