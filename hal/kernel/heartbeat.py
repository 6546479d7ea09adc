"""Dumps all stacks although a call in C keeps the interpreter to itself.

A thread of C, Python's `faulthandler`, writes the stacks unless it is put off in time;
the watchdog puts it off at every tick. The same file serves dumps asked for by SIGUSR1.
`faulthandler` has one such thread per process, and before Python 3.14 no names of
threads; so those are kept in a file beside it, for when nobody is left to ask.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import math
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from hal.base import Clock, get_logger
from hal.kernel.sentinel_process import name_threads
from hal.kernel.thread_dump import thread_names

MARGIN_S: Final = 0.075
"""So much later than a deadline, so that the scanner, 50 ms apart, comes first."""
_SOONEST_S: Final = 0.05
_PATIENCE_S: Final = 0.01
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
    while_running: bool
    """Whether the machine ran at that moment: written when it was due, and not at the
    end of a pause of the whole process, when everything is late."""
    was_asked_for: bool
    """Whether by SIGUSR1 alone."""


class Heartbeat:
    """Has C write all stacks to a file, unless `look` is called often enough.

    Runs on: `look` watchdog; `hasten` any; the rest main.

    Guarantees:
        No step raises: without its file, HAL runs without a heartbeat, and says so.
        A full disk costs no dump of usual size: the room is reserved.
    """

    def __init__(self, folder: Path, name: str, clock: Clock, limit_s: float) -> None:
        self.path = folder / f"heartbeat_{name}.txt"
        self.names_path = folder / f"heartbeat_{name}_threads.json"
        self.takes_signal = False
        """Whether SIGUSR1 adds the stacks of this moment to the file."""
        self._clock = clock
        self._limit_s = limit_s
        self._file: IO[bytes] | None = None
        self._lock = threading.Lock()
        self._armed_s = 0.0
        self._due_s = math.inf
        self._due_at_wall_s = math.inf
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
        self.look(lambda: math.inf)
        return True

    def disable(self) -> None:
        """End, and delete the files; harmless when not enabled."""
        if self._file is None or not self._lock.acquire(timeout=1.0):
            return  # or a look hangs: what is left ends with the process
        file, self._file = self._file, None
        self._lock.release()
        faulthandler.cancel_dump_traceback_later()
        if sys.platform != "win32":
            faulthandler.unregister(signal.SIGUSR1)
        self.takes_signal = False
        _owner.remove(self)
        file.close()
        for path in (self.path, self.names_path):
            with contextlib.suppress(OSError):
                path.unlink()

    def look(self, earliest_s: Callable[[], float]) -> Standstill | None:
        """Put the dump off; return what was dumped since the last look.

        Args:
            earliest_s: Asked for the earliest deadline of anything; `inf` if none.
        """
        with self._lock:
            if self._file is None:
                return None
            due_at_wall_s, armed_s = self._due_at_wall_s, self._armed_s
            # One step in C from the old dump to the next, so that there is always one
            # to come. It returns when one that is being written is complete: what is
            # found below belongs to the time before.
            self._arm(earliest_s())
            found = self._take(self._file)
        before = self._names
        self._note_names()
        if found is None:
            return None
        text, written_at_s = found
        # An ident is used again when its thread has ended: what was, counts.
        names = {**self._names, **before}
        return Standstill(
            name_threads(text, names),
            written_at_s,
            self._armed_s - armed_s,
            was_on_time(due_at_wall_s, written_at_s, self._clock.wall_s()),
            not text.startswith("Timeout ("),
        )

    def hasten(self, due_at_s: float) -> None:
        """Make the dump come earlier, for something that is due before the next one."""
        if due_at_s + MARGIN_S >= self._due_s:
            return
        # A look that reads from a disk that hangs must not keep modules waiting.
        if not self._lock.acquire(timeout=_PATIENCE_S):
            return
        try:
            # Asked again: somebody else may have been faster, with less time left. And
            # what was dumped already is for the next look.
            is_earlier = due_at_s + MARGIN_S < self._due_s
            if is_earlier and self._file is not None and self._file.tell() == 0:
                self._arm(due_at_s)
        finally:
            self._lock.release()

    def _arm(self, due_at_s: float) -> None:
        assert self._file is not None
        now_s = self._clock.monotonic_s()
        left_s = max(_SOONEST_S, due_at_s + MARGIN_S - now_s)
        left_s = min(left_s, self._limit_s)
        self._armed_s = now_s
        self._due_s = now_s + left_s
        self._due_at_wall_s = self._clock.wall_s() + left_s
        faulthandler.dump_traceback_later(left_s, file=self._file)

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


def was_on_time(due_s: float, written_s: float, now_s: float) -> bool:
    """Whether a dump that was due was written then, rather than only now.

    All by the wall clock. At the end of a pause (SIGSTOP, a debugger) everything that
    was due is done at once; while one call holds the GIL, the dump alone is on time.
    """
    return written_s - due_s <= now_s - written_s


def _changed_s(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # deleted meanwhile
        return 0.0
