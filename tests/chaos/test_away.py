"""PostgreSQL frozen for some seconds under posts; `python -m tests.chaos.away` takes it away for a minute."""

from __future__ import annotations

import pytest

from tests.chaos import away


@pytest.mark.live
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_while_the_database_is_frozen_posts_are_answered_and_nothing_is_doubled():
    found = away.run(seconds=12, how="frozen")
    assert found["wrong"] == []
    assert found["statuses"]["503"] >= 1
    assert found["alerts_posted_again"] >= 1
