from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.base import StorageError
from hal.storage import WRITERS, FrameChecksums, FrameWriter, frame_checksum, verify
from tests.storage import films

FORMATS = sorted(WRITERS)


@pytest.fixture(params=FORMATS)
def format_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def damage(film: FrameWriter, frame: int) -> None:
    """Flip one bit of one frame, found by its pixels."""
    (path,) = (
        path
        for path, content in films.contents(film).items()
        if films.pixels(frame).tobytes() in content
    )
    data = bytearray(path.read_bytes())
    at = data.index(films.pixels(frame).tobytes())
    data[at + 17] ^= 4
    path.write_bytes(data)


def vital_files(film: FrameWriter) -> list[Path]:
    """Files without which a film cannot be what it was."""
    if film.format != "ome-zarr":
        return [film.files[0]]
    array = film.files[0] / "0"
    return [film.files[0] / "zarr.json", array / "zarr.json", array / "c/7/0/0"]


@pytest.mark.parametrize("frames", [1, 2, 7])
def test_a_good_film_passes(format_name: str, frames: int, tmp_path: Path) -> None:
    film = films.record(format_name, tmp_path / "movie", frames)

    found = verify(film.files, film.description, films.checksums(film, frames))

    assert (found.stored, found.found, found.checked) == (frames, frames, frames)
    assert found.passed
    assert not found.stopped


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_widened_film_passes(format_name: str, dtype: str, tmp_path: Path) -> None:
    film = films.record(format_name, tmp_path / "movie", 3, dtype=dtype)

    assert verify(film.files, film.description, films.checksums(film, 3)).passed


def test_a_widened_film_with_a_high_byte_set_fails(tmp_path: Path) -> None:
    film = films.record("dax", tmp_path / "movie", 1, dtype="uint8")
    data = bytearray(film.files[0].read_bytes())
    data[1] = 1
    film.files[0].write_bytes(data)

    found = verify(film.files, film.description, films.checksums(film, 1))

    assert found.mismatched == (0,)


def test_one_wrong_bit_is_found_and_its_frame_is_named(
    format_name: str, tmp_path: Path
) -> None:
    film = films.record(format_name, tmp_path / "movie", 6)
    damage(film, 4)

    found = verify(film.files, film.description, films.checksums(film, 6))

    assert found.mismatched == (4,)
    assert not found.passed


def test_frames_are_named_by_their_index_in_the_run(
    format_name: str, tmp_path: Path
) -> None:
    """Frame 1 was lost: the second frame of the file is frame 2 of the run."""
    film = films.writer(format_name, tmp_path / "movie")
    film.open()
    sums = FrameChecksums()
    for index in (0, 2, 3):
        film.append(films.pixels(index), films.info(index))
        sums.add(index, frame_checksum(films.pixels(index)))
    film.finish()
    assert verify(film.files, film.description, sums).passed

    damage(film, 2)

    assert verify(film.files, film.description, sums).mismatched == (2,)


def test_swapped_frames_are_found(format_name: str, tmp_path: Path) -> None:
    film = films.writer(format_name, tmp_path / "movie")
    film.open()
    for index in (1, 0):
        film.append(films.pixels(index), films.info(index))
    film.finish()

    found = verify(film.files, film.description, films.checksums(film, 2))

    assert found.mismatched == (0, 1)


def test_a_missing_frame_is_found(format_name: str, tmp_path: Path) -> None:
    film = films.record(format_name, tmp_path / "movie", 3)

    found = verify(film.files, film.description, films.checksums(film, 4))

    assert (found.stored, found.found) == (4, 3)
    assert found.mismatched == (3,)


def test_a_frame_that_the_inf_does_not_count_is_missing(tmp_path: Path) -> None:
    film = films.record("dax", tmp_path / "movie", 3)
    text = film.files[1].read_text().replace("frames = 3", "frames = 2")
    film.files[1].write_text(text)

    found = verify(film.files, film.description, films.checksums(film, 3))

    assert found.mismatched == (2,)


def test_a_frame_too_many_is_found(format_name: str, tmp_path: Path) -> None:
    film = films.record(format_name, tmp_path / "movie", 3)

    found = verify(film.files, film.description, films.checksums(film, 2))

    assert found.mismatched == ()
    assert not found.passed


def test_a_film_that_was_cut_off_is_found(tmp_path: Path) -> None:
    film = films.record("dax", tmp_path / "movie", 3)
    with film.files[0].open("r+b") as file:
        file.truncate(film.files[0].stat().st_size - 1)

    found = verify(film.files, film.description, films.checksums(film, 3))

    assert found.mismatched == (2,)


def shown_wrong(film: FrameWriter, frames: int) -> bool:
    """Whether verification says that something is wrong, in one way or the other."""
    try:
        return not verify(
            film.files, film.description, films.checksums(film, frames)
        ).passed
    except StorageError as exc:
        return "cannot be read back" in str(exc)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.3, 0.9, 0.98])
def test_no_cut_film_passes_or_crashes(
    format_name: str, share: float, tmp_path: Path
) -> None:
    film = films.record(format_name, tmp_path / "movie", 8)
    for path in vital_files(film):
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])

        assert shown_wrong(film, 8)

        path.write_bytes(content)
        assert not shown_wrong(film, 8)


@given(at=st.floats(0, 1, exclude_max=True), value=st.binary(min_size=1, max_size=8))
def test_garbled_bytes_are_found_or_harmless_but_never_crash(
    tmp_path_factory: pytest.TempPathFactory, at: float, value: bytes
) -> None:
    for format_name in FORMATS:
        base = tmp_path_factory.mktemp("garbled") / "movie"
        film = films.record(format_name, base, 3, shape=(2, 2))
        before = films.read(film)
        path = film.files[0]
        if format_name == "ome-zarr":
            path = path / "0" / "zarr.json"
        data = bytearray(path.read_bytes())
        place = int(at * len(data))
        data[place : place + len(value)] = value
        path.write_bytes(data)

        if not shown_wrong(film, 3):
            assert (np.array(before) == np.array(films.read(film))).all()


def test_a_film_of_another_shape_fails(format_name: str, tmp_path: Path) -> None:
    film = films.record(format_name, tmp_path / "movie", 2, shape=(10, 6))

    found = verify(film.files, films.DESCRIPTION, films.checksums(film, 2))

    assert found.mismatched == (0, 1)


def test_a_large_film_is_sampled_evenly_with_both_ends(
    format_name: str, tmp_path: Path
) -> None:
    film = films.record(format_name, tmp_path / "movie", 9)
    for frame in (0, 3, 4, 8):
        damage(film, frame)

    found = verify(
        film.files,
        film.description,
        films.checksums(film, 9),
        full_below_bytes=3 * 6 * 10 * 2,
    )

    assert found.checked == 3
    assert found.mismatched == (0, 4, 8)


def test_it_stops_when_told(format_name: str, tmp_path: Path) -> None:
    film = films.record(format_name, tmp_path / "movie", 9)
    asked = iter([False, False, True])

    found = verify(
        film.files,
        film.description,
        films.checksums(film, 9),
        should_stop=lambda: next(asked),
    )

    assert found.stopped
    assert found.checked == 2


def test_a_film_without_frames_has_nothing_to_verify(
    format_name: str, tmp_path: Path
) -> None:
    film = films.record(format_name, tmp_path / "movie", 0)

    assert verify(film.files, film.description, FrameChecksums()).passed


def test_a_film_that_is_gone_cannot_be_read_back(
    format_name: str, tmp_path: Path
) -> None:
    film = films.writer(format_name, tmp_path / "movie")

    with pytest.raises(StorageError, match="cannot be read back"):
        verify(film.files, film.description, films.checksums(film, 1))


def test_a_format_without_a_reader_is_told(tmp_path: Path) -> None:
    film = films.writer("dax", tmp_path / "movie")

    with pytest.raises(StorageError, match="no way to read"):
        verify((tmp_path / "a.spe",), film.description, films.checksums(film, 1))


def test_the_checksum_is_of_the_values_in_their_order() -> None:
    frame = films.pixels(0)

    assert frame_checksum(frame) == frame_checksum(np.repeat(frame, 2, axis=1)[:, ::2])
    assert frame_checksum(frame) != frame_checksum(frame[::-1])
