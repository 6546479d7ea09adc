"""How far something simulated has come since it began to move."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hal.devices import travel_time_s


@dataclass(frozen=True)
class Profile:
    """Speeds up evenly, goes on at full speed, brakes as it sped up.

    It lasts as long as `travel_time_s` says.

    Runs on: any.
    """

    length: float
    speed: float
    """Highest speed; above 0."""
    acceleration: float = 0.0
    """Of speeding up and braking; 0 for at once."""

    @property
    def ramp_s(self) -> float:
        """Time from rest to the highest speed it reaches."""
        if not self.acceleration:
            return 0.0
        full_s = self.speed / self.acceleration
        if self.length >= self.speed * full_s:
            return full_s
        return math.sqrt(self.length / self.acceleration)

    @property
    def duration_s(self) -> float:
        """Time from rest to rest."""
        return travel_time_s(self.length, self.speed, self.acceleration)

    def travelled(self, after_s: float) -> float:
        """Return how much of its length is behind it `after_s` after the start."""
        duration_s, ramp_s = self.duration_s, self.ramp_s
        if after_s >= duration_s:
            return self.length
        if after_s <= 0.0:
            return 0.0
        if after_s <= ramp_s:
            way = self.acceleration * after_s**2 / 2
        elif duration_s - after_s <= ramp_s:
            way = self.length - self.acceleration * (duration_s - after_s) ** 2 / 2
        else:
            way = self.speed * (after_s - ramp_s / 2)
        return min(max(way, 0.0), self.length)
