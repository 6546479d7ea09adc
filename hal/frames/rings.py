"""All rings of HAL, within one budget of memory."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import Final

import numpy as np
import numpy.typing as npt
import psutil

from hal.base import BadInput, Clock, StateError, one_of
from hal.frames._memory import MIN_SLOTS, Place
from hal.frames.ring import FrameRing

_USUAL_BYTES = 64 * 2**20
_USUAL_FRAMES = 8
_MOST_SLOTS = 4096
KEEP_S: Final = 20.0
"""So long the frames that a dead process had to read wait for its successor."""


class FrameRings(ABC):
    """Where a module finds rings, whatever process it is in.

    Runs on: any, except where the pipe to HAL is read.
    """

    @abstractmethod
    def create(
        self,
        name: str,
        shape: tuple[int, int],
        dtype: npt.DTypeLike,
        slots: int | None = None,
    ) -> FrameRing:
        """Return a new ring, to be written in this process.

        Args:
            name: Usually that of the camera.
            shape: `(height, width)` of every frame.
            dtype: Type of a pixel.
            slots: How many frames it holds; by default about 64 MB of them, at least
                8, but no more than the budget has left.

        Raises:
            BadInput: It does not fit the budget, or the machine has not the memory.
            StateError: There is a ring of that name.
        """

    @abstractmethod
    def get(self, name: str) -> FrameRing:
        """Return the ring of that name.

        Raises:
            StateError: There is none.
        """

    @abstractmethod
    def remove(self, name: str) -> None:
        """End the ring of that name, if there is one.

        It is found, and its memory counted, until its last lossless reader has closed,
        or died for good; the name may be used again at once.
        """


class OwnRings(FrameRings):
    """Creates the rings of all processes, so that they outlive any of the others.

    Runs on: any.
    """

    def __init__(self, budget_bytes: int, clock: Clock | None = None) -> None:
        """Create no ring yet.

        Args:
            budget_bytes: Most memory all rings together may take.
            clock: Given to every ring.
        """
        self.budget_bytes = budget_bytes
        self._clock = clock
        self._lock = threading.Lock()
        self._rings: dict[str, FrameRing] = {}
        self._removed: list[FrameRing] = []
        # What each other process has to do with which ring.
        self._writers: dict[str, list[FrameRing]] = {}
        self._readers: dict[str, list[tuple[FrameRing, Place]]] = {}

    @property
    def used_bytes(self) -> int:
        """Memory of all rings."""
        with self._lock:
            return self._used_bytes()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all rings, in the order they were created."""
        with self._lock:
            return tuple(self._rings)

    def create(
        self,
        name: str,
        shape: tuple[int, int],
        dtype: npt.DTypeLike,
        slots: int | None = None,
    ) -> FrameRing:
        """Return a new ring."""
        ring = self.make(name, shape, dtype, slots)
        ring.prepare()
        return ring

    def make(
        self,
        name: str,
        shape: tuple[int, int],
        dtype: npt.DTypeLike,
        slots: int | None = None,
    ) -> FrameRing:
        """Return a new ring, to be written in any process; raises as `create`."""
        frame_bytes = max(1, shape[0] * shape[1] * np.dtype(dtype).itemsize)
        with self._lock:
            if name in self._rings:
                raise StateError(f"there is a ring '{name}' already")
            left = self.budget_bytes - self._used_bytes()
            if slots is None:
                usual = max(_USUAL_FRAMES, _USUAL_BYTES // frame_bytes)
                affordable = max(MIN_SLOTS, left // frame_bytes)
                slots = min(usual, affordable, _MOST_SLOTS)
            need = slots * frame_bytes
            if need > left:
                raise BadInput(
                    f"camera '{name}': {slots} frames of {shape[1]}x{shape[0]} px "
                    f"{np.dtype(dtype).name} need {_mb(need)}, but of the "
                    f"{_mb(self.budget_bytes)} budget for frames {_mb(left)} are left; "
                    "raise the budget, or choose a smaller region or more binning"
                )
            no_memory = BadInput(
                f"camera '{name}': this machine has no {_mb(need)} of memory for "
                f"{slots} frames of {shape[1]}x{shape[0]} px"
            )
            # Asked before: taking more than there is would have the system end HAL.
            if need > psutil.virtual_memory().available:
                raise no_memory
            try:
                ring = FrameRing(name, shape, dtype, slots, self._clock)
            except (OSError, OverflowError, MemoryError) as exc:
                raise no_memory from exc
            self._rings[name] = ring
            return ring

    def get(self, name: str) -> FrameRing:
        """Return the ring of that name."""
        with self._lock:
            self._forget_removed()
            removed = (ring for ring in self._removed if ring.name == name)
            ring = self._rings.get(name) or next(removed, None)
            if ring is None:
                raise StateError(
                    f"there is no ring '{name}'; there are: {one_of(self._rings)}"
                )
            return ring

    def remove(self, name: str) -> None:
        """End the ring of that name, if there is one."""
        with self._lock:
            ring = self._rings.pop(name, None)
            if ring is not None:
                ring.end()
                self._removed.append(ring)
            self._forget_removed()

    # -- other processes ----------------------------------------------------------

    def find(self, memory: str) -> FrameRing:
        """Return the ring with that memory: names are used again.

        Raises:
            StateError: It was removed.
        """
        with self._lock:
            for ring in (*self._rings.values(), *self._removed):
                if ring.handle.memory == memory:
                    return ring
        raise StateError("the ring is gone: it was removed, or another one has come")

    def written_by(self, process: str, ring: FrameRing) -> None:
        """Note that `process` fills a ring."""
        with self._lock:
            self._writers.setdefault(process, []).append(ring)

    def read_by(self, process: str, ring: FrameRing, place: Place) -> None:
        """Note that `process` has a reader in a ring."""
        with self._lock:
            self._readers.setdefault(process, []).append((ring, place))

    def process_ended(self, process: str, why: str) -> None:
        """End the rings that a process filled, and keep what it had still to read."""
        with self._lock:
            written = self._writers.pop(process, [])
            read = self._readers.pop(process, [])
        for ring in written:
            ring.end(why)
        for ring, place in read:
            ring.bury_reader(place, KEEP_S)

    def _used_bytes(self) -> int:
        self._forget_removed()
        rings = (*self._rings.values(), *self._removed)
        return sum(ring.nbytes for ring in rings)

    def _forget_removed(self) -> None:
        """Let go of rings that were removed and that nobody needs any more."""
        for ring in [ring for ring in self._removed if not ring.is_awaited]:
            self._removed.remove(ring)
            for process, written in self._writers.items():
                self._writers[process] = [r for r in written if r is not ring]
            for process, read in self._readers.items():
                self._readers[process] = [r for r in read if r[0] is not ring]
            ring.close()


def _mb(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
