"""A folder of files being written: created without harm, swapped in as a whole."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
import sys
from pathlib import Path

from hal.base import OutputExists
from hal.storage._output import Output
from hal.storage._output_file import OutputFile

# Of one file system, unlike `os.sync`; Linux alone has it.
_syncfs = getattr(ctypes.CDLL(None), "syncfs", None) if os.name == "posix" else None


class OutputFolder(Output):
    """A film that is a folder; its files are named by their path within it.

    A folder is replaced only if it holds what such films hold (`mark`): one of that
    name that is something else is not ours to remove.

    Runs on: one thread at a time. Methods raise OSError, as the system said it.
    """

    def __init__(self, path: Path, *, overwrite: bool, mark: str) -> None:
        super().__init__(path, overwrite=overwrite)
        self._mark = mark
        self._is_open = False

    @property
    def is_open(self) -> bool:
        """Whether it can be written to."""
        return self._is_open

    def create(self) -> None:
        """Create the folder, empty.

        Raises:
            OutputExists: There is a folder of that name, or a file.
        """
        self._restore()
        is_ours = not self.path.exists() or (self.path / self._mark).is_file()
        if self._overwrite and is_ours:
            self._at = self.replacement
            # What an interrupted overwrite left behind before its first frame.
            _remove(self._at)
        try:
            self._at.mkdir()
        except FileExistsError as exc:
            raise OutputExists(
                f"{self.path} exists and is not replaced: choose another name, "
                "or allow to overwrite"
            ) from exc
        self._is_open = True

    def reopen(self, *, make: bool = False) -> None:
        """Open the folder that an earlier process created, as it is."""
        self._restore()
        self._find()
        if self._overwrite and self.is_placed:
            # A kill came after the swap, before the old one was removed.
            _remove(self._old)
        if make:
            self._at.mkdir(exist_ok=True)
        if not self._at.is_dir():
            text = os.strerror(errno.ENOENT)
            raise FileNotFoundError(errno.ENOENT, text, str(self._at))
        self._is_open = True

    def take_place(self) -> None:
        """Replace the old folder by this one; nothing to do when there was none."""
        if self.is_placed:
            return
        # No system replaces a folder that holds something in one step.
        if self.path.exists():
            _remove(self._old)
            os.replace(self.path, self._old)
        try:
            os.replace(self._at, self.path)
        except OSError:
            self._restore()
            raise
        self._at = self.path
        with contextlib.suppress(OSError):  # the new one counts; a rest harms nobody
            _remove(self._old)

    def write_file(self, name: str, *chunks: bytes | memoryview, at: int = 0) -> None:
        """Hand chunks to the kernel, from byte `at` of a file; made if missing."""
        file = OutputFile(self._at / name, overwrite=False)
        file.reopen(make=True)
        try:
            file.write_at(at, *chunks)
        finally:
            file.close()

    def replace_file(self, name: str, content: bytes) -> None:
        """Give a file other content in one step: readers see the old or the new."""
        path = self._at / name
        temporary = path.with_name(path.name + ".new")
        temporary.write_bytes(content)
        os.replace(temporary, path)

    def make_folder(self, name: str) -> None:
        """Make a folder; harmless when it is there."""
        with contextlib.suppress(FileExistsError):
            os.mkdir(self._at / name)

    def link_file(self, name: str, other: str) -> None:
        """Give a file another name besides its own; makes the folders for that."""
        target = self._at / other
        try:
            os.link(self._at / name, target)
        except FileNotFoundError:
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(self._at / name, target)

    def remove(self, name: str) -> None:
        """Remove a file, or a folder with all that is in it; harmless when missing."""
        _remove(self._at / name)

    def read_file(self, name: str) -> bytes:
        """Return the content of a file; empty if it is missing."""
        try:
            return (self._at / name).read_bytes()
        except FileNotFoundError:
            return b""

    def size_of(self, name: str) -> int | None:
        """Return the size of a file; None if it is missing."""
        try:
            return os.stat(self._at / name).st_size
        except (FileNotFoundError, NotADirectoryError):
            return None

    def names_in(self, name: str) -> list[str]:
        """Return what is in a folder; nothing if it is missing."""
        try:
            return os.listdir(self._at / name)
        except (FileNotFoundError, NotADirectoryError):
            return []

    def sync(self) -> None:
        """Have the device store the folder itself; see `sync_file` for its files."""
        if not self._is_open:
            raise OSError(errno.EBADF, "the folder is not open")
        _sync_folder(self._at)

    def sync_file_system(self) -> None:
        """Have the device take all that waits for it, where the system can do that.

        Makes `sync_file` of many files quick; what went wrong is told by that.
        """
        if _syncfs is not None:
            number = os.open(self._at, os.O_RDONLY)
            try:
                _syncfs(number)
            finally:
                os.close(number)

    def sync_file(self, name: str) -> None:
        """Return when the device has a file, and the folder it is in."""
        file = OutputFile(self._at / name, overwrite=False)
        file.reopen()
        try:
            file.sync()
        finally:
            file.close()
        _sync_folder((self._at / name).parent)

    def close(self) -> None:
        """Close; harmless when repeated. No file is kept open between calls."""
        self._is_open = False

    def discard(self) -> None:
        """Remove the folder; an old one that it was to replace stays."""
        self.close()
        _remove(self._at)

    @property
    def _old(self) -> Path:
        return self.path.with_name(self.path.name + ".old")

    def _restore(self) -> None:
        """Give an old folder its name back, if a kill came in the midst of the swap."""
        if self._overwrite and self._old.exists() and not self.path.exists():
            os.replace(self._old, self.path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sync_folder(path: Path) -> None:
    if sys.platform == "win32":
        return  # Windows opens no folders; its file systems keep names in a journal
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
