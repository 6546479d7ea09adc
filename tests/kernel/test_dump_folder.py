"""Dumps as files: bounded in number and size, and never a reason to fail."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from hal.kernel.dump_folder import DumpFolder, Kept
from hal.testing import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(monotonic_s=100.0)


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("dump_*"))


def test_without_a_folder_there_are_no_files_and_no_words(clock: FakeClock) -> None:
    assert DumpFolder(None, clock).write("stacks", "bad") == Kept("", "")


def test_a_file_says_who_hung_and_its_time_is_that_of_the_stacks(
    clock: FakeClock, tmp_path: Path
) -> None:
    folder = tmp_path / "not" / "there"
    kept = DumpFolder(folder, clock).write("st\ud800cks", "b/a d", taken_at_wall_s=1e9)

    assert kept.note == f"stacks of all threads in {kept.path}"
    path = Path(kept.path)
    assert path.parent == folder
    assert path.name.endswith("_000_b_a_d.txt")
    assert path.read_text() == "Hung: b/a d\n\nst\\ud800cks"
    assert path.stat().st_mtime == 1e9


def test_a_minute_has_so_many_files_and_the_rest_is_counted(
    clock: FakeClock, tmp_path: Path
) -> None:
    folder = DumpFolder(tmp_path, clock, per_minute=3)
    kept = [folder.write("stacks", "bad") for _ in range(5)]

    assert [bool(one.path) for one in kept] == [True, True, True, False, False]
    assert kept[4].note == "more than 3 dumps in a minute, 2 left out"
    clock.advance(59.9)
    assert folder.write("stacks", "bad").path == ""
    clock.advance(0.1)
    again = folder.write("stacks", "bad")
    assert (
        again.note == f"stacks of all threads in {again.path} (3 before were left out)"
    )
    assert folder.write("stacks", "bad").note.endswith(".txt")
    assert len(files_in(tmp_path)) == 5


def test_what_hung_already_when_the_last_file_was_written_is_in_that(
    clock: FakeClock, tmp_path: Path
) -> None:
    folder = DumpFolder(tmp_path, clock, per_minute=1)
    last = folder.write("stacks", "bad", since_s=99.0)
    clock.advance(1.0)

    before = folder.write("stacks", "worse", since_s=99.5)
    after = folder.write("stacks", "worst", since_s=100.5)

    assert before.path == last.path
    assert last.path in before.note
    assert "1 left out" in before.note
    assert after == Kept("", "more than 1 dumps in a minute, 2 left out")


def test_the_oldest_files_of_any_session_make_room(
    clock: FakeClock, tmp_path: Path
) -> None:
    for number in range(7):
        (tmp_path / f"dump_1000000000_{number:03d}_000_old.txt").write_text("old")
    (tmp_path / "trace_1.jsonl").write_text("kept")

    kept = DumpFolder(tmp_path, clock, files=4).write("stacks", "bad")

    assert files_in(tmp_path) == [
        *(f"dump_1000000000_{number:03d}_000_old.txt" for number in (4, 5, 6)),
        Path(kept.path).name,
    ]
    assert (tmp_path / "trace_1.jsonl").exists()


def test_their_size_is_bounded_too(clock: FakeClock, tmp_path: Path) -> None:
    folder = DumpFolder(tmp_path, clock, total_bytes=2_500)
    kept = []
    for _ in range(5):
        clock.advance(1.0)
        kept.append(folder.write("x" * 1_000, "bad").path)

    assert [str(tmp_path / name) for name in files_in(tmp_path)] == kept[-3:]


def test_a_disk_that_fills_up_leaves_no_half_file(
    clock: FakeClock, tmp_path: Path, logged: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_half(path: Path, text: str, **_: object) -> None:
        path.write_bytes(text[:3].encode())
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", write_half)

    kept = DumpFolder(tmp_path, clock).write("stacks", "bad")

    assert kept == Kept("", f"no dump file in {tmp_path}: No space left on device")
    assert files_in(tmp_path) == []
    assert [entry["event"] for entry in logged] == ["thread dump not written"]


def test_what_cannot_be_written_counts_as_a_file(
    clock: FakeClock, tmp_path: Path, logged: list[Any]
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    folder = DumpFolder(blocked, clock, per_minute=2)

    notes = [folder.write("stacks", "bad", since_s=0.0).note for _ in range(4)]

    assert ["no dump file" in note for note in notes] == [True, True, False, False]
    assert notes[3] == "more than 2 dumps in a minute, 2 left out"
    assert len(logged) == 2
