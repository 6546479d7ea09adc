"""How a process comes to its end at once."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

from hal.testing.chaos.kinds import FaultKind


def die(kind: str, code: int) -> None:
    """End this process, or stop it.

    Args:
        kind: One of `DEADLY`.
        code: With which `exit` ends it.
    """
    if kind == FaultKind.SEGV:
        ctypes.string_at(0)
    elif sys.platform != "win32" and kind == FaultKind.KILL:
        os.kill(os.getpid(), signal.SIGKILL)
    elif sys.platform != "win32" and kind == FaultKind.STOP:
        os.kill(os.getpid(), signal.SIGSTOP)
        # The stop reaches the threads one after another: this one must not go on.
        signal.pause()
    # Windows turns a wrong address into an error, and kills with an exit code.
    os._exit(code)
