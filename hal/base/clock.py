"""The only source of time: nothing else in `hal/` asks the machine what time it is.

Tests inject `hal.testing.FakeClock` and decide when time passes.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Monotonic time for deadlines, wall time for people, and waiting.

    Runs on: any.
    """

    def monotonic_s(self) -> float:
        """Seconds since some fixed moment; never goes back."""

    def wall_s(self) -> float:
        """Seconds since 1970-01-01 UTC."""

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Return True as soon as `event` is set, False after `timeout_s`."""


class SystemClock:
    """The machine's own clocks.

    Runs on: any.
    """

    def monotonic_s(self) -> float:
        """Seconds since some fixed moment; never goes back."""
        return time.monotonic()

    def wall_s(self) -> float:
        """Seconds since 1970-01-01 UTC."""
        return time.time()

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Return True as soon as `event` is set, False after `timeout_s`."""
        # More than the system can count is as good as for ever.
        return event.wait(min(max(0.0, timeout_s), threading.TIMEOUT_MAX))


def iso_utc(wall_s: float) -> str:
    """Return wall time as ISO 8601 in UTC, to the microsecond."""
    return datetime.fromtimestamp(wall_s, UTC).isoformat()
