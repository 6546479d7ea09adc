"""Takes stacks of all threads although a call in C keeps the interpreter to itself.

Python's `faulthandler` writes them to a file when SIGUSR1 arrives: from the sentinel,
which asks while nothing of Python runs, or from a person. It has no names of threads
before Python 3.14; so those are kept in a file beside it, for when nobody is left to
ask. Windows has no such signal, and so no stacks of a call that keeps the interpreter.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import signal
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from hal.base import Clock, get_logger
from hal.kernel.sentinel_process import name_threads
from hal.kernel.thread_dump import thread_names

_RESERVED: Final = 2**16
_LONGEST_DUMP: Final = 2**20
_KEPT_FILES: Final = 40

_owner: list[Heartbeat] = []
log = get_logger(module="hal")


@dataclass(frozen=True)
class Standstill:
    """Stacks that were written in C, since the heartbeat was looked at last."""

    dump: str
    """All threads by name, innermost call first."""
    written_at_s: float
    """When, by the wall clock."""
    stood_s: float
    """How long nobody looked."""


class Heartbeat:
    """Keeps the file that C writes all stacks to when it is asked.

    Runs on: `look` watchdog; the rest main.

    Guarantees:
        No step raises: without its file, HAL runs without a heartbeat, and says so.
        A full disk costs no dump of usual size: the room is reserved.
    """

    def __init__(self, folder: Path, name: str, clock: Clock) -> None:
        self.path = folder / f"heartbeat_{name}.txt"
        self.names_path = folder / f"heartbeat_{name}_threads.json"
        self.takes_signal = False
        """Whether SIGUSR1 adds the stacks of this moment to the file."""
        self._clock = clock
        self._file: IO[bytes] | None = None
        self._lock = threading.Lock()
        self._looked_s = 0.0
        self._names: dict[int, str] = {}
        self._names_fail = False

    def enable(self) -> bool:
        """Begin; return whether there is a heartbeat now."""
        if _owner:
            log.warning("no heartbeat", reason="another system of this process has it")
            return False
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._delete_oldest()
            # Unbuffered, and its position is the one that C writes at.
            file = self.path.open("w+b", buffering=0)
            file.write(b"\n" * _RESERVED)
            file.seek(0)
        except OSError as exc:
            log.warning("no heartbeat", file=str(self.path), reason=str(exc))
            return False
        _owner.append(self)
        self._file = file
        if sys.platform != "win32":
            faulthandler.register(signal.SIGUSR1, file=file, all_threads=True)
            self.takes_signal = True
        self.look()
        return True

    def disable(self) -> None:
        """End, and delete the files; harmless when not enabled."""
        if self._file is None or not self._lock.acquire(timeout=1.0):
            return  # or a look hangs: what is left ends with the process
        file, self._file = self._file, None
        self._lock.release()
        if sys.platform != "win32":
            faulthandler.unregister(signal.SIGUSR1)
        self.takes_signal = False
        _owner.remove(self)
        file.close()
        for path in (self.path, self.names_path):
            with contextlib.suppress(OSError):
                path.unlink()

    def look(self) -> Standstill | None:
        """Return what was written since the last look."""
        with self._lock:
            if self._file is None:
                return None
            found = self._take(self._file)
        looked_s, self._looked_s = self._looked_s, self._clock.monotonic_s()
        before = self._names
        self._note_names()
        if found is None:
            return None
        text, written_at_s = found
        # An ident is used again when its thread has ended: what was, counts.
        names = {**self._names, **before}
        stood_s = self._looked_s - looked_s
        return Standstill(name_threads(text, names), written_at_s, stood_s)

    def _take(self, file: IO[bytes]) -> tuple[str, float] | None:
        """Return what is in the file and when it was written, and empty it."""
        size = file.tell()
        if size == 0:
            return None
        text = b""
        written_at_s = self._clock.wall_s()
        try:
            written_at_s = os.fstat(file.fileno()).st_mtime
            file.seek(0)
            text = file.read(min(size, _LONGEST_DUMP))
            file.seek(0)
            file.write(b"\n" * min(size, _RESERVED))
            file.truncate(_RESERVED)
        except OSError as exc:
            log.warning("heartbeat dump not read", reason=str(exc))
        file.seek(0)
        return text.decode("utf-8", "backslashreplace"), written_at_s

    def _note_names(self) -> None:
        names = thread_names()
        if names == self._names:
            return
        self._names = names
        temporary = self.names_path.with_suffix(".new")
        try:
            temporary.write_text(json.dumps(names), encoding="utf-8")
            temporary.replace(self.names_path)
        except OSError as exc:
            if not self._names_fail:
                log.warning("names of threads not written", reason=str(exc))
            self._names_fail = True

    def _delete_oldest(self) -> None:
        """Delete what processes left that were killed, but for the newest."""
        paths = list(self.path.parent.glob("heartbeat_*"))
        for path in sorted(paths, key=_changed_s)[:-_KEPT_FILES]:
            with contextlib.suppress(OSError):
                path.unlink()


def _changed_s(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # deleted meanwhile
        return 0.0
