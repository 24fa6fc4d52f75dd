"""The other sections: findings, cited pulls, impact, escalation, similar incidents, postmortem, ledger."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.display.made import NOON, WINDOWS, Page, diagnosis, entry, finding
from triagebook.core.models import Action, Alert, Impact, Service, to_json
from triagebook.display import elements, sections

if TYPE_CHECKING:
    from pathlib import Path


def _text(html: str) -> str:
    return Page(html).text


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        ([], "no pull"),
        (["L03"], "L03"),
        (["L03", "L04"], "L03, L04"),
        (["L03", "L04", "L05"], "L03 to L05"),
        (["L03", "L04", "L05", "L09"], "L03 to L05, L09"),
        (["L09", "L03", "L04", "L05"], "L09, L03 to L05"),
        (["L98", "L99", "L100"], "L98 to L100"),
        (["L05", "L04"], "L05, L04"),
        (["L03", "L03"], "L03, L03"),
        (["entry-1", "entry-2"], "entry-1, entry-2"),
        (["L03", "gpu", "L04"], "L03, gpu, L04"),
        ([""], ""),
    ],
)
def test_neighbouring_pulls_are_cited_as_a_range(ids: list[str], said: str):
    assert sections.cited(ids) == (said or "no pull")


def test_a_section_that_had_nothing_to_look_at_says_so():
    assert "had anything to look at" in _text(sections.findings([]))


def test_bad_comes_first_then_unknown_then_fine():
    found = [finding("F01", "ok", "a"), finding("F02", "unknown", "b"), finding("F03", "bad", "c")]
    said = _text(sections.findings(found))
    assert said.index("bad c") < said.index("unknown b") < said.index("fine a")


@pytest.mark.parametrize(("fine", "folded"), [(3, False), (4, True)])
def test_more_than_three_fine_answers_are_folded_beside_a_bad_one(fine: int, folded: bool):
    found = [finding("F00"), *(finding(f"F{n + 1:02d}", "ok") for n in range(fine))]
    html = sections.findings(found)
    assert ("<details>" in html) is folded
    assert _text(html).count("it moved") == fine + 1


@pytest.mark.parametrize(("fine", "folded"), [(3, False), (4, True)])
def test_fine_answers_alone_are_folded_under_a_line_that_says_all(fine: int, folded: bool):
    html = sections.findings([finding(f"F{n:02d}", "ok") for n in range(fine)])
    assert (f"all {fine} answers are fine" in _text(html)) is folded


def test_what_was_not_seen_for_one_reason_shares_a_line():
    why = "could not be seen: no metric of that kind"
    found = [
        finding("F01", "unknown", f"The use of CPU {why}"),
        finding("F02", "unknown", f"GPUs {why}"),
        finding("F03", "unknown", f"Open files {why}"),
        finding("F04", "unknown", "Labels are not in: none so far"),
    ]
    html = sections.findings(found)
    assert html.count("tb-finding unknown") == 2
    said = _text(html)
    assert (
        "Not seen (no metric of that kind): the use of CPU, GPUs, open files F01, F02, F03" in said
    )
    # Two are short enough as they are.
    assert sections.findings(found[:2]).count("tb-finding unknown") == 2


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (2605, "min", "43 h 25 min"),
        (1, "runs", "1 run"),
        (40, "runs", "40 runs"),
        (0.12, "share of rows", "12 % of rows"),
    ],
)
def test_an_impact_is_written_as_people_say_it(value: float, unit: str, said: str):
    one = Impact(what="x", value=value, unit=unit, low=None, high=None, how="counted")
    assert sections.valued(one) == said


def test_a_range_of_one_value_is_none():
    one = Impact(what="runs", value=3, unit="runs", low=3, high=3, how="counted")
    assert "3 to 3" not in sections.impact(diagnosis(impact=[one]))


def test_impact_has_value_unit_range_and_how():
    said = sections.impact(
        diagnosis(
            impact=[
                Impact(what="wrong", value=0.25, unit="share of predictions", how="counted"),
                Impact(what="cost", value=1500, unit="EUR", low=1000, high=2500, how="price"),
            ]
        )
    )
    for part in (">25 % of predictions<", ">counted<", ">1,500 EUR<", ">1,000 to 2,500<"):
        assert part in said


def test_no_impact_is_said():
    assert "No impact could be computed" in _text(sections.impact(diagnosis(impact=[])))


def test_actions_are_proposals_with_dry_run_undo_and_risk():
    act = Action(
        action="restore",
        target="t",
        title="Restore it",
        dry_run="12 rows",
        inverse="redo",
        risk="low",
    )
    said = _text(sections.actions(diagnosis(actions=[act])))
    assert "Nothing has been carried out" in said
    assert "dry run: 12 rows · undo: redo · risk: low" in said
    assert "No action is proposed." in _text(sections.actions(diagnosis(actions=[])))


def test_escalation_names_people_before_roles_and_what_to_tell():
    said = _text(sections.escalation(diagnosis(), ["the owner"], ["ann", "bob"]))
    assert said.index("ann") < said.index("bob") < said.index("the owner")
    assert "SEV2 since 20 May 2024 12:00 UTC." in said
    assert "Incident I-1." in said


def test_escalation_without_people_or_onset():
    said = _text(sections.escalation(diagnosis(onset=None), [], []))
    assert "nobody is configured" in said
    assert "since an unknown time" in said


def _other(runs: Path, name: str, **more: Any) -> None:
    (runs / name).mkdir(parents=True)
    found = diagnosis("shop", incident_id=name, **more)
    (runs / name / "diagnosis.json").write_text(to_json(found), encoding="utf-8")


def _mine() -> Any:
    return diagnosis("shop", incident_id="I-9")


def _guess(cause: str, locus: str) -> list[dict[str, Any]]:
    return [{"cause": cause, "locus": locus, "confidence": 0.8, "title": f"{cause} at {locus}"}]


def test_similar_incidents_are_those_of_the_same_service(tmp_path: Path):
    _other(tmp_path, "I-1")
    _other(tmp_path, "I-2", service=Service(name="another"))
    _other(tmp_path, "I-9")  # this incident itself
    said = _text(sections.similar(_mine(), tmp_path))
    assert "I-1" in said
    assert "I-2" not in said
    assert "I-9" not in said


@pytest.mark.parametrize(
    ("cause", "locus", "said"),
    [
        ("data.unit_change", "column:shop", "cause and locus"),
        ("data.unit_change", "column:x", "cause"),
        ("drift.mix", "column:shop", "locus"),
        ("drift.mix", "column:x", "No earlier incident of this service is alike; 1 looked at"),
    ],
)
def test_similar_says_what_is_the_same(tmp_path: Path, cause: str, locus: str, said: str):
    _other(tmp_path, "I-1", hypotheses=_guess(cause, locus))
    assert said in _text(sections.similar(_mine(), tmp_path))


def test_similar_shows_the_last_five(tmp_path: Path):
    for number in range(7):
        _other(tmp_path, f"I-{number}")
    said = _text(sections.similar(_mine(), tmp_path))
    assert [n for n in range(7) if f"I-{n}" in said] == [2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        '{"service": 3}',
        '{"service": {}}',
        '{"hypotheses": 7}',
        '{"service": {"name": "shop"}, "hypotheses": [{"cause": "data.unit_change"}]}',
    ],
)
def test_what_is_no_diagnosis_is_no_incident(tmp_path: Path, content: str):
    (tmp_path / "I-1").mkdir()
    (tmp_path / "I-1" / "diagnosis.json").write_text(content, encoding="utf-8")
    assert "No earlier incident of this service lies here" in _text(
        sections.similar(_mine(), tmp_path)
    )


def test_similar_without_runs_or_hypotheses(tmp_path: Path):
    _other(tmp_path, "I-1")
    assert "No earlier incident of this service lies here" in _text(sections.similar(_mine(), None))
    empty = diagnosis("shop", hypotheses=[], none_of_these=1.0)
    assert "No earlier incident of this service lies here" in _text(
        sections.similar(empty, tmp_path)
    )


def test_an_earlier_incident_without_hypotheses_is_looked_at_and_left(tmp_path: Path):
    _other(tmp_path, "I-1", hypotheses=[], none_of_these=1.0)
    assert "is alike; 1 looked at" in _text(sections.similar(_mine(), tmp_path))


def test_a_postmortem_has_its_facts_in_the_order_of_time():
    said = _text(sections.postmortem(diagnosis("shop"), {"notebook executed": "later"}))
    order = ["Summary", "Severity", "Impact", "Root cause", "Trigger", "Detection", "Timeline"]
    places = [said.index(word) for word in order]
    assert places == sorted(places)
    assert "by shop, 2 h after the onset" in said
    assert "Triggerdeploy: shop" in said
    assert said.index("onset: shop") < said.index("alert: shop") < said.index("notebook executed")


def test_a_postmortem_without_facts_says_not_known():
    bare = diagnosis(
        onset=None, impact=[], findings=[], hypotheses=[], none_of_these=1, alert=Alert()
    )
    said = _text(sections.postmortem(bare, {}))
    for part in ("Impactnot known", "Root causenot known", "Triggernot known", "by an alert"):
        assert part in said


def test_an_alert_before_the_onset_is_not_late():
    early = diagnosis(alert=Alert(title="psi", starts_at=NOON - timedelta(hours=1)))
    said = _text(sections.postmortem(early, {}))
    assert "Detectionby psi" in said
    assert "after the onset" not in said


def test_the_ledger_names_what_gave_no_answer():
    said = _text(sections.ledger(diagnosis("shop")))
    assert "4 pulls, 2 of them without an answer: logs:loki, changes" in said
    assert "not configured" in said
    assert "1,200" in said
    none = diagnosis(ledger=[entry("L01", "logs", "ok")])
    assert "1 pulls, 0 of them without an answer" in _text(sections.ledger(none))


def test_provenance_has_windows_versions_and_hashes():
    said = _text(sections.provenance(diagnosis("shop"), WINDOWS))
    assert "2024-05-18T12:00:00Z to 2024-05-20T12:00:00Z" in said
    assert "triagebook shop" in said
    assert "1 hashes" in said
    assert "ab" * 32 in said


def test_a_table_has_its_numbers_on_the_right_and_a_head_for_each_column():
    html = elements.table(("name", "rows"), [("a", "1"), ("b", "2")], numeric=(1,))
    assert html.count('<th scope="col"') == 2
    assert html.count('class="num" style="text-align:right') == 2
    assert Page(html).text == "namerowsa1b2"


def test_a_table_without_rows_is_a_table():
    assert Page(elements.table(("name",), [])).text == "name"


def test_a_picture_has_its_words_in_both_widths_and_hides_the_phones():
    html = elements.picture(b"wide", b"slim", "what it shows")
    assert html.count('alt="what it shows"') == 2
    assert html.count("display:none") == 1
    assert elements.picture(b"wide", None, "x").count("<img") == 1


def test_a_file_is_saved_whole(tmp_path: Path):
    target = tmp_path / "figures" / "a.png"
    elements.save(b"one", target)
    elements.save(b"two", target)
    assert target.read_bytes() == b"two"
    assert [p.name for p in target.parent.iterdir()] == ["a.png"]


def test_the_json_that_similar_reads_is_what_a_run_writes():
    written = json.loads(to_json(_mine()))
    assert written["service"]["name"] == "shop"
    assert written["hypotheses"][0]["cause"] == "data.unit_change"


@pytest.mark.parametrize("many", [sections.MOST_ALERTS, sections.MOST_ALERTS + 1])
def test_many_alerts_are_cut_and_counted(many: int):
    together = [Alert(title=f"alert {n}.", sender="grafana") for n in range(many)]
    html = sections.alerts(together)
    assert f"{many} alerts belong to this incident" in html
    assert html.count("<tr>") == 1 + sections.MOST_ALERTS
    assert ("and 1 more, in evidence/bundle.json" in html) is (many > sections.MOST_ALERTS)
    assert "not said" in html
