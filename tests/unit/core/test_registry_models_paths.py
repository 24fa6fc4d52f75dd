"""Plug-ins from outside the tree; what is written strictly; folders of a home."""

import sys
from importlib.metadata import EntryPoint, EntryPoints

import pytest
from pydantic import ValidationError

from triagebook.core import paths, registry
from triagebook.core.errors import NotFoundError, RegistryError
from triagebook.core.models import (
    Alert,
    BundleManifest,
    Change,
    Finding,
    Hypothesis,
    IncidentType,
    LedgerEntry,
    Onset,
    Progress,
    RunRequest,
    Service,
    Severity,
    TableSpec,
    to_json,
)
from triagebook.core.words import clock, share, span


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Return a registry of an empty package, and a way to give it entry points."""
    name = f"plugs_{tmp_path.name.replace('-', '_')}"
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("")
    (tmp_path / "outside.py").write_text("class Loki: ...\nraise_on = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "outside", raising=False)

    def offer(**points):
        group = "test.group"
        found = EntryPoints(EntryPoint(n, value, group) for n, value in points.items())
        monkeypatch.setattr(registry, "entry_points", lambda *, group: found.select(group=group))
        return registry.Registry("metrics source", name, group)

    yield offer
    sys.modules.pop("outside", None)


def test_an_entry_point_is_a_plug_in_like_any_other(made):
    found = made(loki="outside:Loki")
    assert found.names() == ["loki"]
    assert found.get("loki").__name__ == "Loki"
    assert "loki" in found
    assert "lokki" not in found
    assert [kind.__name__ for kind in found] == ["Loki"]


@pytest.mark.parametrize(
    ("value", "error"), [("outside:Nothing", AttributeError), ("no_such_module:X", ImportError)]
)
def test_a_broken_entry_point_is_raised_every_time(made, value, error):
    found = made(loki=value)
    for _ in range(2):
        with pytest.raises(error):
            found.get("loki")


def test_what_is_registered_in_the_tree_comes_before_an_entry_point(made):
    found = made(loki="outside:Loki")
    own = type("Own", (), {})
    found.register("loki")(own)
    assert found.get("loki") is own


def test_an_unknown_name_in_an_empty_registry_says_that_none_are_known(made):
    with pytest.raises(RegistryError, match="no metrics source is called 'x'; known: none") as e:
        made().get("x")
    assert e.value.hint == ""


@pytest.mark.parametrize("value", ["drift", "DRIFT", "", None, 3, "latency "])
def test_a_type_that_is_none_of_the_six_is_unknown(value):
    kind = Alert(incident_type=value).incident_type
    assert kind is (IncidentType.DRIFT if value == "drift" else IncidentType.UNKNOWN)


@pytest.mark.parametrize("model", [Alert, Service, TableSpec])
def test_what_comes_from_outside_may_be_empty_and_keeps_what_is_not_known(model):
    found = model.model_validate({"made_up": 1})
    assert found.model_extra == {"made_up": 1}
    assert model.model_validate_json(to_json(found)) == found


@pytest.mark.parametrize(
    ("model", "given"),
    [
        (Severity, {"level": "SEV2", "because": []}),
        (Onset, {"at": 0, "low": 0, "high": 0, "from": "rows"}),
        (Hypothesis, {"cause": "none", "locus": "service:s", "confidence": 0.5}),
        (Progress, {"ts": 0, "event": "cell"}),
    ],
)
def test_what_we_write_has_no_key_too_many(model, given):
    model.model_validate(given)
    with pytest.raises(ValidationError, match="Extra inputs"):
        model.model_validate({**given, "made_up": 1})


@pytest.mark.parametrize(("value", "fine"), [(-0.001, False), (0, True), (1, True), (1.001, False)])
def test_a_confidence_is_a_probability(value, fine):
    if fine:
        Hypothesis(cause="none", locus="service:s", confidence=value)
        return
    with pytest.raises(ValidationError):
        Hypothesis(cause="none", locus="service:s", confidence=value)


def test_names_of_the_contract_are_written_and_names_of_python_are_read_too():
    change = Change.model_validate({"ts": 0, "from": 4, "to": 5.5, "by": None})
    assert (change.from_, change.to, change.by) == ("4", "5.5", None)
    assert '"from":"4"' in to_json(change, indent=None)
    assert Change(ts=0, from_="4").from_ == "4"
    hypothesis = Hypothesis(cause="none", locus="service:s", confidence=0, for_=["F01"])
    assert '"for":["F01"]' in to_json(hypothesis, indent=None)


@pytest.mark.parametrize("window", [None, {"reference": [0, 1]}, {"reference": [0], "current": []}])
def test_a_bundle_without_windows_is_none(window):
    with pytest.raises(ValidationError):
        BundleManifest.model_validate({"alert": {}, "windows": window})


def test_a_ledger_knows_six_ways_a_pull_can_end():
    LedgerEntry(id="L01", source="logs", status="truncated")
    with pytest.raises(ValidationError):
        LedgerEntry(id="L01", source="logs", status="lost")
    with pytest.raises(ValidationError):
        Finding(id="F01", check="c", locus="l", verdict="maybe", statement="")
    with pytest.raises(ValidationError):
        RunRequest(
            incident_id="i",
            incident_type="drift",
            service=None,
            runbook="drift",
            alert=Alert(),
            home=".",
            attempt=0,
        )


def test_a_home_makes_its_folders_on_first_use_and_only_those(tmp_path):
    home = paths.Home(tmp_path / "home")
    assert home.config == tmp_path / "home" / "triagebook.toml"
    assert home.run_dir("inc-1") == home.runs / "inc-1"
    assert home.state.is_dir()
    assert sorted(p.name for p in home.root.iterdir()) == ["runs", "state"]


def test_a_package_without_its_folders_says_how_to_get_them(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "_PACKAGE", tmp_path / "lib" / "triagebook")
    with pytest.raises(NotFoundError, match="notebooks folder") as caught:
        paths.notebooks_dir()
    assert "install" in caught.value.hint
    (tmp_path / "notebooks").mkdir()
    assert paths.notebooks_dir() == tmp_path / "notebooks"
    (tmp_path / "lib" / "triagebook" / "_notebooks").mkdir(parents=True)
    assert paths.notebooks_dir() == tmp_path / "lib" / "triagebook" / "_notebooks"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (89, "89 s"),
        (90, "2 min"),
        (89 * 60, "89 min"),
        (90 * 60, "1 h 30 min"),
        (47 * 3_600, "47 h"),
        (48 * 3_600, "2 d"),
        (-300, "5 min"),
    ],
)
def test_a_length_of_time_in_words(seconds, text):
    assert span(seconds) == text


def test_shares_and_unknown_times_in_words():
    assert (share(0.0999), share(0.1), share(0.001), share(-0.2)) == (
        "10.0 %",
        "10 %",
        "0.1 %",
        "-20 %",
    )
    assert clock(None) == "an unknown time"
