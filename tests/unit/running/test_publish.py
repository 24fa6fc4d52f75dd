"""Publishing survives a kill between any two of its renames."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from triagebook.core.errors import RunError
from triagebook.running import atomic
from triagebook.running.attempt import Attempt, RunResult, hand_on
from triagebook.running.publish import NOTEBOOK, PUBLISHED, is_published, publish

if TYPE_CHECKING:
    from collections.abc import Iterator


class KilledError(BaseException):
    """Stands for SIGKILL: nothing catches it."""


def make_attempt(run_dir: Path, number: int, *, leave_out: tuple[str, ...] = ()) -> None:
    folder = run_dir / "attempts" / str(number)
    folder.mkdir(parents=True)
    for name in PUBLISHED:
        if name in leave_out:
            continue
        if "." in name:
            (folder / name).write_text(f"{name} of {number}")
        else:
            (folder / name).mkdir()
            (folder / name / "part").write_text(f"{name} of {number}")
    (folder / "progress.jsonl").write_text("{}\n")


def content(folder: Path) -> dict[str, str]:
    found = {}
    for name in PUBLISHED:
        path = folder / name
        if path.is_dir():
            found[name] = (path / "part").read_text()
        elif path.exists():
            found[name] = path.read_text()
    return found


def all_of(number: int) -> dict[str, str]:
    return {name: f"{name} of {number}" for name in PUBLISHED}


@pytest.fixture
def killed_after(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """After so many renames, the next one is the last thing that is tried; [-1] never kills."""
    left = [-1]
    for name in ("rename", "replace"):
        real = getattr(Path, name)

        def counted(self: Path, target: Path, real=real) -> Path:
            if left[0] == 0:
                raise KilledError
            left[0] -= 1
            return real(self, target)

        monkeypatch.setattr(Path, name, counted)
    yield left
    left[0] = -1


def test_all_parts_move_up_and_the_rest_stays(tmp_path: Path):
    make_attempt(tmp_path, 1)
    publish(tmp_path, 1)
    assert content(tmp_path) == all_of(1)
    assert content(tmp_path / "attempts" / "1") == {}
    assert (tmp_path / "attempts" / "1" / "progress.jsonl").exists()
    assert is_published(tmp_path, 1)


def test_again_changes_nothing(tmp_path: Path):
    make_attempt(tmp_path, 1)
    publish(tmp_path, 1)
    publish(tmp_path, 1)
    assert content(tmp_path) == all_of(1)


def test_missing_parts_are_no_problem_but_a_missing_notebook_is(tmp_path: Path):
    make_attempt(tmp_path / "a", 1, leave_out=("evidence", "evidently.html", "diagnosis.json"))
    publish(tmp_path / "a", 1)
    assert set(content(tmp_path / "a")) == {"figures", "report.html", NOTEBOOK}

    make_attempt(tmp_path / "b", 1, leave_out=(NOTEBOOK,))
    with pytest.raises(RunError, match="no notebook to publish"):
        publish(tmp_path / "b", 1)
    assert content(tmp_path / "b") == {}


def test_an_earlier_set_is_kept_aside_and_peoples_files_stay(tmp_path: Path):
    make_attempt(tmp_path, 1)
    publish(tmp_path, 1)
    (tmp_path / "postmortem.md").write_text("by people")
    make_attempt(tmp_path, 2, leave_out=("evidently.html",))
    publish(tmp_path, 2)

    assert content(tmp_path) == {k: v for k, v in all_of(2).items() if k != "evidently.html"}
    assert content(tmp_path / "attempts" / "1-replaced") == all_of(1)
    assert (tmp_path / "postmortem.md").read_text() == "by people"


def test_killed_between_any_two_renames_it_goes_on_to_the_end(
    tmp_path: Path, killed_after: list[int]
):
    assert atomic  # its renames are counted as well: they are Path.replace
    steps = 0
    while True:
        run_dir = tmp_path / str(steps)
        make_attempt(run_dir, 1)
        publish(run_dir, 1)
        make_attempt(run_dir, 2)
        killed_after[0] = steps
        try:
            publish(run_dir, 2)
        except KilledError:
            killed_after[0] = -1
            if (run_dir / NOTEBOOK).exists():
                # What a reader sees beside a notebook belongs to that very notebook.
                number = int((run_dir / NOTEBOOK).read_text()[-1])
                assert content(run_dir) == all_of(number)
            publish(run_dir, 2)
            finished = False
        else:
            finished = True
        killed_after[0] = -1
        assert content(run_dir) == all_of(2)
        assert content(run_dir / "attempts" / "1-replaced") == all_of(1)
        if finished:
            break
        steps += 1
    assert steps == 2 * len(PUBLISHED) + 2  # each part down and up, and the two marks


def test_cut_off_between_any_two_renames_the_next_attempt_publishes_what_was_finished(
    tmp_path: Path, killed_after: list[int]
):
    steps = 0
    while True:
        run_dir = tmp_path / str(steps)
        make_attempt(run_dir, 1)
        old = Attempt(run_dir / "attempts" / "1")
        old.write_result(RunResult("executed", cells=1))
        killed_after[0] = steps
        try:
            publish(run_dir, 1)
        except KilledError:
            finished = False
        else:
            finished = True
        killed_after[0] = -1
        hand_on(run_dir, 1, 2)
        hand_on(run_dir, 1, 2)  # again is harmless
        assert not old.folder.exists()
        # Who was only frozen wakes up, and finds nothing to move any more.
        with pytest.raises(RunError, match="no notebook"):
            publish(run_dir, 1)
        publish(run_dir, 2)
        assert content(run_dir) == all_of(1)
        assert is_published(run_dir, 2)
        if finished:
            break
        steps += 1
    assert steps == len(PUBLISHED) + 2


def test_an_attempt_that_was_not_finished_is_left_for_people_to_look_at(tmp_path: Path):
    make_attempt(tmp_path, 1)
    hand_on(tmp_path, 1, 2)
    assert content(tmp_path / "attempts" / "1") == all_of(1)
    assert not (tmp_path / "attempts" / "2").exists()
    hand_on(tmp_path, 3, 4)  # one that nobody had begun
    assert not (tmp_path / "attempts" / "4").exists()
