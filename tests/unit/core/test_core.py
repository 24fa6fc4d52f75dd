"""The words both halves share: times, errors, models, registry, settings."""

import pickle
import sys
from datetime import UTC, datetime, timedelta, timezone

import pytest

from triagebook.core import errors
from triagebook.core.coverage import not_in_yet
from triagebook.core.errors import NotFoundError, RegistryError, SettingsError, TriagebookError
from triagebook.core.models import (
    Alert,
    Finding,
    IncidentType,
    LedgerEntry,
    TableSpec,
    TaskRun,
    to_json,
)
from triagebook.core.paths import Home, notebooks_dir, runbook_path, templates_dir
from triagebook.core.registry import Registry
from triagebook.core.settings import load_settings
from triagebook.core.times import iso, short, to_seconds, to_utc
from triagebook.core.words import confidence, count, number, several, share, span


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("2026-03-01T10:00:00Z", "2026-03-01T10:00:00Z"),
        ("2026-03-01T10:00:00+02:00", "2026-03-01T08:00:00Z"),
        ("2026-03-01T10:00:00.123456789Z", "2026-03-01T10:00:00.123456Z"),
        ("2026-03-01", "2026-03-01T00:00:00Z"),
        (0, "1970-01-01T00:00:00Z"),
        (datetime(2026, 3, 1), "2026-03-01T00:00:00Z"),  # noqa: DTZ001 - without a zone is the point
        (datetime(2026, 3, 1, tzinfo=timezone(timedelta(hours=5))), "2026-02-28T19:00:00Z"),
    ],
)
def test_any_time_becomes_utc(value, text):
    assert iso(to_utc(value)) == text


@pytest.mark.parametrize("value", ["yesterday", None, True, [], 1e30])
def test_what_is_no_time_is_refused(value):
    with pytest.raises(ValueError, match=r"time|format|isoformat"):
        to_utc(value)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("90s", 90), ("10m", 600), ("48h", 172_800), ("2w", 1_209_600), (5, 5), ("250ms", 0.25)],
)
def test_durations_are_read(value, seconds):
    assert to_seconds(value) == seconds


@pytest.mark.parametrize("value", ["5", "h", "-5s", None, True])
def test_what_is_no_duration_is_refused(value):
    with pytest.raises(ValueError, match="duration"):
        to_seconds(value)


def test_times_are_written_for_people():
    assert short(datetime(2013, 6, 4, 14, tzinfo=UTC)) == "4 June 2013 14:00 UTC"


@pytest.mark.parametrize(
    "kind",
    [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, TriagebookError)],
    ids=lambda k: k.__name__,
)
def test_errors_survive_pickling_with_their_values(kind):
    again = pickle.loads(pickle.dumps(kind("what", "next", size=3)))  # noqa: S301 - our own bytes
    assert type(again) is kind
    assert (again.message, again.hint, again.details) == ("what", "next", {"size": 3})
    assert str(again) == "what\n  → next"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.0123, "0.012"),
        (1.5, "1.5"),
        (123.4, "123"),
        (1_041.2, "1,041"),
        (-2_000, "-2,000"),
    ],
)
def test_numbers_in_words(value, text):
    assert number(value) == text


def test_other_words():
    assert (share(0.5), share(0.0732), share(0), share(0.0004)) == (
        "50 %",
        "7.3 %",
        "0 %",
        "under 0.1 %",
    )
    assert (span(45), span(300), span(12_000), span(360_000)) == (
        "45 s",
        "5 min",
        "3 h 20 min",
        "4 d 4 h",
    )
    assert several(list("abcdef"), 2) == "a, b and 4 more"
    assert count(18_200.4) == "18,200"
    assert (
        confidence(0.0),
        confidence(0.001),
        confidence(0.86),
        confidence(0.999),
        confidence(1.0),
    ) == (
        "0.00",
        "< 0.01",
        "0.86",
        "> 0.99",
        "1.00",
    )


def test_alerts_are_read_leniently():
    alert = Alert.model_validate(
        {
            "incident_type": None,
            "labels": {"a": 1, "b": None},
            "links": None,
            "starts_at": "2026-03-01T00:00:00",
            "x": [1],
        }
    )
    assert alert.incident_type is IncidentType.UNKNOWN
    assert alert.labels == {"a": "1", "b": "None"}
    assert alert.model_extra == {"x": [1]}
    assert IncidentType("made up") is IncidentType.UNKNOWN


def test_contract_key_names_are_kept():
    run = TaskRun.model_validate({"task": "t", "try": 2, "upstream": None})
    assert '"try":2' in to_json(run, indent=None)
    assert TableSpec.model_validate({"key_columns": "id"}).key_columns == ["id"]


def package(tmp_path, monkeypatch, name, **modules):
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    for module, text in modules.items():
        (folder / f"{module}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    return Registry("thing", name, f"none.{name}")


def test_a_registry_finds_modules_and_names_the_nearest(tmp_path, monkeypatch):
    registry = package(
        tmp_path, monkeypatch, "plugs_a", one="X = 1\n", _private="raise RuntimeError\n"
    )
    monkeypatch.setitem(sys.modules, "reg_a", registry)
    registry.register("prometheus")(object())
    assert registry.names() == ["prometheus"]
    with pytest.raises(RegistryError, match="known: prometheus") as caught:
        registry.get("promtheus")
    assert "'prometheus'" in caught.value.hint


def test_a_broken_plug_in_is_raised_and_not_left_out(tmp_path, monkeypatch):
    registry = package(tmp_path, monkeypatch, "plugs_b", bad="raise ImportError('no such thing')\n")
    with pytest.raises(ImportError, match="no such thing"):
        registry.names()


def test_a_name_is_given_once():
    registry = Registry("thing", "json", "none")

    class A: ...

    class B: ...

    registry.register("x")(A)
    registry.register("x")(A)
    with pytest.raises(RegistryError, match="two things are called 'x'"):
        registry.register("x")(B)


MISTAKES = {
    "[server]\nprot = 1\n": (2, "did you mean 'port'"),
    "[server]\nport = 70000\n": (2, "less than or equal to 65535"),
    '[[service]]\nname = "a"\n[[service]]\nname = "b c"\n': (4, "pattern"),
    '[[service]]\nname = "a"\n[service.tables.x]\nrole = "raww"\n': (4, "'raw', 'features'"),
    '[[service]]\nname = "a"\nwindow = "2 days"\n': (3, "expected a duration"),
    "[[route]]\nincident_type = 'drift'\n": (1, "'route.0.match' is missing"),
    '[[service]]\nname = "a"\nkritikality = "high"\n': (3, "did you mean 'criticality'"),
    '[[service]]\nname = "a"\nreplayed_to = "someday"\n': (3, "replayed_to"),
}


@pytest.mark.parametrize("text", MISTAKES, ids=lambda t: t.replace("\n", " ")[:40])
def test_a_mistake_names_file_line_and_what_was_expected(text, tmp_path):
    path = tmp_path / "triagebook.toml"
    path.write_text(text)
    line, said = MISTAKES[text]
    with pytest.raises(SettingsError) as caught:
        load_settings(path)
    assert f"{path}:{line}: " in caught.value.message
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("text", "said"),
    [("[server", "no TOML"), ('[[service]]\nname="a"\n[[service]]\nname="a"\n', "two services")],
)
def test_other_mistakes_are_told_too(text, said, tmp_path):
    path = tmp_path / "triagebook.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=said):
        load_settings(path)
    with pytest.raises(SettingsError, match=r"no triagebook\.toml"):
        load_settings(tmp_path / "none" / "triagebook.toml")


def test_the_environment_overrides_the_file(tmp_path, monkeypatch):
    path = tmp_path / "triagebook.toml"
    path.write_text("[server]\nport = 1000\n")
    monkeypatch.setenv("TRIAGEBOOK_SERVER__PORT", "2000")
    settings = load_settings(path)
    assert settings.server.port == 2_000
    with pytest.raises(NotFoundError, match="there are: none"):
        settings.service("x")


def test_what_ships_is_found_and_a_teams_own_runbook_comes_first(tmp_path):
    assert (notebooks_dir() / "drift.ipynb").is_file()
    assert (templates_dir() / "report").is_dir()
    (tmp_path / "drift.ipynb").write_text("{}")
    assert runbook_path("drift", tmp_path) == tmp_path / "drift.ipynb"
    assert runbook_path("nothing of the kind") is None
    home = Home(tmp_path)
    assert home.attempt_dir("i", 2) == tmp_path / "runs" / "i" / "attempts" / "2"


def test_what_is_not_in_yet_is_told_from_what_failed():
    def finding(ident, verdict, evidence, statement):
        return Finding(
            id=ident,
            check="c",
            locus="service:s",
            verdict=verdict,
            statement=statement,
            evidence=evidence,
        )

    ledger = [LedgerEntry(id="L01", source="tables:labels", status="ok")]
    ledger += [LedgerEntry(id="L02", source="logs", status="unavailable")]
    found = [
        finding("F01", "unknown", ["L01"], "Labels since the onset are not in: the newest is old"),
        finding("F02", "unknown", ["L02"], "Logs were not seen: no answer"),
        finding("F03", "unknown", [], "The check failed"),
        finding("F04", "ok", ["L01"], "All fine"),
    ]
    assert not_in_yet(found, ledger) == ["Labels since the onset are not in"]
