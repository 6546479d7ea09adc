"""How long moves take, as data: it can be sent to whoever adds times up."""

from __future__ import annotations

import math

import msgspec


def travel_time_s(distance: float, speed: float, acceleration: float = 0.0) -> float:
    """Return how long a straight move takes, from rest to rest.

    Speeding up evenly, going on at full speed, braking as it sped up: the symmetric
    trapezoid of speed over time that motion controllers use; a triangle where the way
    is too short for full speed. With d the distance, v the speed and a the acceleration
    it takes d/v + v/a, or 2 sqrt(d/a) if d < v^2/a (Biagiotti and Melchiorri,
    Trajectory Planning for Automatic Machines and Robots, 2008, 3.2).

    Args:
        distance: From 0.
        speed: Highest speed, in the unit of `distance` per second; above 0.
        acceleration: Of speeding up and braking; 0 for full speed at once.
    """
    if not distance:
        return 0.0
    if not acceleration:
        return distance / speed
    full_s = speed / acceleration
    if distance < speed * full_s:
        return 2 * math.sqrt(distance / acceleration)
    return distance / speed + full_s


class MoveTiming(msgspec.Struct, frozen=True, kw_only=True):
    """How long the moves of a stage or drive take, from rest, straight to the target.

    Runs on: any.
    """

    speed_um_s: float
    """Highest speed; above 0."""
    acceleration_um_s2: float = 0.0
    """Of speeding up and braking; 0 for full speed at once."""
    settle_s: float = 0.0
    """Pause after arrival, also where nothing had to move."""

    def time_s(self, *way_um: float) -> float:
        """Return how long a move by so much along each axis takes, settled."""
        return self.settle_s + travel_time_s(
            math.hypot(*way_um), self.speed_um_s, self.acceleration_um_s2
        )
