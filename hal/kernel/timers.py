"""Messages for later: one thread for all timers."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable
from typing import Final

from hal.base import Clock, SystemThreads, Thread, Threads, get_logger

_IDLE_S: Final = 60.0

log = get_logger(module="hal")


class Timer:
    """A pending call; `cancel` prevents it if it has not begun."""

    def __init__(self, due_s: float, call: Callable[[], None]) -> None:
        self.due_s = due_s
        self._calls = [call]

    def cancel(self) -> None:
        """Prevent the call; harmless if it was made."""
        self._calls.clear()

    def fire(self) -> None:
        """Make the call, once."""
        try:
            call = self._calls.pop()
        except IndexError:
            return
        call()


class Timers:
    """Calls short functions at their time, on one thread of its own.

    Runs on: `after` any.
    """

    def __init__(self, clock: Clock, threads: Threads | None = None) -> None:
        self._clock = clock
        self._heap: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._lock = threading.Lock()
        self._changed = threading.Event()
        self._stopping = False
        self._threads = threads or SystemThreads()
        self._thread: Thread | None = None

    def start(self) -> None:
        """Begin to fire."""
        self._thread = self._threads.start("hal/timers", self._run)

    def stop(self) -> None:
        """End; what has not fired never will. Bounded by 2 s."""
        self._stopping = True
        self._changed.set()
        if self._thread is not None:
            self._thread.join(2.0)

    def after(self, delay_s: float, call: Callable[[], None]) -> Timer:
        """Call `call` (short, never blocking) in `delay_s` seconds."""
        timer = Timer(self._clock.monotonic_s() + max(0.0, delay_s), call)
        with self._lock:
            heapq.heappush(self._heap, (timer.due_s, next(self._order), timer))
        self._changed.set()
        return timer

    def _run(self) -> None:
        while True:
            # Cleared before anything is looked at, so that no news is wiped out.
            self._changed.clear()
            if self._stopping:
                return
            now_s = self._clock.monotonic_s()
            for timer in self._due(now_s):
                self._fire(timer)
            with self._lock:
                next_s = self._heap[0][0] if self._heap else now_s + _IDLE_S
            # Never for longer: a delay may be more than a clock can wait for at once.
            self._clock.wait(self._changed, min(next_s - now_s, _IDLE_S))

    def _fire(self, timer: Timer) -> None:
        try:
            timer.fire()
        except Exception as exc:
            log.error("timer failed", exc_info=exc)

    def _due(self, now_s: float) -> list[Timer]:
        due = []
        with self._lock:
            while self._heap and self._heap[0][0] <= now_s:
                due.append(heapq.heappop(self._heap)[2])
        return due
