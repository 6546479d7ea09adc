"""How something warms up or cools down towards its goal."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Relaxing:
    """A quantity on its way, the slower the nearer: a first-order system.

    Of the way that is left, all but 1/e is done in `tau_s`; 0 for at once.
    It never changes, so that another thread replaces it without a lock.

    Runs on: any.
    """

    start: float
    goal: float
    begun_s: float = 0.0
    tau_s: float = 0.0

    def at(self, now_s: float) -> float:
        """Return its value at `now_s`."""
        after_s = max(0.0, now_s - self.begun_s)
        if not self.tau_s:
            return self.goal
        # Far from the start this underflows to 0, and the goal is reached exactly.
        left = math.exp(-after_s / self.tau_s)
        return self.goal + (self.start - self.goal) * left

    def towards(self, goal: float, *, now_s: float, tau_s: float) -> Relaxing:
        """Return it on its way from where it is now to another goal."""
        return Relaxing(self.at(now_s), goal, now_s, tau_s)

    def time_to_reach_s(self, within: float) -> float:
        """Return how long after `begun_s` it is nearer to its goal than `within`.

        Args:
            within: Largest distance that counts as reached; above 0.
        """
        way = abs(self.start - self.goal)
        return self.tau_s * math.log(way / within) if way > within else 0.0
