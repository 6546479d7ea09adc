"""`.ome.zarr` films: OME-Zarr (NGFF 0.5), a folder with one file per frame.

Written here rather than through a library, because the order of the writes is the
guarantee: the pixels of a frame, then the one number that makes them part of the film.
A library enlarges the array first: killed in between, or on a full disk, it leaves
frames of zeros that nobody took. Tests read it with zarr and tensorstore.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from hal.base import StorageError
from hal.frames import FrameInfo, Pixels
from hal.storage._ome_xml import PIXEL_TYPES
from hal.storage._ome_zarr_json import (
    ARRAY,
    ARRAY_FILE,
    GROUP_FILE,
    array_json,
    count_field,
    group_json,
    is_json,
)
from hal.storage._output import Output
from hal.storage._output_folder import OutputFolder
from hal.storage.description import FilmDescription
from hal.storage.disk import film_bytes
from hal.storage.writer import FrameWriter

_CHUNKS = f"{ARRAY}/c"
_BLOCK_BYTES = 4096


class OmeZarrWriter(FrameWriter):
    """An array that any Zarr 3 reader opens, at every moment of its making.

    Its length stands in `0/zarr.json`, in a field of fixed width that is corrected in
    place after each frame: readers never see a frame that is not whole.
    """

    format = "ome-zarr"
    suffixes = (".ome.zarr",)
    dtypes: ClassVar[tuple[str, ...]] = tuple(PIXEL_TYPES)

    def __init__(
        self, base_path: Path, description: FilmDescription, *, overwrite: bool = False
    ) -> None:
        super().__init__(base_path, description, overwrite=overwrite)
        self._array = array_json(description)
        self._group = group_json(description, base_path.name)
        height, width = description.shape
        self._frame_bytes = height * width * self._dtype.itemsize
        self._little = self._dtype.newbyteorder("<")
        self._synced = 0

    @classmethod
    def size_bytes(cls, shape: tuple[int, int], dtype: str, frames: int) -> int:
        """Return how much room a film takes on a disk, to about 1 %."""
        # Each frame is a file in two folders of its own, all in whole blocks.
        blocks = -(-film_bytes(shape, dtype, 1) // _BLOCK_BYTES) + 2
        return blocks * _BLOCK_BYTES * frames

    def _make_outputs(
        self, paths: Sequence[Path], *, overwrite: bool
    ) -> tuple[Output, ...]:
        self._folder = OutputFolder(paths[0], overwrite=overwrite, mark=GROUP_FILE)
        return (self._folder,)

    def _do_open(self) -> None:
        self._folder.make_folder(ARRAY)
        self._folder.make_folder(_CHUNKS)
        self._folder.write_file(ARRAY_FILE, self._array.text(0))
        self._folder.write_file(GROUP_FILE, self._group)

    def _do_append(self, pixels: Pixels, info: FrameInfo) -> None:
        folder = f"{_CHUNKS}/{self._stored}"
        self._folder.make_folder(folder)
        self._folder.make_folder(f"{folder}/0")
        data = pixels.astype(self._little, copy=False).data
        self._folder.write_file(_chunk(self._stored), data)
        self._write_count(self._stored + 1)

    def _do_step_back(self) -> None:
        self._synced = min(self._synced, self._stored)

    def _do_undo(self) -> None:
        self._write_count(self._stored)
        self._folder.remove(f"{_CHUNKS}/{self._stored}")

    def _do_reopen(self) -> list[str]:
        changes: list[str] = []
        found = sorted(int(n) for n in self._folder.names_in(_CHUNKS) if n.isdecimal())
        # One that is too long is damaged, but no rest: verification names it.
        whole = [
            position
            for position in found
            if (self._folder.size_of(_chunk(position)) or 0) >= self._frame_bytes
        ]
        self._stored = whole[-1] + 1 if whole else 0
        rests = [position for position in found if position >= self._stored]
        if len(rests) > 1:
            raise StorageError(
                f"{self.files[0]}: {len(rests)} frames have another size than "
                f"{self._frame_bytes} bytes: this is not what a killed writer leaves"
            )
        self._folder.make_folder(ARRAY)
        self._folder.make_folder(_CHUNKS)
        if self._folder.read_file(ARRAY_FILE) != self._array.text(self._stored):
            self._folder.replace_file(ARRAY_FILE, self._array.text(self._stored))
            changes.append("frame count corrected")
        if not is_json(self._folder.read_file(GROUP_FILE)):
            self._folder.replace_file(GROUP_FILE, self._group)
            changes.append("description written again")
        for position in rests:
            self._folder.remove(f"{_CHUNKS}/{position}")
            changes.append("an unfinished frame removed")
        return changes

    def _do_sync(self) -> None:
        stored = self._stored  # frames are stored meanwhile
        # Thousands of files one by one would have the device seek for each.
        self._folder.sync_file_system()
        self._folder.sync()
        for position in range(self._synced, stored):
            self._folder.sync_file(_chunk(position))
        self._folder.sync_file(ARRAY_FILE)
        self._folder.sync_file(GROUP_FILE)
        self._synced = stored

    def _write_count(self, frames: int) -> None:
        at = len(self._array.before)
        self._folder.write_file(ARRAY_FILE, count_field(frames), at=at)


def _chunk(position: int) -> str:
    return f"{_CHUNKS}/{position}/0/0"
