"""What films are compared with: loops of `os.write`, and copies in memory."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from bench.marking_camera import noise

_BUFFERS_BYTES = 64 * 2**20
_MB = 1e6


def raw_write_s(folder: Path, side_px: int, cameras: int, frames: int) -> float:
    """Return the seconds for all frames, with a file and a thread for each camera.

    Their pixels lie in as much memory as a ring has.
    """
    frame = noise(side_px)
    count = max(8, _BUFFERS_BYTES // frame.nbytes)
    buffers = [np.repeat(frame[None], count, axis=0) for _ in range(cameras)]
    with tempfile.TemporaryDirectory(dir=folder) as name:
        paths = [Path(name) / f"raw{number}" for number in range(cameras)]
        threads = [
            threading.Thread(target=_write, args=(path, memory, frames))
            for path, memory in zip(paths, buffers, strict=True)
        ]
        started_s = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took_s = time.perf_counter() - started_s
        sizes = {path.stat().st_size for path in paths}
    if sizes != {frames * frame.nbytes}:
        raise RuntimeError(f"the raw loop wrote files of {sizes} bytes")
    return took_s


def _write(path: Path, memory: np.ndarray, frames: int) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
    try:
        for number in range(frames):
            left = memory[number % len(memory)].data.cast("B")
            while left:
                left = left[os.write(file, left) :]
    finally:
        os.close(file)


class MemoryCopies:
    """Copies of frames into as much memory as a ring has: np.copyto, nothing else."""

    def __init__(self, side_px: int, slots: int) -> None:
        self._frame = noise(side_px)
        self._slots = np.zeros((slots, side_px, side_px), np.uint16)

    def s(self, frames: int) -> float:
        """Return the seconds for so many frames."""
        started_s = time.perf_counter()
        for number in range(frames):
            np.copyto(self._slots[number % len(self._slots)], self._frame)
        return time.perf_counter() - started_s

    def mb_s(self, frames: int) -> float:
        """Return megabytes a second over so many frames."""
        return frames * self._frame.nbytes / _MB / self.s(frames)
