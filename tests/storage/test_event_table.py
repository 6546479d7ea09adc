"""The table of events: every row once, whole, and there after a kill."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pytest

from hal.acquisition import EventOutcome, EventRow
from hal.base import DiskFull, OutputExists, StorageError
from hal.storage import EventTable
from hal.storage._output_file import OutputFile


def row(event: int, **more: Any) -> EventRow:
    known: dict[str, Any] = {"kind": "image", "outcome": EventOutcome.DONE}
    return EventRow(event=event, **(known | more))


def read(path: Path) -> list[dict[str, Any]]:
    """As a script of a user's would."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def events(path: Path) -> list[int]:
    return [each["event"] for each in read(path)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "movie_events.ndjson"


def test_rows_are_there_at_once_and_in_the_order_given(path: Path) -> None:
    table = EventTable.create(path)

    table.add([row(0, index={"t": 0, "c": 1}, began_s=0.5), row(2)])
    table.add([row(1, outcome=EventOutcome.SKIPPED, why="no focus")])

    # Not closed: as after a SIGKILL.
    assert events(path) == [0, 2, 1]
    first, _, last = read(path)
    assert (first["index"], first["began_s"], first["frame"]) == (
        {"t": 0, "c": 1},
        0.5,
        None,
    )
    assert (last["outcome"], last["why"]) == ("skipped", "no focus")
    table.finish()


def test_a_row_that_comes_twice_is_written_once(path: Path) -> None:
    table = EventTable.create(path)

    assert table.add([row(0), row(5), row(0)]) == 2
    assert table.add([row(5), row(1), row(0)]) == 1
    assert table.add([row(1)]) == 0
    table.finish()

    assert events(path) == [0, 5, 1]
    assert table.rows == 3


@pytest.mark.parametrize("rest", [b"", b'{"record":"event row","event":2,"ki', b"{"])
def test_a_table_goes_on_without_what_a_kill_left_of_a_row(
    path: Path, rest: bytes
) -> None:
    table = EventTable.create(path)
    table.add([row(0), row(1)])
    table.close()
    with path.open("ab") as file:
        file.write(rest)

    table, said = EventTable.reopen(path)
    assert events(path) == [0, 1]
    table.add([row(1), row(2)])
    table.finish()

    assert events(path) == [0, 1, 2]
    assert said == (f"{len(rest)} bytes of an unfinished row removed" if rest else "")


def test_a_table_larger_than_what_is_read_at_once_goes_on(path: Path) -> None:
    rows = [row(number, why="x" * 300_000) for number in range(12)]
    table = EventTable.create(path)
    table.add(rows[:9])
    table.close()

    table, _said = EventTable.reopen(path)
    assert table.rows == 9
    table.add(rows)
    table.finish()

    assert events(path) == [*range(12)]


@pytest.mark.parametrize("line", [b"thesis\n", b"[1]\n", b'{"event":"x"}\n', b"{}\n"])
def test_a_file_that_is_no_table_is_not_touched(path: Path, line: bytes) -> None:
    path.write_bytes(line + b"half")

    with pytest.raises(StorageError, match="row 0 is no row"):
        EventTable.reopen(path)

    assert path.read_bytes() == line + b"half"


def test_a_table_that_is_gone_is_not_made_up(path: Path) -> None:
    with pytest.raises(StorageError, match="open it again"):
        EventTable.reopen(path)

    assert not path.exists()


def test_texts_that_utf8_has_no_bytes_for_do_not_cost_the_row(path: Path) -> None:
    table = EventTable.create(path)

    table.add([row(0, why="no file \udcff\n", x_um=float("nan"))])
    table.finish()

    assert (read(path)[0]["why"], read(path)[0]["x_um"]) == ("no file ?\n", None)


def test_an_older_table_is_refused_or_stays_until_it_is_replaced(path: Path) -> None:
    path.write_text("old")
    with pytest.raises(OutputExists):
        EventTable.create(path)

    table = EventTable.create(path, overwrite=True)
    table.add([row(0)])
    assert path.read_text() == "old"
    table.take_place()
    table.add([row(1)])
    table.finish()

    assert events(path) == [0, 1]


def test_a_table_given_up_leaves_the_older_one(path: Path) -> None:
    path.write_text("old")
    table = EventTable.create(path, overwrite=True)
    table.add([row(0)])

    table.discard()

    assert [each.read_text() for each in path.parent.iterdir()] == ["old"]


def test_after_a_full_disk_the_table_is_as_before_and_goes_on(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = EventTable.create(path)
    table.add([row(0)])
    whole = OutputFile.write_at

    def half(self: OutputFile, offset: int, data: bytes) -> None:
        whole(self, offset, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    def refuse(self: OutputFile, size: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(OutputFile, "write_at", half)
        with pytest.raises(DiskFull, match="1 rows are stored and readable"):
            table.add([row(1), row(2)])
        assert events(path) == [0]
        # Even where not even the rest can be removed.
        patch.setattr(OutputFile, "cut", refuse)
        with pytest.raises(DiskFull):
            table.add([row(1, why="long" * 100), row(2)])
    table.add([row(1)])
    assert events(path) == [0, 1]
    table.finish()


def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="create it"):
        EventTable.create(tmp_path / "gone" / "movie_events.ndjson")
