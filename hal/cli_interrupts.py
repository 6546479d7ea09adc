"""Ctrl-C: once to end in order, twice to end now."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from hal.cli_report import INTERRUPTED, note

END_NOW_S: Final = 1.7
"""So long after the second Ctrl-C the process is gone, whatever hangs."""
# What systems send to ask for an end: by a key, by `kill`, by a terminal that was
# closed. Looked up by name, because no system has all of them.
_SIGNALS: Final = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")


class Interrupts:
    """Counts interrupts instead of raising KeyboardInterrupt in the middle of things.

    Runs on: any.

    Guarantees:
        The first is answered with a line on stderr at once.
        The second ends the process within `END_NOW_S`, whatever the main thread is in.
    """

    def __init__(self) -> None:
        self.count = 0
        # Python calls handlers on the main thread, which a signal that comes just
        # before a wait does not wake; the C handler writes into this at once.
        self._news, self.wakeup = socket.socketpair()
        self.wakeup.setblocking(False)
        # A thread of its own: a signal handler may neither print nor start one.
        thread = threading.Thread(target=self._watch, name="hal/interrupts")
        thread.daemon = True
        thread.start()

    @property
    def hurry(self) -> bool:
        """Whether to end now."""
        return self.count > 1

    def close(self) -> None:
        """End the thread; interrupts that come later change nothing."""
        self.wakeup.close()

    def _watch(self) -> None:
        with self._news:
            if not self._another():
                return
            note("hal: ending in order, data are closed and checked; again to end now")
            if not self._another():
                return
            note("hal: ending now; what is stored is readable")
            self._news.settimeout(END_NOW_S)
            with contextlib.suppress(TimeoutError):
                if not self._another():
                    return
            os._exit(INTERRUPTED)

    def _another(self) -> bool:
        """Wait for one more; False if none will come."""
        while number := self._news.recv(1):
            if number[0] in _numbers():
                self.count += 1
                return True
        return False


def _numbers() -> dict[int, str]:
    """Return the signals that are interrupts, with their names."""
    found = {getattr(signal, name, None): name for name in _SIGNALS}
    return {number: name for number, name in found.items() if number is not None}


@contextmanager
def interruptible() -> Iterator[Interrupts]:
    """Count interrupts within the `with` block."""
    interrupts = Interrupts()
    previous = signal.set_wakeup_fd(interrupts.wakeup.fileno())
    before = {}
    for number, name in _numbers().items():
        # `nohup` has a closed terminal ignored, and means it.
        if name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN:
            continue
        before[number] = signal.signal(number, _nothing_more)
    try:
        yield interrupts
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(previous)
        interrupts.close()


def _nothing_more(_signal: int, _frame: FrameType | None) -> None:
    """Be there, so that a signal is not what it is by default."""
