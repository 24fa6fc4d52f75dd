"""Airflow's callbacks and HttpNotifier: a task failed, or succeeded again; docs/senders.md has both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from triagebook.core.models import Alert, IncidentType
from triagebook.incidents.fingerprints import of_labels
from triagebook.intake.body import read_json
from triagebook.intake.credentials import check_authorization
from triagebook.intake.sender import SENDERS, Unnamed
from triagebook.intake.shapes import Shape, Texts, Time, first, read_shape, web_links

if TYPE_CHECKING:
    from pathlib import Path

    from triagebook.core.settings import IntakeSettings
    from triagebook.intake.sender import Delivery

NAME = "airflow"


class _Callback(Shape):
    dag_id: str = Field(min_length=1)
    task_id: str = Field(min_length=1)
    run_id: str = ""
    map_index: int = -1
    try_number: int = Field(default=1, ge=0)
    state: Literal["failed", "upstream_failed", "up_for_retry", "success", "sla_missed"]
    logical_date: Time = None
    start_date: Time = None
    end_date: Time = None
    exception: str = ""
    log_url: str = ""
    labels: Texts = Field(default_factory=dict)


@SENDERS.register(NAME)
class Airflow(Unnamed):
    """Airflow, which has no webhook of its own: a callback posts what docs/senders.md says.

    References
    ----------
    Airflow documentation, "Callbacks" and the HTTP provider's HttpNotifier.
    """

    def authenticate(self, delivery: Delivery, settings: IntakeSettings, root: Path) -> None:
        """Check the bearer token or basic auth that the callback sends."""
        check_authorization(delivery.headers, settings, root)

    def parse(self, body: bytes, settings: IntakeSettings) -> list[Alert]:
        """Return the task's alert: one episode a task, until it succeeds; nothing while it retries."""
        del settings
        told = read_shape(_Callback, read_json(body), "callback of Airflow as the docs give it")
        if told.state == "up_for_retry":
            return []
        over = told.state == "success"
        of_task = {"dag_id": told.dag_id, "task_id": told.task_id}
        if told.map_index >= 0:
            of_task["map_index"] = str(told.map_index)
        words = "missed its deadline" if told.state == "sla_missed" else "failed"
        return [
            Alert(
                sender=NAME,
                # Of whatever run: a task that fails night after night is one episode.
                fingerprint=of_labels(of_task),
                status="resolved" if over else "firing",
                incident_type=IncidentType.PIPELINE_FAILURE,
                title=f"{told.dag_id}.{told.task_id} {'succeeded' if over else words}",
                description=first(told.exception),
                starts_at=None if over else (told.end_date or told.start_date),
                ends_at=told.end_date if over else None,
                labels={**told.labels, **of_task, "state": told.state},
                annotations={
                    name: text
                    for name, text in {
                        "run_id": told.run_id,
                        "try_number": str(told.try_number),
                        "logical_date": told.logical_date.isoformat() if told.logical_date else "",
                    }.items()
                    if text
                },
                links=web_links({"log": told.log_url}),
            )
        ]
