"""Where something simulated is while it moves."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Leg:
    """A straight move at constant speed, from `begun_s` on.

    It never changes, so that a halt on another thread replaces it without a lock.

    Runs on: any.
    """

    start: tuple[float, ...]
    end: tuple[float, ...]
    begun_s: float = 0.0
    duration_s: float = 0.0

    @classmethod
    def resting(cls, *at: float) -> Leg:
        """Return a leg that has been over for ever."""
        return cls(at, at)

    def towards(self, *end: float, now_s: float, speed: float) -> Leg:
        """Return the leg that leaves from where this one is now."""
        start = self.at(now_s)
        return Leg(start, end, now_s, math.dist(start, end) / speed)

    def is_over(self, now_s: float) -> bool:
        """Return whether the end is reached."""
        return now_s - self.begun_s >= self.duration_s

    def at(self, now_s: float) -> tuple[float, ...]:
        """Return the position at `now_s`."""
        if self.is_over(now_s):
            return self.end
        done = (now_s - self.begun_s) / self.duration_s
        return tuple(
            a + (b - a) * done for a, b in zip(self.start, self.end, strict=True)
        )
