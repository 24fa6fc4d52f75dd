"""The docs say what the code does: every setting, snippets that load, links that lead somewhere."""

import re
from pathlib import Path

import pytest

from triagebook.core.reference import reference
from triagebook.core.settings import load_settings
from triagebook.diagnosis.answer import CHECKS
from triagebook.diagnosis.spec import TYPES
from triagebook.evidence.check import check_pulls
from triagebook.sources import reference as sources

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def test_the_configuration_reference_is_what_the_code_says():
    written = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert written == reference(), (
        "run: python -m triagebook.core.reference > docs/configuration.md"
    )


def test_the_reference_of_sources_is_what_the_code_says():
    written = (ROOT / "docs" / "source-keys.md").read_text(encoding="utf-8")
    assert written == sources.reference(), (
        "run: python -m triagebook.sources.reference > docs/source-keys.md"
    )


def test_every_setting_is_described():
    assert "|  |\n" not in reference()
    assert "|  |\n" not in sources.reference()


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_and_pictures_lead_to_files(page):
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
    missing = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert missing == []


def toml_snippets():
    for page in PAGES:
        for number, block in enumerate(
            re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
        ):
            yield pytest.param(block, id=f"{page.name}-{number}")


@pytest.mark.parametrize("block", list(toml_snippets()))
def test_toml_snippets_are_valid_settings(block, tmp_path):
    path = tmp_path / "triagebook.toml"
    path.write_text(block, encoding="utf-8")
    problems = check_pulls(load_settings(path), tmp_path)
    assert [str(problem) for problem in problems] == []


def test_every_check_is_listed_with_its_question():
    text = (ROOT / "docs" / "checks.md").read_text(encoding="utf-8")
    missing = [c.id for c in CHECKS if f"`{c.id}`" not in text or c.question not in text]
    assert missing == []
    assert {name for name in TYPES.names() if name in text} == set(TYPES.names())
