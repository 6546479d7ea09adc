"""When the frames of a film are due: by the clock, by order, after another camera."""

from __future__ import annotations

import math
from collections import deque
from typing import Final, Protocol

from hal.base import Clock
from modules.simulation.world.exposures import Exposure, Exposures

_LOOK_S: Final = 0.001
"""How often a following camera looks for a new exposure."""


class Pace(Protocol):
    """Says when the next frame can be had."""

    def due_in_s(self, index: int) -> float:
        """Return how long to wait for frame `index`; infinity if it is not to come."""

    def ready_s(self, index: int) -> float:
        """Return when frame `index` was exposed, from the start of the film."""


class FreePace:
    """Frame after frame, from the start on, at equal distances.

    Runs on: camera.
    """

    def __init__(self, clock: Clock, period_s: float) -> None:
        self._clock = clock
        self._period_s = period_s
        self._begun_s = clock.monotonic_s()

    def due_in_s(self, index: int) -> float:
        """Return how long to wait for frame `index`."""
        return self._begun_s + self.ready_s(index) - self._clock.monotonic_s()

    def ready_s(self, index: int) -> float:
        """Return when frame `index` was exposed, from the start of the film."""
        return (index + 1) * self._period_s


class OrderedPace:
    """One frame for each order; orders that come too fast wait.

    Runs on: `order` any; the rest camera.
    """

    def __init__(self, clock: Clock, period_s: float) -> None:
        self._clock = clock
        self._period_s = period_s
        self._begun_s = clock.monotonic_s()
        # A deque, because appending to it is atomic.
        self._orders: deque[float] = deque()
        self._ends: list[float] = []

    def order(self) -> None:
        """Have one more frame exposed."""
        self._orders.append(self._clock.monotonic_s())

    def due_in_s(self, index: int) -> float:
        """Return how long to wait for frame `index`."""
        while len(self._ends) <= index and self._orders:
            earliest = self._ends[-1] if self._ends else -math.inf
            begins_s = max(self._orders.popleft(), earliest)
            self._ends.append(begins_s + self._period_s)
        if len(self._ends) <= index:
            return math.inf
        return self._ends[index] - self._clock.monotonic_s()

    def ready_s(self, index: int) -> float:
        """Return when frame `index` was exposed, from the start of the film."""
        return self._ends[index] - self._begun_s

    def drop(self, index: int) -> None:
        """Forget the orders for frame `index` and those after it."""
        self._orders.clear()
        del self._ends[index:]


class FollowingPace:
    """The exposures of one film of another camera, wherever that runs.

    Runs on: camera.
    """

    def __init__(
        self, exposures: Exposures, leader: int, film: int, after: int
    ) -> None:
        """Wait for a film.

        Args:
            exposures: Of the world both are in.
            leader: Ordinal of the other camera.
            film: Number of its film, the next one.
            after: Number of the last exposure before.
        """
        self._exposures = exposures
        self._leader = leader
        self._film = film
        self._seen = after
        self._found: Exposure | None = None
        self._first_s: float | None = None

    def due_in_s(self, index: int) -> float:
        """Return 0 when the exposure of a frame from `index` on is there."""
        if self._found is not None and self._found.frame >= index:
            return 0.0
        while self._seen < self._exposures.count:
            self._seen += 1
            found = self._exposures.find(self._seen)
            # One that is too old by now is a frame lost, as in a camera whose buffer
            # has run over; the gap in the counter says so.
            if found is None or found.camera != self._leader:
                continue
            if found.film == self._film and found.frame >= index:
                self._found = found
                return 0.0
        return _LOOK_S

    def ready_s(self, index: int) -> float:
        """Return when the frame was exposed, on the world's clock."""
        found = self.exposure
        if self._first_s is None:
            self._first_s = found.clock_s
        return found.clock_s + found.exposure_s - self._first_s

    @property
    def exposure(self) -> Exposure:
        """The exposure that is due."""
        assert self._found is not None
        return self._found
