"""The catalogue is the 55 causes with their loci, and what checks say is of it."""

import ast
import inspect
from pathlib import Path

import pytest

import triagebook.diagnosis.checks as package
from tests.contract.test_checks import CONTRACT
from triagebook.core.errors import RegistryError
from triagebook.core.models import IncidentType
from triagebook.diagnosis.answer import CHECKS, check
from triagebook.diagnosis.catalogue import CAUSES, EXPECTED
from triagebook.diagnosis.diagnose import spec_for
from triagebook.diagnosis.spec import TYPES

MODULES = sorted(Path(inspect.getfile(package)).parent.glob("[a-z]*.py"))


def test_the_contract_is_the_whole_catalogue():
    # A cause that is added is added to the contract as well; none is ever taken out or renamed.
    assert {c.id: c.locus for c in CAUSES.values()} == CONTRACT
    assert len(CONTRACT) == 55
    assert set(CONTRACT) >= EXPECTED


def named_causes(path):
    """List the causes that a module's signals name, and every other text that looks like one."""
    families = tuple({cause.partition(".")[0] + "." for cause in CONTRACT} - {"none."})
    signalled = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Signal":
            first = node.args[0]
            if isinstance(first, ast.Constant):
                signalled.add(first.value)
    return signalled, families


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.stem)
def test_every_signal_names_a_cause_of_the_catalogue(path):
    signalled, families = named_causes(path)
    assert signalled <= set(CONTRACT)
    assert all(cause == "none" or cause.startswith(families) for cause in signalled)


def test_signals_are_found_where_there_are_some():
    found = {path.stem: named_causes(path)[0] for path in MODULES}
    assert "data.duplicate_rows" in found["tables"]
    assert "data.unit_change" in found["inputs"]


@pytest.mark.parametrize("one", list(CHECKS), ids=lambda c: c.id)
def test_a_check_says_in_words_what_it_asks(one):
    subject, _, name = one.id.partition(".")
    assert subject.islower()
    assert name.replace("_", "").islower()
    assert inspect.getdoc(one.run)
    assert len(set(one.finds)) == len(one.finds)


def test_a_check_without_a_subject_is_refused():
    with pytest.raises(RegistryError, match="a subject and a name, got 'volume'"):
        check("volume", "Are there rows?")(lambda _ctx: [])
    assert "volume" not in CHECKS


@pytest.mark.parametrize("kind", list(IncidentType))
def test_every_incident_type_has_a_spec(kind):
    spec = spec_for(kind)
    assert spec.checks
    assert spec is TYPES.get("generic" if kind is IncidentType.UNKNOWN else str(kind))
    with pytest.raises(StopIteration):
        spec.section("no such section")
    assert spec.cell_of("no.such_check") is None
