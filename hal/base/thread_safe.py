"""A value and a flag that threads share: every step is whole, no wait is endless."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Generic, TypeVar

from hal.base.clock import Clock, SystemClock

T = TypeVar("T")

_LOOK_AGAIN_S: Final = 60.0


class ThreadSafeValue(Generic[T]):
    """One value, read and changed by many threads.

    The lock is around the value, not what is inside it: keep immutable things here,
    or change them within `locked`.

    Runs on: any.

    Guarantees:
        `update` and `get_and_clear` are one step: no change is lost or taken twice.
    """

    def __init__(self, initial: T) -> None:
        # Re-entrant, so that `get` and `set` can be used within `locked`.
        self._lock = threading.RLock()
        self._value = initial

    def get(self) -> T:
        """Return the value."""
        with self._lock:
            return self._value

    def set(self, value: T) -> None:
        """Replace the value."""
        with self._lock:
            self._value = value

    def update(self, fn: Callable[[T], T]) -> T:
        """Replace the value by `fn(value)` and return the new one.

        `fn` is called once, while others wait: it must be short, and its result counts,
        not what it may `set` meanwhile. If it raises, the value stays as it was.
        """
        with self._lock:
            self._value = fn(self._value)
            return self._value

    def get_and_clear(self: ThreadSafeValue[T | None]) -> T | None:
        """Return the value and leave None: what is put in is taken out once."""
        with self._lock:
            value, self._value = self._value, None
            return value

    @contextmanager
    def locked(self) -> Iterator[T]:
        """Keep all other threads out for the `with` block, which gets the value."""
        with self._lock:
            yield self._value


class ThreadSafeFlag:
    """A flag to wait for, and to take so that only one thread gets it.

    Runs on: any.

    Guarantees:
        `wait_and_clear` returns True to exactly one thread per `set`. Flags are not
        counted: setting one that is set changes nothing.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        """Begin with the flag down.

        Args:
            clock: Whose time the waiting counts; the machine's if there is none.
        """
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._is_set = False
        self._waiting: list[threading.Event] = []

    def set(self) -> None:
        """Raise the flag and wake all who wait."""
        with self._lock:
            self._is_set = True
            for event in self._waiting:
                event.set()

    def clear(self) -> None:
        """Lower the flag."""
        with self._lock:
            self._is_set = False

    def is_set(self) -> bool:
        """Whether the flag is up."""
        with self._lock:
            return self._is_set

    def wait(self, timeout_s: float) -> bool:
        """Return True once the flag is up, False after `timeout_s`.

        A flag that somebody lowers again before this thread has seen it was not up.
        """
        return self._wait(timeout_s, take=False)

    def wait_and_clear(self, timeout_s: float) -> bool:
        """Return True once this thread has taken the flag down, else False."""
        return self._wait(timeout_s, take=True)

    def _wait(self, timeout_s: float, *, take: bool) -> bool:
        until_s = self._clock.monotonic_s() + timeout_s
        event = threading.Event()
        with self._lock:
            self._waiting.append(event)
        try:
            while True:
                # Cleared before the flag is looked at, so that no news is wiped out.
                event.clear()
                if self._look(take):
                    return True
                left_s = until_s - self._clock.monotonic_s()
                if not left_s > 0.0:  # not a number: no time at all
                    return False
                self._clock.wait(event, min(left_s, _LOOK_AGAIN_S))
        finally:
            with self._lock:
                self._waiting.remove(event)

    def _look(self, take: bool) -> bool:
        with self._lock:
            was_set = self._is_set
            if take:
                self._is_set = False
            return was_set
