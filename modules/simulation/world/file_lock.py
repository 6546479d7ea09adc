"""A lock between processes that a killed process cannot leave behind."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from hal.base import Clock, DeviceError, SystemClock

_WAIT_S: Final = 5.0
_POLL_S: Final = 0.001

if sys.platform == "win32":
    import msvcrt

    # Beyond any data: Windows keeps others from reading what is locked.
    _AT: Final = 2**30

    def _try_lock(file: BinaryIO) -> None:
        file.seek(_AT)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _try_lock(file: BinaryIO) -> None:
        # `flock` belongs to the open file, so threads exclude each other as well.
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextlib.contextmanager
def locked(path: Path, clock: Clock | None = None) -> Iterator[BinaryIO]:
    """Yield the file at `path`, made if missing, while no other thread or process can.

    Runs on: any; meant to be held for microseconds.

    Raises:
        DeviceError: Somebody else has held it for five seconds.
        OSError: The file cannot be opened.
    """
    clock = clock or SystemClock()
    give_up_s = clock.monotonic_s() + _WAIT_S
    never = threading.Event()
    path.touch()
    # Closing the file releases the lock.
    with path.open("r+b", buffering=0) as file:
        while not _locks(file):
            if clock.monotonic_s() > give_up_s:
                raise DeviceError(f"{path} is held by another process")
            clock.wait(never, _POLL_S)
        yield file


def _locks(file: BinaryIO) -> bool:
    try:
        _try_lock(file)
    except (BlockingIOError, PermissionError):
        return False
    return True
