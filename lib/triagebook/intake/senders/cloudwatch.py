"""CloudWatch alarms through Amazon SNS: signed by Amazon, for the topics that the settings name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from triagebook.core.errors import NotAuthenticatedError, NotUnderstoodError
from triagebook.core.models import Alert
from triagebook.intake.body import HINT, read_json
from triagebook.intake.sender import SENDERS
from triagebook.intake.shapes import Shape, Time, number, read_shape
from triagebook.intake.sns import Envelope, fetch_from_amazon, of_amazon, verify

if TYPE_CHECKING:
    from pathlib import Path

    from triagebook.core.settings import IntakeSettings
    from triagebook.intake.sender import Delivery

NAME = "cloudwatch"


class _Dimension(Shape):
    name: str
    value: str


class _Trigger(Shape):
    MetricName: str | None = None
    Namespace: str | None = None
    Statistic: str | None = None
    Unit: str | None = None
    Dimensions: list[_Dimension] = Field(default_factory=list)
    Threshold: float | None = None


class _Alarm(Shape):
    AlarmName: str = Field(min_length=1)
    AlarmDescription: str | None = None
    AWSAccountId: str = ""
    NewStateValue: str
    NewStateReason: str = ""
    StateChangeTime: Time = None
    Region: str = ""
    AlarmArn: str = ""
    Trigger: _Trigger | None = None


@SENDERS.register(NAME)
class CloudWatch:
    """CloudWatch through SNS.

    References
    ----------
    Amazon SNS developer guide, "HTTP/HTTPS notification JSON format"; CloudWatch, "Alarm events".
    """

    @staticmethod
    def fetch(url: str) -> bytes:
        """Return what lies at an address of Amazon's."""
        return fetch_from_amazon(url)

    def authenticate(self, delivery: Delivery, settings: IntakeSettings, root: Path) -> None:
        """Check that a topic of ours speaks, signed by Amazon: anybody may have a topic of his own."""
        del root
        try:
            envelope = _envelope(delivery.body)
        except NotUnderstoodError as error:
            raise NotAuthenticatedError(error.message, error.hint) from error
        if envelope.TopicArn not in settings.topics:
            raise NotAuthenticatedError(
                "the topic is none of ours", "name its ARN in topics under [intake.cloudwatch]"
            )
        verify(envelope, self.fetch)

    def key(self, delivery: Delivery) -> str | None:
        """Return SNS' id of the message, which stays the same over retries."""
        return delivery.headers.get("x-amz-sns-message-id") or None

    def confirm(self, body: bytes) -> None:
        """Fetch the address of a subscription's confirmation, so that its messages come."""
        envelope = _envelope(body)
        if envelope.Type == "SubscriptionConfirmation" and envelope.SubscribeURL is not None:
            if not of_amazon(envelope.SubscribeURL):
                raise NotUnderstoodError("the address to confirm at does not lie at Amazon", HINT)
            self.fetch(envelope.SubscribeURL)

    def parse(self, body: bytes, settings: IntakeSettings) -> list[Alert]:
        """Return the alarm's alert; nothing for confirmations, and where data are insufficient."""
        del settings
        envelope = _envelope(body)
        if envelope.Type != "Notification":
            return []
        # As strictly as a body: what the envelope escapes twice comes out of it only here.
        message = read_json(envelope.Message.encode("utf-8"))
        alarm = read_shape(_Alarm, message, "CloudWatch alarm")
        # Too few data say neither that it is over nor that it goes on.
        if alarm.NewStateValue not in {"ALARM", "OK"}:
            return []
        over = alarm.NewStateValue == "OK"
        trigger = alarm.Trigger or _Trigger()
        labels = {
            "alertname": alarm.AlarmName,
            "region": alarm.Region,
            "account": alarm.AWSAccountId,
            "namespace": trigger.Namespace or "",
            **{one.name: one.value for one in trigger.Dimensions},
        }
        return [
            Alert(
                sender=NAME,
                fingerprint=alarm.AlarmArn or f"{alarm.Region}/{alarm.AlarmName}",
                status="resolved" if over else "firing",
                title=alarm.AlarmName,
                description=alarm.AlarmDescription or alarm.NewStateReason or None,
                starts_at=None if over else alarm.StateChangeTime,
                ends_at=alarm.StateChangeTime if over else None,
                labels={name: text for name, text in labels.items() if text},
                annotations={"reason": alarm.NewStateReason} if alarm.NewStateReason else {},
                threshold=number(trigger.Threshold),
                metric=trigger.MetricName,
            )
        ]


def _envelope(body: bytes) -> Envelope:
    # SNS calls its JSON text/plain; raw delivery, which has no signature, is not taken.
    return read_shape(Envelope, read_json(body), "notification of Amazon SNS")
