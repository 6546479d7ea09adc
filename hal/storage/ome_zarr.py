"""`.ome.zarr` films: OME-Zarr (NGFF 0.5), a folder with one file per frame.

Written here rather than through a library, because the order of the writes is the
guarantee: the pixels of a frame, then the one number that makes them part of the film.
A library enlarges the array first: killed in between, or on a full disk, it leaves
frames of zeros that nobody took. Tests read it with zarr and tensorstore.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from hal.base import StorageError
from hal.frames import FrameInfo, Pixels
from hal.storage._arrangement import Arrangement, has_axes
from hal.storage._ome_xml import PIXEL_TYPES
from hal.storage._ome_zarr_json import (
    ARRAY,
    FRAMES,
    GROUP_FILE,
    REST,
    arranged_json,
    array_json,
    count_field,
    first_path,
    group_json,
    is_json,
    sizes_of,
)
from hal.storage._output import Output
from hal.storage._output_folder import OutputFolder
from hal.storage.description import FilmDescription
from hal.storage.disk import film_bytes
from hal.storage.writer import FrameWriter

_BLOCK_BYTES = 4096


class OmeZarrWriter(FrameWriter):
    """An array that any Zarr 3 reader opens, at every moment of its making.

    Its length stands in `0/zarr.json`, in a field of fixed width that is corrected in
    place after each frame: readers never see a frame that is not whole.

    A film that gets the axes of its plan lies in `frames` until then. Its chunks are
    linked to their new places, the group's document is replaced, and `frames` removed:
    readers see all of the one or all of the other. Where a file system has no links, it
    stays as it is.
    """

    format = "ome-zarr"
    suffixes = (".ome.zarr",)
    dtypes: ClassVar[tuple[str, ...]] = tuple(PIXEL_TYPES)

    def __init__(
        self, base_path: Path, description: FilmDescription, *, overwrite: bool = False
    ) -> None:
        super().__init__(base_path, description, overwrite=overwrite)
        self._name = base_path.name
        self._array = array_json(description)
        self._place = FRAMES if has_axes(description.layout) else ARRAY
        """Folder of the frames while they are recorded."""
        self._array_file = f"{self._place}/zarr.json"
        self._group = group_json(description, self._name, self._place)
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
        self._folder.make_folder(self._place)
        self._folder.make_folder(f"{self._place}/c")
        self._folder.write_file(self._array_file, self._array.text(0))
        self._folder.write_file(GROUP_FILE, self._group)

    def _do_append(self, pixels: Pixels, info: FrameInfo) -> None:
        folder = f"{self._place}/c/{self._stored}"
        self._folder.make_folder(folder)
        self._folder.make_folder(f"{folder}/0")
        data = pixels.astype(self._little, copy=False).data
        self._folder.write_file(_chunk(self._place, self._stored), data)
        self._write_count(self._stored + 1)

    def _do_step_back(self) -> None:
        self._synced = min(self._synced, self._stored)

    def _do_undo(self) -> None:
        self._write_count(self._stored)
        self._folder.remove(f"{self._place}/c/{self._stored}")

    def _do_arrange(self, shares: Arrangement, should_stop: Callable[[], bool]) -> None:
        folder = self._folder
        if self._place == ARRAY:
            return
        self._remove_arrangement()
        try:
            for name, sizes in _arrays(shares):
                axes = shares.ngff_axes if name == ARRAY else "t"
                document = array_json(self.description, axes, sizes).before
                folder.make_folder(name)
                folder.write_file(f"{name}/zarr.json", document)
            for position, chunk in enumerate(_chunks(shares)):
                if should_stop():
                    self._remove_arrangement()
                    return
                folder.link_file(_chunk(FRAMES, position), chunk)
            self._describe(shares)
        except OSError:
            self._remove_arrangement()
            raise
        # Readers see it now: from here on nothing of it may be removed.
        folder.sync_file(GROUP_FILE)
        with contextlib.suppress(OSError):  # a rest harms nobody
            folder.remove(FRAMES)

    @property
    def _is_arranged(self) -> bool:
        said = first_path(self._folder.read_file(GROUP_FILE))
        if said in (ARRAY, FRAMES):
            return said == ARRAY
        array, frames = (
            self._folder.size_of(f"{name}/zarr.json") is not None
            for name in (ARRAY, FRAMES)
        )
        if array and frames:
            raise StorageError(
                f"{self.files[0]}: '{GROUP_FILE}' does not say which of '{ARRAY}' and "
                f"'{FRAMES}' is the film; nothing was changed"
            )
        return array

    def _undo_arrangement(self) -> None:
        """Put the frames of a film that was finished along one axis again."""
        folder, layout = self._folder, self.description.layout
        if self._place == ARRAY or layout is None:
            return
        if not self._is_arranged:
            self._remove_arrangement()
            return
        # Only the outermost axis may be shorter than planned.
        (outer, planned), *inner = layout.image_axes
        at = Arrangement(layout.image_axes, 0).ngff_axes.index(outer)
        sizes = sizes_of(folder.read_file(f"{ARRAY}/zarr.json"))
        if at >= len(sizes) or not 0 < sizes[at] <= planned:
            raise StorageError(
                f"{self.files[0]}: '{ARRAY}/zarr.json' does not say how many frames "
                "there are; nothing was changed"
            )
        rest = [int(n) for n in folder.names_in(f"{REST}/c") if n.isdecimal()]
        shares = Arrangement(((outer, sizes[at]), *inner), max(rest, default=-1) + 1)
        folder.remove(FRAMES)
        folder.make_folder(FRAMES)
        for position, chunk in enumerate(_chunks(shares)):
            # One that is gone is for the verification to find.
            if folder.size_of(chunk) is not None:
                folder.link_file(chunk, _chunk(FRAMES, position))
        count = shares.whole + shares.rest
        folder.write_file(self._array_file, self._array.text(count))
        self._describe(None)
        folder.sync_file(GROUP_FILE)
        self._remove_arrangement()

    def _describe(self, shares: Arrangement | None) -> None:
        """Have readers see other arrays, in one step, once the device has them."""
        self._folder.sync_file_system()
        group = self._folder.read_file(GROUP_FILE)
        group = group if first_path(group) else self._group
        said = arranged_json(group, self.description, self._name, shares)
        self._folder.replace_file(GROUP_FILE, said)

    def _remove_arrangement(self) -> None:
        self._folder.remove(ARRAY)
        self._folder.remove(REST)

    def _do_reopen(self) -> list[str]:
        self._undo_arrangement()
        changes: list[str] = []
        found = sorted(
            int(n) for n in self._folder.names_in(f"{self._place}/c") if n.isdecimal()
        )
        # One that is too long is damaged, but no rest: verification names it.
        whole = [
            position
            for position in found
            if (self._folder.size_of(_chunk(self._place, position)) or 0)
            >= self._frame_bytes
        ]
        self._stored = whole[-1] + 1 if whole else 0
        rests = [position for position in found if position >= self._stored]
        if len(rests) > 1:
            raise StorageError(
                f"{self.files[0]}: {len(rests)} frames have another size than "
                f"{self._frame_bytes} bytes: this is not what a killed writer leaves"
            )
        self._folder.make_folder(self._place)
        self._folder.make_folder(f"{self._place}/c")
        if self._folder.read_file(self._array_file) != self._array.text(self._stored):
            self._folder.replace_file(self._array_file, self._array.text(self._stored))
            changes.append("frame count corrected")
        if not is_json(self._folder.read_file(GROUP_FILE)):
            self._folder.replace_file(GROUP_FILE, self._group)
            changes.append("description written again")
        for position in rests:
            self._folder.remove(f"{self._place}/c/{position}")
            changes.append("an unfinished frame removed")
        return changes

    def _do_sync(self) -> None:
        stored = self._stored  # frames are stored meanwhile
        # Thousands of files one by one would have the device seek for each.
        self._folder.sync_file_system()
        self._folder.sync()
        for position in range(self._synced, stored):
            self._folder.sync_file(_chunk(self._place, position))
        self._folder.sync_file(self._array_file)
        self._folder.sync_file(GROUP_FILE)
        self._synced = stored

    def _write_count(self, frames: int) -> None:
        at = len(self._array.before)
        self._folder.write_file(self._array_file, count_field(frames), at=at)


def _arrays(shares: Arrangement) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the folder of each array, and how long the axes of its frames are."""
    yield ARRAY, tuple(shares.size(axis) for axis in shares.ngff_axes)
    if shares.rest:
        yield REST, (shares.rest,)


def _chunks(shares: Arrangement) -> Iterator[str]:
    """Yield the chunk of each frame, in the order in which they were taken."""
    for frame in range(shares.whole):
        yield _chunk(ARRAY, *shares.place(frame))
    for frame in range(shares.rest):
        yield _chunk(REST, frame)


def _chunk(array: str, *place: int) -> str:
    return "/".join([array, "c", *map(str, place), "0", "0"])
