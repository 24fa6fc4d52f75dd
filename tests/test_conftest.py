"""In CI a skip is a failure, unless its reason is on the list."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SAMPLE = """
import pytest

def test_fine(): pass

def test_skips(): pytest.skip({reason!r})

@pytest.mark.xfail
def test_expected_to_fail(): assert False
"""


def run_pytest(folder: Path, reason: str, ci: str, sample: str = SAMPLE) -> str:
    shutil.copy(Path(__file__).with_name("conftest.py"), folder)
    (folder / "test_sample.py").write_text(sample.format(reason=reason))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_sample.py"],
        cwd=folder,
        env={**os.environ, "CI": ci},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("reason", "ci", "expected"),
    [
        ("no chromium here", "true", "1 failed, 1 passed, 1 xfailed"),
        ("no chromium here", "", "1 passed, 1 skipped, 1 xfailed"),
        ("macOS only: needs launchd", "true", "1 passed, 1 skipped, 1 xfailed"),
    ],
)
def test_skip_counts_as_failure_only_in_ci(tmp_path, reason, ci, expected):
    assert run_pytest(tmp_path, reason, ci).startswith(expected)


def test_skipping_a_whole_module_fails_in_ci(tmp_path):
    sample = "import pytest\npytest.skip({reason!r}, allow_module_level=True)\n"
    assert "1 error" in run_pytest(tmp_path, "no chromium here", "true", sample)
