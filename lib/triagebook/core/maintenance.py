"""A maintenance window of triagebook.toml: two instants, or hours of the week, in UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from triagebook.core.times import to_utc

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_MINUTES = 1_440


def _when(value: object) -> datetime | int:
    """Read "02:00" as minutes since midnight, anything else as an instant."""
    if isinstance(value, time):
        if value.tzinfo is not None or value.second or value.microsecond:
            message = f"expected a time of day such as 02:00, in UTC, got {value}"
            raise ValueError(message)
        return value.hour * 60 + value.minute
    found = re.fullmatch(r"(\d{1,2}):(\d{2})", value.strip()) if isinstance(value, str) else None
    if found is None:
        return to_utc(value)
    hours, minutes = int(found[1]), int(found[2])
    if hours * 60 + minutes > _DAY_MINUTES or minutes > 59:
        message = f"expected a time of day from 00:00 to 24:00, got {value!r}"
        raise ValueError(message)
    return hours * 60 + minutes


_When = Annotated[datetime | int, BeforeValidator(_when)]


class MaintenanceSettings(BaseModel):
    """A time in which alerts are expected: kept and shown, but nothing is run before its end."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    services: list[str] | None = Field(default=None, description="names; without it every alert")
    match: dict[str, str] = Field(
        default_factory=dict, description="label: value, or a regular expression in full"
    )
    from_: _When = Field(
        alias="from", description="an instant in UTC, or a time of day such as `02:00` in UTC"
    )
    to: _When = Field(description="its end, of the same kind; `04:00` before `from` is next day's")
    days: list[Day] | None = Field(
        default=None, description="days a time of day begins on: `mon` to `sun`; without it all"
    )
    reason: str = Field(min_length=1, max_length=300, description="shown to people")
    except_critical: bool = Field(default=False, description="critical alerts are run at once")

    @model_validator(mode="after")
    def _of_one_kind(self) -> Self:
        message = ""
        if isinstance(self.from_, datetime) != isinstance(self.to, datetime):
            message = "`from` and `to` are both instants, or both times of day"
        elif isinstance(self.from_, datetime) and self.days is not None:
            message = "`days` goes with times of day, such as 02:00"
        elif isinstance(self.from_, datetime) and isinstance(self.to, datetime):
            message = "" if self.from_ < self.to else "`to` must be later than `from`"
        elif self.from_ == self.to:
            message = "`from` and `to` are the same; a whole day is 00:00 to 24:00"
        elif self.days == []:
            message = "`days` is empty; leave it out for every day"
        if message:
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _patterns_compile(self) -> Self:
        for name, pattern in self.match.items():
            try:
                re.compile(pattern)
            except re.error as error:
                message = f"{name} = {pattern!r} is no regular expression ({error})"
                raise ValueError(message) from error
        return self

    def concerns(self, names: list[str], labels: dict[str, str]) -> bool:
        """Tell whether an alert is meant: one of `names` is listed, and every label matches."""
        if self.services is not None and not set(names) & set(self.services):
            return False
        return all(
            name in labels
            and (labels[name] == pattern or re.fullmatch(pattern, labels[name]) is not None)
            for name, pattern in self.match.items()
        )

    def end(self, now: datetime) -> datetime | None:
        """Return when the window that `now` lies in ends; None outside. Its end is outside."""
        if isinstance(self.from_, datetime) and isinstance(self.to, datetime):
            return self.to if self.from_ <= now < self.to else None
        assert isinstance(self.from_, int)  # noqa: S101 - checked when it was read
        assert isinstance(self.to, int)  # noqa: S101
        length = (self.to - self.from_) % _DAY_MINUTES or _DAY_MINUTES
        today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        # What began yesterday may go on past midnight.
        for midnight in (today, today - timedelta(days=1)):
            begin = midnight + timedelta(minutes=self.from_)
            end = begin + timedelta(minutes=length)
            if begin <= now < end and _DAYS[midnight.weekday()] in (self.days or _DAYS):
                return end
        return None
