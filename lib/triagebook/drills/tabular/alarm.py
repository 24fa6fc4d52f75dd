"""The alert: the watched series that stands out most for its kind, and a rule that it really breaks."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from triagebook.core.models import Alert, IncidentType
from triagebook.drills.tabular.setting import HOUR

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from triagebook.drills.tabular.monitors import Series
    from triagebook.drills.tabular.naming import Naming
    from triagebook.drills.tabular.stage import Stage

WATCHED: dict[str, tuple[tuple[str, int], ...]] = {
    "drift": (("psi", 1),),
    "model_performance": (("quality", -1), ("accuracy", -1), ("logloss", 1)),
    "data_quality": (
        ("nulls", 1),
        ("unseen", 1),
        ("range", 1),
        ("repeats", 1),
        ("age", 1),
        ("rows", -1),
    ),
    "pipeline_failure": (("failures", 1), ("age", 1)),
    "latency": (("duration", 1), ("queue", 1)),
    "resource_exhaustion": (("disk", -1), ("task_memory", 1), ("memory", -1)),
    "unknown": (("positive", 0), ("score_mean", 0), ("base_rate", 0)),
    "unknown about decisions": (("positive", 0),),
    "unknown about scores": (("positive", 0), ("score_mean", 0)),
    "unknown about labels": (("base_rate", 0),),
    "unknown about rows": (("rows", 0), ("repeats", 1), ("age", 1)),
}
"""By incident type: the series that its rules look at, and the direction that alarms (0 is both)."""
_TITLES: dict[str, tuple[str, ...]] = {
    "drift": ("InputDrift", "Model inputs moved", "feature drift above limit", "PSI high"),
    "model_performance": ("ModelQualityDrop", "live metrics degraded", "ModelPerformance", "quality SLO burn"),
    "data_quality": ("DataQualityCheck", "table health", "DataExpectationBroken", "monitor: data quality"),
    "pipeline_failure": ("PipelineFailed", "job failing", "BatchPipelineUnhealthy", "DAG failure"),
    "latency": ("PipelineSlow", "runtime above limit", "JobRuntimeHigh"),
    "resource_exhaustion": ("ResourceNearLimit", "capacity warning", "HostPressure"),
    "unknown": ("anomaly detected", "Metric out of band", "unusual behaviour", "custom monitor 17"),
}  # fmt: skip
_ENOUGH = 6
_ABOUT = {
    "model.threshold_change": "decisions", "model.label_fault": "labels", "model.concept_drift": "labels",
    "model.stale": "labels", "model.": "scores", "drift.": "scores", "data.missing_rows": "rows",
    "data.duplicate_rows": "rows", "data.stale": "rows", "data.join_broken": "rows", "data.": "scores",
    "pipeline.": "rows",
}  # fmt: skip
"""What an alert of no known type speaks of, by the beginning of a cause; the first that fits."""
_LEAST = {"nulls": 0.02, "unseen": 0.02, "range": 0.02, "repeats": 0.02, "psi": 0.05, "positive": 0.01,
          "score_mean": 0.01, "base_rate": 0.01, "rows": 1.0, "age": 600.0, "failures": 0.5}  # fmt: skip
"""Spreads below these count as these: a share that was always nought is not infinitely surprising."""


@dataclass
class _Candidate:
    series: Series
    watched: NDArray[np.float64]
    sign: float
    usual: float
    limit: float
    """The most extreme that the reference shows, but for one in two hundred."""
    worst: float
    stands_out: float


def raise_alert(stage: Stage, series: list[Series], naming: Naming) -> Alert:
    """Return the alert of a play.

    The rule's threshold lies between what the reference shows and what the metric reached; where it
    reached no further than the reference, the rule was set too tight, which is how false alarms are.
    """
    company, setting, rng = stage.company, stage.setting, stage.rng
    kind = watch = str(stage.scenario.incident_type)
    if kind == "unknown" and stage.answers:
        cause = stage.answers[0].cause
        watch = "unknown about " + next(
            about for start, about in _ABOUT.items() if cause.startswith(start)
        )
    since = min(
        [o for o in stage.onsets if o is not None and o >= setting.split], default=setting.split
    )
    herrings = [setting.at(h.onset_h) for h in stage.scenario.herring if h.onset_h < 72]
    if not stage.answers and herrings:
        since = max(min(herrings), setting.split)
    # Rules are set from what the metric was when somebody last looked; of a slow decay, its start.
    before = stage.facts.get("baseline", setting.split)
    watched = (("label_lag", 1), ("labels", -1)) if stage.facts.get("impatient") else WATCHED[watch]
    # Where nothing got worse, somebody's rule looks at something else.
    for words in (watched, WATCHED["unknown"], WATCHED["unknown about rows"]):
        candidates = [
            found
            for word, sign in words
            for one in series
            if one.word == word
            for found in _judge(one, sign, before, since, setting.now)
        ]
        if any(found.stands_out > 0 for found in candidates):
            break
    best = max(_near(stage, candidates), key=lambda found: found.stands_out)
    name, labels = naming.name(
        best.series.word, best.series.kind, best.series.entity, best.series.extra
    )
    threshold, at, value, firing = _rule(best, since, setting.now)
    title = _TITLES[kind][int(rng.integers(len(_TITLES[kind])))]
    severity = ("page", "critical", "warning", "ticket")[int(rng.integers(4))]
    told = {key: text for key, text in labels.items() if key != "feature" or rng.random() < 0.5}
    starts = at + pd.Timedelta(seconds=int(rng.integers(20, 300)))
    starts = min(starts, setting.now - pd.Timedelta(seconds=30))
    word = "above" if best.sign > 0 else "below"
    about = {"alertname": title, "severity": severity, "service": company.service, **told}
    print_ = hashlib.sha256(repr(sorted(about.items())).encode()).hexdigest()[:16]
    return Alert(
        sender=("alertmanager", "grafana", "datadog", "cloudwatch", "generic")[
            int(rng.integers(5))
        ],
        fingerprint=print_,
        status="firing" if firing else "resolved",
        incident_type=IncidentType(kind),
        title=title,
        description=f"{name} is {word} {threshold:g} for {company.service}: {value:.4g}"
        + (" (increase over 3 h)" if best.series.word == "failures" else ""),
        severity=severity,
        starts_at=starts.to_pydatetime(warn=False),
        ends_at=None
        if firing
        else (setting.now - pd.Timedelta(seconds=5)).to_pydatetime(warn=False),
        service=company.service,
        labels=about,
        annotations={"summary": title, "runbook": f"https://runbooks.example/{company.service}"},
        value=float(value),
        threshold=float(threshold),
        metric=name,
        links={"dashboard": f"https://dashboards.example/{company.code}"},
    )


def _near(stage: Stage, candidates: list[_Candidate]) -> list[_Candidate]:
    """Return the candidates about what was planted, where such a one stands out; else all.

    Where something harmless is louder, the loudest has the alert.
    """
    if any(herring.kind == "loud_drift" for herring in stage.scenario.herring):
        return candidates
    names = {locus.partition(":")[2] for planted in stage.answers for locus in planted.loci}
    names |= {name.rpartition(".")[2] for name in names} | set(stage.touched)
    about = [
        found
        for found in candidates
        if names & {found.series.entity, *found.series.extra.values()} and found.stands_out > 1
    ]
    return about or candidates


def _judge(
    one: Series, sign: int, until: pd.Timestamp, since: pd.Timestamp, now: pd.Timestamp
) -> list[_Candidate]:
    values = _increase(one) if one.word == "failures" else one.points
    good = ~np.isnan(values)
    before = values[good & (one.ts < until)]
    after = values[good & (one.ts >= since) & (one.ts < now)]
    if len(before) < _ENOUGH or not len(after):
        return []
    found = []
    for way in (1.0, -1.0) if sign == 0 else (float(sign),):
        usual, limit = np.median(before), np.quantile(way * before, 0.995) * way
        worst = way * np.max(way * after)
        spread = max(abs(limit - usual), 1e-3 * abs(usual), _LEAST.get(one.word, 1e-6))
        stands_out = way * (worst - usual) / spread
        found.append(
            _Candidate(
                one, values, way, float(usual), float(limit), float(worst), float(stands_out)
            )
        )
    return found


def _increase(one: Series) -> NDArray[np.float64]:
    """Return how much a counter grew over three hours; a reset counts from zero."""
    filled = pd.Series(one.points).ffill().fillna(0).to_numpy()
    grown = np.diff(filled, prepend=filled[:1])
    grown = np.where(grown < 0, filled, grown)
    total = np.cumsum(grown)
    start = one.ts.searchsorted(one.ts - 3 * HOUR)
    return np.asarray(total - total[start], dtype="float64")


def _rule(
    best: _Candidate, since: pd.Timestamp, now: pd.Timestamp
) -> tuple[float, pd.Timestamp, float, bool]:
    """Return threshold, when the rule was first broken, the value it tells, and whether it is still."""
    sign, one = best.sign, best.series
    beyond = sign * (best.worst - best.limit) > 0
    edge = best.limit if beyond else best.usual
    threshold = _round(edge + 0.45 * (best.worst - edge))
    if sign * (best.worst - threshold) <= 0:
        threshold = edge + 0.45 * (best.worst - edge)
    seen = one.ts < now
    broken = np.flatnonzero(seen & (sign * best.watched > sign * threshold) & (one.ts >= since))
    at, last = int(broken[0]), int(broken[-1])
    known = np.flatnonzero(seen & ~np.isnan(best.watched))
    return threshold, one.ts[at], float(best.watched[last]), last == int(known[-1])


def _round(value: float) -> float:
    """Return a number as people write thresholds: two figures."""
    return float(f"{value:.2g}")
