"""Finished films along the axes of their plan, as the readers of a format see them."""

from __future__ import annotations

import errno
import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import ome_types
import pytest
import tensorstore
import tifffile
import yaozarrs

from hal.base import StorageError
from hal.frames import FilmLayout
from hal.storage import CameraFilm, FrameWriter, film_files, recover, verify
from hal.storage._arrangement import Arrangement, arrangement
from hal.storage._output_file import OutputFile
from hal.storage._output_folder import OutputFolder
from tests.storage import films

FORMATS = ("ome-tiff", "ome-zarr")
LAYOUT = FilmLayout(
    axes=(("t", 3), ("p", 1), ("z", 2), ("c", 2)),
    channels=("DAPI", "µ & <b>"),
    z_step_um=0.5,
    interval_s=2.0,
    position_names=("left",),
)
TWO_POSITIONS = FilmLayout(axes=(("p", 2), ("t", 3)), position_names=("a", "b"))


@pytest.fixture(params=FORMATS)
def format_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def film_of(
    format_name: str,
    base: Path,
    frames: int,
    layout: FilmLayout = LAYOUT,
    **more: Any,
) -> FrameWriter:
    """A finished film that has been given its axes."""
    film = films.record(format_name, base, frames, layout=layout, **more)
    film.arrange(range(frames))
    return film


def images(film: FrameWriter) -> list[tuple[str, Any]]:
    """Axes and pixels of each image of a film, as any reader of the format has them."""
    if film.format == "ome-tiff":
        with tifffile.TiffFile(film.files[0]) as tiff:
            return [(series.axes.lower(), series.asarray()) for series in tiff.series]
    yaozarrs.validate_zarr_store(str(film.files[0]))
    group = json.loads((film.files[0] / "zarr.json").read_text())
    found = []
    for image in group["attributes"]["ome"]["multiscales"]:
        place = str(film.files[0] / image["datasets"][0]["path"])
        spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": place}}
        axes = "".join(axis["name"] for axis in image["axes"])
        found.append((axes, tensorstore.open(spec).result().read().result()))
    return found


def assert_is(film: FrameWriter, frames: int, layout: FilmLayout = LAYOUT) -> None:
    """Every frame is in one of the images, at its place, and there is nothing else."""
    inner = math.prod(size for _, size in layout.image_axes[1:])
    whole = frames // inner * inner
    (axes, stack), *rest = images(film)
    assert stack.size // 60 == whole
    for frame in range(whole):
        index = layout.index(frame)
        pixels = stack[tuple(index[axis] for axis in axes[:-2])]
        assert (pixels == films.pixels(frame, film.description)).all(), frame
    assert len(rest) == (frames > whole)
    for _axes, more in rest:
        for frame, pixels in enumerate(more.reshape(-1, 6, 10), start=whole):
            assert (pixels == films.pixels(frame, film.description)).all(), frame
        assert more.size // 60 == frames - whole
    found = verify(film.files, film.description, films.checksums(film, frames))
    assert (found.passed, found.checked) == (True, frames)


@pytest.mark.parametrize("frames", [12, 8, 11, 4])
def test_whole_steps_are_an_image_with_all_axes_and_the_rest_is_one_more(
    format_name: str, frames: int, tmp_path: Path
) -> None:
    film = film_of(format_name, tmp_path / "movie", frames)

    assert_is(film, frames)


@pytest.mark.parametrize("order", ["tcz", "tzc", "zct", "ctz", "zt", "c", "z"])
def test_any_order_of_acquisition_comes_out_right(
    format_name: str, order: str, tmp_path: Path
) -> None:
    sizes = {"t": 3, "c": 2, "z": 4}
    layout = FilmLayout(axes=tuple((axis, sizes[axis]) for axis in order))
    film = film_of(format_name, tmp_path / "movie", layout.frames, layout)

    assert_is(film, layout.frames, layout)


def test_a_tiff_says_what_lies_along_its_axes(tmp_path: Path) -> None:
    film = film_of("ome-tiff", tmp_path / "movie", 11, simulated=True)

    ome_types.validate_xml(tifffile.tiffcomment(film.files[0]))
    image, rest = ome_types.from_tiff(film.files[0]).images
    pixels = image.pixels
    assert (pixels.size_t, pixels.size_c, pixels.size_z) == (2, 2, 2)
    assert pixels.dimension_order.value == "XYCZT"
    assert (pixels.physical_size_z, pixels.time_increment) == (0.5, 2.0)
    assert [channel.name for channel in pixels.channels] == ["DAPI", "µ & <b>"]
    assert (rest.name, rest.pixels.size_t) == ("movie (rest)", 3)
    assert {each.description for each in (image, rest)} == {"Simulated data"}
    assert films.tiff_chain(film.files[0]) == 11


def test_a_zarr_says_what_lies_along_its_axes(tmp_path: Path) -> None:
    film = film_of("ome-zarr", tmp_path / "movie", 12, pixel_size_um=0.1)

    attributes = json.loads((film.files[0] / "zarr.json").read_text())["attributes"]
    (image,) = attributes["ome"]["multiscales"]
    assert [axis["type"] for axis in image["axes"]] == [
        *("time", "channel", "space", "space", "space")
    ]
    (transformation,) = image["datasets"][0]["coordinateTransformations"]
    assert transformation["scale"] == [2.0, 1.0, 0.5, 0.1, 0.1]
    assert attributes["hal"]["layout"]["channels"] == ["DAPI", "µ & <b>"]
    assert sorted(path.name for path in film.files[0].iterdir()) == ["0", "zarr.json"]


@pytest.mark.parametrize(
    ("frames", "layout"),
    [
        (3, LAYOUT),
        (6, TWO_POSITIONS),
        (3, FilmLayout(axes=(("t", 3),), interval_s=2.0)),
    ],
    ids=["no whole step", "two positions", "time only"],
)
def test_what_fills_no_axes_stays_along_one(
    format_name: str, frames: int, layout: FilmLayout, tmp_path: Path
) -> None:
    film = films.record(format_name, tmp_path / "movie", frames, layout=layout)
    before = films.contents(film)

    film.arrange(range(frames))

    assert films.contents(film) == before
    ((axes, stack),) = images(film)
    assert (axes, len(stack)) == ("tyx", frames)
    # It is said there what the frames were.
    told = b"".join(before.values())
    assert layout.text.encode() in told or b'"layout"' in told


@pytest.mark.parametrize(
    ("indices", "steps", "rest"),
    [
        ((*range(12),), 3, 0),
        ((*range(6), *range(7, 12)), 1, 7),
        ((1, 2, 3, 4, 5), 0, 5),
        ((*range(14),), 3, 2),
        ((), 0, 0),
    ],
)
def test_a_gap_ends_the_image_before_it(
    indices: tuple[int, ...], steps: int, rest: int
) -> None:
    """Frames behind it would be seen at places that are not theirs."""
    found = arrangement(LAYOUT, indices)

    expected = Arrangement((("t", steps), ("z", 2), ("c", 2)), rest) if steps else None
    assert found == expected


def test_a_film_with_a_gap_shows_every_frame_once(
    format_name: str, tmp_path: Path
) -> None:
    film = films.record(format_name, tmp_path / "movie", 11, layout=LAYOUT)

    film.arrange([*range(6), *range(7, 12)])

    (_axes, stack), (_axes2, rest) = images(film)
    assert (stack.size // 60, len(rest)) == (4, 7)
    assert (rest[0] == films.pixels(4)).all()
    assert verify(film.files, film.description, films.checksums(film, 11)).passed


def test_it_goes_on_as_frames_when_it_is_opened_again(
    format_name: str, tmp_path: Path
) -> None:
    film_of(format_name, tmp_path / "movie", 11)
    film = films.writer(format_name, tmp_path / "movie", layout=LAYOUT)

    assert film.reopen() == ""
    assert film.stored == 11
    films.append(film, 11, 12)
    film.finish()
    ((axes, stack),) = images(film)
    assert (axes, len(stack)) == ("tyx", 12)
    film.arrange(range(12))

    assert_is(film, 12)


class Killed(BaseException):
    """The process ends here."""


def die_after(changes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """End the process after so many changes on the disk."""
    left = [changes]
    names = ("make_folder", "link_file", "write_file", "replace_file", "remove")
    places: list[tuple[Any, str]] = [(OutputFolder, name) for name in names]
    for owner, name in [*places, (OutputFile, "write_at")]:
        monkeypatch.setattr(owner, name, _perhaps(getattr(owner, name), left))


def _perhaps(whole: Any, left: list[int]) -> Any:
    def change(self: Any, *arguments: Any, **more: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Killed
        whole(self, *arguments, **more)

    return change


@pytest.mark.parametrize("undoes", [False, True])
def test_every_frame_is_readable_wherever_a_kill_strikes(
    format_name: str, undoes: bool, tmp_path: Path
) -> None:
    changes, has_died = 0, True
    while has_died:
        base = tmp_path / str(changes) / "movie"
        base.parent.mkdir()
        film = films.record(format_name, base, 5, layout=LAYOUT)
        if undoes:
            film.arrange(range(5))
            film = films.writer(format_name, base, layout=LAYOUT)
        with pytest.MonkeyPatch.context() as patch:
            # Slow, and nothing is cut off here that it could save.
            patch.setattr(OutputFolder, "sync_file_system", lambda _self: None)
            die_after(changes, patch)
            try:
                film.reopen() if undoes else film.arrange(range(5))
                has_died = False
            except Killed:
                film.leave()
        # Readers see every frame, whether along the axes or not.
        assert sum(stack.size // 60 for _axes, stack in images(film)) == 5
        again = films.writer(format_name, base, layout=LAYOUT)
        assert (again.reopen(), again.stored) == ("", 5)
        again.finish()
        films.assert_holds(again, 5)
        again.arrange(range(5))
        assert_is(again, 5)
        changes += 1
    assert changes > 1


def test_where_a_file_cannot_have_two_names_the_film_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = films.record("ome-zarr", tmp_path / "movie", 12, layout=LAYOUT)
    before = films.contents(film)

    def refuse(_source: Path, _target: Path) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(StorageError, match="give it its axes: Operation not permitted"):
        film.arrange(range(12))

    assert films.contents(film) == before


def test_a_film_that_hal_has_no_time_for_stays_as_it_is(tmp_path: Path) -> None:
    film = films.record("ome-zarr", tmp_path / "movie", 12, layout=LAYOUT)
    before = films.contents(film)

    film.arrange(range(12), lambda: True)

    assert films.contents(film) == before


def test_a_group_that_says_neither_is_not_touched(tmp_path: Path) -> None:
    film = films.record("ome-zarr", tmp_path / "movie", 12, layout=LAYOUT)
    (film.files[0] / "zarr.json").write_text("{}")
    (film.files[0] / "0").mkdir()
    (film.files[0] / "0" / "zarr.json").write_text("{}")
    before = films.contents(film)

    with pytest.raises(StorageError, match="nothing was changed"):
        films.writer("ome-zarr", tmp_path / "movie", layout=LAYOUT).reopen()

    assert films.contents(film) == before


@pytest.mark.parametrize(
    "text", ["{}", '{"shape": 5}', '{"shape": [10000000, 1]}', "x"]
)
def test_an_array_that_says_no_size_is_not_touched(text: str, tmp_path: Path) -> None:
    film = film_of("ome-zarr", tmp_path / "movie", 12)
    (film.files[0] / "0" / "zarr.json").write_text(text)
    before = films.contents(film)

    with pytest.raises(StorageError, match="does not say how many frames"):
        films.writer("ome-zarr", tmp_path / "movie", layout=LAYOUT).reopen()

    assert films.contents(film) == before


def test_a_group_that_is_lost_is_written_again(tmp_path: Path) -> None:
    film = film_of("ome-zarr", tmp_path / "movie", 11)
    (film.files[0] / "zarr.json").write_text("{")

    again = films.writer("ome-zarr", tmp_path / "movie", layout=LAYOUT)
    again.reopen()
    again.finish()

    films.assert_holds(again, 11)


def test_attributes_that_somebody_added_survive_the_axes(tmp_path: Path) -> None:
    film = films.record("ome-zarr", tmp_path / "movie", 12, layout=LAYOUT)
    document = json.loads((film.files[0] / "zarr.json").read_text())
    document["attributes"]["mine"] = 1
    (film.files[0] / "zarr.json").write_text(json.dumps(document))

    film.arrange(range(12))

    assert json.loads((film.files[0] / "zarr.json").read_text())["attributes"]["mine"]
    assert_is(film, 12)


def test_a_film_is_recovered_along_its_axes(tmp_path: Path) -> None:
    films.left_film(tmp_path / "movie", *FORMATS, "dax", frames=9, layout=LAYOUT)

    reports = list(recover(tmp_path))

    assert [report.state for report in reports] == [*["complete"] * 3, "repaired"]
    for name in FORMATS:
        film = films.writer(name, tmp_path / "movie", layout=LAYOUT)
        assert_is(film, 9)
    assert len(films.found(tmp_path / "movie", "dax")) == 9
    assert list(recover(tmp_path)) == []


def test_all_formats_of_a_film_get_their_axes(tmp_path: Path) -> None:
    film = films.camera_film(tmp_path / "movie", *FORMATS, "dax", layout=LAYOUT)
    films.store(film, *range(12))
    film.finish()

    film.arrange()

    for writer in film.writers[:2]:
        assert_is(writer, 12)
    film.forget()
    names = {path.name for path in tmp_path.iterdir()}
    files = film_files(tmp_path / "movie", (*FORMATS, "dax"))
    assert names == {path.name for path in files}
    assert np.fromfile(files[2], "<u2").size == 12 * 60
    assert isinstance(film, CameraFilm)
