"""A simulated temperature controller."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from hal.base import Float, Value
from hal.devices import TemperatureController
from modules.simulation._relax import Relaxing
from modules.simulation.temperature_sensor import SimTemperatureSensor


class _Course(NamedTuple):
    """What it holds, and how it gets there; replaced, never changed."""

    target_c: float | None
    way: Relaxing


class SimTemperatureController(SimTemperatureSensor, TemperatureController):
    """Approaches its target, or the room when off, the slower the nearer.

    A first-order system: of the way left, all but 1/e is done in `time_constant_s`.
    It has the temperature of the room at first.

    Runs on: worker; `halt` any.
    """

    time_constant_s = Float(
        120.0, unit="s", low=0.0, high=1e6, help="How slowly it follows; 0 for at once."
    )

    def __init__(self, **values: Value) -> None:
        super().__init__(**values)
        self._course = _Course(None, Relaxing(self.ambient_c, self.ambient_c))

    def true_c(self) -> float:
        """Return the temperature without noise.

        Runs on: any.
        """
        return self._course.way.at(self.clock.monotonic_s())

    def time_to_reach_s(self, start_c: float, target_c: float) -> float:
        way = Relaxing(start_c, target_c, tau_s=self.time_constant_s)
        return way.time_to_reach_s(self.tolerance_c)

    def _do_set_target(self, target_c: float | None) -> None:
        self._steer(target_c, self.ambient_c)

    def _do_target(self) -> float | None:
        return self._course.target_c

    def _do_halt(self) -> None:
        self._steer(None, self.ambient_c)

    def _do_apply(self, changed: Mapping[str, Value]) -> Mapping[str, Value]:
        if "ambient_c" in changed:
            self._steer(self._course.target_c, float(changed["ambient_c"]))
        return super()._do_apply(changed)

    def _steer(self, target_c: float | None, ambient_c: float) -> None:
        way = self._course.way.towards(
            ambient_c if target_c is None else target_c,
            now_s=self.clock.monotonic_s(),
            tau_s=self.time_constant_s,
        )
        self._course = _Course(target_c, way)
