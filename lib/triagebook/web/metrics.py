"""Metrics of the service itself, for Prometheus, in a registry of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client.metrics_core import Metric

    from triagebook.incidents.views import Counts


class Metrics:
    """What is counted while the service works, and what the store counts when asked."""

    def __init__(self, counts: Callable[[], Counts]) -> None:
        self.registry = CollectorRegistry()
        self._deliveries = Counter(
            "triagebook_deliveries",
            "Deliveries answered, by sender and result.",
            ["sender", "result"],
            registry=self.registry,
        )
        self._intake_s = Histogram(
            "triagebook_intake_seconds",
            "From the request's head to its answer.",
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
            registry=self.registry,
        )
        self.registry.register(_Stored(counts))

    def delivered(self, sender: str, result: str, took_s: float) -> None:
        """Count one delivery."""
        self._deliveries.labels(sender, result).inc()
        self._intake_s.observe(took_s)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)


class _Stored:
    """What the store holds, read at each scrape so that a restart loses nothing."""

    def __init__(self, counts: Callable[[], Counts]) -> None:
        self._counts = counts

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        counts = self._counts()
        yield _gauge(
            "triagebook_incidents", "Incidents, by state.", "state", counts.incidents_by_state
        )
        yield _gauge("triagebook_runs", "Runs, by state.", "state", counts.runs_by_state)
        yield _gauge(
            "triagebook_stored_deliveries",
            "Deliveries in the store, by status.",
            "status",
            counts.deliveries_by_status,
        )


def _gauge(name: str, text: str, label: str, values: dict[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=[label])
    for key, value in sorted(values.items()):
        family.add_metric([key], value)
    return family
