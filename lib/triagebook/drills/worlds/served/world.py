"""The world "served": a model behind a call graph, and the batch that feeds it."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

from triagebook.core.errors import ScenarioError
from triagebook.core.models import LedgerEntry
from triagebook.drills.scenario import Planted, Play, Truth
from triagebook.drills.worlds.served import alerting, latency, logs, pipeline, resources
from triagebook.drills.worlds.served.batch import HISTORY_S, make_batch, run_batch
from triagebook.drills.worlds.served.clock import HOUR_S, moment
from triagebook.drills.worlds.served.dress import dress
from triagebook.drills.worlds.served.evidence import service_of, topology_of
from triagebook.drills.worlds.served.herrings import HERRINGS, NEEDS_DAYS, NEEDS_WEEK, ON_BATCH
from triagebook.drills.worlds.served.jobs import emit_jobs, host_load
from triagebook.drills.worlds.served.levers import neutral
from triagebook.drills.worlds.served.naming import draw_style
from triagebook.drills.worlds.served.plant import make_plant
from triagebook.drills.worlds.served.render import Renderer
from triagebook.drills.worlds.served.running import make_weather, run
from triagebook.drills.worlds.served.setting import choose_clock
from triagebook.drills.worlds.served.stage import Stage
from triagebook.drills.worlds.served.telemetry import Telemetry
from triagebook.drills.worlds.served.words import Namer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from triagebook.core.models import Windows
    from triagebook.drills.scenario import Scenario
    from triagebook.drills.worlds.served.batch import Try
    from triagebook.drills.worlds.served.clock import Clock

FAULTS = {**latency.FAULTS, **resources.FAULTS, **pipeline.FAULTS}
_KINDS = ("metrics", "logs", "changes", "pipeline", "topology")
_WHY = {
    "metrics": "HTTP 503 from the metrics store after 3 tries",
    "logs": "no answer within 4 s",
    "changes": "401: the token of the change log has expired",
    "pipeline": "connection refused",
    "topology": "HTTP 404: no such catalogue entry",
}


class Served:
    """An online model service and its batch.

    Roles that a target may name: gateway, api, features, cache, model, database, external. Sizes are
    explained at each fault: 1 is plain to see. For `latency.*` and `resources.*` a size is measured
    against what the system has left at that hour, so that 1 hurts in every seed. For faults of the
    batch, the onset is the start of the first run that meets the fault, some minutes after `onset_h`
    says that the world changed.
    """

    causes = frozenset(FAULTS)
    herrings = frozenset(HERRINGS)

    def play(self, scenario: Scenario, seed: int) -> Play:
        """Play a scenario.

        Raises
        ------
        ScenarioError
            It asks for a cause or herring that is not of this world, or for a part that is none.
        """
        _check(scenario)
        rng = np.random.default_rng([seed, zlib.crc32(scenario.name.encode())])
        namer = Namer(rng)
        gpu = True if any("gpu" in f.cause for f in scenario.fault) else None
        plant = make_plant(rng, namer, gpu)
        style = draw_style(rng, namer.word(), namer.word())
        kinds = {h.kind for h in scenario.herring}
        clock = choose_clock(rng, plant, style, scenario, weeks=bool(kinds & NEEDS_WEEK),
                             days=bool(kinds & NEEDS_DAYS), weekend="weekend_dip" in kinds)  # fmt: skip
        moments = [clock.end - f.onset_h * HOUR_S for f in scenario.fault]
        apart = [clock.end - h.onset_h * HOUR_S for h in scenario.herring]
        batched = [
            m for m, f in zip(moments, scenario.fault, strict=True) if f.cause in pipeline.FAULTS
        ]
        batched += [m for m, h in zip(apart, scenario.herring, strict=True) if h.kind in ON_BATCH]
        batch = make_batch(rng, namer, plant, min(batched, default=None), clock.end)
        weather = make_weather(rng, plant, clock)
        calm = run(plant, clock, neutral(plant, clock), weather)
        stage = Stage(plant, clock, neutral(plant, clock), calm, batch, namer, rng, weather)
        _ordinary_weeks(stage)
        # Herrings first: sizes of faults are measured against what is there anyway.
        for herring, when in zip(scenario.herring, apart, strict=True):
            HERRINGS[herring.kind](stage, herring, when)
        answers = [
            FAULTS[f.cause](stage, f, m) for f, m in zip(scenario.fault, moments, strict=True)
        ]
        tries = run_batch(batch, clock, rng)
        host_load(stage, tries)
        state = run(plant, clock, stage.levers, weather)
        renderer = Renderer(style, clock, rng, _outage(stage))
        Telemetry(
            plant, clock, stage.levers, state, style, renderer, rng, where=stage.chance(0.7)
        ).emit()
        emit_jobs(stage, tries, style, renderer)
        lines = dress(stage, [*stage.lines, *logs.chatter(stage, state, tries)])
        truth = _truth(scenario, answers, moments, tries, clock)
        at = min([*moments, *apart], default=clock.end - 2 * HOUR_S)
        at = truth.onset.timestamp() if truth.onset is not None else at
        alert = alerting.make_alert(stage, state, style, scenario, at, tries)
        described = style.described or (
            style.convention == "statsd" and "topology" in scenario.missing
        )
        play = Play(
            truth=truth, alert=alert,
            service=service_of(stage), windows=clock.windows(), ledger=[],
            metrics=renderer.frame(), metrics_meta=renderer.meta if described else None,
            logs=logs.frame(lines, clock.start, clock.end),
            changes=sorted(stage.changes, key=lambda c: c.ts),
            pipeline=[t.as_run() for t in tries if _known(t, clock)],
            topology=topology_of(stage, replicas=style.convention == "statsd" and not described),
        )  # fmt: skip
        _lose(play, scenario.missing)
        play.ledger = _ledger(play, scenario.missing, play.windows)
        return play


def _check(scenario: Scenario) -> None:
    for fault in scenario.fault:
        if fault.cause not in FAULTS:
            raise ScenarioError(
                f"{scenario.name}: the world 'served' cannot plant {fault.cause!r}",
                "use one of " + ", ".join(sorted(FAULTS)),
            )
    for herring in scenario.herring:
        if herring.kind not in HERRINGS:
            raise ScenarioError(
                f"{scenario.name}: no red herring of 'served' is called {herring.kind!r}",
                "use one of " + ", ".join(sorted(HERRINGS)),
            )
    for part in scenario.missing:
        if part not in _KINDS:
            raise ScenarioError(
                f"{scenario.name}: 'served' has no evidence called {part!r}",
                "use one of " + ", ".join(_KINDS),
            )


def _ordinary_weeks(stage: Stage) -> None:
    """Deploys and settings of the weeks before, none of which did any harm."""
    for at in stage.moments(stage.clock.start, stage.clock.split - 2 * HOUR_S, 0.02, 5):
        stage.deploy(stage.namer.pick(("api", "features", "gateway", "model")), at, cold=1.4)
    for at in stage.moments(stage.clock.end - HISTORY_S, stage.clock.split, 0.012, 8):
        stage.change(
            at,
            "config",
            f"{stage.plant.name('gateway')}.{stage.namer.word()}_enabled",
            "false",
            "true",
        )


def _outage(stage: Stage) -> tuple[float, float] | None:
    """Return a stretch in the reference without samples; one seed in three has one."""
    if not stage.chance(0.33):
        return None
    at = stage.between(stage.clock.start, stage.clock.split - 1800)
    return at, at + stage.between(600, 2400)


def _known(item: Try, clock: Clock) -> bool:
    return (item.start if item.start is not None else item.scheduled) < clock.end


def _untold(answer: Planted) -> Planted:
    """Let a setting also be named as far as anything names it where the change log cannot be had."""
    whole = answer.loci[0]
    if not whole.startswith("config:"):
        return answer
    # What fails for a setting names the key, and not the file it stands in.
    bare = [f"config:{whole.rpartition('.')[2]}"] if answer.cause == "pipeline.bad_config" else []
    return Planted(answer.cause, (*answer.loci, *bare, "config:unknown"))


def _truth(scenario: Scenario, answers: Sequence[Planted], moments: Sequence[float],
           tries: list[Try], clock: Clock) -> Truth:  # fmt: skip
    if not answers:
        return Truth((), None, clock.step_s)
    unknown = "changes" in scenario.missing
    kept = tuple(_untold(a) if unknown else a for a in answers)
    first = int(np.argmin(moments))
    fault, at, step_s = scenario.fault[first], moments[first], clock.step_s
    if fault.cause in pipeline.FAULTS:
        starts = [t.start for t in tries if t.hit and t.start is not None and t.start >= at]
        hit = [
            t for t in tries if t.hit and t.start is not None and t.start == min(starts, default=0)
        ]
        at, step_s = min(starts, default=at), hit[0].task.every_s if hit else 3600.0
    # What has grown for weeks has no moment to name.
    onset = None if fault.cause == "resources.demand_growth" else moment(at)
    return Truth(kept, onset, step_s, inconclusive=scenario.decisive)


def _lose(play: Play, missing: Sequence[str]) -> None:
    for part in missing:
        setattr(play, part, None)
        if part == "metrics":
            play.metrics_meta = None


def _ledger(play: Play, missing: Sequence[str], windows: Windows) -> list[LedgerEntry]:
    entries = []
    for number, part in enumerate(_KINDS, 1):
        held = getattr(play, part)
        gone = part in missing
        entries.append(
            LedgerEntry.model_validate(
                {"id": f"L{number:02d}", "source": part, "kind": part,
                 "query": f"everything of {play.service.name}",
                 "window": (windows.reference[0], windows.current[1]),
                 "status": "unavailable" if gone else "ok" if len(held) else "empty",
                 "rows": None if gone else len(held), "took_s": 4.0 if gone else 0.6,
                 "why": _WHY[part] if gone else None}
            )
        )  # fmt: skip
    return entries
