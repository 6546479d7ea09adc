"""How far something simulated has come since it began to move."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """Speeds up evenly, goes on at full speed, brakes as it sped up.

    The symmetric trapezoid of speed over time that motion controllers use; a triangle
    where the way is too short for full speed. With d the length, v the speed and a the
    acceleration it takes d/v + v/a, or 2 sqrt(d/a) if d < v^2/a (Biagiotti and
    Melchiorri, Trajectory Planning for Automatic Machines and Robots, 2008, 3.2).

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
        if not self.length:
            return 0.0
        ramp_s = self.ramp_s
        if ramp_s and self.length < self.speed * (self.speed / self.acceleration):
            return 2 * ramp_s
        return self.length / self.speed + ramp_s

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
