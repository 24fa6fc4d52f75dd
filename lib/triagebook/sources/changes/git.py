"""Changes from the history of a git repository: what came onto a branch, and when."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from triagebook.core.errors import SourceDataError, SourceError, SourceTimeoutError
from triagebook.core.times import iso
from triagebook.sources.base import Answer, Glance, OwnSettings, Question, Source
from triagebook.sources.changes import CHANGES

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST = 10_000
_NAMED = 4  # files that a change names
_LONGEST = 300  # characters of a subject
_OLD = timedelta(hours=1)
# The one character that neither a subject nor a name of a file can hold parts them.
_FORMAT = "".join(f"%x00{part}" for part in ("%H", "%P", "%ct", "%an", "%s", ""))
_PARTS = 6
_GIT = "git"  # whichever the host has
# A repository's own configuration may name programs to run; none of them is needed to read it.
_QUIET = (
    "--no-pager",
    "--literal-pathspecs",
    *("-c", "core.fsmonitor=false"),
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "core.quotePath=false"),
    *("-c", "log.showSignature=false"),
    *("-c", "protocol.allow=never"),
)
_FOREIGN = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_NAMESPACE")


class GitSettings(OwnSettings):
    """A clone on this host, and which of its commits are changes to the service."""

    path: Path = Field(description="folder of the clone; a bare one will do; from the home")
    ref: str = Field(default="HEAD", description="branch, tag or commit, such as origin/main")
    paths: list[str] = Field(
        default_factory=list, description="only commits that touch these files or folders"
    )
    kind: Literal["deploy", "model", "config", "data", "schedule", "infra", "flag"] = Field(
        default="deploy", description="what a commit there is to the service"
    )
    of: str | None = Field(
        default=None, description="what they change, as the task or service is called"
    )
    all_commits: bool = Field(
        default=False, description="also those that a merge brought; else the merge alone"
    )
    commit_url: str | None = Field(
        default=None, description="address of a commit, with {commit} for its hash"
    )

    @field_validator("commit_url")
    @classmethod
    def _names_the_commit(cls, value: str | None) -> str | None:
        if value is not None and "{commit}" not in value:
            message = "expected {commit} in it, as in https://example.org/repo/commit/{commit}"
            raise ValueError(message)
        return value


@CHANGES.register("git")
class GitChanges(Source):
    """The commits of a branch."""

    Settings = GitSettings
    settings: GitSettings

    def pull(self, question: Question) -> Answer:
        """Return the commits of the window, oldest first; by when they were committed."""
        own, (start, end) = self.settings, question.window
        asked = ["log", f"--max-count={MOST + 1}", f"--format={_FORMAT}", "--name-only"]
        asked += ["--no-renames", "--diff-merges=first-parent"]
        # git compares whole seconds, and not as we do: it gives a little more, we keep what is inside.
        asked += [f"--since-as-filter={int(start.timestamp()) - 1}"]
        asked += [f"--until={int(end.timestamp()) + 1}"]
        asked += [] if own.all_commits else ["--first-parent"]
        asked += ["--end-of-options", own.ref, "--", *own.paths]
        parts = self._git(asked, question).split("\0")[1:]
        found = [parts[at : at + _PARTS] for at in range(0, len(parts), _PARTS)]
        changes = (self._change(*one) for one in found[:MOST])
        inside = [one for one in changes if start <= one["ts"] < end]
        inside.sort(key=lambda one: one["ts"])
        cut = len(found) > MOST
        return Answer(
            rows=inside,
            query=f"git -C {own.path} log {own.ref} from {iso(start)} to {iso(end)}"
            + (f" -- {' '.join(own.paths)}" if own.paths else ""),
            newest=inside[-1]["ts"] if inside else None,
            notes=[
                *self._fetched(question, end),
                *([f"the newest {MOST:,} commits"] if cut else []),
            ],
            partial=cut,
        )

    def glance(self, question: Question) -> Glance:
        """Tell the time of the branch's newest commit."""
        asked = ["log", "--max-count=1", "--format=%ct"]
        told = self._git([*asked, "--end-of-options", self.settings.ref, "--"], question).strip()
        newest = datetime.fromtimestamp(int(told), UTC) if told else None
        return Glance(newest=newest, says=f"{self.settings.ref} can be read")

    def _change(
        self, commit: str, parents: str, committed: str, author: str, subject: str, names: str
    ) -> dict[str, Any]:
        own = self.settings
        files = [name for name in names.splitlines() if name]
        what = subject if len(subject) <= _LONGEST else f"{subject[: _LONGEST - 1]}…"
        if files:
            more = f" and {len(files) - _NAMED:,} more" if len(files) > _NAMED else ""
            what += f" ({', '.join(files[:_NAMED])}{more})"
        change: dict[str, Any] = {
            "ts": datetime.fromtimestamp(int(committed), UTC),
            "kind": own.kind,
            "what": f"{own.of}: {what}" if own.of else what,
            "from": parents.partition(" ")[0][:12] or None,
            "to": commit[:12],
            "by": author or None,
        }
        if own.commit_url is not None:
            change["url"] = own.commit_url.replace("{commit}", commit)
        return change

    def _fetched(self, question: Question, end: datetime) -> list[str]:
        """Say where commits of the window may be missing, because nobody has fetched since."""
        folder = self._git(["rev-parse", "--absolute-git-dir"], question).strip()
        try:
            at = datetime.fromtimestamp((Path(folder) / "FETCH_HEAD").stat().st_mtime, UTC)
        except OSError:
            return []  # nothing was ever fetched: it is where people commit
        if end - at < _OLD:
            return []
        return [f"the clone was fetched last at {iso(at)}: what was committed later is not in it"]

    def _git(self, asked: Sequence[str], question: Question) -> str:
        folder = self.root / self.settings.path
        if not folder.is_dir():
            raise SourceDataError(f"{folder} is no folder", "name the folder of a clone: `path`")
        known = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
        quiet = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1"}
        try:
            process = subprocess.Popen(  # noqa: S603 - no shell, and no option a setting could be
                [_GIT, "-C", str(folder), *_QUIET, *asked],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**known, **quiet, "LC_ALL": "C.UTF-8"},
            )
        except OSError as error:
            raise SourceError(f"git cannot be run: {error}", "install git on this host") from error
        question.stop.on_stop(process.kill)
        try:
            out, err = process.communicate(timeout=question.within_s)
        except subprocess.TimeoutExpired as error:
            process.kill()
            process.communicate()
            raise SourceTimeoutError(
                f"git gave no answer in {question.within_s:g} s",
                "name `paths`, or a larger `budget`",
            ) from error
        if process.returncode == 0:
            return out.decode("utf-8", "replace")
        raise _refused(folder, self.settings.ref, err.decode("utf-8", "replace"))


def _refused(folder: Path, ref: str, said: str) -> SourceError:
    """Turn what git says into what to do."""
    lines = said.strip().splitlines() or ["it ended without a word"]
    if "not a git repository" in said:
        return SourceDataError(f"{folder} is no git repository", "name the folder of a clone")
    if "dubious ownership" in said:
        return SourceError(
            f"git does not trust {folder}: it belongs to somebody else",
            f"git config --global --add safe.directory {folder}",
        )
    if "unknown revision" in said or "bad revision" in said or "ambiguous argument" in said:
        return SourceDataError(
            f"{folder} has no branch, tag or commit {ref!r}", "list them: git branch --all"
        )
    return SourceDataError(f"git could not read {folder}: {lines[0][:200]}", "try it by hand")
