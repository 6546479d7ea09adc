"""What a writer needs of a place it writes to, be it a file or a folder of files."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from pathlib import Path

_NEW = ".new"


class Output(ABC):
    """A file or folder of a film: created without harm, swapped in, given up.

    To replace an old one it is first written under a name of its own (`movie.dax.new`)
    and takes the place of the old one when the caller says that the new film has
    really begun.

    Runs on: one thread at a time. Methods raise OSError, as the system said it.
    """

    def __init__(self, path: Path, *, overwrite: bool) -> None:
        self.path = path
        self._overwrite = overwrite
        self._at = path

    @property
    def is_placed(self) -> bool:
        """Whether it has its own name, and not yet that of a replacement."""
        return self._at == self.path

    @property
    def replacement(self) -> Path:
        """The name it has until it takes its place, where it replaces an old one."""
        return self.path.with_name(self.path.name + _NEW)

    def remove_replacement(self) -> None:
        """Remove what was to replace it, if there is such; not while it is open."""
        if self.replacement.is_dir():
            shutil.rmtree(self.replacement)
        else:
            self.replacement.unlink(missing_ok=True)

    def _find(self) -> None:
        """Look under which name an earlier process left it."""
        is_new = self._overwrite and self.replacement.exists()
        self._at = self.replacement if is_new else self.path

    @property
    @abstractmethod
    def is_open(self) -> bool:
        """Whether it can be written to."""

    @abstractmethod
    def create(self) -> None:
        """Create it, empty.

        Raises:
            OutputExists: There is something of that name that may not be replaced.
        """

    @abstractmethod
    def reopen(self, *, make: bool = False) -> None:
        """Open what an earlier process created, as it is; or `make` it if missing."""

    @abstractmethod
    def take_place(self) -> None:
        """Replace the old one by this one; nothing to do when there was none."""

    @abstractmethod
    def sync(self) -> None:
        """Return when the device has it, so that it survives a power cut."""

    @abstractmethod
    def close(self) -> None:
        """Close; harmless when repeated."""

    @abstractmethod
    def discard(self) -> None:
        """Close and remove it; an old one that it was to replace stays."""
