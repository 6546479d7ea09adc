"""Time that passes when a test says so."""

from __future__ import annotations

import threading
from typing import Final

_REAL_POLL_S: Final = 0.001


class FakeClock:
    """A `hal.base.Clock` that stands still until `advance`.

    Runs on: any.

    Guarantees:
        `wait` returns within milliseconds of real time after its event was set or
        after `advance` brought the time it waits for.
    """

    def __init__(self, monotonic_s: float = 0.0, wall_s: float = 1.7e9) -> None:
        # Reading a float attribute is atomic; only `advance` reads and writes.
        self._lock = threading.Lock()
        self._now_s = monotonic_s
        self._wall_offset_s = wall_s - monotonic_s
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """How many threads are in `wait` now: a test advances once they are there."""
        return self._waiting

    def monotonic_s(self) -> float:
        """Seconds since some fixed moment; never goes back."""
        return self._now_s

    def wall_s(self) -> float:
        """Seconds since 1970-01-01 UTC; goes as `monotonic_s` does."""
        return self._now_s + self._wall_offset_s

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass; whoever waited for less goes on.

        Raises:
            ValueError: Negative, infinite or not a number.
        """
        if not 0.0 <= seconds < float("inf"):
            raise ValueError(f"advance({seconds}): expected a time from 0 s on")
        with self._lock:
            self._now_s += seconds

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Return True as soon as `event` is set, False after `timeout_s` fake time."""
        deadline_s = self._now_s + timeout_s
        with self._lock:
            self._waiting += 1
        try:
            while self._now_s < deadline_s:
                if event.wait(_REAL_POLL_S):
                    return True
            return event.is_set()
        finally:
            with self._lock:
                self._waiting -= 1
