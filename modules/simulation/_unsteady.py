"""What the simulated drivers with errors of their own have in common."""

from __future__ import annotations

from hal.base import Int, Value
from modules.simulation._chance import SEED_MAX, spread
from modules.simulation._inhabitant import Inhabitant


class Unsteady(Inhabitant):
    """A device whose errors can be repeated: each depends on its number alone.

    In a world, also on the seed of the world and the name of the device there.

    Runs on: worker.
    """

    seed = Int(1, low=0, high=SEED_MAX, help="Which errors it has, of all possible.")

    def _throw(self, number: int, count: int = 1) -> tuple[float, ...]:
        """Return `count` numbers with mean 0 and standard deviation 1, at most 6.

        Args:
            number: Which move or reading they are for.
            count: How many it needs.
        """
        world = self._world_or_none
        if world is None:
            return spread(self.seed, type(self).__name__, number, count)
        return spread(world.seed, f"{self._world_name} {self.seed}", number, count)


class Numbered(Unsteady):
    """One whose readings are counted, on and on in a world."""

    def __init__(self, **values: Value) -> None:
        super().__init__(**values)
        self._readings = 0

    def _do_open(self) -> None:
        super()._do_open()
        here = self._here
        if here is not None:
            self._readings = int(here["readings"])

    def _next_throw(self) -> float:
        """Count a reading, and return the error that is its own; see `_throw`."""
        self._readings += 1
        (throw,) = self._throw(self._readings)
        return throw
