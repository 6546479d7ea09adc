"""Time for tests of devices that wait."""

from __future__ import annotations

import threading

from hal.testing import FakeClock


class WindingClock(FakeClock):
    """Lets the time that somebody waits for pass at once."""

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        if not event.is_set():
            self.advance(max(0.0, timeout_s))
        return event.is_set()
