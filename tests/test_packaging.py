"""What is shipped: a lock that fits pyproject.toml, a wheel with all it needs, and it runs elsewhere."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import triagebook

ROOT = Path(__file__).resolve().parents[1]


def run(
    *command: str | Path, cwd: Path, timeout_s: float = 120
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, (
        f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    )
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    # The wheel is built from the sdist, so a file missing in either is found.
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    return next(folder.glob("*.whl"))


def pinned() -> dict[str, list[Version]]:
    versions: dict[str, list[Version]] = {}
    for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines():
        if line[:1].isalnum():
            name, _, rest = line.partition("==")
            versions.setdefault(canonicalize_name(name), []).append(Version(rest.split()[0]))
    return versions


def test_lock_holds_a_fitting_version_of_every_requirement():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    asked = [
        *project["project"]["dependencies"],
        *(r for extra in project["project"]["optional-dependencies"].values() for r in extra),
        *project["dependency-groups"]["dev"],
    ]
    locked = pinned()
    wrong = [
        text
        for text in asked
        if not any(
            Requirement(text).specifier.contains(version, prereleases=True)
            for version in locked.get(canonicalize_name(Requirement(text).name), [])
        )
    ]
    assert wrong == [], "run: make lock"


def test_lock_holds_a_hash_for_every_package_and_no_address():
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    entries = [part for part in text.replace("\\\n", " ").splitlines() if part[:1].isalnum()]
    assert len(entries) > 100
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []
    assert "://" not in text


def test_wheel_holds_notebooks_templates_migrations_and_the_licence(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    shipped = [*(ROOT / "notebooks").rglob("*.ipynb")]
    assert shipped
    for folder in ("notebooks", "templates"):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file():
                inside = f"triagebook/_{folder}/{path.relative_to(ROOT / folder)}"
                assert inside in names
    for path in (ROOT / "lib").rglob("*.py"):
        assert str(path.relative_to(ROOT / "lib")) in names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_wheel_holds_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"triagebook", f"triagebook-{triagebook.__version__}.dist-info"}
    assert [name for name in names if "__pycache__" in name or ".ipynb_checkpoints" in name] == []


@pytest.fixture
def elsewhere(wheel, tmp_path) -> Path:
    """Return the scripts folder of a fresh environment with the wheel, outside the checkout."""
    venv = tmp_path / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", venv, cwd=tmp_path)
    python = venv / "bin" / "python"
    if importlib.util.find_spec("ensurepip"):
        run(python, "-m", "ensurepip", cwd=tmp_path)
        pip = [python, "-m", "pip", "install", "--no-index"]
    elif shutil.which("uv"):
        pip = ["uv", "pip", "install", "--offline", "--python", python]
    else:
        pytest.skip("neither ensurepip nor uv here: apt-get install python3-venv")
    run(*pip, "--quiet", "--no-deps", wheel, cwd=tmp_path)
    # Only now the packages of our own environment, so that nothing is downloaded. A path in a .pth
    # file is searched for modules, but its own .pth files (our editable install) are not read.
    site = Path(sysconfig.get_path("purelib", vars={"base": str(venv)}))
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return python.parent


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_installed_wheel_runs_the_demo_outside_the_checkout(elsewhere, tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    assert (
        run(elsewhere / "triagebook", "--version", cwd=work)
        .stdout.strip()
        .endswith(triagebook.__version__)
    )
    where = run(
        elsewhere / "python", "-c", "import triagebook; print(triagebook.__file__)", cwd=work
    ).stdout
    assert str(ROOT) not in where
    shown = run(elsewhere / "triagebook", "demo", "--exit", cwd=work, timeout_s=300).stdout
    assert "distance" in shown
    assert [path.name for path in work.iterdir()] == ["runs"]
    found = list(work.glob("runs/demo-*/runs/inc-*/diagnosis.json"))
    assert len(found) == 1
    assert json.loads(found[0].read_text(encoding="utf-8"))["verdict"] == "cause_found"
