from __future__ import annotations

import io
import os
import zipfile

import pytest

from tests.unit.web.samples import publish


@pytest.fixture(scope="module")
def incident(standing):
    found = standing.incident()
    publish(standing.home, found)
    return found


def test_the_report_comes_under_a_policy_that_lets_nothing_run(standing, incident):
    answer = standing.client.get(f"/incidents/{incident}/report")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox ")
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in policy
    assert "allow-scripts" not in policy
    assert "allow-same-origin" not in policy
    assert "frame-ancestors 'self'" in policy
    assert answer.headers["x-frame-options"] == "SAMEORIGIN"
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize(
    "name", ["investigation.ipynb", "report.html", "diagnosis.json", "evidently.html"]
)
def test_a_file_is_a_download_and_never_a_page(standing, incident, name):
    answer = standing.client.get(f"/incidents/{incident}/files/{name}")
    assert answer.status_code == 200
    assert answer.headers["content-disposition"] == f'attachment; filename="{incident}-{name}"'
    assert answer.headers["content-security-policy"].startswith("sandbox;")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.content == (standing.home.run_dir(incident) / name).read_bytes()


def test_the_evidence_is_one_zip(standing, incident):
    answer = standing.client.get(f"/incidents/{incident}/files/evidence.zip")
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [
            "evidence/bundle.json",
            "evidence/tables/features/current.parquet",
        ]


def test_links_out_of_the_folder_are_not_followed(service, tmp_path):
    incident = service.incident()
    publish(service.home, incident)
    secret = tmp_path / "secret"
    secret.write_text("secret")
    folder = service.home.run_dir(incident)
    (folder / "evidence" / "link").symlink_to(secret)
    (folder / "evidence" / "tables" / "up").symlink_to(tmp_path, target_is_directory=True)
    (folder / "diagnosis.json").unlink()
    (folder / "diagnosis.json").symlink_to(secret)
    answer = service.client.get(f"/incidents/{incident}/files/evidence.zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert len(archive.namelist()) == 2
    assert service.client.get(f"/incidents/{incident}/files/diagnosis.json").status_code == 404


@pytest.mark.parametrize(
    "name",
    [
        "../../../state/triagebook.db",
        "..%2f..%2f..%2fstate%2ftriagebook.db",
        "%2e%2e/%2e%2e/token",
        "..%5c..%5ctoken",
        "%2fetc%2fpasswd",
        "attempts",
        "attempts/1/progress.jsonl",
        "evidence/bundle.json",
        "progress.jsonl",
        "diagnosis.json%00.html",
        ".investigation.ipynb.part",
        "INVESTIGATION.IPYNB",
        "",
    ],
)
def test_nothing_else_can_be_had(standing, incident, name):
    answer = standing.client.get(f"/incidents/{incident}/files/{name}")
    assert answer.status_code == 404
    assert b"sesame" not in answer.content


@pytest.mark.usefixtures("incident")
@pytest.mark.parametrize("name", ["..", "%2e%2e", "..%2f..", "."])
def test_an_incidents_name_cannot_leave_the_runs(standing, name):
    for tail in ("report", "files/diagnosis.json"):
        assert standing.client.get(f"/incidents/{name}/{tail}").status_code == 404


def test_before_the_run_is_finished_there_is_no_report(service):
    found = service.incident()
    answer = service.client.get(f"/incidents/{found}/report")
    assert answer.status_code == 404
    assert "when the notebook is finished" in answer.text
    assert service.client.get(f"/incidents/{found}/files/evidence.zip").status_code == 404


def test_a_download_leaves_no_open_file(standing, incident):
    def opened():
        folder = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"  # noqa: PTH112
        return len(os.listdir(folder))  # noqa: PTH208

    get = f"/incidents/{incident}/files/evidence.zip"
    standing.client.get(get)
    before = opened()
    for _ in range(20):
        standing.client.get(get)
    assert opened() <= before + 3


@pytest.mark.parametrize(
    "name", ["..%2fdiagnosis.json", "chart", "none.png", ".png", "..%2f..%2f..%2ftoken"]
)
def test_only_figures_are_figures(standing, incident, name):
    assert standing.client.get(f"/incidents/{incident}/figures/{name}").status_code == 404
