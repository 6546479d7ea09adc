"""`.ome.tiff` films: BigTIFF, one image directory (IFD) per frame.

Sources: TIFF 6.0; https://www.awaresystems.be/imaging/tiff/bigtiff.html ; OME-TIFF
specification. Written here rather than through a library, because the order of the
writes is the guarantee: pixels, then their directory, then the one link that makes
both part of the file. Tests and verification read it back with tifffile.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np

from hal.base import StorageError
from hal.frames import FrameInfo, Pixels
from hal.storage._arrangement import Arrangement, has_axes
from hal.storage._ome_xml import PIXEL_TYPES, arranged_xml, count_field, ome_xml
from hal.storage._tiff_chain import (
    FIRST_LINK,
    HEADER_BYTES,
    DescriptionEntry,
    aligned,
    description_entry,
    read_chain,
)
from hal.storage.description import FilmDescription
from hal.storage.writer import FrameWriter

_ASCII, _SHORT, _LONG, _RATIONAL, _LONG8 = 2, 3, 4, 5, 16
_SAMPLE_FORMAT = {"u": 1, "i": 2, "f": 3}
_CENTIMETRE = 3
_MOST_FRAMES = 10**12 - 1


class OmeTiffWriter(FrameWriter):
    """A stack any TIFF reader opens, at every moment of its making.

    The OME-XML stands at the start of the file. Its frame count (`SizeT`) is a field
    of fixed width that is corrected in place after each frame; everything else in it
    is known beforehand, so nothing remains to be written at the end. Only a film that
    follows a plan is then described again, along its axes, in room kept for that.
    """

    format = "ome-tiff"
    suffixes = (".ome.tiff",)
    dtypes: ClassVar[tuple[str, ...]] = tuple(PIXEL_TYPES)

    def __init__(
        self, base_path: Path, description: FilmDescription, *, overwrite: bool = False
    ) -> None:
        super().__init__(base_path, description, overwrite=overwrite)
        self._xml = ome_xml(description, base_path.name)
        self._xml_bytes = len(self._xml.text(0)) + 1
        self._name = base_path.name
        self._end = aligned(HEADER_BYTES + self._xml_bytes) + aligned(self._room)
        """Where the next frame goes."""
        self._link = FIRST_LINK
        """Where the position of the next frame's directory goes."""
        self._before = (self._end, self._link)
        """Both, as they were before the last frame."""
        height, width = description.shape
        self._frame_bytes = height * width * self._dtype.itemsize
        self._little = self._dtype.newbyteorder("<")

    def _do_open(self) -> None:
        self._files[0].write_at(0, self._head)

    @property
    def _head(self) -> bytes:
        """All that stands before the first frame."""
        header = struct.pack("<2sHHHQ", b"II", 43, 8, 0, 0)
        return (header + self._xml.text(0) + b"\0").ljust(self._end, b"\0")

    @property
    def _room(self) -> int:
        """Bytes kept free for the document that says the axes of a finished film."""
        layout = self.description.layout
        if layout is None or not has_axes(layout):
            return 0
        longest = Arrangement(layout.image_axes, _MOST_FRAMES)
        return len(arranged_xml(self.description, self._name, layout, longest)) + 1

    def _do_arrange(self, shares: Arrangement, should_stop: Callable[[], bool]) -> None:
        file, layout = self._files[0], self.description.layout
        entry = description_entry(file)
        at = aligned(HEADER_BYTES + self._xml_bytes)
        if entry is None or layout is None:
            raise OSError(errno.EIO, "the first frame is not where it was")
        text = arranged_xml(self.description, self._name, layout, shares) + b"\0"
        if len(text) > entry.pixels_at - at:
            raise OSError(errno.EFBIG, "there is no room for it before the first frame")
        file.write_at(at, text)
        file.sync()
        # Now one write makes readers see the other document.
        self._point_at(entry, at, len(text))
        file.sync()

    def _undo_arrangement(self) -> None:
        """Have readers see the document again that counts frames."""
        file = self._files[0]
        entry = description_entry(file)
        if entry is None or not HEADER_BYTES < entry.text_at < entry.pixels_at:
            return
        size = file.read_at(HEADER_BYTES, entry.text_at - HEADER_BYTES).find(b"\0") + 1
        if size:
            self._point_at(entry, HEADER_BYTES, size)

    def _point_at(self, entry: DescriptionEntry, at: int, size: int) -> None:
        changed = _entry(270, _ASCII, struct.pack("<Q", at), count=size)
        self._files[0].write_at(entry.entry_at, changed)

    def _do_reopen(self) -> list[str]:
        file = self._files[0]
        self._undo_arrangement()
        chain = read_chain(file, self._frame_bytes)
        if chain.frames:
            self._stored, self._xml = chain.frames, chain.xml
            self._xml_bytes = len(chain.xml.text(0)) + 1
            self._end, self._link, self._before = chain.end, chain.link, chain.before
        behind = file.size - self._end
        if behind > aligned(self._frame_bytes) + aligned(len(self._directory())):
            # Whole frames may be in there, that nothing leads to any more.
            raise StorageError(
                f"{self.files[0]}: is damaged behind frame {chain.frames}: "
                f"{behind} bytes follow that are no frame; nothing was changed"
            )
        if not chain.frames and behind > 0 and not self._has_our_head():
            raise StorageError(f"{self.files[0]}: begins otherwise than a film of ours")
        changes: list[str] = []
        if not chain.frames and not self._has_our_head():
            self._do_open()
            changes.append("beginning written again")
        if behind >= self._frame_bytes:
            # Written from front to end: its pixels are whole.
            self._join(self._directory())
            self._stored += 1
            changes.append("last frame completed")
        elif behind:
            self._do_undo()
            changes.append("an unfinished frame removed")
        count = count_field(self._stored)
        if file.read_at(self._count_at, len(count)) != count:
            self._write_count(self._stored)
            changes.append("frame count corrected")
        if file.read_at(self._link, 8) != bytes(8):
            file.write_at(self._link, bytes(8))
            changes.append("end of the film marked")
        return changes

    def _has_our_head(self) -> bool:
        there = self._files[0].read_at(0, self._end)
        # But for the link to the first frame.
        return [there[:FIRST_LINK], there[HEADER_BYTES:]] == [
            self._head[:FIRST_LINK],
            self._head[HEADER_BYTES:],
        ]

    def _do_append(self, pixels: Pixels, info: FrameInfo) -> None:
        data = pixels.astype(self._little, copy=False).data
        directory = self._directory()
        self._files[0].write_at(self._end, data, self._around(directory))
        self._join(directory, is_there=True)

    def _around(self, directory: bytes) -> bytes:
        """Return a directory with the padding before and behind it."""
        before = aligned(self._end + self._frame_bytes) - self._end - self._frame_bytes
        behind = aligned(len(directory)) - len(directory)
        return bytes(before) + directory + bytes(behind)

    def _join(self, directory: bytes, *, is_there: bool = False) -> None:
        """Make the pixels at `_end` a part of the film."""
        file = self._files[0]
        if not is_there:
            file.write_at(self._end + self._frame_bytes, self._around(directory))
        directory_at = aligned(self._end + self._frame_bytes)
        file.write_at(self._link, struct.pack("<Q", directory_at))
        self._write_count(self._stored + 1)
        self._before = (self._end, self._link)
        self._link = directory_at + len(directory) - 8
        self._end = directory_at + aligned(len(directory))

    def _do_step_back(self) -> None:
        self._end, self._link = self._before

    def _do_undo(self) -> None:
        file = self._files[0]
        self._write_count(self._stored)
        # Unlink first: a link into what is cut off would make the file unreadable.
        file.write_at(self._link, bytes(8))
        file.cut(self._end)

    def _write_count(self, frames: int) -> None:
        self._files[0].write_at(self._count_at, count_field(frames))

    @property
    def _count_at(self) -> int:
        return HEADER_BYTES + len(self._xml.before)

    def _directory(self) -> bytes:
        """Return the directory of the frame at `_end`, ending with an open link."""
        height, width = self.description.shape
        kind = self._dtype.kind
        entries = [
            _entry(256, _LONG, struct.pack("<I", width)),
            _entry(257, _LONG, struct.pack("<I", height)),
            _entry(258, _SHORT, struct.pack("<H", self._dtype.itemsize * 8)),
            _entry(259, _SHORT, struct.pack("<H", 1)),  # not compressed
            _entry(262, _SHORT, struct.pack("<H", 1)),  # zero is black
            _entry(273, _LONG8, struct.pack("<Q", self._end)),
            _entry(277, _SHORT, struct.pack("<H", 1)),  # samples per pixel
            _entry(278, _LONG, struct.pack("<I", height)),  # rows per strip: all
            _entry(279, _LONG8, struct.pack("<Q", self._frame_bytes)),
            _entry(339, _SHORT, struct.pack("<H", _SAMPLE_FORMAT[kind])),
        ]
        if not self._stored:
            at = struct.pack("<Q", HEADER_BYTES)
            entries.insert(5, _entry(270, _ASCII, at, count=self._xml_bytes))
        if self.description.pixel_size_um is not None:
            per_cm = _rational(1e4 / self.description.pixel_size_um)
            entries[-1:-1] = [
                _entry(282, _RATIONAL, per_cm),
                _entry(283, _RATIONAL, per_cm),
                _entry(296, _SHORT, struct.pack("<H", _CENTIMETRE)),
            ]
        return b"".join([struct.pack("<Q", len(entries)), *entries, bytes(8)])


def _entry(tag: int, kind: int, value: bytes, *, count: int = 1) -> bytes:
    """Return one entry; `value` is the value itself, or its place if it is longer."""
    return struct.pack("<HHQ", tag, kind, count) + value.ljust(8, b"\0")


def _rational(value: float) -> bytes:
    """Return `value` as two 32 bit numbers, as precisely as they can hold it."""
    denominator = 1
    while denominator < 10**6 and value * denominator * 10 < 2**32:
        denominator *= 10
    numerator = min(round(value * denominator), int(np.iinfo(np.uint32).max))
    return struct.pack("<II", numerator, denominator)
