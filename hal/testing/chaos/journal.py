"""What has gone wrong so far, in files that no dying process can take along."""

from __future__ import annotations

import mmap
import struct
import threading
from pathlib import Path

import msgspec

from hal.base import DeviceError

_COUNT = struct.Struct("<Q")


class Caused(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A fault that was caused, or the first good frame after some."""

    t_s: float
    """On the monotonic clock, which all processes of a machine share."""
    module: str
    kind: str
    """A `FaultKind`; `GOOD_FRAME` for a frame."""
    call: str = ""
    number: int = 0
    """Which of the calls it could have been, from 1; 0 where it was ordered."""
    frame: int | None = None
    """Index in the run of the frame it happened to."""


GOOD_FRAME = "good frame"


class Journal:
    """A file of `Caused`, a line each, that several processes write at once.

    Runs on: any.

    Guarantees:
        What was noted survives the death of every process.
    """

    def __init__(self, path: Path | None) -> None:
        """Note in a file, which is made if it is missing; in memory if None."""
        self._path = path
        self._kept: list[bytes] = []

    @property
    def size(self) -> int:
        """How much is noted; another number whenever something was."""
        if self._path is None:
            return len(self._kept)
        try:
            return self._path.stat().st_size
        except FileNotFoundError:
            return 0

    def note(self, caused: Caused) -> None:
        """Note one more.

        Raises:
            DeviceError: It cannot be written.
        """
        line = msgspec.json.encode(caused) + b"\n"
        if self._path is None:
            self._kept.append(line)
            return
        try:
            # One write that appends: those of two processes do not mix.
            with self._path.open("ab", buffering=0) as file:
                file.write(line)
        except OSError as exc:
            raise DeviceError(f"chaos: {self._path} cannot be written: {exc}") from exc

    def read(self) -> list[Caused]:
        """Return all that is noted, in the order of time."""
        lines = self._kept
        if self._path is not None:
            data = self._path.read_bytes() if self._path.exists() else b""
            # What a full disk has cut off is no line.
            lines = data.splitlines(keepends=True)
        found = [
            msgspec.json.decode(line, type=Caused)
            for line in lines
            if line.endswith(b"\n")
        ]
        return sorted(found, key=lambda caused: caused.t_s)


class Counts:
    """Whole numbers that go on when the process that counts is replaced.

    Runs on: any.
    """

    def __init__(self, path: Path | None, count: int) -> None:
        """Begin with zeros, or with what the file says.

        Raises:
            DeviceError: The file cannot be used.
        """
        self._lock = threading.Lock()
        size = _COUNT.size * count
        try:
            if path is None:
                self._map = mmap.mmap(-1, size)
                return
            with path.open("a+b") as file:
                if path.stat().st_size < size:
                    file.truncate(size)
                self._map = mmap.mmap(file.fileno(), size)
        except (OSError, ValueError) as exc:
            raise DeviceError(f"chaos: {path} cannot be used: {exc}") from exc

    def get(self, which: int) -> int:
        """Return one of them."""
        (number,) = _COUNT.unpack_from(self._map, which * _COUNT.size)
        return int(number)

    def add(self, which: int, more: int = 1) -> int:
        """Add to one of them; return what it is now."""
        with self._lock:
            now = self.get(which) + more
            _COUNT.pack_into(self._map, which * _COUNT.size, now)
            return now
