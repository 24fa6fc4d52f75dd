"""Posted changes as evidence: merged, told once, with an entry of their own; silence proves nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from triagebook.core.models import Alert, Change, ChangeFeed, Windows
from triagebook.core.settings import Settings
from triagebook.diagnosis.context import Context
from triagebook.evidence.collect import collect

T0 = datetime(2013, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
WINDOWS = Windows(reference=(T0, T0 + 2 * DAY), current=(T0 + 2 * DAY, T0 + 3 * DAY))
END = T0 + 3 * DAY
SECOND = timedelta(seconds=1)


def change(at=T0 + DAY, to="8", kind="model", **more):
    return Change(ts=at, kind=kind, what="churn-model", to=to, **more)


def posted(*changes, cut=False):
    return ChangeFeed(posted_by=["mlflow"], changes=list(changes), cut=cut)


@pytest.fixture
def collected(tmp_path):
    def make(feed, *logged):
        service = {"name": "churn"}
        if logged:
            lines = [one.model_dump_json(by_alias=True) for one in logged]
            (tmp_path / "c.jsonl").write_text("\n".join(lines))
            service["changes"] = [{"path": "c.jsonl"}]
        settings = Settings(service=[service])
        return collect(
            settings,
            settings.services[0],
            Alert(starts_at=T0 + 2 * DAY),
            WINDOWS,
            root=tmp_path,
            incident_id="I1",
            into=tmp_path / f"bundle-{len(list(tmp_path.glob('bundle-*')))}",
            feed=feed,
        )

    return make


def entries(bundle):
    return [(e.source, e.status, e.rows) for e in bundle.ledger if e.kind == "changes"]


def feed_of(bundle):
    return next(entry for entry in bundle.ledger if entry.source == "feed")


def test_without_a_feed_nothing_is_said_of_one(collected):
    bundle = collected(None)
    assert entries(bundle) == [("changes", "not_configured", None)]
    assert bundle.changes is None


def test_posted_changes_are_evidence_with_an_entry_of_their_own(collected):
    bundle = collected(posted(change(from_="7", sender="mlflow")))
    assert entries(bundle) == [("feed", "ok", 1)]
    entry = feed_of(bundle)
    assert (entry.query, entry.window) == ("posted by mlflow", (T0, END))
    assert entry.sha256
    assert bundle.verify() == bundle.problems == []
    (found,) = bundle.changes
    assert (found.kind, found.from_, found.to) == ("model", "7", "8")
    assert bundle.evidence_ids("changes") == [entry.id]
    assert Context(bundle).why_missing("changes") is None


@pytest.mark.parametrize(
    ("at", "inside"), [(T0 - SECOND, 0), (T0, 1), (END - SECOND, 1), (END, 0), (END + SECOND, 0)]
)
def test_only_what_lies_in_the_windows_is_taken(collected, at, inside):
    assert feed_of(collected(posted(change(at)))).rows == inside


def test_that_nothing_was_posted_is_no_proof_that_nothing_was_changed(collected):
    bundle = collected(posted())
    assert entries(bundle) == [("changes", "not_configured", None), ("feed", "empty", 0)]
    # No file: present and empty would mean that all who could know were asked.
    assert bundle.changes is None
    context = Context(bundle)
    assert "[[service.changes]]" in context.why_missing("changes")
    assert context.cite("changes") == [e.id for e in bundle.ledger if e.kind == "changes"]


def test_a_change_log_that_was_read_and_a_silent_feed(collected):
    bundle = collected(posted(), change(kind="deploy"))
    assert entries(bundle) == [("changes:files", "ok", 1), ("feed", "empty", 0)]
    assert len(bundle.changes) == 1
    assert len(bundle.evidence_ids("changes")) == 1


def test_pulled_and_posted_changes_stand_together_oldest_first(collected):
    bundle = collected(posted(change(T0)), change(T0 + DAY, "1", "deploy"))
    assert entries(bundle) == [("changes:files", "ok", 1), ("feed", "ok", 1)]
    assert [(one.kind, one.to) for one in bundle.changes] == [("model", "8"), ("deploy", "1")]
    assert len(bundle.evidence_ids("changes")) == 2


@pytest.mark.parametrize(
    ("logged", "twice"),
    [
        (change(T0 + DAY - timedelta(seconds=900), "v8"), False),
        (change(T0 + DAY + timedelta(seconds=900), "churn-model/8"), False),
        (change(T0 + DAY, "models:/churn-model@8"), False),
        (change(T0 + DAY + timedelta(seconds=901)), True),
        (change(kind="deploy"), True),
        (change(to="9"), True),
        (change(to=None), True),
    ],
)
def test_what_two_sources_tell_counts_once(collected, logged, twice):
    bundle = collected(posted(change()), logged)
    assert len(bundle.changes) == 1 + twice
    entry = feed_of(bundle)
    assert (entry.status, entry.rows) == (("ok", 1) if twice else ("empty", 0))
    assert entry.why == (None if twice else "1 change told by another source too")


def test_the_ledger_says_which_clock_was_not_believed(collected):
    bundle = collected(posted(change(told_at="2013-06-09T00:00:00Z")))
    assert "a time in the future" in feed_of(bundle).why


@pytest.mark.parametrize(
    ("oldest", "status"), [(T0, "ok"), (T0 + SECOND, "truncated"), (T0 - DAY, "ok")]
)
def test_a_feed_that_was_cut_within_the_windows_says_so(collected, oldest, status):
    bundle = collected(posted(change(oldest), change(), cut=True))
    assert feed_of(bundle).status == status
    assert ("only the newest" in str(feed_of(bundle).why)) == (status == "truncated")
