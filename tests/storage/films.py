"""Films for the tests of storage: every frame different, and known beforehand."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from hal.frames import FrameInfo
from hal.storage import (
    CameraFilm,
    FilmDescription,
    FrameChecksums,
    FrameWriter,
    JournalHead,
    Sidecar,
    film_files,
    frame_checksum,
)
from hal.storage import make_writer as make

DESCRIPTION = FilmDescription(camera="camera1", shape=(6, 10), planned=5)


def pixels(index: int, description: FilmDescription = DESCRIPTION) -> Any:
    """Frame number `index` of every film here."""
    rng = np.random.default_rng(index)
    return rng.integers(0, 250, description.shape).astype(description.dtype)


def info(index: int, description: FilmDescription = DESCRIPTION) -> FrameInfo:
    return FrameInfo(
        camera=description.camera,
        index=index,
        event_index=index,
        host_s=index * 0.01,
        exposure_s=0.01,
        shape=description.shape,
        dtype=description.dtype,
    )


def writer(
    format_name: str, base: Path, *, overwrite: bool = False, **changes: Any
) -> FrameWriter:
    description = msgspec.structs.replace(DESCRIPTION, **changes)
    return make(format_name, base, description, overwrite=overwrite)


def append(film: FrameWriter, first: int, stop: int) -> None:
    for index in range(first, stop):
        film.append(pixels(index, film.description), info(index, film.description))


def record(
    format_name: str,
    base: Path,
    frames: int,
    *,
    overwrite: bool = False,
    **changes: Any,
) -> FrameWriter:
    """Record and close a whole film."""
    film = writer(format_name, base, overwrite=overwrite, **changes)
    film.open()
    append(film, 0, frames)
    film.finish()
    return film


def checksums(film: FrameWriter, frames: int) -> FrameChecksums:
    sums = FrameChecksums()
    for index in range(frames):
        sums.add(index, frame_checksum(pixels(index, film.description)))
    return sums


def head(
    stem: Path, *formats: str, overwrite: bool = False, **more: Any
) -> JournalHead:
    """What the journal says first of a film with one camera."""
    description = msgspec.structs.replace(DESCRIPTION, **more)
    sidecar = Sidecar(
        run_id=description.run_id,
        state="running",
        frames=0,
        started_wall_s=1.0,
        duration_s=0.0,
        simulated=True,
        software={"hal": "1"},
        files=tuple(path.name for path in film_files(stem, formats)),
    )
    return JournalHead(
        base=stem.name,
        formats=formats,
        overwrite=overwrite,
        description=description,
        sidecar=sidecar,
    )


def camera_film(stem: Path, *formats: str, **more: Any) -> CameraFilm:
    """A film with its journal, open."""
    return CameraFilm.create(stem, head(stem, *formats, **more))


def store(film: CameraFilm, *indices: int) -> None:
    description = film.head.description
    for index in indices:
        film.store(pixels(index, description), info(index, description), pytest.fail)


def left_film(stem: Path, *formats: str, frames: int = 6, **more: Any) -> None:
    """Leave a film as if its recorder had been killed after some frames."""
    film = camera_film(stem, *formats, **more)
    store(film, *range(frames))
    film.leave()


def found(stem: Path, format_name: str) -> list[Any]:
    """All frames of a film, as a user's own script would read them."""
    return read_files(format_name, film_files(stem, (format_name,)))


def read(film: FrameWriter) -> list[Any]:
    """All frames, as a user's own script would read them."""
    return read_files(film.format, film.files)


def read_files(format_name: str, files: tuple[Path, ...]) -> list[Any]:
    if format_name == "dax":
        lines = dict(line.split(" = ") for line in files[1].read_text().splitlines())
        width, height = map(int, lines["frame dimensions"].split(" x "))
        frames = int(lines["number of frames"])
        data = np.fromfile(files[0], "<u2", count=frames * height * width)
        return list(data.reshape(frames, height, width))
    if format_name == "ome-zarr":
        # Not zarr itself, whose threads stay for good; see test_ome_zarr.py.
        import tensorstore

        group = json.loads((files[0] / "zarr.json").read_text())
        (image,) = group["attributes"]["ome"]["multiscales"]
        path = image["datasets"][0]["path"]
        place = {"driver": "file", "path": str(files[0] / path)}
        spec = {"driver": "zarr3", "kvstore": place}
        return list(tensorstore.open(spec).result().read().result())
    import tifffile

    with tifffile.TiffFile(files[0]) as tiff:
        stack = tiff.series[0].asarray()
        return list(stack.reshape(-1, *stack.shape[-2:]))


def contents(*films: FrameWriter) -> dict[Path, bytes]:
    """Everything in the files of films, also where a film is a folder."""
    paths = [path for film in films for path in film.files]
    inner = [path for folder in paths for path in sorted(folder.rglob("*"))]
    return {path: path.read_bytes() for path in [*paths, *inner] if path.is_file()}


def pixel_file(film: FrameWriter, frame: int = 0) -> Path:
    """The file that holds the pixels of a frame."""
    if film.format == "ome-zarr":
        return film.files[0] / "0" / "c" / str(frame) / "0" / "0"
    return film.files[0]


def tiff_chain(path: Path) -> int:
    """Count the directories of a BigTIFF as a strict reader would follow them."""
    data = path.read_bytes()
    assert data[:8] == b"II\x2b\x00\x08\x00\x00\x00"
    count, link = 0, 8
    while at := struct.unpack_from("<Q", data, link)[0]:
        assert at % 8 == 0
        (entries,) = struct.unpack_from("<Q", data, at)
        assert 10 <= entries <= 14
        for entry in range(entries):
            tag, _, size, value = struct.unpack_from("<HHQQ", data, at + 8 + 20 * entry)
            if tag == 270:
                assert value + size <= len(data)
            if tag == 273:
                # Whatever a directory speaks of is before it.
                assert value < at
        link = at + 8 + 20 * entries
        count += 1
    return count


def assert_holds(film: FrameWriter, frames: int) -> None:
    """The film on disk is exactly the first `frames` frames."""
    found = read(film)
    assert len(found) == frames
    if film.format == "ome-tiff":
        assert tiff_chain(film.files[0]) == frames
    for index, frame in enumerate(found):
        assert (frame == pixels(index, film.description)).all(), f"frame {index}"
