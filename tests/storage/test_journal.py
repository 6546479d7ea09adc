"""The frame journal: what it says after any end of its writer."""

from __future__ import annotations

import errno
import math
import struct
import zlib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.base import DiskFull, OutputExists, StorageError
from hal.storage import (
    FrameJournal,
    JournalInUse,
    JournalRecord,
    Sidecar,
    SidecarSection,
    SidecarValue,
    journal_path,
    read_journal,
)
from hal.storage._output_file import OutputFile
from tests.storage import films


def written(stem: Path, *indices: int, **more: Any) -> FrameJournal:
    journal = FrameJournal.create(stem, films.head(stem, "dax", **more))
    for index in indices:
        journal.add(films.info(index), index + 1000)
    return journal


def frames_in(stem: Path) -> list[int]:
    return [record.frame for record in read_journal(journal_path(stem)).records]


def test_it_says_what_was_written(tmp_path: Path) -> None:
    journal = written(tmp_path / "movie", 0, 1, 5)
    journal.close()

    text = read_journal(journal.path)

    assert text.head == films.head(tmp_path / "movie", "dax")
    assert text.records == tuple(
        JournalRecord(index, index + 1000, index * 0.01) for index in (0, 1, 5)
    )
    assert text.damaged_bytes == 0


def test_any_parameter_and_any_text_can_be_described(tmp_path: Path) -> None:
    """JSON has no infinity, and UTF-8 no half of a surrogate pair."""
    values = (
        SidecarValue("limit", math.inf, "mW"),
        SidecarValue("gain", 2.0),
        SidecarValue("count", 2),
        SidecarValue("on", True),
        SidecarValue("text", "a\x00\udcff"),
    )
    head = films.head(tmp_path / "movie", "dax")
    sidecar: Sidecar = msgspec.structs.replace(
        head.sidecar, sections=(SidecarSection("laser", values),)
    )
    head = msgspec.structs.replace(head, sidecar=sidecar)
    FrameJournal.create(tmp_path / "movie", head).close()

    (section,) = read_journal(journal_path(tmp_path / "movie")).head.sidecar.sections

    assert section.values[:4] == values[:4]
    assert [type(value.value) for value in section.values[:4]] == [
        *(float, float, int, bool)
    ]
    assert section.values[4].value == "a\x00?"


def test_it_is_continued_where_it_was(tmp_path: Path) -> None:
    written(tmp_path / "movie", 0, 1).close()
    journal, text = FrameJournal.reopen(journal_path(tmp_path / "movie"))
    assert len(text.records) == 2

    journal.add(films.info(2), 7)
    journal.close()

    assert frames_in(tmp_path / "movie") == [0, 1, 2]


def test_what_was_taken_back_is_forgotten(tmp_path: Path) -> None:
    journal = written(tmp_path / "movie", 0, 1, 2)

    journal.cut(1)
    assert frames_in(tmp_path / "movie") == [0]
    journal.add(films.info(3), 7)
    journal.close()

    assert frames_in(tmp_path / "movie") == [0, 3]


def test_a_living_writer_is_not_disturbed_but_may_be_read(tmp_path: Path) -> None:
    journal = written(tmp_path / "movie", 0)

    with pytest.raises(JournalInUse, match=r"movie\.journal: is in use"):
        FrameJournal.reopen(journal.path)
    assert frames_in(tmp_path / "movie") == [0]

    journal.close()
    FrameJournal.reopen(journal.path)[0].remove()
    assert list(tmp_path.iterdir()) == []


def test_it_stays_locked_after_it_took_the_place_of_another(tmp_path: Path) -> None:
    written(tmp_path / "movie", 0, 1, 2).close()
    journal = written(tmp_path / "movie", 5, overwrite=True)
    assert frames_in(tmp_path / "movie") == [0, 1, 2]

    journal.take_place()

    with pytest.raises(JournalInUse):
        FrameJournal.reopen(journal.path)
    assert frames_in(tmp_path / "movie") == [5]
    assert len(list(tmp_path.iterdir())) == 1
    journal.close()


def test_one_that_exists_is_not_touched(tmp_path: Path) -> None:
    written(tmp_path / "movie", 0, 1).close()

    with pytest.raises(OutputExists):
        written(tmp_path / "movie")

    assert frames_in(tmp_path / "movie") == [0, 1]


def test_one_that_never_took_its_place_is_not_taken_for_a_later_one(
    tmp_path: Path,
) -> None:
    old = tmp_path / "movie.journal.new"
    old.write_bytes(b"old")

    written(tmp_path / "movie", 0).close()

    assert not old.exists()


def test_a_full_disk_refuses_a_frame_and_keeps_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = written(tmp_path / "movie", 0)
    write_at = OutputFile.write_at

    def refuse(output: OutputFile, offset: int, *chunks: bytes) -> None:
        write_at(output, offset, chunks[0][:5])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(OutputFile, "write_at", refuse)
    with pytest.raises(DiskFull, match="note frame 1"):
        journal.add(films.info(1), 0)
    with pytest.raises(DiskFull, match="create it"):
        written(tmp_path / "other")
    monkeypatch.undo()
    journal.cut(1)
    journal.add(films.info(2), 0)
    journal.close()

    assert frames_in(tmp_path / "movie") == [0, 2]
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "is empty"),
        (b"HAL frame", "is no frame journal"),
        (b"x" * 500, "is no frame journal"),
    ],
)
def test_what_is_no_journal_is_told(
    content: bytes, complaint: str, tmp_path: Path
) -> None:
    path = tmp_path / "movie.journal"
    path.write_bytes(content)

    with pytest.raises(StorageError, match=complaint):
        read_journal(path)
    with pytest.raises(StorageError, match=complaint):
        FrameJournal.reopen(path)
    with pytest.raises(StorageError, match="read it: No such file"):
        read_journal(tmp_path / "missing.journal")


def test_a_head_of_another_kind_is_told(tmp_path: Path) -> None:
    journal = written(tmp_path / "movie")
    journal.close()
    body = msgspec.msgpack.encode({"base": 1})
    data = journal.path.read_bytes()
    at = data.index(b"\n") + 1
    path = tmp_path / "other.journal"
    path.write_bytes(data[:at] + struct.pack("<II", len(body), zlib.crc32(body)) + body)

    with pytest.raises(StorageError, match="describes no film"):
        read_journal(path)


@given(
    at=st.floats(0, 1, exclude_max=True),
    value=st.binary(max_size=40),
    is_cut=st.booleans(),
)
def test_no_damage_makes_it_say_what_was_never_written(
    tmp_path_factory: pytest.TempPathFactory, at: float, value: bytes, is_cut: bool
) -> None:
    stem = tmp_path_factory.mktemp("damaged") / "movie"
    journal = written(stem, *range(20))
    journal.close()
    whole = read_journal(journal.path)
    data = bytearray(journal.path.read_bytes())
    place = int(at * len(data))
    if is_cut:
        del data[place:]
    data[place : place + len(value)] = value
    journal.path.write_bytes(data)

    try:
        text = read_journal(journal.path)
    except StorageError:
        return  # it says nothing

    assert text.head == whole.head
    assert text.records == whole.records[: len(text.records)]
    if not is_cut:
        assert bool(text.damaged_bytes) == (text.records != whole.records)
