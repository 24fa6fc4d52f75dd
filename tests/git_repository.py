"""A real git repository whose commits are made at times of our choice."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path


class Repository:
    """A new repository with the branch `main`; everything in it is Ada's.

    Parameters
    ----------
    folder : Path
        Must not be there yet.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str, at: datetime | None = None) -> str:
        """Run git there, at a moment where that matters; return what it prints."""
        moment = f"{int(at.timestamp()) if at else 1_000_000_000} +0200"
        people = {
            f"GIT_{who}_{what}": "Ada"
            for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        }
        times = {"GIT_AUTHOR_DATE": moment, "GIT_COMMITTER_DATE": moment}
        done = subprocess.run(
            ["git", "-C", str(self.folder), *arguments],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, **people, **times, "GIT_CONFIG_GLOBAL": os.devnull},
        )
        return done.stdout.strip()

    def commit(self, subject: str, at: datetime, *names: str) -> str:
        """Change files (a.sql without names) and commit that; return the commit's hash."""
        for name in names or ("a.sql",):
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{subject} {at}")
        self.git("add", "-A")
        self.git("commit", "-q", "-m", subject, at=at)
        return self.git("rev-parse", "HEAD")
