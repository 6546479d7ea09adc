"""One file being written: created without harm, written whole, cut back exactly."""

from __future__ import annotations

import errno
import io
import os
import sys
from pathlib import Path

from hal.base import DiskFull, OutputExists, StorageError
from hal.storage._file_lock import try_lock
from hal.storage._output import Output

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


def storage_error(
    exc: OSError, path: Path, doing: str, stored: int, what: str = "frames"
) -> StorageError:
    """Return the error of our tree for a failed write.

    Args:
        exc: What the system said.
        path: The file concerned.
        doing: What was tried, as in "write frame 12".
        stored: Frames that are in the file and readable.
        what: What these are, if not frames.
    """
    if exc.errno in _NO_SPACE:
        return DiskFull(
            f"{path}: no space left to {doing}; "
            f"{stored} {what} are stored and readable",
            file=str(path),
            stored=stored,
        )
    return StorageError(
        f"{path}: could not {doing}: {exc.strerror or exc}; "
        f"{stored} {what} are stored and readable",
        file=str(path),
        stored=stored,
    )


class OutputFile(Output):
    """A file written without buffers, so that what was written survives a SIGKILL.

    Runs on: one thread at a time. Methods raise OSError, as the system said it.
    """

    def __init__(self, path: Path, *, overwrite: bool) -> None:
        super().__init__(path, overwrite=overwrite)
        self._file: io.FileIO | None = None
        self._is_locked = False

    @property
    def is_open(self) -> bool:
        """Whether it can be written to."""
        return self._file is not None

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return os.fstat(self._open_file().fileno()).st_size

    def create(self) -> None:
        """Create the file, empty.

        Raises:
            OutputExists: There is a file of that name, or a folder.
        """
        if self._overwrite and not self.path.is_dir():
            self._at = self.replacement
            # What an interrupted overwrite left behind before its first frame.
            self._at.unlink(missing_ok=True)
        try:
            self._file = io.FileIO(self._at, "xb+")
        except FileExistsError as exc:
            raise OutputExists(
                f"{self.path} exists and is not replaced: choose another name, "
                "or allow to overwrite"
            ) from exc

    def reopen(self, *, make: bool = False) -> None:
        """Open the file that an earlier process created, as it is."""
        self._find()
        try:
            self._file = io.FileIO(self._at, "r+b")
        except FileNotFoundError:
            if not make:
                raise
            self._file = io.FileIO(self._at, "xb+")

    def lock(self) -> bool:
        """Keep other processes from locking it until it is closed; False if one has."""
        self._is_locked = try_lock(self._open_file())
        return self._is_locked

    def take_place(self) -> None:
        """Replace the old file by this one; nothing to do when there was none."""
        if self.is_placed:
            return
        if sys.platform != "win32":
            os.replace(self._at, self.path)
            self._at = self.path
            return
        # Closed meanwhile, because Windows renames no open file.
        self._open_file().close()
        try:
            os.replace(self._at, self.path)
            self._at = self.path
        finally:
            self._file = io.FileIO(self._at, "r+b")
            if self._is_locked:
                self.lock()

    def read_at(self, offset: int, size: int) -> bytes:
        """Return up to `size` bytes from `offset`; fewer at the end of the file."""
        file = self._open_file()
        file.seek(offset)
        data = bytearray()
        while len(data) < size and (more := file.read(size - len(data))):
            data += more
        return bytes(data)

    def write_at(self, offset: int, *chunks: bytes | memoryview) -> None:
        """Hand all chunks, one after the other from `offset`, to the kernel."""
        file = self._open_file()
        file.seek(offset)
        for chunk in chunks:
            left = memoryview(chunk).cast("B")
            while left:
                # A full disk first writes less than asked; only the next call fails.
                written = file.write(left)
                if not written:
                    raise OSError(errno.EIO, "the system wrote nothing")
                left = left[written:]

    def cut(self, size: int) -> None:
        """Shorten the file to `size` bytes."""
        self._open_file().truncate(size)

    def sync(self) -> None:
        """Return when the device has everything: survives a power cut."""
        os.fsync(self._open_file())

    def close(self) -> None:
        """Close; harmless when repeated."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def discard(self) -> None:
        """Close and remove the file; an old one that it was to replace stays."""
        self.close()
        self._at.unlink(missing_ok=True)

    def _open_file(self) -> io.FileIO:
        if self._file is None:
            raise OSError(errno.EBADF, "the file is not open")
        return self._file
