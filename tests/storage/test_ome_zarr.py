"""OME-Zarr films as the libraries that define and read the format see them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaozarrs

from hal.base import OutputExists, StorageError
from hal.storage import OmeZarrWriter, film_bytes, verify
from hal.storage._output_folder import OutputFolder
from tests.storage import films

# In a process of its own, because zarr keeps threads for good.
READ_WITH_ZARR = """
import sys, numpy, zarr
group = zarr.open_group(sys.argv[1], mode="r")
array = group[group.attrs["ome"]["multiscales"][0]["datasets"][0]["path"]]
numpy.save(sys.argv[2], array[:])
"""


def read_with_zarr(folder: Path, scratch: Path) -> Any:
    saved = scratch / "read.npy"
    subprocess.run(
        [sys.executable, "-c", READ_WITH_ZARR, str(folder), str(saved)],
        check=True,
        timeout=60,
    )
    return np.load(saved)


def described(film: OmeZarrWriter | Any) -> dict[str, Any]:
    text = (film.files[0] / "zarr.json").read_text("ascii")
    attributes = json.loads(text)["attributes"]
    assert isinstance(attributes, dict)
    return attributes


@pytest.mark.parametrize("dtype", OmeZarrWriter.dtypes)
def test_yaozarrs_and_zarr_accept_films_of_every_pixel_type(
    dtype: str, tmp_path: Path
) -> None:
    film = films.record("ome-zarr", tmp_path / "movie", 3, dtype=dtype)

    yaozarrs.validate_zarr_store(str(film.files[0]))
    frames = read_with_zarr(film.files[0], tmp_path)

    assert (frames.shape, frames.dtype) == ((3, 6, 10), np.dtype(dtype))
    for index, frame in enumerate(frames):
        assert (frame == films.pixels(index, film.description)).all()
    films.assert_holds(film, 3)
    assert verify(film.files, film.description, films.checksums(film, 3)).passed


def test_axes_scale_and_what_ngff_has_no_field_for_are_in_the_file(
    tmp_path: Path,
) -> None:
    film = films.record(
        "ome-zarr",
        tmp_path / "movie",
        1,
        pixel_size_um=0.16,
        frame_interval_s=0.02,
        simulated=True,
        notes="µ\udcff\x00",
        exposure_s=float("inf"),
    )
    yaozarrs.validate_zarr_store(str(film.files[0]))

    (image,) = described(film)["ome"]["multiscales"]
    hal = described(film)["hal"]

    assert image["axes"] == [
        {"name": "t", "type": "time", "unit": "second"},
        {"name": "y", "type": "space", "unit": "micrometer"},
        {"name": "x", "type": "space", "unit": "micrometer"},
    ]
    (transformation,) = image["datasets"][0]["coordinateTransformations"]
    assert transformation == {"type": "scale", "scale": [0.02, 0.16, 0.16]}
    assert (hal["simulated"], hal["exposure_s"]) == (True, None)


def test_a_size_that_is_unknown_has_no_unit(tmp_path: Path) -> None:
    film = films.record("ome-zarr", tmp_path / "movie", 1, pixel_size_um=0.0)

    (image,) = described(film)["ome"]["multiscales"]

    assert image["axes"][0] == {"name": "t", "type": "time"}
    assert image["datasets"][0]["coordinateTransformations"][0]["scale"] == [1, 1, 1]


@pytest.mark.parametrize("planned", [None, 100])
def test_the_array_has_exactly_the_frames_that_are_stored(
    planned: int | None, tmp_path: Path
) -> None:
    film = films.writer("ome-zarr", tmp_path / "movie", planned=planned)
    film.open()
    films.append(film, 0, 4)
    assert len(films.read(film)) == 4

    film.finish()

    yaozarrs.validate_zarr_store(str(film.files[0]))
    assert read_with_zarr(film.files[0], tmp_path).shape == (4, 6, 10)


def test_a_folder_that_is_no_film_is_never_replaced(tmp_path: Path) -> None:
    film = films.writer("ome-zarr", tmp_path / "movie", overwrite=True)
    film.files[0].mkdir()
    (film.files[0] / "thesis.txt").write_text("mine")

    with pytest.raises(OutputExists, match=r"movie\.ome\.zarr"):
        film.open()

    assert (film.files[0] / "thesis.txt").read_text() == "mine"


@pytest.mark.parametrize("renames", [0, 1])
def test_an_old_film_survives_a_kill_in_the_midst_of_being_replaced(
    renames: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folders are swapped by two renames; here, only so many are done."""
    old = films.record("ome-zarr", tmp_path / "movie", 4)
    new = films.writer("ome-zarr", tmp_path / "movie", overwrite=True)
    new.open()
    kill_after(renames, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        films.append(new, 0, 1)
    monkeypatch.undo()

    next_one = films.writer("ome-zarr", tmp_path / "movie", overwrite=True)
    next_one.open()
    films.assert_holds(old, 4)
    films.append(next_one, 0, 2)
    next_one.finish()

    films.assert_holds(next_one, 2)
    assert sorted(tmp_path.iterdir()) == [old.files[0]]


@pytest.mark.parametrize("renames", [0, 1])
def test_a_new_film_goes_on_after_a_kill_in_the_midst_of_replacing(
    renames: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    films.record("ome-zarr", tmp_path / "movie", 4)
    film = films.camera_film(tmp_path / "movie", "ome-zarr", overwrite=True)
    kill_after(renames, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        films.store(film, 0)
    monkeypatch.undo()
    film.leave()

    again = type(film).reopen(tmp_path / "movie")
    films.store(again, *range(again.stored, 3))
    again.finish()
    again.forget()

    assert sorted(path.name for path in tmp_path.iterdir()) == ["movie.ome.zarr"]
    films.assert_holds(again.writers[0], 3)


def kill_after(renames: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the process get no further than so many renames of folders."""
    replace, left = os.replace, [renames]

    def perhaps(source: Path, target: Path) -> None:
        if Path(source).is_dir():
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", perhaps)
    monkeypatch.setattr(OutputFolder, "_restore", lambda _self: None)


def test_a_rest_of_an_old_film_is_gone_after_the_film_was_reopened(
    tmp_path: Path,
) -> None:
    films.record("ome-zarr", tmp_path / "movie", 2)
    rest = tmp_path / "movie.ome.zarr.old"
    (rest / "0").mkdir(parents=True)
    film = films.writer("ome-zarr", tmp_path / "movie", overwrite=True)

    film.reopen()
    film.finish()

    assert not rest.exists()
    films.assert_holds(film, 2)


def test_a_documents_rest_is_written_again(tmp_path: Path) -> None:
    film = films.record("ome-zarr", tmp_path / "movie", 3)
    for name in ("zarr.json", "0/zarr.json"):
        (film.files[0] / name).write_bytes(b'{"zarr_for')
    again = films.writer("ome-zarr", tmp_path / "movie")

    said = again.reopen()
    again.finish()

    assert said == "frame count corrected; description written again"
    yaozarrs.validate_zarr_store(str(film.files[0]))
    films.assert_holds(film, 3)


def test_attributes_that_somebody_added_stay(tmp_path: Path) -> None:
    film = films.record("ome-zarr", tmp_path / "movie", 3)
    document = json.loads((film.files[0] / "zarr.json").read_text())
    document["attributes"]["mine"] = 1
    (film.files[0] / "zarr.json").write_text(json.dumps(document))
    again = films.writer("ome-zarr", tmp_path / "movie")

    assert again.reopen() == ""
    again.finish()

    assert described(film)["mine"] == 1


def test_a_folder_that_no_writer_left_so_is_not_touched(tmp_path: Path) -> None:
    film = films.record("ome-zarr", tmp_path / "movie", 3)
    for frame in (1, 2):
        films.pixel_file(film, frame).write_bytes(b"cut")
    before = films.contents(film)

    with pytest.raises(StorageError, match="2 frames have another size"):
        films.writer("ome-zarr", tmp_path / "movie").reopen()

    assert films.contents(film) == before


def test_a_chunk_that_is_too_long_is_kept_and_found_wrong(tmp_path: Path) -> None:
    film = films.record("ome-zarr", tmp_path / "movie", 3)
    with films.pixel_file(film, 2).open("ab") as file:
        file.write(b"x")
    again = films.writer("ome-zarr", tmp_path / "movie")

    assert again.reopen() == ""
    again.leave()

    found = verify(film.files, film.description, films.checksums(film, 3))
    assert found.mismatched == (2,)


def test_the_size_of_a_film_counts_whole_blocks(tmp_path: Path) -> None:
    film = films.record("ome-zarr", tmp_path / "movie", 10, shape=(100, 100))
    blocks = sum(path.stat().st_blocks for path in film.files[0].rglob("*")) * 512

    said = OmeZarrWriter.size_bytes((100, 100), "uint16", 10)

    assert film_bytes((100, 100), "uint16", 10) < said
    assert blocks <= said + 5 * 4096
