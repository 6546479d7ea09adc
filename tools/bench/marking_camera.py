"""Cameras for benchmarks: they cost next to nothing, and know what was lost."""

from __future__ import annotations

import threading
import time
from typing import Any, Final

import numpy as np

from hal.base import Float, Int, Value
from hal.devices import Camera, FrameStamp

NOISE_SEED: Final = 1
_BUFFERED: Final = 16


def noise(side_px: int) -> np.ndarray[Any, Any]:
    """Return a frame that no format can make smaller."""
    raw = np.random.default_rng(NOISE_SEED).bytes(2 * side_px**2)
    return np.frombuffer(raw, np.uint16).reshape(side_px, side_px)


class MarkingCamera(Camera):
    """Fills each slot of a ring with noise once, and then only marks it.

    So it costs what a camera costs that writes into memory by itself. With `fps` it has
    a clock and room for 16 frames: later ones are lost, and its counter shows it.
    """

    side_px = Int(512, low=8, high=8192, help="Rows and columns.")
    fps = Float(0.0, unit="1/s", low=0.0, high=1e5, help="0: as fast as it is asked.")

    def __init__(self, **values: Value) -> None:
        super().__init__(**values)
        self._noise = noise(self.side_px)
        self._known: set[int] = set()
        self._next = 0
        self._frames: int | None = None
        self._started_s = 0.0

    @property
    def sensor_width_px(self) -> int:
        """Columns."""
        return self.side_px

    @property
    def sensor_height_px(self) -> int:
        """Rows."""
        return self.side_px

    def start(self, frames: int | None) -> None:
        self._halt.clear()
        # The memory of a ring may lie where that of another one was.
        self._known.clear()
        self._next, self._frames = 0, frames
        self._started_s = time.perf_counter()

    def read_into(
        self, out: np.ndarray[Any, Any], timeout_s: float
    ) -> FrameStamp | None:
        if self.fps and not self._is_due(timeout_s):
            return None
        index, self._next = self._next, self._next + 1
        if self._frames is not None and index >= self._frames:
            threading.Event().wait(timeout_s)
            return None
        address = out.__array_interface__["data"][0]
        if address not in self._known:
            self._known.add(address)
            np.copyto(out, self._noise)
        out[0, 0] = index & 0xFFFF
        return FrameStamp(counter=index, hardware_s=None)

    def stop(self) -> None:
        pass

    def _is_due(self, timeout_s: float) -> bool:
        ready_s = self._started_s + (self._next + 1) / self.fps
        wait_s = ready_s - time.perf_counter()
        if wait_s > 0.0:
            self._halt.wait(min(wait_s, timeout_s))
            self._check_halt()
            return wait_s <= timeout_s
        exposed = int((time.perf_counter() - self._started_s) * self.fps)
        self._next = max(self._next, exposed - _BUFFERED)
        return True
