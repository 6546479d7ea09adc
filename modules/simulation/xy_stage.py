"""A simulated XY stage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from hal.base import Float, ParameterError, Value
from hal.devices import XYStage
from modules.simulation._leg import Leg


class SimXYStage(XYStage):
    """Moves straight at constant speed; a halt leaves it where it is.

    It stands at (0, 0) at first, in the middle of its travel, and keeps its position
    while it is closed.

    Runs on: worker; `halt` any.
    """

    is_simulated: ClassVar[bool] = True

    travel_um = Float(
        100_000.0, unit="um", low=1.0, high=1e6, help="Length of travel, both axes."
    )
    speed_um_s = Float(
        10_000.0, unit="um/s", low=1e-3, high=1e9, help="Speed of every move."
    )

    def __init__(self, **values: Value) -> None:
        travel = type(self).travel_um
        half_um = travel.check(self, values.get("travel_um", travel.default)) / 2
        self.x_min_um = self.y_min_um = -half_um
        self.x_max_um = self.y_max_um = half_um
        super().__init__(**values)
        self._leg = Leg.resting(0.0, 0.0)

    def check_together(self, values: Mapping[str, Value]) -> None:
        super().check_together(values)
        if values["travel_um"] != 2 * self.x_max_um:
            raise ParameterError("travel_um is fixed when the stage is made")

    def _do_start_move(self, x_um: float, y_um: float) -> None:
        now_s = self.clock.monotonic_s()
        self._leg = self._leg.towards(x_um, y_um, now_s=now_s, speed=self.speed_um_s)

    def _do_is_moving(self) -> bool:
        return not self._leg.is_over(self.clock.monotonic_s())

    def _do_position(self) -> tuple[float, float]:
        x_um, y_um = self._leg.at(self.clock.monotonic_s())
        return x_um, y_um

    def _do_halt(self) -> None:
        self._leg = Leg.resting(*self._leg.at(self.clock.monotonic_s()))
