from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import ome_types
import pytest
import tifffile

from tests.storage import films

FULL: dict[str, Any] = {
    "pixel_size_um": 0.16,
    "exposure_s": 0.05,
    "frame_interval_s": 0.06,
    "stage_um": (12.5, -3.0),
    "started_wall_s": 1.7e9,
    "run_id": "01RUN",
    "simulated": True,
    "software": {"hal": "0.1", "numpy": "2.0"},
    "notes": 'Größe <1 & "µ" \x00 SizeT="0123456789"',
}


def xml(path: Path) -> str:
    text = tifffile.tiffcomment(path)
    assert isinstance(text, str)
    return text


@pytest.mark.parametrize("frames", [1, 2, 12])
def test_readers_see_an_ome_stack_of_all_frames(frames: int, tmp_path: Path) -> None:
    film = films.record("ome-tiff", tmp_path / "movie", frames, **FULL)

    with tifffile.TiffFile(film.files[0]) as tiff:
        assert tiff.is_ome
        assert tiff.is_bigtiff
        assert len(tiff.pages) == frames
        shape = tiff.series[0].get_shape(squeeze=False)
        assert shape[0] * shape[1] * shape[2] == frames
        # tifffile drops axes of length 1 by default.
        assert tiff.series[0].shape == ((frames, 6, 10) if frames > 1 else (6, 10))
    films.assert_holds(film, frames)


def test_the_ome_xml_is_valid_and_says_what_is_known(tmp_path: Path) -> None:
    film = films.record("ome-tiff", tmp_path / "movie", 3, **FULL)

    ome = ome_types.from_tiff(film.files[0])
    ome_types.validate_xml(xml(film.files[0]))
    image = ome.images[0]
    pixels = image.pixels
    assert (pixels.size_t, pixels.size_y, pixels.size_x) == (3, 6, 10)
    assert pixels.type.value == "uint16"
    assert (pixels.physical_size_x, pixels.physical_size_y) == (0.16, 0.16)
    assert pixels.physical_size_x_unit.value == "µm"
    assert pixels.time_increment == 0.06
    assert pixels.planes[0].exposure_time == 0.05
    assert (pixels.planes[0].position_x, pixels.planes[0].position_y) == (12.5, -3.0)
    assert image.name == "movie"
    assert image.description == "Simulated data"
    assert image.acquisition_date is not None
    assert image.acquisition_date.isoformat() == "2023-11-14T22:13:20+00:00"
    annotations = ome.structured_annotations
    assert annotations is not None
    facts = {m.k: m.value for m in annotations.map_annotations[0].value.ms}
    assert facts["run_id"] == "01RUN"
    assert facts["simulated"] == "true"
    assert facts["software.numpy"] == "2.0"
    assert facts["notes"] == 'Größe <1 & "µ" ? SizeT="0123456789"'


def test_a_film_of_which_little_is_known_is_valid_too(tmp_path: Path) -> None:
    film = films.record("ome-tiff", tmp_path / "movie", 2, planned=None)

    ome_types.validate_xml(xml(film.files[0]))
    assert ome_types.from_tiff(film.files[0]).images[0].pixels.size_t == 2


def test_the_ome_xml_is_valid_and_true_before_the_film_is_finished(
    tmp_path: Path,
) -> None:
    film = films.writer("ome-tiff", tmp_path / "movie")
    film.open()
    for frames in (1, 2, 10):
        films.append(film, film.stored, frames)
        ome_types.validate_xml(xml(film.files[0]))
        assert ome_types.from_tiff(film.files[0]).images[0].pixels.size_t == frames
    film.finish()


def test_more_frames_than_16_bits_can_count(tmp_path: Path) -> None:
    frames = 2**16 + 3
    film = films.writer("ome-tiff", tmp_path / "movie", shape=(1, 2))
    film.open()
    for index in range(frames):
        film.append(np.array([[index % 2**16, 7]], np.uint16), films.info(index))
    film.finish()

    with tifffile.TiffFile(film.files[0]) as tiff:
        assert tiff.series[0].shape == (frames, 1, 2)
        stack = tiff.series[0].asarray()
    assert (stack[:, 0, 0] == np.arange(frames) % 2**16).all()
    assert ome_types.from_tiff(film.files[0]).images[0].pixels.size_t == frames


@pytest.mark.parametrize(
    ("dtype", "name"),
    [
        ("uint8", "uint8"),
        ("uint32", "uint32"),
        ("int16", "int16"),
        ("float32", "float"),
        ("float64", "double"),
    ],
)
def test_other_pixel_types_keep_their_type(
    dtype: str, name: str, tmp_path: Path
) -> None:
    # 35 pixels: directories must stay aligned behind an odd number of bytes.
    film = films.record("ome-tiff", tmp_path / "movie", 3, dtype=dtype, shape=(5, 7))

    films.assert_holds(film, 3)
    with tifffile.TiffFile(film.files[0]) as tiff:
        assert tiff.pages[2].dtype == np.dtype(dtype)
        assert all(page.offset % 8 == 0 for page in tiff.pages)
    assert ome_types.from_tiff(film.files[0]).images[0].pixels.type.value == name


@pytest.mark.parametrize("pixel_size_um", [0.001, 0.16, 6.5, 1000.0])
def test_the_resolution_tag_agrees_with_the_pixel_size(
    pixel_size_um: float, tmp_path: Path
) -> None:
    film = films.record("ome-tiff", tmp_path / "m", 2, pixel_size_um=pixel_size_um)

    with tifffile.TiffFile(film.files[0]) as tiff:
        tags = tiff.pages[0].aspage().tags
        numerator, denominator = tags["XResolution"].value
        assert tags["ResolutionUnit"].value == tifffile.RESUNIT.CENTIMETER
    assert numerator / denominator == pytest.approx(1e4 / pixel_size_um, rel=1e-6)
