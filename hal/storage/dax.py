"""`.dax` films: raw pixels, with a small text file `.inf` that says how many.

Source of the format: storm-control's film files, as its readers (storm-analysis,
ImageJ macros, MATLAB scripts) expect them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from hal.frames import FrameInfo, Pixels
from hal.storage._arrangement import Arrangement
from hal.storage.description import FilmDescription
from hal.storage.disk import film_bytes
from hal.storage.writer import FrameWriter


def inf_text(description: FilmDescription, frames: int) -> str:
    """Return the `.inf` of a film with so many frames: 8 lines, coordinates from 1."""
    height, width = description.shape
    binning = description.binning
    x_start = description.roi_x_px // binning + 1
    y_start = description.roi_y_px // binning + 1
    return (
        f"binning = {binning} x {binning}\n"
        "data type = 16 bit integers (binary, little endian)\n"
        f"frame dimensions = {width} x {height}\n"
        f"number of frames = {frames}\n"
        f"x_start = {x_start}\n"
        f"x_end = {x_start + width - 1}\n"
        f"y_start = {y_start}\n"
        f"y_end = {y_start + height - 1}\n"
    )


class DaxWriter(FrameWriter):
    """Frames one after the other, row by row, 16 bit little-endian, nothing else.

    Pixels of 8 bits are widened, values unchanged.

    The `.inf` is written when the film is opened and, in place, after each frame: it
    is always right, also after a SIGKILL, and its few bytes are there before the disk
    is full. (A write within one page is not torn by a signal. Where a frame is taken
    back it may shrink by a character: for a moment its last line has no end.)
    """

    format = "dax"
    suffixes = (".dax", ".inf")
    dtypes: ClassVar[tuple[str, ...]] = ("uint16", "uint8")

    @classmethod
    def size_bytes(cls, shape: tuple[int, int], dtype: str, frames: int) -> int:
        """Return how much room a film takes on a disk, to about 1 %."""
        return film_bytes(shape, "uint16", frames)

    def _do_open(self) -> None:
        self._write_inf(0)

    def _do_reopen(self) -> list[str]:
        data, inf = self._files
        changes: list[str] = []
        height, width = self.description.shape
        # Written from front to end: what is there of a frame are its first rows.
        self._stored, rest = divmod(data.size, height * width * 2)
        if rest:
            data.cut(self._data_bytes())
            changes.append(f"{rest} bytes of an unfinished frame removed")
        text = inf_text(self.description, self._stored).encode("ascii")
        if inf.read_at(0, len(text) + 1) != text:
            self._write_inf(self._stored)
            inf.cut(len(text))
            changes.append("frame count corrected")
        return changes

    def _do_append(self, pixels: Pixels, info: FrameInfo) -> None:
        data, _ = self._files
        data.write_at(self._data_bytes(), pixels.astype("<u2", copy=False).data)
        self._write_inf(self._stored + 1)

    def _do_arrange(self, shares: Arrangement, should_stop: Callable[[], bool]) -> None:
        pass  # the format knows frames only

    def _do_step_back(self) -> None:
        pass  # the position of a frame follows from its number

    def _do_undo(self) -> None:
        data, inf = self._files
        # Cut first: a missing line end disturbs fewer readers than an empty line.
        inf.cut(len(inf_text(self.description, self._stored)))
        self._write_inf(self._stored)
        data.cut(self._data_bytes())

    def _data_bytes(self) -> int:
        height, width = self.description.shape
        return self._stored * height * width * 2

    def _write_inf(self, frames: int) -> None:
        _, inf = self._files
        inf.write_at(0, inf_text(self.description, frames).encode("ascii"))
