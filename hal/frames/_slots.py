"""The memory of a ring, and who may touch which slot; writer and readers share it."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from hal.base import BadInput
from hal.frames.frame import Frame, FrameInfo, Pixels

MIN_SLOTS = 2
"""One being filled and one to read."""

_BEING_WRITTEN = -1


class Cursor:
    """Where one reader stands. Fields are touched only under the table's lock."""

    def __init__(self, name: str, position: int, *, lossless: bool) -> None:
        self.name = name
        self.position = position
        """Sequence number of the first frame not yet released (or not yet seen)."""
        self.lossless = lossless
        self.open = True
        self.wake = threading.Event()


class SlotTable:
    """Preallocated slots with a sequence number each.

    Runs on: any; whoever reads or changes a field holds `lock`, for microseconds only.
    Pixels are read and written outside the lock: a lossless cursor protects them, and
    a copy is checked afterwards by `still_holds`.
    """

    def __init__(self, shape: tuple[int, int], dtype: np.dtype[Any], slots: int):
        if slots < MIN_SLOTS or min(shape) < 1:
            raise BadInput(
                f"a ring of {slots} slots of {shape[1]}x{shape[0]} px is not possible: "
                f"expected at least {MIN_SLOTS} slots and 1x1 px"
            )
        self.lock = threading.Lock()
        memory = np.empty((slots, *shape), dtype)
        # Pages are touched now: otherwise the first round of frames pays for them.
        memory.fill(0)
        self.slots = slots
        self.nbytes = memory.nbytes
        self.writable: list[Pixels] = list(memory)
        memory.flags.writeable = False
        self._views: list[Pixels] = list(memory)
        self._infos: list[FrameInfo | None] = [None] * slots
        self._sequence = [_BEING_WRITTEN] * slots
        self.published = 0
        """Frames put so far; the next one gets this sequence number."""
        self.reserved = False
        self.ended = False
        self.error: str | None = None
        self.cursors: dict[str, Cursor] = {}
        self.space = threading.Event()
        """Set whenever the writer should look again for a free slot."""
        self.woken = False
        """Whether the writer should stop looking."""

    def oldest(self) -> int:
        """Sequence number of the oldest frame that is still whole."""
        return max(0, self.published + self.reserved - self.slots)

    def is_free(self) -> bool:
        """Whether the next slot holds nothing that a lossless reader still needs."""
        return all(
            self.published - cursor.position < self.slots
            for cursor in self.cursors.values()
            if cursor.lossless
        )

    def take_next(self) -> Pixels:
        """Give the writer its slot; from now on nobody mistakes it for a frame."""
        slot = self.published % self.slots
        self.reserved = True
        self._sequence[slot] = _BEING_WRITTEN
        return self.writable[slot]

    def publish(self, info: FrameInfo) -> None:
        """Make the slot last taken a frame."""
        slot = self.published % self.slots
        self._infos[slot] = info
        self._sequence[slot] = self.published
        self.published += 1
        self.reserved = False

    def frame(self, sequence: int) -> Frame:
        """Return a published frame as a read-only view."""
        slot = sequence % self.slots
        info = self._infos[slot]
        assert info is not None
        return Frame(info, self._views[slot])

    def still_holds(self, sequence: int) -> bool:
        """Whether a copy made until now is of that frame, untorn."""
        return self._sequence[sequence % self.slots] == sequence

    def wake_readers(self) -> None:
        """Let every waiting reader look again."""
        for cursor in self.cursors.values():
            cursor.wake.set()
