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
    "data_quality": (("nulls", 1), ("unseen", 1), ("repeats", 1), ("age", 1), ("rows", -1)),
    "pipeline_failure": (("failures", 1), ("age", 1)),
    "latency": (("duration", 1), ("queue", 1)),
    "resource_exhaustion": (("disk", -1), ("task_memory", 1), ("memory", -1)),
    "unknown": (("positive", 0), ("score_mean", 0), ("base_rate", 0), ("rows", 0)),
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
    kind = str(stage.scenario.incident_type)
    since = min(
        [o for o in stage.onsets if o is not None and o >= setting.split], default=setting.split
    )
    herrings = [setting.at(h.onset_h) for h in stage.scenario.herring if h.onset_h < 72]
    if not stage.answers and herrings:
        since = max(min(herrings), setting.split)
    candidates = []
    watched = (("label_lag", 1), ("labels", -1)) if stage.facts.get("impatient") else WATCHED[kind]
    for word, sign in watched:
        for one in series:
            if one.word == word:
                candidates += _judge(one, sign, setting.split, since)
    best = max(candidates, key=lambda found: found.stands_out)
    name, labels = naming.name(
        best.series.word, best.series.kind, best.series.entity, best.series.extra
    )
    threshold, at, value, firing = _rule(best, since)
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


def _judge(one: Series, sign: int, split: pd.Timestamp, since: pd.Timestamp) -> list[_Candidate]:
    values = _increase(one) if one.word == "failures" else one.points
    good = ~np.isnan(values)
    before, after = values[good & (one.ts < split)], values[good & (one.ts >= since)]
    if len(before) < _ENOUGH or not len(after):
        return []
    found = []
    for way in (1.0, -1.0) if sign == 0 else (float(sign),):
        usual, limit = np.median(before), np.quantile(way * before, 0.995) * way
        worst = way * np.max(way * after)
        spread = max(abs(limit - usual), 1e-3 * abs(usual), 1e-6)
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


def _rule(best: _Candidate, since: pd.Timestamp) -> tuple[float, pd.Timestamp, float, bool]:
    """Return threshold, when the rule was first broken, the value it tells, and whether it is still."""
    sign, one = best.sign, best.series
    beyond = sign * (best.worst - best.limit) > 0
    edge = best.limit if beyond else best.usual
    threshold = _round(edge + 0.45 * (best.worst - edge))
    if sign * (best.worst - threshold) <= 0:
        threshold = edge + 0.45 * (best.worst - edge)
    broken = np.flatnonzero((sign * best.watched > sign * threshold) & (one.ts >= since))
    at, last = int(broken[0]), int(broken[-1])
    known = np.flatnonzero(~np.isnan(best.watched))
    return threshold, one.ts[at], float(best.watched[last]), last == int(known[-1])


def _round(value: float) -> float:
    """Return a number as people write thresholds: two figures."""
    return float(f"{value:.2g}")
