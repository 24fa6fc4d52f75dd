"""The shapes of DESIGN section 5: alert, service, ledger, finding, hypothesis, diagnosis, bundle.

What comes from outside (alerts, services, bundles of others) is read leniently: unknown keys are
kept, missing ones are null. What the project writes is strict.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from triagebook.core.times import Seconds, Utc

BUNDLE_SCHEMA: Final = "triagebook/bundle/1"
DIAGNOSIS_SCHEMA: Final = "triagebook/diagnosis/1"
REQUEST_SCHEMA: Final = "triagebook/request/1"


class IncidentType(StrEnum):
    """The six incident types, and `unknown` for an alert that names none of them."""

    MODEL_PERFORMANCE = "model_performance"
    DATA_QUALITY = "data_quality"
    PIPELINE_FAILURE = "pipeline_failure"
    LATENCY = "latency"
    RESOURCE_EXHAUSTION = "resource_exhaustion"
    DRIFT = "drift"
    UNKNOWN = "unknown"

    @classmethod
    def _missing_(cls, value: object) -> IncidentType:  # noqa: ARG003 - the signature is enum's
        return cls.UNKNOWN


class _Open(BaseModel):
    """Something read from outside: unknown keys are kept."""

    model_config = ConfigDict(extra="allow", populate_by_name=True, protected_namespaces=())


class _Strict(BaseModel):
    """Something the project writes."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True, protected_namespaces=())


# --- alert and service ---------------------------------------------------------------------------


class Alert(_Open):
    """One message from a sender, normalised. What is not known is null."""

    sender: str = "unknown"
    fingerprint: str | None = None
    status: Literal["firing", "resolved"] = "firing"
    incident_type: IncidentType = IncidentType.UNKNOWN
    title: str | None = None
    description: str | None = None
    severity: str | None = None
    starts_at: Utc | None = None
    ends_at: Utc | None = None
    service: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    value: float | None = None
    threshold: float | None = None
    metric: str | None = None
    links: list[str] | dict[str, str] = Field(default_factory=dict)

    @field_validator("incident_type", mode="before")
    @classmethod
    def _no_type_is_unknown(cls, value: object) -> object:
        return IncidentType.UNKNOWN if value is None else value

    @field_validator("labels", "annotations", mode="before")
    @classmethod
    def _texts(cls, value: object) -> object:
        if value is None:
            return {}
        return {str(k): str(v) for k, v in value.items()} if isinstance(value, dict) else value

    @field_validator("links", mode="before")
    @classmethod
    def _no_links(cls, value: object) -> object:
        return {} if value is None else value


class ModelInfo(_Open):
    """The model a service serves."""

    name: str | None = None
    version: str | None = None
    task: Literal["classification", "regression"] | None = None
    alias: str | None = Field(
        default=None,
        description="of a registry, that it is loaded by; `latest`: the newest version",
    )


class Schedule(_Open):
    """What a pipeline promises: a task, every so many seconds, producing a table."""

    pipeline: str | None = None
    task: str | None = None
    every: Seconds | None = None
    produces: str | list[str] | None = None


class Service(_Open):
    """The thing watched, as evidence: any field may be missing."""

    name: str = "unknown"
    kind: Literal["model", "pipeline"] | None = None
    entrypoint: str | None = None
    model: ModelInfo | None = None
    tables: list[str] | dict[str, Any] | None = None
    tasks: list[str] | None = None
    dependencies: list[str] | None = None
    hosts: dict[str, str] = Field(default_factory=dict)
    schedules: list[Schedule] = Field(default_factory=list)
    importance: dict[str, float] = Field(default_factory=dict)
    price: float | dict[str, Any] | None = None
    criticality: str | None = None

    @field_validator("hosts", "importance", mode="before")
    @classmethod
    def _none_is_empty_map(cls, value: object) -> object:
        return {} if value is None else value

    @field_validator("schedules", mode="before")
    @classmethod
    def _none_is_empty_list(cls, value: object) -> object:
        return [] if value is None else value


# --- evidence ------------------------------------------------------------------------------------


class Windows(_Open):
    """Two closed-open stretches of time, UTC: the past to compare with, and what contains the alert."""

    reference: tuple[Utc, Utc]
    current: tuple[Utc, Utc]


PullStatus = Literal["ok", "empty", "stale", "truncated", "unavailable", "not_configured"]
SourceKind = Literal["metrics", "logs", "tables", "changes", "pipeline", "topology", "other"]


class LedgerEntry(_Open):
    """One pull: what was asked, and what came of it."""

    id: str
    source: str
    kind: str = "other"
    query: str | None = None
    window: tuple[Utc, Utc] | None = None
    status: PullStatus
    rows: int | None = None
    sha256: str | None = None
    took_s: float | None = None
    why: str | None = None


class Change(_Open):
    """Something people or machines changed: a deploy, a model, a config."""

    ts: Utc
    kind: str = "deploy"
    what: str = ""
    from_: str | None = Field(default=None, alias="from")
    to: str | None = None
    by: str | None = None
    url: str | None = None

    @field_validator("from_", "to", "by", "url", mode="before")
    @classmethod
    def _text(cls, value: object) -> object:
        return value if value is None or isinstance(value, str) else str(value)


FEED: Final = "feed"
"""The ledger's name for changes that were posted to the service, and not pulled."""


class TaskRun(_Open):
    """One run of one task of a pipeline; a task that never ran has a null start."""

    pipeline: str = ""
    run: str | None = None
    task: str
    state: str | None = None
    start: Utc | None = None
    end: Utc | None = None
    try_: int | None = Field(default=None, alias="try")
    upstream: list[str] = Field(default_factory=list)
    error: str | None = None
    log: tuple[Utc, Utc] | None = None

    @field_validator("upstream", mode="before")
    @classmethod
    def _none_is_empty(cls, value: object) -> object:
        return [] if value is None else value


class Edge(_Open):
    """An arrow of the topology: `from_` calls, feeds or serves `to`."""

    from_: str = Field(alias="from")
    to: str
    kind: str = "calls"


class TableSpec(_Open):
    """What is known of a table: its role and which column is what."""

    role: Literal["raw", "features", "predictions", "labels"] | None = Field(
        default=None, description="`raw`, `features`, `predictions` or `labels`"
    )
    time_column: str | None = Field(default=None, description="UTC time of a row")
    label_time_column: str | None = Field(
        default=None, description="when a label arrived; labels are cut by it"
    )
    local_time_column: str | None = Field(default=None, description="local time of a row, no zone")
    key_columns: list[str] = Field(default_factory=list, description="what identifies a row")
    prediction: str | None = Field(default=None, description="column of the decision")
    score: str | None = Field(default=None, description="column of the score")
    label: str | None = Field(default=None, description="column of the truth")
    model_version: str | None = Field(default=None, description="column of the version that served")
    feature_columns: list[str] = Field(default_factory=list, description="columns the model reads")
    expected_schema: dict[str, str] | None = Field(default=None, description="column to type")
    freshness_s: Seconds | None = Field(
        default=None, description="the newest row is at most so old"
    )
    importance: dict[str, float] = Field(
        default_factory=dict, description="feature to its share of the output"
    )
    unit: dict[str, str] = Field(default_factory=dict, description="column to unit, shown on axes")

    @field_validator("key_columns", "feature_columns", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: object) -> object:
        if value is None:
            return []
        return [value] if isinstance(value, str) else value

    @field_validator("importance", "unit", mode="before")
    @classmethod
    def _none_is_empty(cls, value: object) -> object:
        return {} if value is None else value


class BundleManifest(_Open):
    """bundle.json: what the evidence is about, and the ledger of every pull.

    Additions of ours: `incident_id`, so that a replay names the incident it replays, and `alerts`,
    all that belong to it, `alert` among them.
    """

    schema_: Literal["triagebook/bundle/1"] = Field(default=BUNDLE_SCHEMA, alias="schema")
    incident_id: str | None = None
    alert: Alert
    alerts: list[Alert] = Field(default_factory=list)
    service: Service = Field(default_factory=Service)
    windows: Windows
    ledger: list[LedgerEntry] = Field(default_factory=list)


# --- diagnosis -----------------------------------------------------------------------------------

Verdict = Literal["cause_found", "inconclusive", "healthy"]
FindingVerdict = Literal["bad", "ok", "unknown"]
SeverityLevel = Literal["SEV1", "SEV2", "SEV3", "SEV4"]


class Severity(_Strict):
    """How bad, with reasons."""

    level: SeverityLevel
    because: list[str]


class Onset(_Strict):
    """Start of the first bad interval, with what it may lie between and where it was read."""

    at: Utc
    low: Utc
    high: Utc
    from_: str = Field(alias="from")


class Impact(_Strict):
    """One figure people are asked for, with its range and how it was computed."""

    what: str
    value: float
    unit: str
    low: float | None = None
    high: float | None = None
    how: str


class Finding(_Strict):
    """A check's answer at one locus."""

    id: str
    check: str
    locus: str
    verdict: FindingVerdict
    statement: str
    value: float | None = None
    unit: str | None = None
    threshold: float | None = None
    effect: float | None = None
    since: Utc | None = None
    evidence: list[str] = Field(default_factory=list)
    cell: str | None = None


class Hypothesis(_Strict):
    """A cause at a locus, with the findings for and against it.

    `title` and `headline` are additions of ours: the cause in words, and the answer as one sentence.
    """

    cause: str
    locus: str
    confidence: float = Field(ge=0, le=1)
    for_: list[str] = Field(default_factory=list, alias="for")
    against: list[str] = Field(default_factory=list)
    mechanism: str = ""
    actions: list[str] = Field(default_factory=list)
    title: str = ""
    headline: str = ""


class Action(_Strict):
    """A change to a system that is proposed, never done by the diagnosis."""

    action: str
    target: str
    params: dict[str, Any] = Field(default_factory=dict)
    mode: str = "off"
    dry_run: str = ""
    inverse: str = ""
    risk: str = ""
    title: str = ""


class Diagnosis(_Strict):
    """diagnosis.json: the investigation's answer."""

    schema_: Literal["triagebook/diagnosis/1"] = Field(default=DIAGNOSIS_SCHEMA, alias="schema")
    incident_id: str
    incident_type: IncidentType
    service: Service
    alert: Alert
    windows: Windows
    verdict: Verdict
    summary: str = ""
    severity: Severity
    onset: Onset | None = None
    impact: list[Impact] = Field(default_factory=list)
    findings: list[Finding] = Field(default_factory=list)
    hypotheses: list[Hypothesis] = Field(default_factory=list)
    none_of_these: float = Field(ge=0, le=1)
    ledger: list[LedgerEntry] = Field(default_factory=list)
    actions: list[Action] = Field(default_factory=list)
    timings: dict[str, float] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)


# --- running -------------------------------------------------------------------------------------


class ChangeFeed(_Strict):
    """What was posted about changes to a run's service, oldest first.

    `posted_by` names the senders that are configured for it, or have posted any change. `cut`:
    there are older ones, which are left out. Which of them lie in the windows, the kernel says.
    """

    posted_by: list[str] = Field(min_length=1)
    changes: list[Change] = Field(default_factory=list)
    cut: bool = False


class RunRequest(_Strict):
    """request.json in an attempt's folder: what the service asks of the notebook's kernel."""

    schema_: Literal["triagebook/request/1"] = Field(default=REQUEST_SCHEMA, alias="schema")
    incident_id: str
    incident_type: IncidentType
    service: str | None
    runbook: str
    alert: Alert
    alerts: list[Alert] = Field(
        default_factory=list,
        description="all that belong to the incident so far, oldest first, with their ends",
    )
    home: str
    attempt: int = Field(ge=1)
    parameters: dict[str, Any] = Field(default_factory=dict)
    deadline_s: float = 300.0
    memory_bytes: int | None = None
    live: str | None = None  # the file that says where the Jupyter server is
    feed: ChangeFeed | None = None  # null where nobody posts changes


class Progress(_Strict):
    """One line of progress.jsonl in an attempt's folder, written by the papermill engine."""

    ts: Utc
    event: Literal["started", "cell", "answer", "executed", "failed", "published"]
    cell: str | None = None
    title: str | None = None
    index: int | None = None
    total: int | None = None
    status: Literal["running", "done", "failed", "not_run"] | None = None
    took_s: float | None = None
    message: str | None = None


def to_json(model: BaseModel, *, indent: int | None = 2) -> str:
    """Write a model with the contract's own key names (`from`, `for`, `schema`, `try`)."""
    return model.model_dump_json(by_alias=True, indent=indent)
