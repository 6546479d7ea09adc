"""Films that go on after their writer was killed, at any moment."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hal.base import StorageError
from hal.storage import WRITERS, CameraFilm, JournalInUse, film_files, recover
from hal.storage._output_file import OutputFile
from hal.storage._output_folder import OutputFolder
from tests.storage import films

FORMATS = sorted(WRITERS)


@pytest.fixture(params=FORMATS)
def format_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Killed(BaseException):
    """The process ends here."""


class Death:
    """Ends the process after so many changes on the disk, the last one half done."""

    def __init__(self, changes: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = changes
        for owner, name in (
            *((OutputFile, n) for n in ("write_at", "cut", "take_place", "create")),
            *((OutputFolder, n) for n in ("make_folder", "remove", "take_place")),
        ):
            whole = getattr(owner, name)
            monkeypatch.setattr(owner, name, self._perhaps(whole, name))

    def _perhaps(self, whole: Any, name: str) -> Any:
        def change(output: Any, *arguments: Any, **options: Any) -> None:
            self.left -= 1
            if self.left >= 0:
                whole(output, *arguments, **options)
                return
            # A write of a few bytes is not torn by a signal, one of a frame is.
            if self.left == -1 and name == "write_at":
                offset, first = arguments[0], memoryview(arguments[1]).cast("B")
                if len(first) > 64:
                    whole(output, offset, first[: len(first) // 2])
            raise Killed

        return change


def killed_film(
    stem: Path, changes: int, monkeypatch: pytest.MonkeyPatch, *formats: str
) -> tuple[int, bool]:
    """Record four frames or die; return those acknowledged, and whether it died."""
    film = films.camera_film(stem, *formats)
    with monkeypatch.context() as patch:
        Death(changes, patch)
        try:
            for index in range(4):
                films.store(film, index)
        except Killed:
            return film.stored, True
        finally:
            patch.undo()
            film.leave()
    return film.stored, False


def every_moment(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *formats: str
) -> Iterator[tuple[Path, int]]:
    """Leave a film for each moment it could have been killed at."""
    has_died = True
    changes = 0
    while has_died:
        stem = folder / str(changes) / "movie"
        stem.parent.mkdir()
        stored, has_died = killed_film(stem, changes, monkeypatch, *formats)
        changes += 1
        yield stem, stored
    assert changes > 8 * len(formats)


@pytest.mark.parametrize("formats", [*((name,) for name in FORMATS), (*FORMATS,)])
def test_a_film_goes_on_from_any_moment_it_was_killed_at(
    formats: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for stem, stored in every_moment(tmp_path, monkeypatch, *formats):
        film = CameraFilm.reopen(stem)
        assert film.stored in (stored, stored + 1)
        assert film.was_last == film.stored - 1
        films.store(film, *range(film.stored, 7))
        film.finish()
        film.leave()

        for writer in film.writers:
            films.assert_holds(writer, 7)
        # The journal was continued as well: it knows each frame.
        reports = list(recover(stem.parent))
        assert [(r.state, r.frames, r.text) for r in reports[:-1]] == [
            ("complete", 7, "") for _name in formats
        ]
        expected = {path for writer in film.writers for path in writer.files}
        assert set(stem.parent.iterdir()) == {*expected, stem.with_suffix(".xml")}


@pytest.mark.parametrize("formats", [*((name,) for name in FORMATS), (*FORMATS,)])
def test_a_film_is_recovered_from_any_moment_it_was_killed_at(
    formats: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for stem, stored in every_moment(tmp_path, monkeypatch, *formats):
        reports = list(recover(stem.parent))

        assert {r.state for r in reports} <= {"complete", "repaired", "empty"}, reports
        for name in formats:
            if not stored and not film_files(stem, (name,))[0].exists():
                continue  # not a frame was acknowledged, and none is there
            frames = films.found(stem, name)
            assert len(frames) in (stored, stored + 1)
            for index, frame in enumerate(frames):
                assert (frame == films.pixels(index)).all()
        assert not list(stem.parent.glob("*.journal*"))
        assert list(recover(stem.parent)) == []


def test_a_film_that_was_not_disturbed_is_not_changed(
    format_name: str, tmp_path: Path
) -> None:
    film = films.record(format_name, tmp_path / "movie", 5)
    before = films.contents(film)
    again = films.writer(format_name, tmp_path / "movie")

    assert again.reopen() == ""
    assert again.stored == 5
    again.leave()

    assert films.contents(film) == before


def test_a_frame_can_be_taken_back_after_reopening(
    format_name: str, tmp_path: Path
) -> None:
    films.record(format_name, tmp_path / "movie", 5)
    film = films.writer(format_name, tmp_path / "movie")
    film.reopen()

    film.take_back()
    films.assert_holds(film, 4)
    films.append(film, 4, 6)
    film.finish()

    films.assert_holds(film, 6)


def test_the_only_frame_can_be_taken_back_after_reopening(
    format_name: str, tmp_path: Path
) -> None:
    films.record(format_name, tmp_path / "movie", 1)
    film = films.writer(format_name, tmp_path / "movie")
    film.reopen()

    film.take_back()
    films.append(film, 0, 3)
    film.finish()

    films.assert_holds(film, 3)


def test_a_film_that_is_gone_cannot_be_reopened(
    format_name: str, tmp_path: Path
) -> None:
    film = films.writer(format_name, tmp_path / "movie")

    with pytest.raises(StorageError, match="open it again"):
        film.reopen()

    assert list(tmp_path.iterdir()) == []


def test_a_tiff_with_whole_frames_that_nothing_leads_to_is_not_touched(
    tmp_path: Path,
) -> None:
    film = films.record("ome-tiff", tmp_path / "movie", 30)
    data = bytearray(film.files[0].read_bytes())
    data[8:16] = bytes(8)
    film.files[0].write_bytes(data)

    with pytest.raises(StorageError, match=r"damaged behind frame 0.*nothing was"):
        films.writer("ome-tiff", tmp_path / "movie").reopen()

    assert film.files[0].read_bytes() == data


def test_an_inf_that_is_gone_is_written_again(tmp_path: Path) -> None:
    film = films.record("dax", tmp_path / "movie", 3)
    film.files[1].unlink()
    again = films.writer("dax", tmp_path / "movie")

    assert again.reopen() == "frame count corrected"
    again.leave()

    films.assert_holds(film, 3)


def test_a_tiff_keeps_the_description_it_has(tmp_path: Path) -> None:
    """It may have been begun by another version of HAL."""
    film = films.record("ome-tiff", tmp_path / "movie", 2, notes="as it was begun")
    again = films.writer("ome-tiff", tmp_path / "movie", notes="")
    assert again.reopen() == ""
    films.append(again, 2, 12)
    again.finish()

    films.assert_holds(film, 12)
    assert b"as it was begun" in film.files[0].read_bytes()


def test_a_film_of_a_living_recorder_is_not_taken(tmp_path: Path) -> None:
    film = films.camera_film(tmp_path / "movie", "dax")
    films.store(film, 0, 1)

    with pytest.raises(JournalInUse):
        CameraFilm.reopen(tmp_path / "movie")
    films.store(film, 2)
    film.finish()
    film.forget()

    films.assert_holds(film.writers[0], 3)


@pytest.mark.parametrize("lost", [2, 5])
def test_a_film_that_lost_frames_is_not_continued(lost: int, tmp_path: Path) -> None:
    films.left_film(tmp_path / "movie", "dax", "ome-tiff", frames=6)
    os.truncate(tmp_path / "movie.dax", (6 - lost) * 120)

    with pytest.raises(StorageError, match=rf"movie\.dax {6 - lost}, movie\.ome.*6"):
        CameraFilm.reopen(tmp_path / "movie")

    assert len(films.found(tmp_path / "movie", "ome-tiff")) == 6
    reports = list(recover(tmp_path))
    assert [report.state for report in reports] == ["damaged", "complete", "repaired"]


def test_the_old_film_stays_if_a_kill_comes_before_the_first_frame(
    format_name: str, tmp_path: Path
) -> None:
    old = films.record(format_name, tmp_path / "movie", 4)
    films.left_film(tmp_path / "movie", format_name, frames=0, overwrite=True)

    film = CameraFilm.reopen(tmp_path / "movie")
    films.assert_holds(old, 4)
    films.store(film, 0, 1)
    film.finish()
    film.forget()

    films.assert_holds(old, 2)
    assert sorted(tmp_path.iterdir()) == sorted(old.files)


def test_ranges_name_what_is_stored(tmp_path: Path) -> None:
    film = films.camera_film(tmp_path / "movie", "dax")
    assert film.ranges() == []
    films.store(film, 0, 1, 3, 7, 8)

    assert film.ranges() == [(0, 1), (3, 3), (7, 8)]
    film.finish()
    film.forget()


def test_a_film_that_cannot_be_created_leaves_nothing(tmp_path: Path) -> None:
    taken = tmp_path / "movie.ome.tiff"
    taken.write_bytes(b"old")

    with pytest.raises(StorageError, match="No such file"):
        films.camera_film(tmp_path / "missing" / "movie", "dax")
    with pytest.raises(Exception, match="exists"):
        films.camera_film(tmp_path / "movie", "dax", "ome-tiff")

    assert list(tmp_path.iterdir()) == [taken]
