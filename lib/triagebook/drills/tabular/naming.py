"""How metrics are named: Prometheus and OpenTelemetry with labels, StatsD with everything in the name."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from triagebook.drills.tabular.company import Company

WORDS: dict[str, tuple[tuple[str, ...], str, str]] = {
    "rows": (("rows_written", "batch_rows", "records_processed", "rows_out"), "rows", "gauge"),
    "duration": (("task_duration_seconds", "job_runtime_seconds", "step_seconds"), "s", "gauge"),
    "failures": (("task_failures_total", "job_errors_total", "ti_failures_total"), "runs", "counter"),
    "success": (("last_success_timestamp_seconds", "job_last_ok_seconds", "push_time_seconds"), "s", "gauge"),
    "age": (("table_age_seconds", "data_freshness_seconds", "newest_row_age_seconds"), "s", "gauge"),
    "nulls": (("column_null_ratio", "null_share", "missing_fraction"), "ratio", "gauge"),
    "unseen": (("unseen_category_ratio", "unknown_value_share", "new_level_share"), "ratio", "gauge"),
    "range": (("out_of_range_ratio", "range_violations_share", "failed_range_check"), "ratio", "gauge"),
    "repeats": (("duplicate_key_ratio", "repeated_keys_share", "dup_ratio"), "ratio", "gauge"),
    "psi": (("feature_psi", "input_drift_psi", "feature_distance", "drift_index"), "PSI", "gauge"),
    "score_mean": (("score_mean", "mean_probability", "prediction_average"), "ratio", "gauge"),
    "positive": (("positive_share", "flagged_ratio", "decision_rate"), "ratio", "gauge"),
    "quality": (("model_auc", "live_auc", "roc_auc_rolling"), "ratio", "gauge"),
    "accuracy": (("model_accuracy", "hit_rate", "agreement_ratio"), "ratio", "gauge"),
    "logloss": (("log_loss", "model_loss", "cross_entropy"), "nats", "gauge"),
    "base_rate": (("outcome_rate", "positive_label_share", "label_mean"), "ratio", "gauge"),
    "label_lag": (("label_lag_hours", "outcome_delay_hours"), "h", "gauge"),
    "labels": (("labels_received", "outcomes_joined"), "rows", "gauge"),
    "cpu": (("cpu_utilisation_ratio", "node_cpu_busy_ratio", "cpu_used_share"), "ratio", "gauge"),
    "memory": (("memory_available_bytes", "node_memory_MemAvailable_bytes"), "bytes", "gauge"),
    "disk": (("filesystem_avail_bytes", "node_filesystem_avail_bytes", "disk_free_bytes"), "bytes", "gauge"),
    "task_memory": (("container_memory_working_set_bytes", "task_peak_rss_bytes"), "bytes", "gauge"),
    "task_limit": (("container_spec_memory_limit_bytes", "kube_pod_container_resource_limits"), "bytes", "gauge"),
    "calls": (("client_requests_total", "dependency_calls_total"), "requests", "counter"),
    "call_errors": (("client_errors_total", "dependency_errors_total"), "requests", "counter"),
    "requests": (("http_requests_total", "page_requests_total"), "requests", "counter"),
    "latency": (("http_request_seconds_p95", "page_seconds_p95"), "s", "gauge"),
    "queue": (("queued_runs", "pending_tasks", "backlog_runs"), "runs", "gauge"),
}  # fmt: skip
"""Our word for a metric: names it goes by, its unit, its type."""


@dataclass
class Naming:
    """Writes series under the company's names, and remembers what each is about."""

    company: Company
    chosen: dict[str, str]
    parts: list[tuple[str, str, NDArray[np.int64], NDArray[np.float64]]] = field(
        default_factory=list
    )
    meta: dict[str, dict[str, Any]] = field(default_factory=dict)

    def name(
        self, word: str, kind: str, entity: str, extra: dict[str, str]
    ) -> tuple[str, dict[str, str]]:
        """Return a series' name and labels."""
        base, style = self.chosen[word], self.company.metric_style
        if style == "prometheus":
            return base, {kind: entity, **extra}
        if style == "opentelemetry":
            attribute = {"service": "service.name", "host": "host.name"}.get(kind, f"{kind}.name")
            return base.replace("_", "."), {attribute: entity, **extra}
        clean = [part.replace(".", "_") for part in (self.company.code, entity, *extra.values())]
        return ".".join([*clean, base]), {}

    def add(
        self,
        word: str,
        kind: str,
        entity: str,
        ts: pd.DatetimeIndex,
        values: NDArray[np.float64],
        **extra: str,
    ) -> None:
        """Add a series; null values are gaps."""
        name, labels = self.name(word, kind, entity, extra)
        known = ~np.isnan(values)
        text = json.dumps(labels, sort_keys=True)
        self.parts.append((name, text, ts[known].as_unit("us").asi8, values[known]))
        _, unit, shape = WORDS[word]
        self.meta[name] = {"type": shape, "unit": unit}
        if self.company.metric_style == "statsd":
            self.meta[name]["entity"] = {"kind": kind, "name": entity}

    def frame(self) -> pd.DataFrame:
        """Return all series, by time."""
        names, labels, times, values = zip(*self.parts, strict=True)
        counts = [len(part) for part in times]
        micros = np.concatenate(times)
        found = pd.DataFrame(
            {
                "ts": pd.to_datetime(micros, unit="us", utc=True),
                "name": np.repeat(np.array(names, dtype=object), counts),
                "labels": np.repeat(np.array(labels, dtype=object), counts),
                "value": np.concatenate(values),
            }
        )
        return found.iloc[np.argsort(micros, kind="stable")].reset_index(drop=True)


def draw_naming(company: Company, rng: np.random.Generator) -> Naming:
    """Draw the name of every metric."""
    chosen = {}
    for word, (names, _, _) in WORDS.items():
        base = names[int(rng.integers(len(names)))]
        if (
            company.metric_style == "prometheus"
            and rng.random() < 0.5
            and not base.startswith(("node_", "kube_", "container_"))
        ):
            base = f"{company.code}_{base}"
        chosen[word] = base
    return Naming(company, chosen)
