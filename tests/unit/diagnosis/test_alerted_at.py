"""When an alert began, as checks take it: a sender's clock that is out by days is not believed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pandas as pd
import pytest

from triagebook.core.models import Alert, Windows
from triagebook.diagnosis.context import alerted_at

START = datetime(2013, 6, 2, tzinfo=UTC)
WINDOWS = Windows(
    reference=(START - timedelta(days=28), START), current=(START, START + timedelta(days=2))
)
END = WINDOWS.current[1]


def asked(starts_at: datetime | None) -> datetime:
    bundle = SimpleNamespace(alert=Alert(starts_at=starts_at), windows=WINDOWS)
    return alerted_at(SimpleNamespace(bundle=bundle))


@pytest.mark.parametrize(
    "told", [WINDOWS.reference[0], START, END, END + timedelta(hours=3), END + timedelta(days=1)]
)
def test_a_start_that_may_be_is_taken(told):
    assert asked(told) == told


@pytest.mark.parametrize(
    "told",
    [
        None,
        datetime(1, 1, 2, tzinfo=UTC),
        WINDOWS.reference[0] - timedelta(seconds=1),
        END + timedelta(days=1, seconds=1),
        datetime(9999, 12, 31, tzinfo=UTC),
    ],
)
def test_one_that_cannot_be_is_the_end_of_what_is_looked_at(told):
    assert asked(told) == END
    assert pd.Timestamp(asked(told)).value  # nanoseconds can hold it
