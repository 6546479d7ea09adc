"""Where dumps of all threads are kept as files: bounded, and no reason to fail."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Final

from hal.base import Clock, get_logger

_DUMPS_KEPT: Final = 200
_LONGEST_NAME: Final = 80

log = get_logger(module="hal")


class DumpFolder:
    """Writes one file per dump, 200 at most; without a folder, none.

    Runs on: any.
    """

    def __init__(self, folder: Path | None, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._numbers = itertools.count()

    def write(self, dump: str, name: str) -> str:
        """Return the path of the file with `dump`, `name` in it; "" if there is none.

        A full disk costs the file and a line in the log, nothing else.
        """
        if self._folder is None or (number := next(self._numbers)) >= _DUMPS_KEPT:
            return ""
        stamp = f"{self._clock.wall_s():.3f}".replace(".", "_")
        plain = re.sub(r"[^\w-]", "_", name, flags=re.ASCII)[:_LONGEST_NAME]
        # The number keeps names apart that look alike, or hang in the same instant.
        path = self._folder / f"dump_{stamp}_{number:03d}_{plain}.txt"
        text = f"Hung: {name}\n\n{dump}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", errors="backslashreplace")
        except (OSError, ValueError) as exc:
            log.error("thread dump not written", path=str(path), reason=str(exc))
            return ""
        return str(path)
