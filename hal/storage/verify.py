"""Whether a film on disk is what the camera gave: checksums, and reading back.

What is read back may still come from the machine's memory rather than its disk: this
finds errors of writing, counting and format, not a medium that fails later.
"""

from __future__ import annotations

import contextlib
import json
import math
import struct
from abc import ABC, abstractmethod
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import xxhash

from hal.base import StorageError
from hal.frames import Pixels
from hal.storage.dax import DaxWriter
from hal.storage.description import FilmDescription
from hal.storage.ome_tiff import OmeTiffWriter
from hal.storage.ome_zarr import OmeZarrWriter

if TYPE_CHECKING:
    import tifffile

# What tifffile and our own parsing raise on files that are cut off or garbled.
_GARBLED = (
    *(OSError, ValueError, LookupError, TypeError, AttributeError),
    *(ArithmeticError, AssertionError, MemoryError, RuntimeError, struct.error),
)

FULL_BELOW_BYTES = 2 * 10**9
"""Films up to this size are read back whole, of larger ones about this much."""


_UNKNOWN = FilmDescription(camera="", shape=(1, 1))


def frame_checksum(pixels: Pixels) -> int:
    """Return the checksum of the values of a frame (XXH3, 64 bits)."""
    return xxhash.xxh3_64_intdigest(np.ascontiguousarray(pixels).data)


class FrameChecksums:
    """Index and checksum of every frame stored, in the order of the file.

    Runs on: one thread at a time. Takes 16 bytes per frame.
    """

    def __init__(self) -> None:
        self._indices = array("Q")
        self._checksums = array("Q")

    def __len__(self) -> int:
        return len(self._indices)

    def add(self, index: int, checksum: int) -> None:
        """Note the checksum of the frame stored next, by its index in the run."""
        self._indices.append(index)
        self._checksums.append(checksum)

    def at(self, position: int) -> tuple[int, int]:
        """Return (index in the run, checksum) of the frame at a place of the file."""
        return self._indices[position], self._checksums[position]


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """What reading a film back has shown."""

    stored: int
    """Frames that should be in the film."""
    found: int
    """Frames the file says it has."""
    checked: int
    """Frames read back."""
    mismatched: tuple[int, ...]
    """Index in the run of each frame that is missing or not as it was given."""
    stopped: bool = False
    """Whether it was told to stop before it was through."""

    @property
    def passed(self) -> bool:
        """Whether nothing wrong was found."""
        return not self.mismatched and self.found == self.stored


def verify(
    files: tuple[Path, ...],
    description: FilmDescription,
    checksums: FrameChecksums,
    *,
    full_below_bytes: int = FULL_BELOW_BYTES,
    should_stop: Callable[[], bool] = lambda: False,
) -> Verification:
    """Read a finished film back and compare it with its checksums.

    Does not use the code that wrote it. Above `full_below_bytes` so many frames are
    read, evenly spread, always with the first and the last.

    Runs on: worker.

    Args:
        files: As the writer names them.
        description: As the writer got it.
        checksums: As taken when the frames were stored.
        full_below_bytes: Films up to this size are read whole.
        should_stop: Asked before each frame.

    Raises:
        StorageError: The film cannot be read at all.
    """
    stored = len(checksums)
    if not stored:
        return Verification(stored=0, found=0, checked=0, mismatched=())
    checked = 0
    mismatched: list[int] = []
    stopped = False
    with contextlib.ExitStack() as stack:
        film = _open_film(files, description, stack)
        for position in _positions(stored, description, full_below_bytes):
            if should_stop():
                stopped = True
                break
            index, expected = checksums.at(position)
            if position >= film.found or film.checksum(position) != expected:
                mismatched.append(index)
            checked += 1
        found = film.found
    return Verification(
        stored=stored,
        found=found,
        checked=checked,
        mismatched=tuple(mismatched),
        stopped=stopped,
    )


def count_frames(files: tuple[Path, ...]) -> int:
    """Return how many frames a film says it has, to a reader that knows only the file.

    Raises:
        StorageError: The film cannot be read at all.
    """
    with contextlib.ExitStack() as stack:
        return _open_film(files, _UNKNOWN, stack).found


def _positions(
    stored: int, description: FilmDescription, full_below_bytes: int
) -> list[int]:
    height, width = description.shape
    frame_bytes = height * width * np.dtype(description.dtype).itemsize
    affordable = max(2, full_below_bytes // frame_bytes)
    if stored <= affordable:
        return list(range(stored))
    spread = np.linspace(0, stored - 1, affordable).round().astype(int)
    return [int(position) for position in spread]


class _Film(ABC):
    """A film as an independent reader sees it."""

    def __init__(self, description: FilmDescription) -> None:
        self.description = description
        self.found = 0

    def checksum(self, position: int) -> int | None:
        """Checksum of a frame; None if it has another form than was given."""
        try:
            pixels = self._pixels(position)
        except _GARBLED:
            # Not swallowed: it makes this frame a mismatch, which is reported.
            return None
        if pixels.shape != self.description.shape:
            return None
        as_given = pixels.astype(self.description.dtype, copy=False)
        if as_given.dtype != pixels.dtype and (as_given != pixels).any():
            # Written wider than it was given, and now too large for that.
            return None
        return frame_checksum(as_given)

    @abstractmethod
    def _pixels(self, position: int) -> Pixels:
        """Read one frame."""


class _DaxFilm(_Film):
    """By the `.inf` and numpy."""

    def __init__(self, files: tuple[Path, ...], description: FilmDescription) -> None:
        super().__init__(description)
        self._path, inf = files
        lines = dict(
            line.split(" = ", 1) for line in inf.read_text("ascii").splitlines()
        )
        width, height = map(int, lines["frame dimensions"].split(" x "))
        self._shape = (height, width)
        self.found = int(lines["number of frames"])

    def _pixels(self, position: int) -> Pixels:
        height, width = self._shape
        offset = position * height * width * 2
        pixels = np.fromfile(self._path, "<u2", count=height * width, offset=offset)
        return pixels.reshape(self._shape)


class _TiffFilm(_Film):
    """By tifffile: the page chain for the pixels, the OME-XML for the count."""

    def __init__(self, tiff: tifffile.TiffFile, description: FilmDescription) -> None:
        super().__init__(description)
        self._pages = tiff.pages
        # Of a film along the axes of a plan, what does not fill them is a series more.
        series = tiff.series if tiff.is_ome else []
        in_xml = sum(each.size // max(1, each.keyframe.size) for each in series)
        self.found = min(in_xml, len(self._pages))

    def _pixels(self, position: int) -> Pixels:
        return self._pages[position].asarray()


class _ZarrFilm(_Film):
    """By the documents of the folder and numpy: one plain file for each frame."""

    def __init__(self, folder: Path, description: FilmDescription) -> None:
        super().__init__(description)
        group = json.loads((folder / "zarr.json").read_bytes())
        image = group["attributes"]["ome"]
        kind = (group["zarr_format"], group["node_type"], image["version"])
        if kind != (3, "group", "0.5"):
            raise ValueError("the group is not described as expected")
        # In which order frames were taken, if not along one axis.
        layout = group["attributes"]["hal"].get("layout") or {"axes": []}
        taken = [axis for axis, _size in layout["axes"]]
        self._arrays = [_ZarrArray(folder, m, taken) for m in image["multiscales"]]
        self.found = sum(array.frames for array in self._arrays)

    def _pixels(self, position: int) -> Pixels:
        for part in self._arrays:
            if position < part.frames:
                return part.pixels(position)
            position -= part.frames
        raise IndexError(position)


class _ZarrArray:
    """One array of a film, its frames in the order in which they were taken."""

    def __init__(
        self, group: Path, multiscale: dict[str, Any], taken: list[str]
    ) -> None:
        (dataset,) = multiscale["datasets"]
        self._folder = group / dataset["path"]
        array = json.loads((self._folder / "zarr.json").read_bytes())
        *sizes, height, width = array["shape"]
        *self._names, _y, _x = names = [axis["name"] for axis in multiscale["axes"]]
        self._sizes = dict(zip(self._names, sizes, strict=True))
        self._taken = [axis for axis in taken if axis in self._sizes]
        if len(sizes) == 1:
            self._taken = self._names
        self.frames = math.prod(sizes)
        self._shape = (height, width)
        self._dtype = np.dtype(array["data_type"]).newbyteorder("<")
        wide = {"configuration": {"endian": "little"}}
        codec = {"name": "bytes"} | (wide if self._dtype.itemsize > 1 else {})
        # Anything else may mean other pixels to other readers, or nothing at all.
        expected = {
            "zarr_format": 3,
            "node_type": "array",
            "shape": [*sizes, height, width],
            "data_type": array["data_type"],
            "chunk_grid": {
                "name": "regular",
                "configuration": {"chunk_shape": [*[1] * len(sizes), height, width]},
            },
            "chunk_key_encoding": {
                "name": "default",
                "configuration": {"separator": "/"},
            },
            "fill_value": 0,
            "codecs": [codec],
            "dimension_names": names,
            "attributes": {},
        }
        in_order = [axis for axis in "tcz" if axis in self._sizes]
        if array != expected or names != [*in_order, "y", "x"]:
            raise ValueError("the array is not described as expected")

    def pixels(self, position: int) -> Pixels:
        """Read one frame."""
        sizes = [self._sizes[axis] for axis in self._taken]
        at = dict(zip(self._taken, np.unravel_index(position, sizes), strict=True))
        chunk = self._folder.joinpath("c", *(str(at[name]) for name in self._names))
        chunk = chunk / "0" / "0"
        if chunk.stat().st_size != math.prod(self._shape) * self._dtype.itemsize:
            raise ValueError("the chunk has another size than a frame")
        return np.fromfile(chunk, self._dtype).reshape(self._shape)


def _open_film(
    files: tuple[Path, ...], description: FilmDescription, stack: contextlib.ExitStack
) -> _Film:
    path = files[0]
    try:
        if path.name.endswith(DaxWriter.suffixes[0]):
            return _DaxFilm(files, description)
        if path.name.endswith(OmeZarrWriter.suffixes[0]):
            return _ZarrFilm(path, description)
        if path.name.endswith(OmeTiffWriter.suffixes[0]):
            # Slow to import, and needed only now.
            import tifffile

            tiff = stack.enter_context(tifffile.TiffFile(path))
            return _TiffFilm(tiff, description)
    except _GARBLED as exc:
        raise StorageError(f"{path}: cannot be read back: {exc}") from exc
    raise StorageError(f"{path}: no way to read this format back")
