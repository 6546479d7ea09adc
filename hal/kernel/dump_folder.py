"""Where dumps of all threads are kept as files: bounded, and no reason to fail."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hal.base import Clock, get_logger

_LONGEST_NAME: Final = 80
_MINUTE_S: Final = 60.0

log = get_logger(module="hal")


@dataclass(frozen=True)
class Kept:
    """What became of a dump."""

    path: str = ""
    """The file it is in; empty if it is in none."""
    note: str = ""
    """The same for people; empty where no files are wanted."""


class DumpFolder:
    """Writes one file per dump, at most so many a minute; without a folder, none.

    Runs on: any.

    Args:
        folder: The log folder; created if missing.
        clock: For the rate, and the files' names.
        per_minute: What hangs beyond this is left out, and said to be.
        files: The oldest in the folder, of any session, are deleted beyond this,
        total_bytes: or beyond this size.
    """

    def __init__(
        self,
        folder: Path | None,
        clock: Clock,
        *,
        per_minute: int = 10,
        files: int = 200,
        total_bytes: int = 100_000_000,
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._per_minute = per_minute
        self._files = files
        self._total_bytes = total_bytes
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._taken_s: deque[float] = deque()
        self._left_out = 0
        self._last = ""
        self._last_taken_s = float("-inf")

    def write(
        self,
        dump: str,
        name: str,
        *,
        since_s: float | None = None,
        taken_at_wall_s: float | None = None,
    ) -> Kept:
        """Keep `dump` in a file; a full disk costs the file and a line in the log.

        Args:
            dump: The stacks.
            name: Which module hangs; part of the file's name.
            since_s: Since when. What hung already when the last file was written is
                in that one, which stands for those that are left out.
            taken_at_wall_s: When the stacks were taken, if not now; the file's time.
        """
        if self._folder is None:
            return Kept()
        with self._lock:
            return self._write(dump, name, since_s, taken_at_wall_s)

    def _write(
        self, dump: str, name: str, since_s: float | None, taken_at_wall_s: float | None
    ) -> Kept:
        assert self._folder is not None
        now_s = self._clock.monotonic_s()
        while self._taken_s and now_s - self._taken_s[0] >= _MINUTE_S:
            self._taken_s.popleft()
        if len(self._taken_s) >= self._per_minute:
            return self._leave_out(since_s)
        self._taken_s.append(now_s)
        stamp = f"{self._clock.wall_s():.3f}".replace(".", "_")
        plain = re.sub(r"[^\w-]", "_", name, flags=re.ASCII)[:_LONGEST_NAME]
        # The number keeps names apart that look alike, or hang in the same instant.
        number = next(self._numbers)
        path = self._folder / f"dump_{stamp}_{number:03d}_{plain}.txt"
        left_out = f" ({self._left_out} before were left out)" * bool(self._left_out)
        self._left_out = 0
        try:
            self._put(path, f"Hung: {name}\n\n{dump}", taken_at_wall_s)
        except (OSError, ValueError) as exc:
            log.error("thread dump not written", path=str(path), reason=str(exc))
            why = getattr(exc, "strerror", None) or str(exc)
            return Kept(note=f"no dump file in {self._folder}: {why}{left_out}")
        self._last, self._last_taken_s = str(path), now_s
        self._delete_oldest(path)
        return Kept(str(path), f"stacks of all threads in {path}{left_out}")

    def _leave_out(self, since_s: float | None) -> Kept:
        self._left_out += 1
        text = (
            f"more than {self._per_minute} dumps in a minute, {self._left_out} left out"
        )
        if self._last and since_s is not None and since_s <= self._last_taken_s:
            return Kept(self._last, f"stacks of all threads in {self._last}; {text}")
        return Kept(note=text)

    def _put(self, path: Path, text: str, taken_at_wall_s: float | None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Under its name it is complete, and has its time.
        new = path.with_suffix(".new")
        try:
            new.write_text(text, encoding="utf-8", errors="backslashreplace")
            if taken_at_wall_s is not None:
                os.utime(new, (taken_at_wall_s, taken_at_wall_s))
            new.replace(path)
        except OSError:
            with contextlib.suppress(OSError):  # half a dump on a full disk
                new.unlink()
            raise

    def _delete_oldest(self, newest: Path) -> None:
        assert self._folder is not None
        others: dict[Path, int] = {}
        with contextlib.suppress(OSError):  # the folder has vanished meanwhile
            for path in sorted(self._folder.glob("dump_*.txt"), reverse=True):
                if path != newest:
                    others[path] = path.stat().st_size
        room_bytes, room_files = self._total_bytes, self._files - 1
        for path, size in others.items():
            room_bytes, room_files = room_bytes - size, room_files - 1
            if room_bytes < 0 or room_files < 0:
                with contextlib.suppress(OSError):  # open elsewhere, on Windows
                    path.unlink()
