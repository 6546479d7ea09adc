"""What a child process prints, kept where it can be found: in a file, and its end."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Final

from hal.base import ThreadSafeFlag, get_logger

MOST_BYTES: Final = 10_000_000
"""So much of it is kept in the file."""
_TAIL_BYTES: Final = 64_000
_CHUNK: Final = 2**16

log = get_logger(module="hal")


class Output:
    """Reads stdout and stderr of a process, whatever it writes, to their end.

    The file is made with the first byte, so that silent processes leave none.

    Runs on: `read` a thread of its own; the rest any.

    Guarantees:
        The process never waits for long to be read, also when the disk is full.
    """

    def __init__(self, source: int, path: Path | None, ended: ThreadSafeFlag) -> None:
        """Own the descriptor `source` from now on."""
        self._source = source
        self._path = path
        self._ended = ended
        self._file: IO[bytes] | None = None
        self._tail = b""
        self.read_bytes = 0

    @property
    def path(self) -> str:
        """The file; empty if there is none."""
        return str(self._path) if self._path is not None and self.read_bytes else ""

    def tail(self, most: int = _TAIL_BYTES) -> str:
        """Return the end of what was written so far."""
        return self._tail[-most:].decode("utf-8", "backslashreplace")

    def last_lines(self, count: int = 3) -> str:
        """Return the last lines in one, for people; empty if nothing was written."""
        lines = [line.strip() for line in self.tail().splitlines() if line.strip()]
        return " | ".join(lines[-count:])[:500]

    def wait_for_end(self, timeout_s: float) -> bool:
        """Return True once nobody can write any more, False after `timeout_s`."""
        return self._ended.wait(timeout_s)

    def read(self) -> None:
        """Read until nobody can write any more."""
        try:
            while data := os.read(self._source, _CHUNK):
                self._tail = (self._tail + data)[-_TAIL_BYTES:]
                self._keep(data)
                self.read_bytes += len(data)
        finally:
            os.close(self._source)
            if self._file is not None:
                self._file.close()
            self._ended.set()

    def _keep(self, data: bytes) -> None:
        if self._path is None or self.read_bytes >= MOST_BYTES:
            return
        try:
            if self._file is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                # Unbuffered, so that what was written survives the end of this process.
                self._file = self._path.open("ab", buffering=0)
            self._file.write(data[: MOST_BYTES - self.read_bytes])
        except OSError as exc:
            log.error("output not kept", path=str(self._path), reason=str(exc))
            self._path = None
