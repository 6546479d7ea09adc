"""When the events of a plan are due, and how late they were."""

from __future__ import annotations

from hal.base import Clock


class Timetable:
    """The timer of a plan: it begins with the exposure of the first frame.

    So the time it takes to get ready is not charged as lag. A timer that is started
    anew in the plan begins in the same way with the next frame. Until there is one, it
    counts from when it was started.

    Runs on: engine.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._zero_s = clock.monotonic_s()
        self._is_anchored = False
        self.lag_s = 0.0
        """How late the last frame was that had a time."""

    def start(self) -> None:
        """Start the timer, anew if it runs."""
        self._zero_s = self._clock.monotonic_s()
        self._is_anchored = False

    def due_s(self, min_start_time_s: float | None) -> float | None:
        """Return when an event is due, on the monotonic clock; None for at once."""
        return None if min_start_time_s is None else self._zero_s + min_start_time_s

    def at_s(self, monotonic_s: float | None) -> float | None:
        """Return the time on the timer of a monotonic time."""
        return None if monotonic_s is None else monotonic_s - self._zero_s

    def began(self, min_start_time_s: float | None, began_s: float) -> None:
        """Note that the exposure of a frame began."""
        if not self._is_anchored:
            self._is_anchored = True
            self._zero_s = began_s - (min_start_time_s or 0.0)
        due_s = self.due_s(min_start_time_s)
        if due_s is not None:
            self.lag_s = max(0.0, began_s - due_s)
