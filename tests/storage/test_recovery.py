"""`recover`: what it repairs, what it only reports, and that it harms nothing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hal.base import BadInput, StorageError
from hal.storage import (
    WRITERS,
    CameraFilm,
    FileReport,
    FrameWriter,
    film_files,
    journal_path,
    read_acquisition,
    read_journal,
    recover,
    write_sidecar,
)
from hal.storage.names import EMPTY_SIDECAR
from tests.storage import films

FORMATS = sorted(WRITERS)


@pytest.fixture(params=FORMATS)
def format_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def states(reports: list[FileReport]) -> dict[str, str]:
    return {Path(report.file).name: report.state for report in reports}


def texts(reports: list[FileReport]) -> dict[str, str]:
    return {Path(report.file).name: report.text for report in reports}


def first_file(stem: Path, format_name: str) -> Path:
    return film_files(stem, (format_name,))[0]


def pixel_file(stem: Path, format_name: str, frame: int) -> Path:
    return films.pixel_file(films.writer(format_name, stem), frame)


def flip(stem: Path, format_name: str, frame: int) -> None:
    """Change one pixel of a frame."""
    path = pixel_file(stem, format_name, frame)
    data = bytearray(path.read_bytes())
    data[data.index(films.pixels(frame).tobytes()) + 3] ^= 1
    path.write_bytes(data)


def test_a_film_whose_recorder_was_killed_gets_its_sidecar(tmp_path: Path) -> None:
    stem = tmp_path / "movie"
    film = films.camera_film(stem, *FORMATS, planned=9)
    films.store(film, 0, 1, 2, 4, 5)
    film.leave()
    stem.with_suffix(".xml").write_bytes(EMPTY_SIDECAR)

    reports = list(recover(tmp_path))

    assert states(reports) == {
        **{first_file(stem, name).name: "complete" for name in FORMATS},
        "movie.xml": "repaired",
    }
    said = read_acquisition(tmp_path / "movie.xml")
    assert (said["state"], said["number_frames"]) == ("interrupted", "5")
    assert said["frames.camera1.gaps"] == "3"
    assert said["frames.camera1.planned"] == "9"
    assert said["frames.camera1.stored"] == said["frames.camera1.verified"] == "5"
    assert said["duration_s"] == "0.05"
    assert not journal_path(stem).exists()
    for name in FORMATS:
        assert len(films.found(stem, name)) == 5


def test_an_unfinished_frame_is_cut_off_and_is_a_gap(
    format_name: str, tmp_path: Path
) -> None:
    stem = tmp_path / "movie"
    films.left_film(stem, format_name)
    path = pixel_file(stem, format_name, 5)
    os.truncate(path, path.read_bytes().index(films.pixels(5).tobytes()) + 119)

    reports = list(recover(tmp_path))

    assert states(reports)[first_file(stem, format_name).name] == "repaired"
    assert "frame 5 was being stored" in reports[0].text
    assert reports[0].frames == len(films.found(stem, format_name)) == 5
    rest = b"".join(films.contents(films.writer(format_name, stem)).values())
    assert films.pixels(5).tobytes()[:100] not in rest
    said = read_acquisition(tmp_path / "movie.xml")
    assert said["frames.camera1.gaps"] == "5"
    assert said["frames.camera1.received"] == "6"


def test_a_tiff_frame_whose_directory_is_cut_off_is_completed(tmp_path: Path) -> None:
    films.left_film(tmp_path / "movie", "ome-tiff")
    path = tmp_path / "movie.ome.tiff"
    os.truncate(path, path.read_bytes().index(films.pixels(5).tobytes()) + 120)

    reports = list(recover(tmp_path))

    assert (reports[0].state, reports[0].frames) == ("repaired", 6)
    assert "last frame completed" in reports[0].text
    assert films.tiff_chain(path) == 6
    assert len(films.found(tmp_path / "movie", "ome-tiff")) == 6


def test_frames_that_are_gone_are_named(tmp_path: Path) -> None:
    stem = tmp_path / "movie"
    films.left_film(stem, "dax")
    os.truncate(tmp_path / "movie.dax", 3 * 120 + 7)

    reports = list(recover(tmp_path))

    assert states(reports)["movie.dax"] == "damaged"
    assert "gone: frame 3, 4, 5" in reports[0].text
    assert len(films.found(stem, "dax")) == 3
    assert read_acquisition(tmp_path / "movie.xml")["frames.camera1.gaps"] == "3,4,5"
    assert journal_path(stem).exists()
    assert states(list(recover(tmp_path)))["movie.dax"] == "damaged"


def test_a_frame_that_was_changed_is_named(format_name: str, tmp_path: Path) -> None:
    stem = tmp_path / "movie"
    films.left_film(stem, format_name)
    flip(stem, format_name, 2)

    reports = list(recover(tmp_path))

    assert states(reports)[first_file(stem, format_name).name] == "damaged"
    assert "not as recorded: frame 2" in reports[0].text
    said = read_acquisition(tmp_path / "movie.xml")
    assert said["frames.camera1.mismatched"] == "2"
    assert said["frames.camera1.verified"] == "5"
    assert journal_path(stem).exists()


def test_a_film_is_in_order_again_when_its_file_is(tmp_path: Path) -> None:
    stem = tmp_path / "movie"
    films.left_film(stem, "dax")
    whole = (tmp_path / "movie.dax").read_bytes()
    os.truncate(tmp_path / "movie.dax", 0)
    assert states(list(recover(tmp_path)))["movie.dax"] == "damaged"

    (tmp_path / "movie.dax").write_bytes(whole)
    reports = list(recover(tmp_path))

    assert states(reports) == {"movie.dax": "repaired", "movie.xml": "repaired"}
    assert read_acquisition(tmp_path / "movie.xml")["number_frames"] == "6"
    assert list(recover(tmp_path)) == []


def test_a_missing_file_is_damage(format_name: str, tmp_path: Path) -> None:
    stem = tmp_path / "movie"
    films.left_film(stem, format_name)
    path = first_file(stem, format_name)
    shutil.rmtree(path) if path.is_dir() else path.unlink()

    reports = list(recover(tmp_path))

    assert reports[0].state == "damaged"
    assert "No such" in reports[0].text


def test_a_film_being_recorded_is_left_alone(tmp_path: Path) -> None:
    film = films.camera_film(tmp_path / "movie", *FORMATS)
    films.store(film, 0, 1)
    running = msgspec.structs.replace(film.head.sidecar, frames=2)
    write_sidecar(tmp_path / "movie.xml", running)
    films.left_film(tmp_path / "other", "dax")

    reports = list(recover(tmp_path))

    assert states(reports) == {
        "movie.journal": "in use",
        "other.dax": "complete",
        "other.xml": "repaired",
    }
    assert read_acquisition(tmp_path / "movie.xml")["state"] == "running"
    films.store(film, 2)
    film.finish()
    film.forget()
    for writer in film.writers:
        films.assert_holds(writer, 3)


def test_no_camera_of_a_film_being_recorded_is_touched(tmp_path: Path) -> None:
    heads = [two_cameras(tmp_path, name) for name in ("left", "right")]
    left = CameraFilm.create(tmp_path / "film_left", heads[0])
    CameraFilm.create(tmp_path / "film_right", heads[1]).leave()

    reports = list(recover(tmp_path))

    assert states(reports) == {"film_left.journal": "in use"}
    left.discard()


def test_a_film_that_ended_but_kept_its_journal_is_complete(tmp_path: Path) -> None:
    stem = tmp_path / "movie"
    films.left_film(stem, "ome-tiff")
    head = films.head(stem, "ome-tiff")
    write_sidecar(
        tmp_path / "movie.xml", msgspec.structs.replace(head.sidecar, state="done")
    )
    before = (tmp_path / "movie.xml").read_bytes()

    reports = list(recover(tmp_path))

    assert states(reports) == {"movie.ome.tiff": "complete", "movie.xml": "complete"}
    assert "done" in reports[1].text
    assert (tmp_path / "movie.xml").read_bytes() == before
    assert not journal_path(stem).exists()


def test_a_film_without_a_frame_leaves_nothing(tmp_path: Path) -> None:
    films.left_film(tmp_path / "movie", *FORMATS, frames=0)
    (tmp_path / "movie.xml").write_bytes(EMPTY_SIDECAR)

    reports = list(recover(tmp_path))

    assert set(states(reports).values()) == {"empty"}
    assert list(tmp_path.iterdir()) == []


def test_an_old_film_stays_when_the_new_one_had_no_frame(tmp_path: Path) -> None:
    stem = tmp_path / "movie"
    old = [films.record(name, stem, 4) for name in FORMATS]
    done = msgspec.structs.replace(
        films.head(stem, *FORMATS).sidecar, run_id="older", state="done", frames=4
    )
    write_sidecar(tmp_path / "movie.xml", done)
    before = films.contents(*old)
    films.left_film(stem, *FORMATS, frames=0, overwrite=True)
    assert (tmp_path / "movie.ome.zarr.new").exists()

    reports = list(recover(tmp_path))

    assert {report.state for report in reports} <= {"empty", "complete"}
    assert films.contents(*old) == before
    assert read_acquisition(tmp_path / "movie.xml")["run_id"] == "older"
    assert not list(tmp_path.glob("*.new"))
    assert not list(tmp_path.glob("*.journal*"))


def test_a_film_killed_while_it_replaced_another_gets_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stem = tmp_path / "movie"
    for name in FORMATS:
        films.record(name, stem, 4)
    film = films.camera_film(stem, *FORMATS, overwrite=True)

    def killed(_self: FrameWriter) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(FrameWriter, "take_place", killed)
        patch.setattr(FrameWriter, "take_back", killed)
        with pytest.raises(KeyboardInterrupt):
            films.store(film, 0)
    film.leave()
    # Its journal knows the frame: the kill comes before it is taken back.
    journal = type(film._journal).reopen(journal_path(stem))[0]
    journal.add(films.info(0), film_checksum(0))
    journal.close()

    reports = list(recover(tmp_path))

    assert {report.state for report in reports} <= {"complete", "repaired"}
    for name in FORMATS:
        assert len(films.found(stem, name)) == 1
    assert not list(tmp_path.glob("*.new"))


def film_checksum(index: int) -> int:
    from hal.storage import frame_checksum

    return frame_checksum(films.pixels(index))


def two_cameras(folder: Path, camera: str) -> Any:
    """What the journal of one camera of a film with two says."""
    files = [
        path.name
        for name in ("left", "right")
        for path in film_files(folder / f"film_{name}", ("dax",))
    ]
    head = films.head(folder / "film", "dax", camera=camera)
    sidecar = msgspec.structs.replace(head.sidecar, files=tuple(files))
    return msgspec.structs.replace(head, sidecar=sidecar)


def test_cameras_of_one_film_share_its_sidecar(tmp_path: Path) -> None:
    for camera, count in (("left", 4), ("right", 2)):
        film = CameraFilm.create(
            tmp_path / f"film_{camera}", two_cameras(tmp_path, camera)
        )
        films.store(film, *range(count))
        film.leave()

    reports = list(recover(tmp_path))

    assert states(reports) == {
        "film_left.dax": "complete",
        "film_right.dax": "complete",
        "film.xml": "repaired",
    }
    said = read_acquisition(tmp_path / "film.xml")
    assert (said["frames.left.stored"], said["frames.right.stored"]) == ("4", "2")
    assert said["number_frames"] == "2"


def test_a_camera_whose_journal_is_missing_is_damage(tmp_path: Path) -> None:
    for camera in ("left", "right"):
        film = CameraFilm.create(
            tmp_path / f"film_{camera}", two_cameras(tmp_path, camera)
        )
        films.store(film, 0, 1)
        film.leave()
    (tmp_path / "film_left.journal").unlink()

    reports = list(recover(tmp_path))

    assert states(reports)["film_left.dax"] == "damaged"
    assert "2 frames are readable; whether" in texts(reports)["film_left.dax"]
    assert (tmp_path / "film_right.journal").exists()


def test_a_running_film_without_a_journal_is_ended_but_not_called_good(
    tmp_path: Path,
) -> None:
    stem = tmp_path / "movie"
    films.left_film(stem, *FORMATS, frames=3)
    sidecar = films.head(stem, *FORMATS).sidecar
    write_sidecar(tmp_path / "movie.xml", sidecar)
    journal_path(stem).unlink()

    reports = list(recover(tmp_path))

    assert [report.state for report in reports] == ["damaged"] * 3 + ["repaired"]
    assert all(report.frames == 3 for report in reports)
    said = read_acquisition(tmp_path / "movie.xml")
    assert (said["state"], said["number_frames"]) == ("interrupted", "3")
    assert said["files.file"].splitlines() == list(sidecar.files)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"", "is empty"), (b"\0" * 999, "is no frame journal"), (None, "description")],
)
@pytest.mark.parametrize("has_sidecar", [False, True])
def test_a_journal_that_says_nothing_is_reported_with_its_films(
    content: bytes | None, complaint: str, has_sidecar: bool, tmp_path: Path
) -> None:
    stem = tmp_path / "movie"
    films.left_film(stem, *FORMATS, frames=3)
    journal = journal_path(stem)
    journal.write_bytes(journal.read_bytes()[:200] if content is None else content)
    if has_sidecar:
        write_sidecar(tmp_path / "movie.xml", films.head(stem, *FORMATS).sidecar)

    reports = list(recover(tmp_path))

    assert complaint in texts(reports)["movie.journal"]
    assert {n: s for n, s in states(reports).items() if n != "movie.xml"} == {
        "movie.journal": "damaged",
        **{first_file(stem, name).name: "damaged" for name in FORMATS},
    }
    assert len(reports) == 4 + has_sidecar
    for name in FORMATS:
        assert len(films.found(stem, name)) == 3


def test_frames_behind_the_end_of_the_journal_stay_and_are_not_called_good(
    format_name: str, tmp_path: Path
) -> None:
    stem = tmp_path / "movie"
    films.left_film(stem, format_name)
    journal = journal_path(stem)
    os.truncate(journal, journal.stat().st_size - 2 * 32 - 5)

    reports = list(recover(tmp_path))

    assert reports[0].state == "damaged"
    assert "3 frames at the end cannot be checked" in reports[0].text
    assert len(films.found(stem, format_name)) == 6


def test_a_film_cut_where_its_journal_is_damaged_is_not_called_good(
    tmp_path: Path,
) -> None:
    stem = tmp_path / "movie"
    films.left_film(stem, "dax")
    journal = journal_path(stem)
    data = bytearray(journal.read_bytes())
    data[-4 * 32] ^= 1
    journal.write_bytes(data)
    os.truncate(tmp_path / "movie.dax", 2 * 120)

    reports = list(recover(tmp_path))

    assert reports[0].state == "damaged"
    assert "gone: 4 frames that the journal does not name" in reports[0].text


def test_a_format_that_lost_all_its_frames_is_not_called_empty(tmp_path: Path) -> None:
    stem = tmp_path / "movie"
    films.left_film(stem, "dax", "ome-tiff")
    journal = journal_path(stem)
    os.truncate(journal, journal.stat().st_size - 6 * 32)
    os.truncate(tmp_path / "movie.dax", 0)

    for _time in range(2):
        reports = list(recover(tmp_path))
        assert states(reports)["movie.dax"] == "damaged"
        assert "gone: 6 frames" in reports[0].text
        assert states(reports)["movie.ome.tiff"] == "damaged"


def test_a_format_without_the_only_frame_goes(tmp_path: Path) -> None:
    stem = tmp_path / "movie"
    films.left_film(stem, "dax", "ome-zarr", frames=1)
    os.truncate(tmp_path / "movie.dax", 0)

    reports = list(recover(tmp_path))

    assert states(reports) == {
        **{"movie.dax": "empty", "movie.ome.zarr": "complete"},
        "movie.xml": "repaired",
    }
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["movie.ome.zarr", "movie.xml"]
    said = read_acquisition(tmp_path / "movie.xml")
    assert (said["files.file"], said["frames.camera1.gaps"]) == ("movie.ome.zarr", "0")


def test_a_sidecar_in_an_unknown_encoding_is_written_again(tmp_path: Path) -> None:
    films.left_film(tmp_path / "movie", "dax")
    sidecar = tmp_path / "movie.xml"
    sidecar.write_bytes(EMPTY_SIDECAR.replace(b"ISO", b"ASO"))
    with pytest.raises(BadInput, match="in no encoding HAL knows"):
        read_acquisition(sidecar)

    reports = list(recover(tmp_path))

    assert states(reports) == {"movie.dax": "complete", "movie.xml": "repaired"}
    assert read_acquisition(sidecar)["state"] == "interrupted"


def test_a_journal_of_a_film_that_never_began_goes(tmp_path: Path) -> None:
    stem = tmp_path / "movie"
    films.left_film(stem, "dax", frames=2)
    films.left_film(stem, "dax", frames=0, overwrite=True)

    reports = list(recover(tmp_path))

    assert [report.state for report in reports] == ["empty", "complete", "repaired"]
    assert len(films.found(stem, "dax")) == 2
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["movie.dax", "movie.inf", "movie.xml"]


def test_a_film_that_is_about_to_be_replaced_is_left_alone(tmp_path: Path) -> None:
    stem = tmp_path / "movie"
    films.left_film(stem, "dax", frames=2)
    film = films.camera_film(stem, "dax", overwrite=True)

    reports = list(recover(tmp_path))

    assert states(reports) == {"movie.journal.new": "in use"}
    assert len(films.found(stem, "dax")) == 2
    films.store(film, 0, 1, 2)
    film.finish()
    film.forget()
    films.assert_holds(film.writers[0], 3)
    assert not list(tmp_path.glob("*.journal*"))


@pytest.mark.parametrize("refused", ["a", "."])
def test_a_folder_that_cannot_be_listed_is_told(
    refused: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    scandir = os.scandir

    def perhaps(path: str) -> Any:
        if Path(path) == tmp_path / refused:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", perhaps)
    if refused == ".":
        with pytest.raises(BadInput, match="cannot be listed: Permission denied"):
            list(recover(tmp_path))
        return
    reports = list(recover(tmp_path, recursive=True))

    assert states(reports) == {"a": "damaged"}
    assert "Permission denied" in reports[0].text


def test_folders_within_are_searched_when_asked_but_not_films(tmp_path: Path) -> None:
    for folder in ("a", "a/b"):
        (tmp_path / folder).mkdir()
        films.left_film(tmp_path / folder / "movie", "ome-zarr", frames=2)
    inside = tmp_path / "a" / "movie.ome.zarr" / "x.journal"
    inside.write_bytes(b"no journal of ours")

    assert list(recover(tmp_path)) == []
    reports = list(recover(tmp_path, recursive=True))

    assert [
        Path(report.file).relative_to(tmp_path).as_posix() for report in reports
    ] == [
        *("a/movie.ome.zarr", "a/movie.xml"),
        *("a/b/movie.ome.zarr", "a/b/movie.xml"),
    ]


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    for path in (tmp_path / "missing", tmp_path / "file"):
        with pytest.raises(BadInput, match="is no folder"):
            list(recover(path))


def test_reading_back_says_how_it_gets_on(tmp_path: Path) -> None:
    films.left_film(tmp_path / "movie", "dax", frames=4)
    said: list[tuple[str, int, int]] = []

    list(recover(tmp_path, progress=lambda f, n, of: said.append((f.name, n, of))))

    assert said == [("movie.dax", done, 4) for done in range(4)]


def test_recovery_that_is_abandoned_lets_the_film_go(tmp_path: Path) -> None:
    films.left_film(tmp_path / "movie", "dax", "ome-tiff")
    half = recover(tmp_path)
    next(half)

    half.close()

    assert states(list(recover(tmp_path)))["movie.xml"] == "repaired"


def test_a_sidecar_that_cannot_be_written_is_damage_and_the_journal_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    films.left_film(tmp_path / "movie", "dax")

    def refuse(path: Path, sidecar: object) -> None:
        raise StorageError(f"{path}: could not write it")

    with monkeypatch.context() as patch:
        patch.setattr("hal.storage.recovery.write_sidecar", refuse)
        reports = list(recover(tmp_path))

    assert states(reports) == {"movie.dax": "complete", "movie.xml": "damaged"}
    assert journal_path(tmp_path / "movie").exists()


def whole_frames(stem: Path, format_name: str) -> set[int]:
    """Frames whose pixels are somewhere in the film's files, untouched."""
    content = b"".join(
        films.contents(films.writer(format_name, stem, shape=SHAPE)).values()
    )
    return {
        index
        for index in range(FRAMES)
        if films.pixels(index, LARGE).tobytes() in content
    }


def known_frames(journal: Path) -> int:
    """Return how many frames a journal speaks of, named or not."""
    try:
        text = read_journal(journal)
    except StorageError:
        return 0
    return len(text.records) + text.damaged_bytes // 32


FRAMES = 5
SHAPE = (6, 10)
LARGE = films.DESCRIPTION


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_damage_loses_a_whole_frame_or_passes_as_good(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Every kind of file, cut or overwritten at any place."""
    formats = data.draw(st.lists(st.sampled_from(FORMATS), min_size=1, unique=True))
    stem = tmp_path_factory.mktemp("damage") / "movie"
    films.left_film(stem, *formats, frames=FRAMES)
    write_sidecar(stem.with_suffix(".xml"), films.head(stem, *formats).sidecar)
    files = sorted(path for path in stem.parent.rglob("*") if path.is_file())
    for path in data.draw(st.lists(st.sampled_from(files), max_size=2, unique=True)):
        content = bytearray(path.read_bytes())
        at = data.draw(st.integers(0, len(content)))
        if data.draw(st.booleans()):
            del content[at:]
        else:
            junk = data.draw(st.binary(max_size=20))
            content[at : at + len(junk)] = junk
        path.write_bytes(content)
    before = {name: whole_frames(stem, name) for name in formats}
    # A journal cut between two records, and a film cut alike, are a shorter film.
    known = known_frames(journal_path(stem))

    reports = list(recover(stem.parent))

    by_file = {report.file: report for report in reports}
    for name in formats:
        assert whole_frames(stem, name) >= before[name]
        report = by_file.get(str(first_file(stem, name)))
        if report is not None and report.state in ("complete", "repaired"):
            frames = films.found(stem, name)
            assert len(frames) == report.frames >= min(known, FRAMES) - 1
            for index, frame in enumerate(frames):
                assert (frame == films.pixels(index)).all()
    # What is said is said again, and nothing changes any more.
    settled = {p: p.read_bytes() for p in stem.parent.rglob("*") if p.is_file()}
    damaged = {report.file for report in reports if report.state == "damaged"}
    again = {
        report.file for report in recover(stem.parent) if report.state == "damaged"
    }
    assert again <= damaged
    assert {p: p.read_bytes() for p in stem.parent.rglob("*") if p.is_file()} == settled
