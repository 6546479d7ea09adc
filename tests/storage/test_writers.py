"""What every format promises."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hal.base import BadInput, DiskFull, OutputExists, StateError, StorageError
from hal.storage import WRITERS, FrameWriter, store_frame
from hal.storage._output import Output
from hal.storage._output_file import OutputFile
from hal.storage._output_folder import OutputFolder
from tests.storage import films

FORMATS = sorted(WRITERS)


@pytest.fixture(params=FORMATS)
def format_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class BrokenDisk:
    """Lets the n-th write from now on fail, half done, and nothing after it."""

    def __init__(self, film: FrameWriter, monkeypatch: pytest.MonkeyPatch) -> None:
        self._whole = OutputFile.write_at
        self.writes_left: int | None = None
        self.code = errno.ENOSPC
        monkeypatch.setattr(OutputFile, "write_at", self._write_at(film))

    def _write_at(self, film: FrameWriter) -> Any:
        def write_at(
            output: OutputFile, offset: int, *chunks: bytes | memoryview
        ) -> None:
            if self.writes_left is not None:
                self.writes_left -= 1
                if self.writes_left == -1:
                    data = bytes(memoryview(chunks[0]).cast("B"))
                    self._whole(output, offset, data[: len(data) // 2])
                    raise OSError(self.code, os.strerror(self.code))
            self._whole(output, offset, *chunks)

        return write_at


def sizes_of(film: FrameWriter) -> dict[Path, int]:
    return {path: len(content) for path, content in films.contents(film).items()}


def test_a_film_reads_back_as_it_was_given(format_name: str, tmp_path: Path) -> None:
    film = films.record(format_name, tmp_path / "movie", 5)

    films.assert_holds(film, 5)
    assert film.stored == 5
    assert sorted(tmp_path.iterdir()) == sorted(film.files)


def test_a_film_is_readable_after_every_frame(format_name: str, tmp_path: Path) -> None:
    film = films.writer(format_name, tmp_path / "movie")
    film.open()
    for index in range(12):
        films.append(film, index, index + 1)
        films.assert_holds(film, index + 1)
    film.finish()


def test_a_film_is_readable_between_any_two_writes(
    format_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a SIGKILL could strike."""
    film = films.writer(format_name, tmp_path / "movie")
    film.open()
    films.append(film, 0, 1)
    whole = OutputFile.write_at
    moments: list[int] = []

    def write_at(output: OutputFile, offset: int, *chunks: bytes | memoryview) -> None:
        for chunk in chunks:
            whole(output, offset, chunk)
            offset += memoryview(chunk).nbytes
            found = films.read(film)
            assert len(found) - film.stored in (0, 1)
            for index, frame in enumerate(found):
                assert (frame == films.pixels(index)).all()
            if format_name == "ome-tiff":
                assert films.tiff_chain(film.files[0]) - film.stored in (0, 1)
            moments.append(len(found))

    monkeypatch.setattr(OutputFile, "write_at", write_at)
    films.append(film, 1, 12)
    film.finish()

    assert len(moments) >= 22
    films.assert_holds(film, 12)


def test_read_only_and_strided_frames_are_written(
    format_name: str, tmp_path: Path
) -> None:
    film = films.writer(format_name, tmp_path / "movie")
    film.open()
    wide = np.repeat(films.pixels(0), 2, axis=1)
    wide.flags.writeable = False
    film.append(wide[:, ::2], films.info(0))
    film.finish()

    films.assert_holds(film, 1)


@pytest.mark.parametrize("suffix", [0, -1])
def test_an_existing_file_is_never_touched(
    format_name: str, suffix: int, tmp_path: Path
) -> None:
    film = films.writer(format_name, tmp_path / "movie")
    taken = film.files[suffix]
    taken.write_bytes(b"old")

    with pytest.raises(OutputExists, match=taken.name):
        film.open()

    assert taken.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [taken]


def test_overwriting_replaces_the_old_film(format_name: str, tmp_path: Path) -> None:
    films.record(format_name, tmp_path / "movie", 9)
    film = films.record(format_name, tmp_path / "movie", 2, overwrite=True)

    films.assert_holds(film, 2)
    assert sorted(tmp_path.iterdir()) == sorted(film.files)


def test_the_old_film_stays_until_the_first_new_frame(
    format_name: str, tmp_path: Path
) -> None:
    old = films.record(format_name, tmp_path / "movie", 4)
    new = films.writer(format_name, tmp_path / "movie", overwrite=True)
    new.open()
    films.assert_holds(old, 4)

    new.finish()

    films.assert_holds(old, 4)
    assert sorted(tmp_path.iterdir()) == sorted(old.files)


def test_the_old_film_survives_a_new_one_that_cannot_start(
    format_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = films.record(format_name, tmp_path / "movie", 4)
    new = films.writer(format_name, tmp_path / "movie", overwrite=True)
    new.open()
    disk = BrokenDisk(new, monkeypatch)
    disk.writes_left = 0

    with pytest.raises(DiskFull):
        films.append(new, 0, 1)
    new.abort()

    films.assert_holds(old, 4)
    assert sorted(tmp_path.iterdir()) == sorted(old.files)


def test_what_an_interrupted_overwrite_left_is_no_obstacle(
    format_name: str, tmp_path: Path
) -> None:
    film = films.writer(format_name, tmp_path / "movie", overwrite=True)
    leftover = film.files[0].with_name(film.files[0].name + ".new")
    leftover.write_bytes(b"rest of a killed run")

    film.open()
    films.append(film, 0, 3)
    film.finish()

    films.assert_holds(film, 3)
    assert sorted(tmp_path.iterdir()) == sorted(film.files)


def test_a_folder_is_never_overwritten(format_name: str, tmp_path: Path) -> None:
    film = films.writer(format_name, tmp_path / "movie", overwrite=True)
    film.files[0].mkdir()

    with pytest.raises(OutputExists):
        film.open()


def test_a_film_without_a_frame_leaves_no_file(
    format_name: str, tmp_path: Path
) -> None:
    films.record(format_name, tmp_path / "movie", 0)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("failing_write", [0, 1, 2])
@pytest.mark.parametrize("before", [0, 1, 9])
def test_a_failed_write_leaves_whole_frames_and_may_be_repeated(
    format_name: str,
    failing_write: int,
    before: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    film = films.writer(format_name, tmp_path / "movie")
    film.open()
    films.append(film, 0, before)
    sizes = sizes_of(film)
    disk = BrokenDisk(film, monkeypatch)
    disk.writes_left = failing_write % (3 if format_name == "ome-tiff" else 2)

    with pytest.raises(DiskFull, match=f"frame {before}.*{before} frames are stored"):
        films.append(film, before, before + 1)

    assert film.stored == before
    assert sizes_of(film) == sizes
    if before:
        films.assert_holds(film, before)
    films.append(film, before, before + 3)
    film.abort()
    films.assert_holds(film, before + 3)


@pytest.mark.parametrize("before", [0, 1, 9, 10])
def test_a_frame_taken_back_leaves_the_files_as_they_were(
    format_name: str, before: int, tmp_path: Path
) -> None:
    film = films.writer(format_name, tmp_path / "movie")
    film.open()
    films.append(film, 0, before)
    contents = films.contents(film)

    films.append(film, before, before + 1)
    film.take_back()

    assert film.stored == before
    assert films.contents(film) == contents
    films.append(film, before, before + 3)
    film.finish()
    films.assert_holds(film, before + 3)


def test_a_film_whose_only_frame_is_taken_back_leaves_no_file(
    format_name: str, tmp_path: Path
) -> None:
    film = films.writer(format_name, tmp_path / "movie")
    film.open()
    films.append(film, 0, 1)

    film.take_back()
    film.finish()

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("before", [1, 9])
def test_a_film_is_readable_at_every_moment_of_taking_back(
    format_name: str, before: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a SIGKILL could strike."""
    film = films.writer(format_name, tmp_path / "movie")
    film.open()
    films.append(film, 0, before + 1)
    moments: list[int] = []

    def look_after(name: str, output: type = OutputFile) -> None:
        whole = getattr(output, name)

        def look(*arguments: Any) -> None:
            whole(*arguments)
            found = films.read(film)
            assert len(found) in (before, before + 1)
            for index, frame in enumerate(found):
                assert (frame == films.pixels(index)).all()
            if format_name == "ome-tiff":
                assert films.tiff_chain(film.files[0]) in (before, before + 1)
            moments.append(len(found))

        monkeypatch.setattr(output, name, look)

    look_after("write_at")
    look_after("cut")
    look_after("remove", OutputFolder)
    film.take_back()
    film.finish()

    assert len(moments) == (2 if format_name == "ome-zarr" else 3)
    assert moments[-1] == before


def test_only_the_last_frame_can_be_taken_back_and_only_once(
    format_name: str, tmp_path: Path
) -> None:
    film = films.writer(format_name, tmp_path / "movie")
    for moment in ("closed", "new", "once", "finished"):
        if moment == "new":
            film.open()
        elif moment == "once":
            films.append(film, 0, 3)
            film.take_back()
        elif moment == "finished":
            films.append(film, 2, 3)
            film.finish()
        with pytest.raises(StateError, match="no frame to take back"):
            film.take_back()

    films.assert_holds(film, 3)


def test_a_frame_after_a_refused_one_cannot_take_back_the_one_before(
    format_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = films.writer(format_name, tmp_path / "movie")
    film.open()
    films.append(film, 0, 2)
    BrokenDisk(film, monkeypatch).writes_left = 0
    with pytest.raises(DiskFull):
        films.append(film, 2, 3)

    with pytest.raises(StateError):
        film.take_back()
    film.finish()

    films.assert_holds(film, 2)


def test_a_frame_that_cannot_be_taken_back_is_written_over(
    format_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = films.writer(format_name, tmp_path / "movie")
    film.open()
    films.append(film, 0, 3)
    disk = BrokenDisk(film, monkeypatch)
    disk.writes_left, disk.code = 0, errno.EIO

    with pytest.raises(StorageError, match="could not take frame 2 back"):
        film.take_back()

    assert film.stored == 2
    films.append(film, 2, 5)
    film.finish()
    films.assert_holds(film, 5)


@pytest.mark.parametrize(
    "names",
    [
        ("dax", "ome-tiff"),
        ("ome-tiff", "dax"),
        ("dax", "ome-zarr"),
        ("ome-zarr", "ome-tiff"),
    ],
)
@pytest.mark.parametrize("before", [0, 1, 9])
def test_all_formats_store_a_frame_or_none(
    names: tuple[str, ...],
    before: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    several = [films.writer(name, tmp_path / "movie") for name in names]
    problems: list[StorageError] = []

    def store(index: int) -> None:
        store_frame(several, films.pixels(index), films.info(index), problems.append)

    for film in several:
        film.open()
    for index in range(before):
        store(index)
    contents = films.contents(*several)
    disk = BrokenDisk(several[1], monkeypatch)
    # The second format is reached after the two or three writes of the first.
    disk.writes_left = 3 if names[0] == "ome-tiff" else 2

    with pytest.raises(DiskFull, match=f"movie.*{before} frames are stored") as caught:
        store(before)

    assert str(several[1].files[0]) in caught.value.text
    assert films.contents(*several) == contents
    store(before)
    for film in several:
        film.finish()
        films.assert_holds(film, before + 1)
    assert problems == []


def test_an_old_film_is_replaced_when_all_formats_have_the_first_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = [films.record(name, tmp_path / "movie", 4) for name in FORMATS]
    new = [films.writer(name, tmp_path / "movie", overwrite=True) for name in FORMATS]
    for film in new:
        film.open()
    disk = BrokenDisk(new[1], monkeypatch)
    disk.writes_left = 2
    with pytest.raises(DiskFull):
        store_frame(new, films.pixels(0), films.info(0), pytest.fail)
    for film in old:
        films.assert_holds(film, 4)

    store_frame(new, films.pixels(0), films.info(0), pytest.fail)
    for film in new:
        film.finish()
        films.assert_holds(film, 1)


def test_an_old_film_that_cannot_be_replaced_stays(
    format_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = films.record(format_name, tmp_path / "movie", 4)
    new = films.writer(format_name, tmp_path / "movie", overwrite=True)
    new.open()

    def refuse(_output: OutputFile) -> None:
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(type(new._outputs[0]), "take_place", refuse)
    with pytest.raises(StorageError, match="old film: Permission denied; 0 frames"):
        films.append(new, 0, 1)
    assert new.stored == 0
    new.abort()

    films.assert_holds(old, 4)
    assert sorted(tmp_path.iterdir()) == sorted(old.files)


def test_another_refusal_is_a_storage_error_that_names_the_file(
    format_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = films.writer(format_name, tmp_path / "movie")
    film.open()
    films.append(film, 0, 2)
    disk = BrokenDisk(film, monkeypatch)
    disk.writes_left, disk.code = 0, errno.EIO

    with pytest.raises(StorageError, match="Input/output error") as caught:
        films.append(film, 2, 3)
    film.abort()

    assert not isinstance(caught.value, DiskFull)
    assert str(film.files[0]) in str(caught.value)
    assert caught.value.data["stored"] == 2
    films.assert_holds(film, 2)


def test_a_disk_without_any_room_refuses_the_film_and_keeps_nothing(
    format_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = films.writer(format_name, tmp_path / "movie")
    disk = BrokenDisk(film, monkeypatch)
    disk.writes_left = 0

    with pytest.raises(DiskFull, match="create it"):
        film.open()

    assert list(tmp_path.iterdir()) == []


def test_a_short_write_is_noticed(tmp_path: Path) -> None:
    """The kernel's own answer of a full device."""
    full = OutputFile(Path("/dev/full"), overwrite=False)
    full._file = open("/dev/full", "r+b", buffering=0)  # noqa: SIM115
    with pytest.raises(OSError, match="No space left"):
        full.write_at(0, b"frame")
    full.close()


def test_a_missing_folder_is_a_storage_error(format_name: str, tmp_path: Path) -> None:
    film = films.writer(format_name, tmp_path / "missing" / "movie")

    with pytest.raises(StorageError, match="No such file or directory"):
        film.open()


def test_a_frame_of_another_form_is_refused(format_name: str, tmp_path: Path) -> None:
    film = films.writer(format_name, tmp_path / "movie")
    film.open()
    films.append(film, 0, 1)

    with pytest.raises(StorageError, match=r"frame 1 is \(2, 2\)"):
        film.append(np.zeros((2, 2), np.uint16), films.info(1))
    with pytest.raises(StorageError, match="float64"):
        film.append(np.zeros((6, 10)), films.info(1))
    film.finish()

    films.assert_holds(film, 1)


def test_a_film_that_is_not_open_takes_no_frame(
    format_name: str, tmp_path: Path
) -> None:
    film = films.writer(format_name, tmp_path / "movie")
    with pytest.raises(StateError, match="not open"):
        films.append(film, 0, 1)

    film.open()
    films.append(film, 0, 1)
    film.finish()
    film.finish()

    with pytest.raises(StateError, match="not open"):
        films.append(film, 1, 2)


def test_sync_brings_the_film_to_the_device(format_name: str, tmp_path: Path) -> None:
    film = films.writer(format_name, tmp_path / "movie")
    film.open()
    films.append(film, 0, 2)
    film.sync()
    film.finish()

    with pytest.raises(StorageError, match="bring it to the device"):
        film.sync()


def test_a_failure_to_close_is_reported_once_all_is_closed(
    format_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = films.writer(format_name, tmp_path / "movie")
    film.open()
    films.append(film, 0, 2)
    closed = []
    output_class = type(film._outputs[0])
    close = output_class.close

    def closes_late(output: Output) -> None:
        close(output)
        closed.append(output.path)
        raise OSError(errno.EIO, "late failure")

    monkeypatch.setattr(output_class, "close", closes_late)
    with pytest.raises(StorageError, match="close it: late failure"):
        film.finish()
    film.abort()

    assert closed[: len(film.files)] == list(film.files)
    films.assert_holds(film, 2)


def test_an_unknown_format_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(
        BadInput, match=r"'dx': expected one of dax, ome-tiff, ome-zarr"
    ):
        films.writer("dx", tmp_path / "movie")


def test_a_pixel_type_the_format_has_not_is_refused(
    format_name: str, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=f"{format_name} has no pixels of type complex"):
        films.writer(format_name, tmp_path / "movie", dtype="complex64")
