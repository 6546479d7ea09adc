from __future__ import annotations

from pathlib import Path

import numpy as np

from hal.storage import FilmDescription, inf_text
from tests.storage import films

KNOWN_INF = b"""\
binning = 1 x 1
data type = 16 bit integers (binary, little endian)
frame dimensions = 256 x 256
number of frames = 10
x_start = 1
x_end = 256
y_start = 1
y_end = 256
"""


def test_the_inf_is_what_storm_control_writes_byte_for_byte(tmp_path: Path) -> None:
    film = films.record("dax", tmp_path / "movie", 10, shape=(256, 256))

    assert film.files[1].read_bytes() == KNOWN_INF
    assert len(KNOWN_INF) == 167


def test_the_dax_is_raw_little_endian_rows(tmp_path: Path) -> None:
    film = films.record("dax", tmp_path / "movie.v2", 2)

    assert film.files[0] == tmp_path / "movie.v2.dax"
    expected = b"".join(films.pixels(k).astype("<u2").tobytes() for k in range(2))
    assert film.files[0].read_bytes() == expected


def test_a_region_and_binning_are_told_in_binned_pixels_from_1() -> None:
    lines = inf_text(
        FilmDescription(
            camera="camera1", shape=(64, 128), binning=2, roi_x_px=20, roi_y_px=40
        ),
        7,
    ).splitlines()

    assert lines[0] == "binning = 2 x 2"
    assert lines[2:] == [
        "frame dimensions = 128 x 64",
        "number of frames = 7",
        "x_start = 11",
        "x_end = 138",
        "y_start = 21",
        "y_end = 84",
    ]


def test_pixels_of_8_bits_are_widened_with_their_values(tmp_path: Path) -> None:
    film = films.record("dax", tmp_path / "movie", 3, dtype="uint8")

    films.assert_holds(film, 3)
    assert film.files[0].stat().st_size == 3 * 6 * 10 * np.dtype("u2").itemsize


def test_the_inf_shrinks_with_its_count(tmp_path: Path) -> None:
    film = films.writer("dax", tmp_path / "movie")
    film.open()
    films.append(film, 0, 9)
    nine = film.files[1].read_bytes()
    film._write_inf(10)  # type: ignore[attr-defined]
    film._do_undo()
    film.finish()

    assert film.files[1].read_bytes() == nine
