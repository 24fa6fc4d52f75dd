"""Play one scenario for one seed, replay its bundle, and keep what is needed to judge the answer."""

from __future__ import annotations

import shutil
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

from triagebook.diagnosis.catalogue import EXPECTED
from triagebook.diagnosis.diagnose import replay
from triagebook.drills.scenario import WORLDS, Scenario, Truth

TOP = 3


@dataclass(frozen=True)
class Guess:
    """One ranked hypothesis, and whether it names what was planted."""

    cause: str
    locus: str
    confidence: float
    right: bool


@dataclass(frozen=True)
class Case:
    """One scenario played for one seed, and its diagnosis, judged.

    Attributes
    ----------
    truth : tuple of (cause, loci)
        One for each planted fault; empty where nothing is wrong.
    well : bool
        Whether nothing is wrong: no fault, or only what the catalogue calls no fault.
    guesses : tuple of Guess
        All hypotheses, ranked.
    top1, top3 : bool
        As `judge` says.
    blamed : bool
        Nothing is wrong, and still a cause was called found or a fault stands first.
    onset_due : bool
        Whether there is an onset to find.
    onset_steps : float or None
        Found minus true onset, in sampling steps; None where none was found or none is due.
    error : str
        A traceback, where the play or the replay broke; "" otherwise.
    """

    scenario: str
    world: str
    seed: int
    incident_type: str
    difficulty: str
    truth: tuple[tuple[str, tuple[str, ...]], ...] = ()
    well: bool = False
    verdict: str = ""
    guesses: tuple[Guess, ...] = ()
    top1: bool = False
    top3: bool = False
    blamed: bool = False
    onset_due: bool = False
    onset_steps: float | None = None
    play_s: float = 0.0
    replay_s: float = 0.0
    error: str = ""
    problems: tuple[str, ...] = field(default_factory=tuple)


def judge(truth: Truth, verdict: str, ranked: list[tuple[str, str]]) -> tuple[bool, bool, bool]:
    """Judge a ranking against the truth.

    Parameters
    ----------
    truth : Truth
    verdict : str
    ranked : list of (cause, locus)
        The first is the most likely.

    Returns
    -------
    (top1, top3, blamed)
        With faults: top 1 is right when the first hypothesis is one of them, top 3 when all of them
        are among the first three. Where what would decide is missing, the verdict "inconclusive"
        with a planted cause among the first three is right too, wherever it is located. With
        nothing planted: right is a first hypothesis that is no fault, or none at all. `blamed`:
        nothing is wrong, and a fault stands first or a cause was called found.
    """
    causes = {planted.cause for planted in truth.answers}
    well = causes <= EXPECTED
    blamed = well and (verdict == "cause_found" or bool(ranked and ranked[0][0] not in EXPECTED))
    if not truth.answers:
        return not blamed, not blamed, blamed
    right = [names(truth, cause, locus) for cause, locus in ranked]
    top1 = bool(right and right[0])
    top3 = all(
        any(c == planted.cause and locus in planted.loci for c, locus in ranked[:TOP])
        for planted in truth.answers
    )
    if truth.inconclusive and verdict == "inconclusive" and not top1:
        top1 = any(cause in causes for cause, _ in ranked[:TOP])
        top3 = top3 or top1
    return top1, top3, blamed


def names(truth: Truth, cause: str, locus: str) -> bool:
    """Tell whether a hypothesis names something planted; with nothing planted, whether it says so."""
    if not truth.answers:
        return cause in EXPECTED
    return any(cause == planted.cause and locus in planted.loci for planted in truth.answers)


def play_case(scenario: Scenario, seed: int, keep: Path | None = None) -> Case:
    """Play, replay, judge; what breaks is kept in `error` and is a miss.

    Parameters
    ----------
    scenario : Scenario
    seed : int
    keep : Path or None
        Keep the bundle in this folder, under the scenario's name and seed.
    """
    about = {
        "scenario": scenario.name,
        "world": scenario.world,
        "seed": seed,
        "incident_type": str(scenario.incident_type),
        "difficulty": scenario.difficulty,
    }
    folder = Path(tempfile.mkdtemp(prefix="scenario-"))
    root = folder / "bundle" if keep is None else keep / f"{scenario.name}-{seed}"
    try:
        began = time.perf_counter()
        play = WORLDS.get(scenario.world).play(scenario, seed)
        bundle = play.write(root)
        played = time.perf_counter()
        found = replay(bundle.root)
        done = time.perf_counter()
    except Exception:  # noqa: BLE001 - one broken play must not cost the others; it is a miss and is shown
        return Case(**about, error=traceback.format_exc(limit=-4))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    truth = play.truth
    ranked = [(h.cause, h.locus) for h in found.hypotheses]
    top1, top3, blamed = judge(truth, found.verdict, ranked)
    due = truth.onset is not None and bool(truth.answers)
    steps = None
    if due and found.onset is not None:
        steps = (found.onset.at - truth.onset).total_seconds() / truth.step_s
    return Case(
        **about,
        truth=tuple((planted.cause, planted.loci) for planted in truth.answers),
        well={planted.cause for planted in truth.answers} <= EXPECTED,
        verdict=found.verdict,
        guesses=tuple(
            Guess(h.cause, h.locus, h.confidence, names(truth, h.cause, h.locus))
            for h in found.hypotheses
        ),
        top1=top1,
        top3=top3,
        blamed=blamed,
        onset_due=due,
        onset_steps=steps,
        play_s=played - began,
        replay_s=done - played,
        problems=tuple(f.statement for f in found.findings if f.statement.startswith("The check ")),
    )
