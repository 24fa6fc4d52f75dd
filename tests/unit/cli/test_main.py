"""Exit codes, errors without tracebacks, and a quick start."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

import triagebook
from triagebook.cli.main import app
from triagebook.core.errors import SettingsError

COMMANDS = ["demo", "init", "serve", "run", "replay", "incidents", "show", "doctor"]
# Each takes from a quarter of a second to several; --help waits for none of them.
SLOW_IMPORTS = (
    "pandas",
    "sklearn",
    "matplotlib",
    "fastapi",
    "dbos",
    "papermill",
    "duckdb",
    "sqlalchemy",
)


def call(*arguments: str):
    return CliRunner().invoke(app, list(arguments))


def test_version():
    result = call("--version")
    assert (result.exit_code, result.stdout) == (0, f"triagebook {triagebook.__version__}\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command):
    result = call(command, "--help")
    assert result.exit_code == 0
    assert "Usage" in result.stdout


def test_help_names_every_command():
    words = call("--help").stdout.split()
    assert [command for command in COMMANDS if command not in words] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_result_has_json(command):
    assert "--json" in call(command, "--help").stdout


def test_help_imports_nothing_slow():
    code = (
        "import sys, contextlib\n"
        "from triagebook.cli.main import main\n"
        "with contextlib.suppress(SystemExit): main(['--help'])\n"
        f"print([n for n in {SLOW_IMPORTS!r} if n in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize(
    "arguments",
    [
        ["nosuch"],
        ["incidents", "--nosuch"],
        ["serve", "--port", "65536"],
        ["serve", "--port", "-1"],
        ["replay"],
        ["init"],
        ["run"],
        ["run", "--service", "a", "--bundle", "b"],
        ["run", "--bundle", "b", "--at", "2013-06-04T14:00:00Z"],
        ["replay", "x", "--type", "nosuch"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_2(arguments):
    result = call(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["incidents"],
        ["show", "inc-1"],
        ["serve", "--port", "0"],
        ["run", "--service", "flight-delay"],
        ["doctor", "--home", "."],
    ],
    ids=" ".join,
)
def test_a_folder_that_is_no_home_is_1_with_the_next_step(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call(*arguments)
    assert result.exit_code == 1
    assert "no triagebook.toml" in result.output
    assert "→ " in result.output
    assert "Traceback" not in result.output
    assert list(tmp_path.iterdir()) == []


def test_wrong_settings_name_file_line_and_nearest_key(tmp_path):
    (tmp_path / "triagebook.toml").write_text("[server]\nprot = 1\n")
    result = call("incidents", "--home", str(tmp_path))
    assert result.exit_code == 1
    assert "triagebook.toml:2" in result.stderr
    assert "'port'" in result.stderr


def test_debug_raises_the_error_itself(tmp_path):
    result = call("--debug", "incidents", "--home", str(tmp_path))
    assert isinstance(result.exception, SettingsError)
    assert "no triagebook.toml" not in result.stderr


def test_python_m_is_the_same_command():
    done = subprocess.run(
        [sys.executable, "-m", "triagebook", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("triagebook ")
