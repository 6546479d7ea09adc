"""Ctrl-C: once to end in order, twice to end now."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
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
        # SimpleQueue because a signal handler may put while its own thread gets.
        self._news: SimpleQueue[int] = SimpleQueue()
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
        self._news.put(0)

    def on_signal(self, _signal: int, _frame: FrameType | None) -> None:
        """Count one."""
        self.count += 1
        self._news.put(self.count)

    def _watch(self) -> None:
        if self._news.get() == 0:
            return
        note("hal: ending in order, data are closed and checked; again to end now")
        if self._news.get() == 0:
            return
        note("hal: ending now; what is stored is readable")
        try:
            if self._news.get(timeout=END_NOW_S) == 0:
                return
        except Empty:
            pass
        os._exit(INTERRUPTED)


@contextmanager
def interruptible() -> Iterator[Interrupts]:
    """Count interrupts within the `with` block."""
    interrupts = Interrupts()
    before = {}
    for name in _SIGNALS:
        number = getattr(signal, name, None)
        # `nohup` has a closed terminal ignored, and means it.
        if number is None or (
            name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN
        ):
            continue
        before[number] = signal.signal(number, interrupts.on_signal)
    try:
        yield interrupts
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        interrupts.close()
