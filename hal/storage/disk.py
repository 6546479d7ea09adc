"""Whether a film will fit and may be written, found out before anything starts."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import IO

import numpy as np

from hal.base import BadInput, StorageError
from hal.storage._output_file import storage_error

_SPARE_BYTES = 16 * 2**20
"""Left free for sidecar, trace and the file system's own needs."""


class OutputDirectory:
    """A folder that exists and can be written to; knows which parts of it are new.

    Runs on: one thread at a time.
    """

    def __init__(self, path: Path, created: tuple[Path, ...]) -> None:
        self.path = path
        self._created = created

    def undo(self) -> None:
        """Remove the folders that were made for a run that did not start.

        One that holds something by now stays.
        """
        for directory in reversed(self._created):
            with contextlib.suppress(OSError):
                directory.rmdir()
        self._created = ()


class SpaceReserve:
    """Room on a disk, held for what must be written although it has become full.

    Held by a file without a name, which is gone with the process that holds it, however
    that ends.

    Runs on: one thread at a time.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file: IO[bytes] | None = None

    def take(self, size: int) -> None:
        """Hold `size` bytes, as blocks that nobody else can have; once.

        Raises:
            DiskFull, StorageError: They cannot be had; nothing is held.
        """
        # Random bytes, because some disks store others in less room.
        left = memoryview(os.urandom(size))
        try:
            self._file = tempfile.TemporaryFile(  # noqa: SIM115 - held until released
                dir=self._directory, prefix=".hal-", buffering=0
            )
            while left:
                left = left[self._file.write(left) :]
        except OSError as exc:
            self.release()
            doing = "set room aside for the sidecar"
            raise storage_error(exc, self._directory, doing, 0) from exc

    def release(self) -> None:
        """Give the room back; harmless when repeated."""
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                file.close()


def free_bytes(directory: Path) -> int:
    """Return the space left for us.

    Raises:
        StorageError: The folder is gone.
    """
    try:
        return shutil.disk_usage(directory).free
    except OSError as exc:
        raise storage_error(exc, directory, "ask for its free space", 0) from exc


def film_bytes(shape: tuple[int, int], dtype: str, frames: int) -> int:
    """Return the size of a film, pixels only; other contents are below 1 %."""
    return shape[0] * shape[1] * np.dtype(dtype).itemsize * frames


def check_output(directory: Path, needed_bytes: int) -> OutputDirectory:
    """Make the folder if it is missing, and prove that a run can write to it.

    Args:
        directory: Where the films go; missing parents are made too.
        needed_bytes: What the run will write; 0 when nobody knows.

    Raises:
        BadInput: It is no folder, cannot be made or written to, or has not the space.
            Folders made by this call are gone again.
    """
    output = OutputDirectory(directory, _make(directory))
    try:
        # Trying is the only test that holds for root, shares and read-only mounts.
        with tempfile.TemporaryFile(dir=directory, prefix=".hal-"):
            pass
        free = free_bytes(directory)
    except OSError as exc:
        output.undo()
        raise BadInput(
            f"output folder {directory} cannot be written to: {exc.strerror or exc}"
        ) from exc
    except StorageError as exc:
        output.undo()
        raise BadInput(exc.text) from exc
    if needed_bytes and needed_bytes + _SPARE_BYTES > free:
        output.undo()
        raise BadInput(
            f"output folder {directory} has {_mb(free)} free, but the run needs "
            f"{_mb(needed_bytes)} (and {_mb(_SPARE_BYTES)} to spare)"
        )
    return output


def _make(directory: Path) -> tuple[Path, ...]:
    """Make the folder and its parents; return those that are new, outermost first."""
    missing: list[Path] = []
    made: list[Path] = []
    try:
        at = directory
        while not at.exists() and at != at.parent:
            missing.append(at)
            at = at.parent
        if not at.is_dir():
            raise BadInput(f"output folder {directory}: {at} is a file, not a folder")
        for path in reversed(missing):
            path.mkdir(exist_ok=True)
            made.append(path)
    except OSError as exc:
        OutputDirectory(directory, tuple(made)).undo()
        raise BadInput(
            f"output folder {directory} cannot be made: {exc.strerror or exc}"
        ) from exc
    return tuple(made)


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
