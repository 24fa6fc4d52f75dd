"""Commits as changes, from real repositories."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from tests.git_repository import Repository
from triagebook.core.errors import SourceError
from triagebook.core.models import Change
from triagebook.sources.base import Question
from triagebook.sources.changes import git as source
from triagebook.sources.changes.git import GitChanges, GitSettings

if TYPE_CHECKING:
    from pathlib import Path

NOON = datetime(2013, 6, 4, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def repository(tmp_path) -> Repository:
    return Repository(tmp_path / "repository")


def pulled(root: Path, start: datetime = NOON, end: datetime = NOON + 60 * MINUTE, **keys):
    settings = GitSettings.model_validate({"path": "repository", **keys})
    return GitChanges(settings, root).pull(Question((start, end)))


def test_a_commit_is_a_change_with_who_when_and_what(repository, tmp_path):
    first = repository.commit("first", NOON - MINUTE)
    second = repository.commit("Distances in kilometres", NOON + MINUTE, "sql/features.sql")
    url = "https://example.org/c/{commit}"
    [row] = pulled(tmp_path, kind="config", of="ingest", commit_url=url).rows
    assert row == {
        "ts": NOON + MINUTE,
        "kind": "config",
        "what": "ingest: Distances in kilometres (sql/features.sql)",
        "from": first[:12],
        "to": second[:12],
        "by": "Ada",
        "url": f"https://example.org/c/{second}",
    }
    assert Change.model_validate(row).ts == NOON + MINUTE


@pytest.mark.parametrize(
    ("at", "inside"),
    [
        (NOON - timedelta(seconds=1), False),
        (NOON, True),
        (NOON + 60 * MINUTE - timedelta(seconds=1), True),
        (NOON + 60 * MINUTE, False),
    ],
)
def test_the_start_belongs_to_the_window_and_the_end_does_not(repository, tmp_path, at, inside):
    repository.commit("x", at)
    answer = pulled(tmp_path)
    assert len(answer.rows) == inside
    assert answer.newest == (at if inside else None)


def test_what_a_merge_brought_counts_when_it_was_merged(repository, tmp_path):
    repository.commit("base", NOON - 5 * MINUTE)
    repository.git("switch", "-q", "-c", "side")
    repository.commit("on the side", NOON - 2 * MINUTE, "side.sql")
    repository.commit("on the side too", NOON + MINUTE, "other.sql")
    repository.git("switch", "-q", "main")
    repository.git("merge", "-q", "--no-ff", "-m", "Merge side", "side", at=NOON + 3 * MINUTE)
    [merge] = pulled(tmp_path).rows
    assert (merge["what"], merge["ts"]) == (
        "Merge side (other.sql, side.sql)",
        NOON + 3 * MINUTE,
    )
    every = [row["what"] for row in pulled(tmp_path, all_commits=True).rows]
    assert every == ["on the side too (other.sql)", "Merge side (other.sql, side.sql)"]


def test_a_commit_behind_one_with_an_older_clock_is_found(repository, tmp_path):
    repository.commit("right", NOON + MINUTE)
    repository.commit("a clock a year behind", NOON - timedelta(days=365))
    assert [row["what"] for row in pulled(tmp_path).rows] == ["right (a.sql)"]


def test_only_some_paths_and_another_branch(repository, tmp_path):
    repository.commit("model", NOON, "model/train.py")
    repository.commit("docs", NOON + MINUTE, "docs/a.md")
    repository.git("switch", "-q", "-c", "release")
    repository.commit("release", NOON + 2 * MINUTE, "model/train.py")
    repository.git("switch", "-q", "main")
    assert [row["what"] for row in pulled(tmp_path, paths=["model"]).rows] == [
        "model (model/train.py)"
    ]
    assert len(pulled(tmp_path, ref="release").rows) == 3
    # No pattern: a name as it is.
    assert pulled(tmp_path, paths=["*.md"]).rows == []


def test_hostile_subjects_and_names_stay_one_change(repository, tmp_path):
    odd = "x\x1e\x1f\x1b[31m $(touch gone) ☃ <script>"
    repository.commit(odd, NOON, "a\nb.sql", "-n.sql", "ä.sql", "1", "2", "3")
    [row] = pulled(tmp_path).rows
    assert row["what"].startswith(odd)
    assert row["what"].endswith("and 2 more)")
    assert not (repository.folder / "gone").exists()


@pytest.mark.parametrize("ref", ["--output=gone", "-n1", "--exec=x", "no-such", "main..", "a b"])
def test_a_ref_is_never_an_option(repository, tmp_path, ref):
    repository.commit("x", NOON)
    if ref == "main..":
        assert pulled(tmp_path, ref=ref).rows == []
        return
    with pytest.raises(SourceError, match=r"no branch, tag or commit|could not read"):
        pulled(tmp_path, ref=ref)
    assert not (repository.folder / "gone").exists()


def test_a_repository_s_own_configuration_runs_nothing(repository, tmp_path):
    repository.commit("x", NOON)
    for name in ("core.fsmonitor", "core.pager", "gpg.program", "diff.external", "core.sshCommand"):
        repository.git("config", name, f"touch {tmp_path / 'ran'}; false")
    repository.git("config", "log.showSignature", "true")
    assert len(pulled(tmp_path).rows) == 1
    assert not (tmp_path / "ran").exists()


def test_a_clone_that_nobody_fetches_is_told(repository, tmp_path):
    repository.commit("x", NOON)
    assert pulled(tmp_path).notes == []
    fetched = repository.folder / ".git" / "FETCH_HEAD"
    fetched.write_text("")
    end = NOON + 120 * MINUTE
    for ago, told in ((timedelta(minutes=59), False), (timedelta(minutes=60), True)):
        moment = (end - ago).timestamp()
        os.utime(fetched, (moment, moment))
        assert bool(pulled(tmp_path, end=end).notes) is told
    assert pulled(tmp_path, end=end).notes == [
        "the clone was fetched last at 2013-06-04T13:00:00Z: what was committed later is not in it"
    ]


def test_of_too_many_the_newest_are_kept_and_it_is_said(repository, tmp_path, monkeypatch):
    monkeypatch.setattr(source, "MOST", 2)
    for number in range(3):
        repository.commit(f"c{number}", NOON + number * MINUTE)
    answer = pulled(tmp_path)
    assert [row["what"] for row in answer.rows] == ["c1 (a.sql)", "c2 (a.sql)"]
    assert answer.partial
    assert answer.notes == ["the newest 2 commits"]


@pytest.mark.usefixtures("repository")
def test_what_is_wrong_says_what_to_do(tmp_path):
    with pytest.raises(SourceError, match="is no folder"):
        pulled(tmp_path, path="missing")
    (tmp_path / "plain").mkdir()
    with pytest.raises(SourceError, match="is no git repository"):
        pulled(tmp_path, path="plain")
    with pytest.raises(SourceError, match="no branch, tag or commit 'main'"):
        pulled(tmp_path, ref="main")  # nothing was committed yet
    with pytest.raises(ValidationError, match=r"expected \{commit\} in it"):
        GitSettings(path="x", commit_url="https://example.org")


def test_a_glance_tells_the_newest_commit(repository, tmp_path):
    repository.commit("x", NOON)
    told = GitChanges(GitSettings(path="repository"), tmp_path).glance(Question((NOON, NOON)))
    assert (told.newest, told.says) == (NOON, "HEAD can be read")
