"""What the main thread does while HAL runs; nothing else assumes which loop it is."""

from __future__ import annotations

from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Protocol


class MainLoop(Protocol):
    """Runs short calls on the main thread until told to end.

    Runs on: `run_until` main; `call` any, signal handlers too.
    """

    def call(self, fn: Callable[[], None]) -> None:
        """Have `fn` called on the main thread, soon."""

    def run_until(
        self,
        done: Callable[[], bool],
        *,
        tick: Callable[[], None] | None = None,
        every_s: float = 0.1,
    ) -> None:
        """Run calls until `done()`; asks after each call and each `every_s`."""


class WaitLoop:
    """A main loop that only waits, for running without a window."""

    def __init__(self) -> None:
        # SimpleQueue because a signal handler may put while its own thread gets; the
        # lock inside a threading.Event would deadlock there.
        self._calls: SimpleQueue[Callable[[], None]] = SimpleQueue()

    def call(self, fn: Callable[[], None]) -> None:
        """Have `fn` called on the main thread, soon."""
        self._calls.put(fn)

    def run_until(
        self,
        done: Callable[[], bool],
        *,
        tick: Callable[[], None] | None = None,
        every_s: float = 0.1,
    ) -> None:
        """Run calls until `done()`; asks after each call and each `every_s`."""
        while not done():
            try:
                call = self._calls.get(timeout=every_s)
            except Empty:
                pass
            else:
                call()
            if tick is not None:
                tick()
