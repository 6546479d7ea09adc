"""Waiting that Ctrl-C may end anywhere, and nothing is left half done.

Python raises `KeyboardInterrupt` between any two steps of the main thread. Within HAL
that could leave a lock held, or a message on half its way. So whatever touches HAL is
done on other threads, and whoever wants it done waits at a queue written in C.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Final, Generic, TypeVar

from hal.base import Clock, Threads

T = TypeVar("T")

_SLICE_S: Final = 0.1
"""Windows does not interrupt a wait: between two of them Ctrl-C is heard."""


class Latch:
    """Set once; any number of threads may wait for it.

    Runs on: any.
    """

    def __init__(self, clock: Clock) -> None:
        self.is_set = False
        self._clock = clock
        self._tokens: SimpleQueue[None] = SimpleQueue()

    def set(self) -> None:
        """Wake all who wait, now and later."""
        self.is_set = True
        self._tokens.put(None)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Return True as soon as it is set, False after `timeout_s`."""
        began_s = self._clock.monotonic_s()
        while not self.is_set:
            slice_s = _SLICE_S
            if timeout_s is not None:
                left_s = began_s + timeout_s - self._clock.monotonic_s()
                if left_s <= 0:
                    return self.is_set
                slice_s = min(slice_s, left_s)
            try:
                self._tokens.get(timeout=slice_s)
            except Empty:
                continue
            self._tokens.put(None)  # for the others
        return True


class Errand(Generic[T]):
    """One call, made on another thread.

    Runs on: any.
    """

    def __init__(self, fn: Callable[[], T], clock: Clock) -> None:
        self.done = Latch(clock)
        self.error: BaseException | None = None
        self._fn = fn
        self._result: list[T] = []

    def run(self) -> None:
        """Make the call and keep what comes of it; `tell` says that it is over."""
        try:
            self._result.append(self._fn())
        except BaseException as exc:  # noqa: BLE001 - handed to whoever waits
            self.error = exc

    def tell(self) -> None:
        """Wake who waits for it."""
        self.done.set()

    def outcome(self) -> T:
        """Return what the call has returned, or raise what it has raised."""
        if self.error is not None:
            raise self.error
        return self._result[0]

    def undo(self, undo: Callable[[T], object]) -> None:
        """Wait for its end, and take back what it has done, if it has done it."""
        self.done.wait()
        if self.error is None:
            undo(self.outcome())


class Crew:
    """Threads for the calls of a script: as many as there are calls at a time.

    Runs on: any.

    Guarantees:
        A call that was interrupted is finished all the same, and undone if it can be.
        No call waits for a thread that has gone.
    """

    def __init__(self, threads: Threads, clock: Clock) -> None:
        """Start the first thread."""
        self._threads = threads
        self._clock = clock
        self._is_closed = False
        self._numbers = itertools.count(1)
        # Whoever pops a thread here has it for himself; no lock that could stay held.
        self._idle: deque[SimpleQueue[Errand[Any] | None]] = deque()
        self._idle.append(self._hire())

    def call(
        self, fn: Callable[[], T], *, undo: Callable[[T], object] | None = None
    ) -> T:
        """Return what `fn` returns on another thread, or raise what it raises.

        Args:
            fn: What to do; it ends by itself.
            undo: Called with its result if the wait for it was interrupted.
        """
        errand = Errand(fn, self._clock)
        self._give(errand)
        try:
            errand.done.wait()
        except BaseException:
            if undo is not None:
                self.start(partial(errand.undo, undo))
            raise
        return errand.outcome()

    def start(self, fn: Callable[[], object]) -> None:
        """Have `fn` called on another thread; returns at once."""
        self._give(Errand(fn, self._clock))

    def close(self) -> None:
        """Let the threads go when they have done what they do; returns at once.

        A call that comes in the same moment is made all the same.
        """
        self._is_closed = True
        while True:
            try:
                self._idle.pop().put(None)
            except IndexError:
                return

    def _give(self, errand: Errand[Any]) -> None:
        try:
            inbox = self._idle.pop()
        except IndexError:
            inbox = self._hire()
        inbox.put(errand)

    def _hire(self) -> SimpleQueue[Errand[Any] | None]:
        inbox: SimpleQueue[Errand[Any] | None] = SimpleQueue()
        name = f"hal/script{next(self._numbers)}"
        self._threads.start(name, partial(self._work, inbox))
        return inbox

    def _work(self, inbox: SimpleQueue[Errand[Any] | None]) -> None:
        while (errand := inbox.get()) is not None:
            errand.run()
            # Before it tells: who is woken has a free thread for the next call.
            self._idle.append(inbox)
            errand.tell()
            del errand  # an idle thread keeps nothing alive
            if self._is_closed:
                self.close()
