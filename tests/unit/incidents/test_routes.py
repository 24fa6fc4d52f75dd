from __future__ import annotations

import pytest

from triagebook.core.models import Alert, IncidentType
from triagebook.core.settings import Settings
from triagebook.incidents.correlation import OWN_SENDER
from triagebook.incidents.routes import ALIASES, LONGEST_SUBJECT, known_type, route

SERVICES = [{"name": "flight-delay", "model": {"name": "late-arrival"}}, {"name": "churn"}]


def go(tmp_path, labels, routes=(), **server):
    settings = Settings(service=SERVICES, route=list(routes), server=server)
    return route(Alert(labels=labels), settings, tmp_path)


@pytest.fixture
def own(tmp_path):
    """A team's own folder with a runbook for latency only."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "latency.ipynb").write_text("{}")
    return "own"


def test_the_first_route_that_matches_wins(tmp_path):
    rules = [
        {"match": {"team": "other"}, "incident_type": "latency"},
        {"match": {"team": "ml"}, "incident_type": "drift", "parameters": {"window_s": 60}},
        {"match": {"team": "ml"}, "incident_type": "latency"},
    ]
    found = go(tmp_path, {"team": "ml"}, rules)
    assert found.incident_type is IncidentType.DRIFT
    assert found.parameters == {"window_s": 60}


def test_a_route_is_stronger_than_the_labels(tmp_path):
    rules = [{"match": {"a": "b"}, "incident_type": "drift", "service": "churn"}]
    found = go(tmp_path, {"a": "b", "incident_type": "latency", "service": "flight-delay"}, rules)
    assert (found.incident_type, found.service) == (IncidentType.DRIFT, "churn")


def test_what_a_route_leaves_open_comes_from_the_labels(tmp_path):
    rules = [{"match": {"a": "b"}}]
    found = go(tmp_path, {"a": "b", "incident_type": "latency", "service": "churn"}, rules)
    assert (found.incident_type, found.service) == (IncidentType.LATENCY, "churn")


def test_a_pattern_must_match_the_whole_value(tmp_path):
    rules = [{"match": {"job": "scor.*"}, "service": "churn"}]
    assert go(tmp_path, {"job": "scorer"}, rules).service == "churn"
    assert go(tmp_path, {"job": "my-scorer"}, rules).service is None


def test_a_pattern_also_matches_as_it_stands(tmp_path):
    rules = [{"match": {"job": "score (eu)"}, "service": "churn"}]
    assert go(tmp_path, {"job": "score (eu)"}, rules).service == "churn"


def test_a_pattern_that_is_none_is_refused_with_the_way_out():
    with pytest.raises(ValueError, match="no regular expression") as caught:
        Settings(route=[{"match": {"job": "score (eu"}}])
    assert r"score\\ \\(eu" in str(caught.value)


@pytest.mark.parametrize("label", ["service", "model", "job"])
def test_a_label_names_the_service(tmp_path, label):
    assert go(tmp_path, {label: "churn"}).service == "churn"


def test_a_label_may_name_the_service_by_its_model(tmp_path):
    assert go(tmp_path, {"model": "late-arrival"}).service == "flight-delay"


def test_the_first_label_that_names_a_known_service_wins(tmp_path):
    assert go(tmp_path, {"service": "gateway", "job": "churn"}).service == "churn"


def test_an_unknown_service_is_null_and_still_goes_somewhere(tmp_path):
    found = go(tmp_path, {"service": "who", "incident_type": "what is this"})
    assert (found.service, found.incident_type) == (None, IncidentType.UNKNOWN)
    assert (found.runbook, found.subject) == ("generic", "named:who")


def test_no_labels_at_all_go_to_generic(tmp_path):
    found = go(tmp_path, {})
    assert (found.service, found.runbook, found.parameters) == (None, "generic", {})


@pytest.mark.parametrize(("word", "kind"), sorted(ALIASES.items()))
def test_other_names_of_the_types(word, kind):
    assert known_type(word) is kind


@pytest.mark.parametrize("word", ["data_quality", "Data-Quality", " DATA  quality ", "data_issue"])
def test_case_dashes_and_spaces_do_not_matter(word):
    assert known_type(word) is IncidentType.DATA_QUALITY


def test_every_type_is_known_by_its_own_name():
    assert [known_type(kind.value) for kind in IncidentType] == list(IncidentType)


def test_a_team_s_own_runbook_is_found(tmp_path, own):
    assert go(tmp_path, {"incident_type": "latency"}, notebooks=own).runbook == "latency"


def test_a_type_without_a_runbook_goes_to_generic(tmp_path, own, monkeypatch):
    monkeypatch.setattr("triagebook.core.paths.notebooks_dir", lambda: tmp_path / "empty")
    assert go(tmp_path, {"incident_type": "drift"}, notebooks=own).runbook == "generic"


def test_a_crafted_type_names_no_file(tmp_path, own):
    (tmp_path / "secret.ipynb").write_text("{}")
    found = go(tmp_path, {"incident_type": "../secret"}, notebooks=own)
    assert found.runbook == "generic"


@pytest.mark.parametrize(
    ("labels", "subject", "alone"),
    [
        ({"service": "churn"}, "service:churn", False),
        ({"model": "late-arrival"}, "service:flight-delay", False),
        ({"service": "who", "alertname": "Slow"}, "named:who", False),
        ({"alertname": "Slow"}, "alert:Slow", False),
        ({}, "alert:", True),
    ],
)
def test_what_further_alerts_are_correlated_by(tmp_path, labels, subject, alone):
    found = go(tmp_path, labels)
    assert (found.subject, found.alone) == (subject, alone)


def test_a_route_for_everything_gives_a_service_but_no_subject(tmp_path):
    rules = [{"match": {"alertname": ".+"}, "service": "churn"}]
    found = go(tmp_path, {"alertname": "Slow"}, rules)
    assert (found.service, found.subject) == ("churn", "alert:Slow")
    named = go(tmp_path, {"alertname": "Slow", "service": "flight-delay"}, rules)
    assert (named.service, named.subject) == ("churn", "service:flight-delay")


def test_what_triagebook_says_itself_stands_alone(tmp_path):
    settings = Settings(service=SERVICES)
    alert = Alert(sender=OWN_SENDER, labels={"alertname": "x", "service": "churn"})
    assert route(alert, settings, tmp_path).alone


@pytest.mark.parametrize(
    "length", [LONGEST_SUBJECT - 1, LONGEST_SUBJECT, LONGEST_SUBJECT + 1, 9_999]
)
def test_a_long_subject_is_cut_and_stays_its_own(tmp_path, length):
    name = "x" * (length - len("alert:"))
    subject, other = (go(tmp_path, {"alertname": n}).subject for n in (name, f"{name[:-1]}y"))
    assert len(subject) == min(length, LONGEST_SUBJECT)
    assert subject != other
