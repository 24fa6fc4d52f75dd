"""From judged cases to figures: accuracy, false blame, onset error, calibration, time."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import rankdata

from triagebook.diagnosis.catalogue import EXPECTED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tests.scenarios.cases import Case

BINS = 10


def figures(cases: Sequence[Case]) -> dict[str, Any]:
    """Return every figure of a set of cases, ready for JSON."""
    faulty = [case for case in cases if case.truth]
    well = [case for case in cases if case.well and not case.error]
    return {
        "all": accuracy(cases),
        "with_fault": accuracy(faulty),
        "healthy": {
            "cases": len(well),
            "blamed": sum(case.blamed for case in well),
            "blamed_share": _share(case.blamed for case in well),
            "called_healthy_share": _share(case.verdict == "healthy" for case in well),
        },
        "onset": onset(cases),
        "calibration": {
            "first": calibration(pair for case in cases for pair in firsts(case)),
            "all": calibration(pair for case in cases for pair in everyone(case)),
        },
        "by": {
            "incident type": _by(cases, lambda case: [case.incident_type]),
            "difficulty": _by(cases, lambda case: [case.difficulty]),
            "world": _by(cases, lambda case: [case.world]),
            "cause": _by(cases, _causes),
        },
        "time_s": {
            "play_median": _quantile([case.play_s for case in cases], 0.5),
            "play_p95": _quantile([case.play_s for case in cases], 0.95),
            "replay_median": _quantile([case.replay_s for case in cases], 0.5),
            "replay_p95": _quantile([case.replay_s for case in cases], 0.95),
        },
        "errors": sum(bool(case.error) for case in cases),
        "misses": [miss(case) for case in cases if not (case.top1 and case.top3)],
    }


def accuracy(cases: Sequence[Case]) -> dict[str, Any]:
    """Return the count and the shares right among the first and the first three."""
    return {
        "cases": len(cases),
        "top1": _share(case.top1 for case in cases),
        "top3": _share(case.top3 for case in cases),
    }


def onset(cases: Sequence[Case]) -> dict[str, Any]:
    """Return the onset's error in sampling steps, over the cases that have one to find."""
    due = [case for case in cases if case.onset_due]
    errors = [abs(case.onset_steps) for case in due if case.onset_steps is not None]
    return {
        "due": len(due),
        "not_found": len(due) - len(errors),
        "median_steps": _quantile(errors, 0.5),
        "p90_steps": _quantile(errors, 0.9),
        "within_one_step": _share(error <= 1 for error in errors),
    }


def firsts(case: Case) -> list[tuple[float, bool]]:
    """Return confidence and rightness of the first hypothesis, at most one pair.

    "Nothing", a season and harmless movements of several columns may all be so at once. Where
    nothing was planted their confidences count together, as they do for the verdict.
    """
    if not case.guesses:
        return []
    first = case.guesses[0]
    if not case.truth and first.cause in EXPECTED:
        return [(_calm(case), True)]
    return [(first.confidence, first.right)]


def everyone(case: Case) -> list[tuple[float, bool]]:
    """Return confidence and rightness of every hypothesis; no-faults as `firsts` takes them."""
    if case.truth:
        return [(guess.confidence, guess.right) for guess in case.guesses]
    pairs = [(g.confidence, g.right) for g in case.guesses if g.cause not in EXPECTED]
    return [*pairs, (_calm(case), True)] if len(pairs) < len(case.guesses) else pairs


def _calm(case: Case) -> float:
    return sum(guess.confidence for guess in case.guesses if guess.cause in EXPECTED)


def calibration(pairs: Iterable[tuple[float, bool]]) -> dict[str, Any]:
    """Return the reliability table and the expected calibration error.

    Returns
    -------
    dict
        `bins`: at most ten bins of about equal counts by confidence, each with n, the lowest and highest
        confidence, the mean confidence and the share right. `ece`: the mean over all hypotheses of
        the bins' difference of the two, [0, 1]; None where there is no hypothesis.

    References
    ----------
    Naeini, Cooper, Hauskrecht (2015), Obtaining well calibrated probabilities using Bayesian
    binning; with bins of equal mass as in Nixon et al. (2019), Measuring calibration.
    """
    known = np.array(list(pairs), dtype="float64")
    if not len(known):
        return {"hypotheses": 0, "ece": None, "bins": []}
    # Equal confidences share a bin: parted at random, or by rightness, they would feign an error.
    place = (rankdata(known[:, 0]) - 0.5) / len(known) * BINS
    bins, error = [], 0.0
    for at in range(BINS):
        chunk = known[np.clip(place.astype(int), 0, BINS - 1) == at]
        if len(chunk):
            said, true = float(chunk[:, 0].mean()), float(chunk[:, 1].mean())
            error += len(chunk) * abs(said - true) / len(known)
            low, high = float(chunk[:, 0].min()), float(chunk[:, 0].max())
            bins.append(
                {"n": len(chunk), "low": low, "high": high, "confidence": said, "right": true}
            )
    return {"hypotheses": len(known), "ece": error, "bins": bins}


def miss(case: Case) -> dict[str, Any]:
    """Return what a reader needs to look into a miss."""
    return {
        "scenario": case.scenario,
        "seed": case.seed,
        "difficulty": case.difficulty,
        "truth": [{"cause": cause, "loci": list(loci)} for cause, loci in case.truth],
        "verdict": case.verdict,
        "first": [asdict(guess) for guess in case.guesses[:3]],
        "top1": case.top1,
        "top3": case.top3,
        "onset_steps": case.onset_steps,
        "error": case.error,
    }


def _causes(case: Case) -> list[str]:
    nothing = "(broke)" if case.error else "(nothing)"
    return sorted({cause for cause, _ in case.truth}) or [nothing]


def _by(cases: Sequence[Case], keys: Callable[[Case], Sequence[str]]) -> dict[str, dict[str, Any]]:
    groups: dict[str, list[Case]] = {}
    for case in cases:
        for key in keys(case):
            groups.setdefault(key, []).append(case)
    return {key: accuracy(groups[key]) for key in sorted(groups)}


def _share(flags: Iterable[bool]) -> float | None:
    found = list(flags)
    return sum(found) / len(found) if found else None


def _quantile(values: Sequence[float], at: float) -> float | None:
    return float(np.quantile(np.array(values), at)) if len(values) else None
