"""Where something simulated is while it moves."""

from __future__ import annotations

import math
from dataclasses import dataclass

from modules.simulation._profile import Profile

_NOWHERE = Profile(0.0, 1.0)


@dataclass(frozen=True)
class Leg:
    """A straight move from rest to rest, from `begun_s` on.

    It never changes, so that a halt on another thread replaces it without a lock.

    Runs on: any.
    """

    start: tuple[float, ...]
    end: tuple[float, ...]
    begun_s: float = 0.0
    profile: Profile = _NOWHERE

    @classmethod
    def resting(cls, *at: float) -> Leg:
        """Return a leg that has been over for ever."""
        return cls(at, at)

    def towards(
        self, *end: float, now_s: float, speed: float, acceleration: float = 0.0
    ) -> Leg:
        """Return the leg that leaves, from rest, from where this one is now."""
        start = self.at(now_s)
        profile = Profile(math.dist(start, end), speed, acceleration)
        return Leg(start, end, now_s, profile)

    def is_over(self, now_s: float) -> bool:
        """Return whether the end is reached."""
        return now_s - self.begun_s >= self.profile.duration_s

    def done(self, now_s: float) -> float:
        """Return how much of the way is behind it, from 0 to 1."""
        if self.is_over(now_s):
            return 1.0
        return self.profile.travelled(now_s - self.begun_s) / self.profile.length

    def at(self, now_s: float) -> tuple[float, ...]:
        """Return the position at `now_s`."""
        done = self.done(now_s)
        if done == 1.0:
            return self.end
        return tuple(
            a + (b - a) * done for a, b in zip(self.start, self.end, strict=True)
        )
