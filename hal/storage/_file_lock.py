"""A mark on an open file that says: somebody alive is writing it.

It goes with the process that set it, however that ends. Reading is never hindered.
"""

from __future__ import annotations

import io
import sys
from typing import Final

from hal.base import get_logger

log = get_logger(module="storage")

if sys.platform == "win32":
    import msvcrt

    # Beyond any data: Windows keeps others from reading what is locked.
    _AT: Final = 2**30

    def _lock(file: io.FileIO) -> None:
        file.seek(_AT)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(file: io.FileIO) -> None:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)


def try_lock(file: io.FileIO) -> bool:
    """Lock `file` until it is closed; False if another process or handle holds it.

    True as well on a file system that knows no locks (some network shares): a film must
    not fail for that.
    """
    try:
        _lock(file)
    except (BlockingIOError, PermissionError):
        return False
    except OSError as exc:
        log.warning("no lock on this file system", file=str(file.name), why=str(exc))
    return True
