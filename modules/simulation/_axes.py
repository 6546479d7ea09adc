"""Axes with the faults of real ones: between what they say and what is true."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from modules.simulation._leg import Leg

Point = tuple[float, ...]

_TINY_UM: Final = 1e-9
"""Steps below this are none: far from any instrument, near the end of numbers."""


@dataclass(frozen=True)
class Axes:
    """Drives on their way, and the stage that they push.

    The drive is what the encoder sees. With backlash the stage lags behind it after a
    reversal: it stands where the drive is after a move up, and up to `backlash` above
    it after a move down (homing comes from below). Besides, each arrival has an error
    of its own, of which the encoder knows nothing either.

    It never changes, so that a halt on another thread replaces it without a lock.

    Runs on: any.
    """

    leg: Leg
    """Of the drives."""
    pushed: Point
    """Where the drives had pushed the stage to when the leg began."""
    backlash: float = 0.0
    error: Point = ()
    """Of the arrival before this leg, per axis."""
    next_error: Point = ()
    """Of the arrival of this leg."""

    @classmethod
    def homed(cls, *at: float) -> Axes:
        """Return axes at rest without any fault."""
        none = (0.0,) * len(at)
        return cls(Leg.resting(*at), at, 0.0, none, none)

    @classmethod
    def left(cls, drive: Point, pushed: Point, error: Point, backlash: float) -> Axes:
        """Return axes at rest as others were left."""
        return cls(Leg.resting(*drive), pushed, backlash, error, error)

    def towards(
        self,
        *end: float,
        now_s: float,
        speed: float,
        acceleration: float,
        backlash: float,
        error: Point,
    ) -> Axes:
        """Return the axes on their way, from rest, from where these are now."""
        leg = self.leg.towards(
            *end, now_s=now_s, speed=speed, acceleration=acceleration
        )
        return Axes(leg, self._pushed(now_s), backlash, self._error(now_s), error)

    def stopped(self, now_s: float) -> Axes:
        """Return the axes at rest where they are now."""
        error = self._error(now_s)
        return replace(
            self,
            leg=Leg.resting(*self.leg.at(now_s)),
            pushed=self._pushed(now_s),
            error=error,
            next_error=error,
        )

    def true(self, now_s: float) -> Point:
        """Return where the stage really is."""
        both = zip(self._pushed(now_s), self._error(now_s), strict=True)
        return tuple(at + error for at, error in both)

    def _pushed(self, now_s: float) -> Point:
        # Each axis goes one way during a leg, so only the end of it matters.
        both = zip(self.pushed, self.leg.at(now_s), strict=True)
        return tuple(
            min(max(stage, drive), drive + self.backlash) for stage, drive in both
        )

    def _error(self, now_s: float) -> Point:
        done = self.leg.done(now_s)
        both = zip(self.error, self.next_error, strict=True)
        return tuple(a + (b - a) * done for a, b in both)


def on_grid(target: float, step: float, low: float, high: float) -> float:
    """Return the multiple of `step` that is nearest to `target`, from `low` to `high`.

    Args:
        target: From `low` to `high`.
        step: What an encoder can tell apart; 0 for everything.
        low: Lowest place allowed.
        high: Highest place allowed; at least one step above `low`.
    """
    if step < _TINY_UM:
        return target
    # At most a step beyond a limit, or two where the division has been rounded.
    count = round(target / step)
    while count * step > high:
        count -= 1
    while count * step < low:
        count += 1
    return min(max(count * step, low), high)
